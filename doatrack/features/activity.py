"""Sound activity from the signals alone: a likelihood-ratio detector over a tracked noise floor."""

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from torch import Tensor

__all__ = [
    "ACTIVITY_BLOCK_S",
    "activity_at_frames",
    "band_power",
    "block_means",
    "likelihood_ratio",
    "sound_activity",
]

ACTIVITY_BLOCK_S = 0.032
_BAND_HZ = (150.0, 4500.0)
_N_BANDS = 24
_FLOOR_WINDOW_S = 3.0
_MINIMUM_BIAS = 1.7  # a windowed minimum of smoothed noise power lies this factor below its mean
_THRESHOLD = 0.5  # mean log-likelihood ratio per band (nats)


def band_power(waveform: Tensor, sample_rate: int) -> Tensor:
    """Return the power in bands of short blocks, averaged over microphones.

    Parameters
    ----------
    waveform : Tensor of shape (n_mics, n_samples)
    sample_rate : int
        In Hz.

    Returns
    -------
    Tensor of shape (n_blocks, n_bands)
        Blocks of 32 ms side by side; the last, incomplete one is left out. 24 bands of equal width on a logarithmic
        axis, 150 to 4500 Hz (or to 0.45 times the sample rate).

    Examples
    --------
    >>> band_power(torch.zeros(2, 16000), 16000).shape
    torch.Size([31, 24])
    """
    size = round(ACTIVITY_BLOCK_S * sample_rate)
    n_blocks = waveform.shape[-1] // size
    if n_blocks == 0:
        return waveform.new_zeros(0, _N_BANDS)
    blocks = waveform[:, : n_blocks * size].reshape(len(waveform), n_blocks, size)
    power = torch.fft.rfft(blocks * torch.hann_window(size)).abs().square().mean(dim=0)
    edges = np.geomspace(_BAND_HZ[0], min(_BAND_HZ[1], 0.45 * sample_rate), _N_BANDS + 1) * size / sample_rate
    return torch.stack(
        [
            power[:, round(low) : max(round(high), round(low) + 1)].mean(dim=1)
            for low, high in itertools.pairwise(edges)
        ],
        dim=1,
    )


def sound_activity(power: Tensor) -> NDArray[np.bool_]:
    """Return which blocks rise above the noise floor, shape (n_blocks,).

    The floor of each band is the minimum of its smoothed power over 3 s around (so not causal), corrected for
    the bias of a minimum. A block is active if the mean over bands of the log-likelihood ratio of "sound plus
    noise" against "noise", with the maximum-likelihood signal-to-noise ratio, exceeds a threshold.

    Parameters
    ----------
    power : Tensor of shape (n_blocks, n_bands)
        From `band_power`.

    Notes
    -----
    It finds any sound that comes and goes. Sound that never pauses within 3 s, such as a fan or a continuous
    interferer, is floor. A recording without any variation (digital silence, steady noise) is inactive.

    References
    ----------
    J. Sohn, N. S. Kim, W. Sung, "A statistical model-based voice activity detection", IEEE SPL 1999 (the paper's
    [30]); R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
    statistics", IEEE TSAP 2001.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> power = torch.rand(200, 24, generator=generator) + 0.5
    >>> power[80:120] *= 20
    >>> active = sound_activity(power)
    >>> bool(active[85:115].all()), bool(active[:70].any())
    (True, False)
    """
    return np.asarray(uniform_filter1d(likelihood_ratio(power), 3, mode="nearest") > _THRESHOLD)


def likelihood_ratio(power: Tensor) -> NDArray[np.float64]:
    """Return the mean log-likelihood ratio per band of sound against the noise floor alone, shape (n_blocks,).

    Parameters
    ----------
    power : Tensor of shape (n_blocks, n_bands)
        From `band_power`.

    Returns
    -------
    ndarray of shape (n_blocks,)
        In nats, 0 to 1.25: one loud block alone stays below the threshold in its neighbours' mean. What it assumes:
        `sound_activity`.

    Examples
    --------
    >>> likelihood_ratio(torch.ones(4, 24)).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    values = power.double().cpu().numpy()
    if len(values) == 0:
        return np.zeros(0)
    # nothing 60 dB below a band's loudest block counts: digital silence has no meaningful floor
    lowest = 1e-6 * values.max(axis=0, keepdims=True).mean() + 1e-20
    width = max(3, round(_FLOOR_WINDOW_S / ACTIVITY_BLOCK_S))
    smooth = uniform_filter1d(values, 5, axis=0, mode="nearest")
    floor = _MINIMUM_BIAS * minimum_filter1d(smooth, width, axis=0, mode="nearest") + lowest
    snr = np.maximum(values / floor, 1.0)
    return np.asarray(np.minimum((snr - np.log(snr) - 1).clip(max=5.0).mean(axis=1), 2.5 * _THRESHOLD))


def activity_at_frames(
    active: NDArray[np.bool_], n_frames: int, win_length: int, hop_length: int, sample_rate: int, share: float = 0.5
) -> NDArray[np.bool_]:
    """Return which frames are active: at least `share` of the blocks within half a hop of the frame's centre.

    Parameters
    ----------
    active : bool array of shape (n_blocks,)
        From `sound_activity`.
    n_frames, win_length, hop_length, sample_rate : int
        The frames, in samples and Hz.
    share : float
        Between 0 and 1.

    Examples
    --------
    >>> activity_at_frames(np.repeat([False, True], 20), 4, 4096, 3072, 16000).tolist()
    [False, False, False, True]
    """
    return np.asarray(block_means(active, n_frames, win_length, hop_length, sample_rate) >= share)


def block_means(
    values: NDArray[Any], n_frames: int, win_length: int, hop_length: int, sample_rate: int
) -> NDArray[np.float64]:
    """Return the mean over the blocks within half a hop of each frame's centre, 0 where there are no blocks.

    Parameters
    ----------
    values : array of shape (n_blocks,)
        Of blocks of `ACTIVITY_BLOCK_S`, side by side.
    n_frames, win_length, hop_length, sample_rate : int
        The frames, in samples and Hz.

    Returns
    -------
    ndarray of shape (n_frames,)

    Examples
    --------
    >>> block_means(np.repeat([0.0, 1.0], 20), 4, 4096, 3072, 16000).round(2).tolist()
    [0.0, 0.0, 0.0, 0.83]
    """
    if len(values) == 0:
        return np.zeros(n_frames)
    size = round(ACTIVITY_BLOCK_S * sample_rate)
    centres = np.arange(n_frames) * hop_length + win_length / 2
    reach = max(hop_length, size) / 2
    low = np.clip(np.ceil((centres - reach) / size - 0.5).astype(int), 0, len(values) - 1)
    high = np.clip(np.floor((centres + reach) / size - 0.5).astype(int) + 1, low + 1, len(values))
    total = np.concatenate([[0], np.cumsum(values)])
    return np.asarray((total[high] - total[low]) / (high - low))
