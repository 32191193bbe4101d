"""Short-time spectra: frames, their times and windows."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_array, check_choice
from doatrack.exceptions import InvalidInputError

__all__ = ["WINDOWS", "analysis_window", "band_bins", "frame_count", "frame_times", "stft"]

WINDOWS = ("hann", "rectangular")


def frame_count(n_samples: int, win_length: int, hop_length: int) -> int:
    """Return how many whole frames fit: 1 + (n_samples - win_length) // hop_length, 0 if none.

    Examples
    --------
    >>> frame_count(20 * 16000, 4096, 3072)
    103
    """
    return 0 if n_samples < win_length else 1 + (n_samples - win_length) // hop_length


def frame_times(n_frames: int, win_length: int, hop_length: int, sample_rate: int) -> NDArray[np.float64]:
    """Return the time of each window's centre in seconds, shape (n_frames,).

    Examples
    --------
    >>> frame_times(2, 4096, 3072, 16000).tolist()
    [0.128, 0.32]
    """
    return (np.arange(n_frames) * hop_length + win_length / 2) / sample_rate


def analysis_window(name: str, win_length: int) -> Tensor:
    """Return a window by name ("hann", periodic, or "rectangular"), shape (win_length,).

    Examples
    --------
    >>> analysis_window("hann", 4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    if check_choice("window", name, WINDOWS) == "rectangular":
        return torch.ones(win_length)
    return torch.hann_window(win_length)


def band_bins(freq_range_hz: tuple[float, float], n_fft: int, sample_rate: int) -> slice:
    """Return the bins of a DFT within a band; 0 Hz and the Nyquist frequency, which have no phase, are left out.

    Raises
    ------
    InvalidInputError
        If there are none.

    Examples
    --------
    >>> band_bins((300.0, 6000.0), 512, 16000)
    slice(10, 193, None)
    """
    low, high = check_array("freq_range_hz", freq_range_hz, (2,))
    step = sample_rate / n_fft
    first, last = max(1, int(np.ceil(low / step - 1e-9))), int(np.floor(high / step + 1e-9))
    last = min(last, (n_fft - 1) // 2)
    if not low < high or first > last:
        raise InvalidInputError(
            f"freq_range_hz must hold at least one of the frequencies of a snapshot, multiples of {step:g} Hz below "
            f"{sample_rate / 2:g} Hz, got {low:g} to {high:g}. Give (lowest, highest) in Hz, or longer snapshots."
        )
    return slice(first, last + 1)


def stft(waveform: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the windowed DFT of every frame, without padding at the ends.

    Parameters
    ----------
    waveform : Tensor of shape (..., n_mics, n_samples)
    window : Tensor of shape (win_length,)
    hop_length : int
        In samples.

    Returns
    -------
    Tensor of shape (..., n_frames, n_mics, win_length // 2 + 1), complex

    Raises
    ------
    InvalidInputError
        If the recording is shorter than one window.

    Examples
    --------
    >>> stft(torch.zeros(2, 8192), analysis_window("hann", 4096), 2048).shape
    torch.Size([3, 2, 2049])
    """
    win_length = len(window)
    if waveform.shape[-1] < win_length:
        raise InvalidInputError(
            f"A recording must be at least one frame long, {win_length} samples, got {waveform.shape[-1]}. "
            "Record longer, or choose a smaller win_length."
        )
    frames = waveform.unfold(-1, win_length, hop_length).transpose(-3, -2)
    # in order in memory the transform is several times as fast
    return torch.fft.rfft((frames * window).contiguous())
