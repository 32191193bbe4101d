"""One labelled recording of one or several talkers in a random room."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from doatrack._parallel import in_parallel
from doatrack._validation import check_int
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.mic_array import MicArray
from doatrack.simulation.convolution import convolve_moving
from doatrack.simulation.layout import SceneLayout, directions_from_array, draw_layout, draw_loudspeaker
from doatrack.simulation.noise import (
    NOISE_KINDS,
    NoiseSource,
    diffuse_field,
    draw_noise_signal,
    loudspeaker_noise,
    scale_to_snr,
)
from doatrack.simulation.settings import SceneSettings
from doatrack.simulation.source import synthetic_speech
from doatrack.simulation.trajectory import Trajectory

__all__ = ["Scene", "SpeechSource", "simulate_scene", "simulate_scenes"]

SpeechSource = Callable[[np.random.Generator, int, int], tuple[ArrayLike, ArrayLike]]

TRUTH_STEP = 0.02  # seconds between two rows of truth
_TAIL_SPACING = 0.25  # metres of path after which the diffuse tail is another one
_LOWEST_FREQUENCY = 50.0  # Hz; below, image sources exaggerate and loudspeakers and mouths are silent
_PEAK = 0.9
_LOUDSPEAKER_KINDS = ("directional", "recorded")


@dataclass(frozen=True, eq=False)
class Scene:
    """A simulated recording and what is true about it.

    Attributes
    ----------
    waveform : ndarray of float32, shape (n_mics, n_samples)
        What the microphones hear; the largest magnitude is 0.9.
    truth : ndarray, shape (n_rows, 5), or (n_sources, n_rows, 5) for several talkers
        Every 20 ms: time in s, unit vector x, y, z from the array's origin to the talker in the array's axes (x front,
        y left, z up), and 1 where the talker is active, else 0.
    info : dict
        Room size, rt60, SNR, kind of noise, positions and the seed; fit for JSON.

    Examples
    --------
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> scene = simulate_scene(array, SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3)), seed=0)
    >>> scene.waveform.shape, scene.truth.shape
    ((4, 16000), (50, 5))
    """

    waveform: NDArray[np.float32]
    truth: NDArray[np.float64]
    info: dict[str, Any] = field(default_factory=dict)


def simulate_scene(
    array: MicArray,
    settings: SceneSettings,
    seed: int,
    speech: SpeechSource | None = None,
    noise_source: NoiseSource | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Scene:
    """Simulate one scene: a random room, talkers who move or stand still, and noise.

    Parameters
    ----------
    array : MicArray
    settings : SceneSettings
    seed : int
        One seed, one scene (to rounding, on any device and number of threads).
    speech : callable, optional
        `speech(generator, n_samples, sample_rate)` returns dry speech `(n_samples,)` and its activity, one bool per
        sample; it is called once for each talker. None is the synthetic talker.
    noise_source : callable, optional
        `noise_source(generator, n_samples, sample_rate)` returns noise `(n_samples,)`; needed by noise="recorded".
    device : torch.device or str
        Where responses and convolutions are computed.

    Returns
    -------
    Scene

    Raises
    ------
    InvalidInputError
        If `speech` or `noise_source` return something else, or the settings leave no place in the room.

    Examples
    --------
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> settings = SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3), noise="directional")
    >>> simulate_scene(array, settings, seed=1).info["noise"]
    'directional'
    """
    number = check_int("seed", seed, 0)
    # Independent streams: another talker or kind of noise leaves the room as it is.
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(number).spawn(4)]
    place_generator, speech_generator, tail_generator, noise_generator = generators
    layout = draw_layout(array, settings, place_generator)
    kind = _draw_noise_kind(settings.noise, noise_source, noise_generator)
    snr_db = float(noise_generator.uniform(*settings.snr_db_range))
    talkers = [_draw_speech(speech, speech_generator, settings) for _ in layout.paths]
    heard = torch.stack(
        [
            _reverberate(dry, path, layout, settings, tail_generator, device)
            for (dry, _), path in zip(talkers, layout.paths, strict=True)
        ]
    ).sum(dim=0)
    noise, noise_info = _make_noise(kind, noise_source, layout, settings, noise_generator, device)
    if noise is not None:
        # noise that plays for a part of the time is that much weaker on average
        start, end = settings.noise_samples
        share = (end - start) / settings.n_samples if kind in _LOUDSPEAKER_KINDS else 1.0
        anyone = np.any([activity for _, activity in talkers], axis=0)
        heard = heard + scale_to_snr(noise, heard, anyone, snr_db - 10 * math.log10(share))
    peak = heard.abs().max().item()
    waveform = (heard * (_PEAK / peak if peak > 0 else 1.0)).cpu().numpy()
    truth = np.stack(
        [_truth(layout, path, settings, activity) for path, (_, activity) in zip(layout.paths, talkers, strict=True)]
    )
    info = {"seed": number, "noise": kind, "snr_db": round(snr_db, 2) if noise is not None else None, **noise_info}
    rows = truth if len(truth) > 1 else truth[0]
    return Scene(np.ascontiguousarray(waveform, dtype=np.float32), rows, {**_layout_info(layout), **info})


def simulate_scenes(
    array: MicArray,
    settings: SceneSettings,
    seeds: Sequence[int],
    speech: SpeechSource | None = None,
    noise_source: NoiseSource | None = None,
    *,
    n_jobs: int | None = None,
) -> list[Scene]:
    """Simulate many scenes, in several processes if wanted; the same seeds give the same scenes.

    Parameters
    ----------
    array, settings, speech, noise_source
        As for `simulate_scene`; with several processes the callables must be picklable.
    seeds : sequence of int
        One per scene.
    n_jobs : int, optional
        Number of processes; -1 is one per core. Each uses one thread. None follows the context of
        `joblib.parallel_config`, which may also name another backend, such as a Dask cluster; 1 without.

    Returns
    -------
    list of Scene

    Raises
    ------
    WorkerError
        If a worker process dies.

    Examples
    --------
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> len(simulate_scenes(array, SceneSettings(duration_s=0.5, rt60_range=(0.2, 0.3)), seeds=range(2)))
    2
    """
    make = functools.partial(_simulate_seed, array, settings, speech, noise_source)
    return list(in_parallel(make, seeds, n_jobs, "Nothing is kept: simulate fewer scenes at a time."))


def _simulate_seed(
    array: MicArray, settings: SceneSettings, speech: SpeechSource | None, noise_source: NoiseSource | None, seed: int
) -> Scene:
    return simulate_scene(array, settings, seed, speech, noise_source)


def _draw_noise_kind(noise: str, noise_source: NoiseSource | None, generator: np.random.Generator) -> str:
    if noise == "recorded" and noise_source is None:
        raise InvalidInputError(
            'noise="recorded" needs noise_source, a callable (generator, n_samples, sample_rate) -> samples, got None. '
            "Give one, for example doatrack.datasets.NoiseFolder of a folder of noises."
        )
    if noise != "mixed":
        return noise
    kinds = [kind for kind in NOISE_KINDS if kind != "none" and (kind != "recorded" or noise_source is not None)]
    return str(generator.choice(kinds))


def _draw_speech(
    speech: SpeechSource | None, generator: np.random.Generator, settings: SceneSettings
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    n_samples = settings.n_samples
    if speech is None:
        samples, activity = synthetic_speech(n_samples, generator, settings.sample_rate)
    else:
        drawn = speech(generator, n_samples, settings.sample_rate)
        if not isinstance(drawn, tuple) or len(drawn) != 2:
            raise InvalidInputError(
                f"speech must return a tuple (dry, active), got {type(drawn).__name__}. "
                "doatrack.simulation.speech_activity finds the activity of dry speech."
            )
        samples, activity = np.asarray(drawn[0], dtype=np.float32), np.asarray(drawn[1], dtype=np.bool_)
    if samples.shape != (n_samples,) or activity.shape != (n_samples,) or not np.isfinite(samples).all():
        raise InvalidInputError(
            f"speech must return {n_samples} finite samples and as many bools, got the shapes {samples.shape} and "
            f"{activity.shape}."
        )
    return samples, activity


def _reverberate(
    dry: NDArray[np.float32],
    path: Trajectory,
    layout: SceneLayout,
    settings: SceneSettings,
    generator: np.random.Generator,
    device: torch.device | str,
) -> torch.Tensor:
    """Convolve the talker with early responses at many points of the path and with diffuse tails at a few."""
    sound = torch.from_numpy(_remove_rumble(dry, settings.sample_rate)).to(device)
    n_points = 1 if path.is_static else math.ceil(settings.duration_s * settings.points_per_second) + 1
    points = path.positions(np.linspace(0, settings.duration_s, n_points))
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    n_tails = min(n_points, math.ceil(length / _TAIL_SPACING) + 1)
    early, tails = layout.room.responses(points, layout.mic_positions, generator, n_tails=n_tails, device=device)
    return convolve_moving(sound, early).add_(convolve_moving(sound, tails))


def _make_noise(
    kind: str,
    noise_source: NoiseSource | None,
    layout: SceneLayout,
    settings: SceneSettings,
    generator: np.random.Generator,
    device: torch.device | str,
) -> tuple[torch.Tensor | None, dict[str, Any]]:
    n_samples, rate = settings.n_samples, settings.sample_rate
    if kind == "none":
        return None, {}
    if kind == "sensor":
        white = generator.standard_normal((len(layout.mic_positions), n_samples), dtype=np.float32)
        return torch.from_numpy(white).to(device), {}
    signal = draw_noise_signal(None if kind == "directional" else noise_source, generator, n_samples, rate)
    signal = _remove_rumble(signal, rate)
    if kind == "diffuse":
        return diffuse_field(signal, layout.room, layout.mic_positions, generator, device), {}
    start, end = settings.noise_samples
    signal[:start] = signal[end:] = 0.0
    place = draw_loudspeaker(layout, settings, generator)
    doa = directions_from_array(layout, place[None])[0]
    noise = loudspeaker_noise(signal, layout.room, place, layout.mic_positions, generator, device)
    return noise, {"noise_position": place.round(4).tolist(), "noise_doa": doa.round(5).tolist()}


def _truth(
    layout: SceneLayout, path: Trajectory, settings: SceneSettings, activity: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Rows every 20 ms; activity is that of the dry speech when the sound now heard was emitted."""
    times = np.arange(math.ceil(settings.n_samples / settings.sample_rate / TRUTH_STEP - 1e-9)) * TRUTH_STEP
    positions = path.positions(times)
    delay = np.linalg.norm(positions - layout.origin, axis=1) / settings.speed_of_sound
    emitted = np.floor((times - delay) * settings.sample_rate).astype(np.int64)
    active = activity[np.clip(emitted, 0, len(activity) - 1)] & (emitted >= 0)
    return np.column_stack([times, directions_from_array(layout, positions), active])


def _remove_rumble(signal: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    filtered = sosfilt(butter(2, _LOWEST_FREQUENCY, "highpass", fs=sample_rate, output="sos"), signal)
    return np.asarray(filtered, dtype=np.float32)


def _layout_info(layout: SceneLayout) -> dict[str, Any]:
    paths = [path.positions(np.linspace(0, path.duration, 50)) for path in layout.paths]
    distances = [round(float(np.linalg.norm(points - layout.origin, axis=1).mean()), 3) for points in paths]
    moving = [not path.is_static for path in layout.paths]
    several = len(paths) > 1
    info = {
        "rt60": round(layout.room.rt60, 4),
        "room": layout.room.room_size.round(3).tolist(),
        "array_origin": layout.origin.round(4).tolist(),
        "array_yaw_deg": round(math.degrees(layout.yaw), 2),
        "moving": moving if several else moving[0],
        "mean_distance_m": distances if several else distances[0],
    }
    return info | ({"n_sources": len(paths)} if several else {})
