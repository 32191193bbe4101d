"""From waveforms to correlations and activity, in blocks of bounded memory."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.exceptions import InvalidInputError
from doatrack.features.activity import ACTIVITY_BLOCK_S, activity_at_frames, band_power, sound_activity
from doatrack.features.gcc_phat import gcc_phat, lag_axis, lag_transform
from doatrack.features.stft import analysis_window, frame_count, frame_times, stft
from doatrack.geometry import SPEED_OF_SOUND, MicArray, tdoa_far_field

__all__ = ["FeatureStream", "FrameSettings", "GCCExtractor"]


@dataclasses.dataclass(frozen=True)
class FrameSettings:
    """How a signal is cut into frames.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    win_length, hop_length : int
        In samples.
    window : {"hann", "rectangular"}

    Examples
    --------
    >>> FrameSettings().times(2).tolist()
    [0.128, 0.32]
    """

    sample_rate: int = 16000
    win_length: int = 4096
    hop_length: int = 3072
    window: str = "hann"

    def count(self, n_samples: int) -> int:
        """Return the number of whole frames in so many samples."""
        return frame_count(n_samples, self.win_length, self.hop_length)

    def times(self, n_frames: int) -> NDArray[np.float64]:
        """Return the centres of frames in seconds, shape (n_frames,)."""
        return frame_times(n_frames, self.win_length, self.hop_length, self.sample_rate)


class GCCExtractor:
    """GCC-PHAT and activity of an array's recordings.

    Parameters
    ----------
    array : MicArray
    frames : FrameSettings
    lag_step : float, optional
        Distance of lags in samples, the same for arrays of any size.
    n_lags : int, optional
        Number of lags instead.
    lags : Tensor of shape (n_lags,), optional
        The lags themselves instead, in samples; exactly one of the three is given.
    canonical : bool
        Whether microphones are put into canonical order; otherwise they stay in the order of the channels, which a
        network may have learned with.
    speed_of_sound : float
        In m/s.

    Attributes
    ----------
    lags : Tensor of shape (n_lags,)
        In samples; unless given, half a sample beyond the longest delay on either side.
    array : MicArray
        The array with its microphones in canonical order (by x, then y, then z) or as given; all pairs refer to it.
    mic_pairs : ndarray of shape (n_pairs, 2)

    Notes
    -----
    The canonical order makes everything downstream, learned or not, independent of the order of channels.

    Examples
    --------
    >>> extract = GCCExtractor(MicArray.from_preset("nao_head_12"), FrameSettings(), lag_step=0.5)
    >>> extract.gcc(torch.zeros(12, 8192)).shape
    torch.Size([2, 66, 27])
    """

    def __init__(
        self,
        array: MicArray,
        frames: FrameSettings,
        *,
        lag_step: float | None = None,
        n_lags: int | None = None,
        lags: Tensor | None = None,
        canonical: bool = True,
        speed_of_sound: float = SPEED_OF_SOUND,
    ) -> None:
        self._order = np.lexsort(array.positions.T[::-1]) if canonical else np.arange(array.n_mics)
        self.array = array.select(self._order)
        self.frames = frames
        self.speed_of_sound = speed_of_sound
        longest = array.aperture / speed_of_sound * frames.sample_rate
        self.lags = lag_axis(longest, step=lag_step, n_lags=n_lags) if lags is None else lags
        self.mic_pairs = self.array.mic_pairs
        self._window = analysis_window(frames.window, frames.win_length)
        self._transform = lag_transform(self.lags, frames.win_length)

    def tdoa_samples(self, doa: NDArray[np.float64]) -> Tensor:
        """Return the delays in samples of directions (n_directions, 3), shape (n_pairs, n_directions)."""
        delay = tdoa_far_field(self.array, doa, self.speed_of_sound) * self.frames.sample_rate
        return torch.as_tensor(delay.T.copy(), dtype=torch.float32)

    def rows_of_pairs(self, pairs: NDArray[np.int64]) -> Tensor:
        """Return where pairs of the given array's microphones stand among the canonical pairs."""
        place = np.argsort(self._order)
        wanted = np.sort(place[pairs], axis=1)
        table = {tuple(pair): row for row, pair in enumerate(self.mic_pairs.tolist())}
        return torch.tensor(sorted(table[tuple(pair)] for pair in wanted.tolist()))

    def gcc(self, waveform: Tensor) -> Tensor:
        """Return GCC-PHAT (n_frames, n_pairs, n_lags) of one recording (n_mics, n_samples)."""
        if len(waveform) != self.array.n_mics:
            raise InvalidInputError(
                f"waveform must have {self.array.n_mics} channels, one per microphone, got the shape "
                f"{tuple(waveform.shape)}. Pick the channels of the microphones."
            )
        spectra = stft(waveform[self._order], self._window, self.frames.hop_length)
        return gcc_phat(spectra, self.mic_pairs, self._transform)

    def stream(self, blocks: Iterable[NDArray[np.float32]]) -> "FeatureStream":
        """Return an iterator over the correlations of successive blocks that also collects the activity."""
        return FeatureStream(self.frames, self.gcc, blocks)


class FeatureStream:
    """Features of one recording, block after block; the activity is known when all are read.

    Blocks may have any length; samples that do not fill a frame yet are carried over.

    Parameters
    ----------
    frames : FrameSettings
    compute : callable
        Features, one row per frame, of whole frames (n_mics, n_samples).
    blocks : iterable of ndarray of shape (n_mics, n_samples)

    Examples
    --------
    >>> extract = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), n_lags=9)
    >>> stream = extract.stream([np.zeros((4, 5000), np.float32), np.zeros((4, 5000), np.float32)])
    >>> [tuple(gcc.shape) for gcc in stream], stream.activity().tolist()
    ([(1, 6, 9), (1, 6, 9)], [False, False])
    """

    def __init__(
        self,
        frames: FrameSettings,
        compute: Callable[[Tensor], Tensor],
        blocks: Iterable[NDArray[np.float32]],
    ) -> None:
        self._frames = frames
        self._compute = compute
        self._blocks = blocks
        self._power: list[Tensor] = []
        self.n_frames = 0

    def __iter__(self) -> Iterator[Tensor]:
        frames = self._frames
        size = round(ACTIVITY_BLOCK_S * frames.sample_rate)
        pending: Tensor | None = None
        unmeasured: Tensor | None = None
        for block in self._blocks:
            new = torch.from_numpy(np.require(block, requirements=["C", "W"]))
            unmeasured = new if unmeasured is None else torch.cat([unmeasured, new], dim=1)
            whole = unmeasured.shape[1] // size * size
            self._power.append(band_power(unmeasured[:, :whole], frames.sample_rate))
            unmeasured = unmeasured[:, whole:]
            pending = new if pending is None else torch.cat([pending, new], dim=1)
            count = frames.count(pending.shape[1])
            if count:
                self.n_frames += count
                yield self._compute(pending[:, : (count - 1) * frames.hop_length + frames.win_length])
                pending = pending[:, count * frames.hop_length :]

    def activity(self) -> NDArray[np.bool_]:
        """Return the activity of all frames read, shape (n_frames,)."""
        if not self._power:
            raise InvalidInputError("The activity is known only after the blocks have been read.")
        frames = self._frames
        blocks = sound_activity(torch.cat(self._power))
        return activity_at_frames(blocks, self.n_frames, frames.win_length, frames.hop_length, frames.sample_rate)
