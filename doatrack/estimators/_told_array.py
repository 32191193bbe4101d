"""Whether recordings contradict the positions that a tracker is told, and agree with the array it learned with."""

import numpy as np
from numpy.typing import NDArray

from doatrack.audio.recordings import Recordings
from doatrack.features import (
    FrameSettings,
    GCCExtractor,
    GCCFeatures,
    numerators,
    srp_map,
    steered_map,
    steering_matrix,
)
from doatrack.geometry import DirectionGrid, MicArray

__all__ = ["coherent_share", "contradicts"]

_LOOKED_AT_S = 20.0
_N_DIRECTIONS = 1024
_LAG_STEP = 0.366
_SAME_M = 1e-4
_FEATURES = GCCFeatures(
    noise_quantile=0.3,
    loading=0.1,
    diffuse_factor=0.0,
    n_bands=1,
    reverberation_factor=1.0,
    reverberation_decay_s=0.05,
    dereverberation=False,
)
"""Nothing that trusts the positions before they are compared."""

_MARGIN = 0.97
"""Positions that are told are believed unless they explain less than this share of what the learned ones do. Errors
of 3 mm on a robot head cost about 5 per cent; another array's positions half of it and more."""

_LEAST_PEAK = 1.4
"""The learned positions must explain so many times more in the best direction than in the mean one: 1.1 to 1.2 where
nothing but noise is heard, which fits any array by chance, and 1.8 or more in the scenes of `bench_nao`."""


def contradicts(
    recordings: Recordings, index: int, told: MicArray, learned: MicArray, frames: FrameSettings, speed_of_sound: float
) -> bool:
    """Return whether a recording is clearly better explained by the learned array than by the one that is told.

    Parameters
    ----------
    recordings : Recordings
    index : int
    told, learned : MicArray
        With as many microphones, in the same order.
    frames : FrameSettings
    speed_of_sound : float
    """
    if np.allclose(_distances(told), _distances(learned), atol=_SAME_M):
        return False  # turned or shifted
    best_told, _ = coherent_share(recordings, index, told, frames, speed_of_sound)
    best, mean = coherent_share(recordings, index, learned, frames, speed_of_sound)
    return best_told < _MARGIN * best and best > _LEAST_PEAK * mean


def coherent_share(
    recordings: Recordings, index: int, array: MicArray, frames: FrameSettings, speed_of_sound: float
) -> tuple[float, float]:
    """Return how much of the first seconds' sound a plane wave explains at best, if the array is as it is told.

    Parameters
    ----------
    recordings : Recordings
    index : int
    array : MicArray
    frames : FrameSettings
    speed_of_sound : float

    Returns
    -------
    best, mean : float
        Means over frames, weighted by their reliable sound, of the whitened steered share: its maximum over directions,
        and its mean; 0 where there is no sound.
    """
    extractor = GCCExtractor(array, frames, lag_step=_LAG_STEP, features=_FEATURES, speed_of_sound=speed_of_sound)
    delays = extractor.tdoa_samples(DirectionGrid.quasi_uniform(_N_DIRECTIONS).directions)
    steering = steering_matrix(delays, extractor.lags)
    best, mean, weight = 0.0, 0.0, 0.0
    enough = round(_LOOKED_AT_S * frames.sample_rate / frames.hop_length)
    n_frames = 0
    for correlations in extractor.stream(recordings.blocks(index)):
        sound = srp_map(numerators(correlations, len(extractor.lags)), steering).mean(dim=-1).clamp_min(0.0)
        share = steered_map(correlations, steering)
        best += float((share.amax(dim=-1) * sound).sum())
        mean += float((share.mean(dim=-1) * sound).sum())
        weight += float(sound.sum())
        n_frames += len(correlations)
        if n_frames >= enough:
            break
    return (best / weight, mean / weight) if weight > 0 else (0.0, 0.0)


def _distances(array: MicArray) -> NDArray[np.float64]:
    """Return the distances between all microphones."""
    return np.asarray(np.linalg.norm(array.positions[:, None] - array.positions, axis=-1))
