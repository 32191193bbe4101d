"""Sound activity from the signals alone: a likelihood-ratio detector over a tracked noise floor."""

import functools
import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.parts import dots, products, real_parts
from doatrack.features.sound_detector import ACTIVITY_BLOCK_S, N_BANDS, SoundDetector, SoundRatio

__all__ = [
    "ACTIVITY_BLOCK_S",
    "activity_at_frames",
    "band_power",
    "block_means",
    "block_ranges",
    "likelihood_ratio",
    "means_of_ranges",
    "sound_activity",
]

_BAND_HZ = (150.0, 4500.0)
_BLOCKS_AT_ONCE = 1000


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
        return waveform.new_zeros(0, N_BANDS)
    blocks = waveform[:, : n_blocks * size].unfold(-1, size, size)
    window, bands, used = _band_tables(size, sample_rate, waveform.shape[0])
    parts = real_parts(torch.fft.rfft(blocks * window)[..., used])
    # squared and summed over microphones at once; the parts of a frequency have the same row of the table
    return products(dots(parts, parts, dim=0), bands)


@functools.lru_cache(maxsize=8)
def _band_tables(size: int, sample_rate: int, n_mics: int) -> tuple[Tensor, Tensor, slice]:
    """Return the window of a block, the matrix (2 n_freq, n_bands) that sums spectra's parts over bands, and where."""
    edges = np.geomspace(_BAND_HZ[0], min(_BAND_HZ[1], 0.45 * sample_rate), N_BANDS + 1) * size / sample_rate
    bands = torch.zeros(size // 2 + 1, N_BANDS)
    for band, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = bands[round(low) : max(round(high), round(low) + 1), band]
        inside[:] = 1 / (len(inside) * n_mics)
    rows = bands.any(dim=1).nonzero()[:, 0].tolist()
    used = slice(rows[0], rows[-1] + 1)
    return torch.hann_window(size), bands[used].repeat_interleave(2, dim=0), used


def sound_activity(power: Tensor, *, causal: bool = False) -> NDArray[np.bool_]:
    """Return which blocks rise above the noise floor, shape (n_blocks,).

    The floor of each band is the minimum of its smoothed power over 3 s around, corrected for the bias of a minimum. A
    block is active if the mean over bands of the log-likelihood ratio of "sound plus noise" against "noise", with the
    maximum-likelihood signal-to-noise ratio, exceeds a threshold.

    Parameters
    ----------
    power : Tensor of shape (n_blocks, n_bands)
        From `band_power`.
    causal : bool
        Whether only earlier blocks are looked at: a floor over the last 3 s. Sound that is there from the first moment
        is then not found before it pauses.

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
    detector = SoundDetector(causal=causal)
    return np.concatenate([detector.push(part) for part in power.split(_BLOCKS_AT_ONCE)] + [detector.flush()])


def likelihood_ratio(power: Tensor, *, causal: bool = False) -> NDArray[np.float64]:
    """Return the mean log-likelihood ratio per band of sound against the noise floor alone, shape (n_blocks,).

    Parameters
    ----------
    power : Tensor of shape (n_blocks, n_bands)
        From `band_power`.
    causal : bool
        As in `sound_activity`.

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
    ratio = SoundRatio(causal=causal)
    return np.concatenate([ratio.push(part) for part in power.split(_BLOCKS_AT_ONCE)] + [ratio.flush()])


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
    low, high = block_ranges(np.arange(n_frames), win_length, hop_length, sample_rate)
    return means_of_ranges(values, low, high, np.full(n_frames, len(values)))


def block_ranges(
    frames: NDArray[np.int64], win_length: int, hop_length: int, sample_rate: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first block within half a hop of the centre of frames, by number, and the one after the last.

    Examples
    --------
    >>> [range_.tolist() for range_ in block_ranges(np.arange(2), 4096, 3072, 16000)]
    [[1, 7], [7, 13]]
    """
    size = round(ACTIVITY_BLOCK_S * sample_rate)
    centres = frames * hop_length + win_length / 2
    reach = max(hop_length, size) / 2
    low = np.ceil((centres - reach) / size - 0.5).astype(np.int64)
    return low, np.floor((centres + reach) / size - 0.5).astype(np.int64) + 1


def means_of_ranges(
    values: NDArray[Any], low: NDArray[np.int64], high: NDArray[np.int64], n_known: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the means of values[low:high] of which `n_known` are known: the nearest one where none is in the range.

    Examples
    --------
    >>> means_of_ranges(np.array([0.0, 1.0]), np.array([0, 5]), np.array([2, 7]), np.array([2, 2])).tolist()
    [0.5, 1.0]
    """
    if len(values) == 0:
        return np.zeros(len(low))
    low = np.minimum(np.maximum(low, 0), np.maximum(n_known - 1, 0))
    high = np.minimum(np.maximum(high, low + 1), np.maximum(n_known, low + 1))
    total = np.zeros(len(values) + 1)
    np.cumsum(values, out=total[1:])
    return np.asarray(np.where(n_known > 0, (total[high] - total[low]) / (high - low), 0.0))
