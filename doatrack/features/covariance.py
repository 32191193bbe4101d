"""Spatial covariance per frame and frequency, and the plane waves it is compared with."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_int
from doatrack.exceptions import InvalidInputError
from doatrack.features.frames import FrameSettings
from doatrack.features.stft import analysis_window, band_bins
from doatrack.features.stream import FeatureStream
from doatrack.geometry import SPEED_OF_SOUND, MicArray

__all__ = ["CovarianceExtractor", "snapshot_spectra", "spatial_covariance", "steering_vectors"]


def snapshot_spectra(
    waveform: Tensor, frames: FrameSettings, snapshot_length: int, snapshot_hop: int, bins: slice = slice(None)
) -> Tensor:
    """Return the short spectra inside each frame: the snapshots of its covariance.

    A frame is cut into overlapping sub-windows, each short enough for one frequency to be narrow-band and all
    together short enough for the source to stand still.

    Parameters
    ----------
    waveform : Tensor of shape (..., n_mics, n_samples)
    frames : FrameSettings
        How the recording is cut into frames; its window is that of the snapshots.
    snapshot_length, snapshot_hop : int
        In samples; snapshots that do not fit as a whole into the frame are left out.
    bins : slice
        Which of the snapshot_length // 2 + 1 frequencies are kept.

    Returns
    -------
    Tensor of shape (..., n_frames, n_freq, n_mics, n_snapshots), complex

    Examples
    --------
    >>> snapshot_spectra(torch.zeros(4, 8192), FrameSettings(), 512, 256).shape
    torch.Size([2, 257, 4, 15])
    """
    window = analysis_window(frames.window, snapshot_length).to(waveform.dtype)
    cut = waveform.unfold(-1, frames.win_length, frames.hop_length).unfold(-1, snapshot_length, snapshot_hop)
    spectra = torch.fft.rfft(cut * window)[..., bins]
    return spectra.movedim((-4, -2), (-2, -1))


def spatial_covariance(snapshots: Tensor) -> Tensor:
    """Return the sample covariance over snapshots, mean of x x^H.

    Parameters
    ----------
    snapshots : Tensor of shape (..., n_mics, n_snapshots), complex

    Returns
    -------
    Tensor of shape (..., n_mics, n_mics), complex
        Hermitian and positive semidefinite; its rank is at most the number of snapshots.

    Examples
    --------
    >>> spatial_covariance(torch.tensor([[1, 1], [1j, -1j]])).real
    tensor([[1., 0.],
            [0., 1.]])
    """
    return snapshots @ snapshots.mH / snapshots.shape[-1]


def steering_vectors(
    positions: NDArray[np.float64],
    directions: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    speed_of_sound: float = SPEED_OF_SOUND,
) -> Tensor:
    """Return the spectra of plane waves at the microphones, relative to the array's origin.

    a_m(f, u) = exp(2 pi i f r_m . u / c): a microphone towards the source hears it earlier.

    Parameters
    ----------
    positions : ndarray of shape (n_mics, 3)
        In metres.
    directions : ndarray of shape (n_directions, 3)
        Unit vectors from the array's origin towards the source.
    frequencies : ndarray of shape (n_freq,)
        In Hz.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    Tensor of shape (n_freq, n_directions, n_mics), complex128
        Every entry has the magnitude 1.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> mics = np.array([[0.0343, 0, 0], [0, 0, 0]])
    >>> steering_vectors(mics, np.array([front, left]), np.array([2500.0])).angle() / torch.pi
    tensor([[[0.5000, 0.0000],
             [0.0000, 0.0000]]], dtype=torch.float64)
    """
    early = torch.from_numpy(directions @ positions.T / speed_of_sound)
    phase = 2 * torch.pi * torch.from_numpy(np.asarray(frequencies, dtype=np.float64))[:, None, None] * early
    return torch.polar(torch.ones_like(phase), phase)


class CovarianceExtractor:
    """Spatial covariances of an array's recordings, one per frame and frequency.

    Parameters
    ----------
    array : MicArray
    frames : FrameSettings
    snapshot_length, snapshot_hop : int
        Sub-windows of a frame, in samples.
    freq_range_hz : (float, float)
        Lowest and highest frequency kept, in Hz.
    causal : bool
        Whether the activity is learned from earlier sound only.

    Attributes
    ----------
    array : MicArray
        The array with its microphones in canonical order (by x, then y, then z), which the covariances refer to:
        the order of channels changes not a bit.
    frequencies : ndarray of shape (n_freq,)
        In Hz.

    Raises
    ------
    InvalidInputError
        If a snapshot does not fit into a frame, or no frequency lies in the range.

    Examples
    --------
    >>> array = MicArray.from_preset("nao_head_12")
    >>> extract = CovarianceExtractor(array, FrameSettings(), 512, 256, (1000, 2000))
    >>> extract.frequencies[[0, -1]].tolist(), extract.covariance(torch.zeros(12, 8192)).shape
    ([1000.0, 2000.0], torch.Size([2, 33, 12, 12]))
    """

    def __init__(
        self,
        array: MicArray,
        frames: FrameSettings,
        snapshot_length: int,
        snapshot_hop: int,
        freq_range_hz: tuple[float, float],
        *,
        causal: bool = False,
    ) -> None:
        self.causal = causal
        self.snapshot_length = check_int("snapshot_length", snapshot_length, 16)
        self.snapshot_hop = check_int("snapshot_hop", snapshot_hop, 1)
        if snapshot_length > frames.win_length:
            raise InvalidInputError(
                f"snapshot_length must be at most win_length, {frames.win_length} samples, got {snapshot_length}. "
                "Take shorter snapshots, or longer frames."
            )
        self._order = np.lexsort(array.positions.T[::-1])
        self.array = array.select(self._order)
        self.frames = frames
        self._bins = band_bins(freq_range_hz, snapshot_length, frames.sample_rate)
        self.frequencies = np.arange(self._bins.start, self._bins.stop) * frames.sample_rate / snapshot_length

    def steering(self, directions: NDArray[np.float64], speed_of_sound: float = SPEED_OF_SOUND) -> Tensor:
        """Return plane waves at the canonical microphones, shape (n_freq, n_directions, n_mics), complex64."""
        return steering_vectors(self.array.positions, directions, self.frequencies, speed_of_sound).to(torch.complex64)

    def covariance(self, waveform: Tensor) -> Tensor:
        """Return (n_frames, n_freq, n_mics, n_mics) of one recording (n_mics, n_samples)."""
        waveform = waveform[self._order]
        return spatial_covariance(
            snapshot_spectra(waveform, self.frames, self.snapshot_length, self.snapshot_hop, self._bins)
        )

    def stream(self, blocks: Iterable[NDArray[np.float32]] = ()) -> FeatureStream:
        """Return the covariances and the activity of successive blocks, given here or pushed as they come."""
        return FeatureStream(self.frames, self.covariance, blocks, causal=self.causal)
