"""From waveforms to correlations and activity, in blocks of bounded memory."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.exceptions import InvalidInputError
from doatrack.features.frames import FrameSettings
from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.gcc_phat import lag_axis, whiten
from doatrack.features.lag_correlator import LagCorrelator
from doatrack.features.stft import analysis_window, band_bins, stft
from doatrack.features.stream import FeatureStream
from doatrack.features.weighted_gcc import WeightedGCC
from doatrack.features.weighted_stream import WeightedStream
from doatrack.geometry import SPEED_OF_SOUND, MicArray, tdoa_far_field

__all__ = ["GCCExtractor"]


class GCCExtractor:
    """Correlations and activity of an array's recordings.

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
    features : GCCFeatures, optional
        How correlations are weighted; None is plain GCC-PHAT.
    speed_of_sound : float
        In m/s.
    causal : bool
        Whether noise and activity are learned from earlier sound only, whatever `features` say.

    Attributes
    ----------
    lags : Tensor of shape (n_lags,)
        In samples; unless given, half a sample beyond the longest delay on either side.
    array : MicArray
        The array with its microphones in canonical order (by x, then y, then z) or as given; all pairs refer to it.
    mic_pairs : ndarray of shape (n_pairs, 2)
    n_columns : int
        Values per frame and pair: one per lag, or two for each band where correlations come with what they are divided
        by.

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
        features: GCCFeatures | None = None,
        speed_of_sound: float = SPEED_OF_SOUND,
        causal: bool = False,
    ) -> None:
        self._order = np.lexsort(array.positions.T[::-1]) if canonical else np.arange(array.n_mics)
        self.array = array.select(self._order)
        self.frames = frames
        self.speed_of_sound = speed_of_sound
        longest = array.aperture / speed_of_sound * frames.sample_rate
        self.lags = lag_axis(longest, step=lag_step, n_lags=n_lags) if lags is None else lags
        self.mic_pairs = self.array.mic_pairs
        self.causal = causal
        self.features = GCCFeatures(weighting="phat") if features is None else features
        if causal:
            self.features = dataclasses.replace(self.features, causal=True)
        self.features = self.features.for_microphones(array.n_mics)
        self._pair_weights = self._weights_of_pairs()
        self._weighted: WeightedGCC | None = None
        if self.features.weighting != "phat":
            self._weighted = WeightedGCC(self.features, frames, self.lags, self.array, speed_of_sound)
        self.n_columns = len(self.lags) if self._weighted is None else self._weighted.n_columns
        self._window = analysis_window(frames.window, frames.win_length)
        band = self.features.freq_range_hz
        bins = None if band is None else band_bins(band, frames.win_length, frames.sample_rate)
        self._correlate = LagCorrelator(self.lags, frames.win_length, self.mic_pairs, bins)

    @property
    def channel_order(self) -> NDArray[np.int64]:
        """The channels in the order of `array`, shape (n_mics,)."""
        return self._order

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
        """Return the correlations (n_frames, n_pairs, n_columns) of one recording (n_mics, n_samples)."""
        if len(waveform) != self.array.n_mics:
            raise InvalidInputError(
                f"waveform must have {self.array.n_mics} channels, one per microphone, got the shape "
                f"{tuple(waveform.shape)}. Pick the channels of the microphones."
            )
        parts = list(self.stream([waveform.numpy()]))
        return torch.cat(parts) if parts else torch.zeros(0, len(self.mic_pairs), self.n_columns)

    def stream(self, blocks: Iterable[NDArray[np.float32]] = ()) -> FeatureStream:
        """Return the correlations and the activity of successive blocks, given here or pushed as they come."""
        if self._weighted is None:
            stream = FeatureStream(self.frames, self._phat, blocks, causal=self.causal)
        else:
            stream = WeightedStream(self._weighted, self._order, blocks, causal=self.causal)
        if self._pair_weights is None and self.features.average_frames == 1:
            return stream
        return _Averaged(stream, self._pair_weights, self.features.average_frames)

    def _phat(self, waveform: Tensor) -> Tensor:
        spectra = stft(waveform[self._order], self._window, self.frames.hop_length)
        return self._correlate(whiten(spectra))

    def _weights_of_pairs(self) -> Tensor | None:
        if self.features.pair_weighting == "uniform":
            return None
        first, second = self.mic_pairs.T
        length = np.linalg.norm(self.array.positions[first] - self.array.positions[second], axis=1)
        return torch.as_tensor(length / length.mean(), dtype=torch.float32)[:, None]


class _Averaged(FeatureStream):
    """A stream whose correlations are weighted by pair and averaged over the last frames."""

    def __init__(self, stream: FeatureStream, pair_weights: Tensor | None, average_frames: int) -> None:
        self._stream, self._pair_weights, self._average = stream, pair_weights, average_frames
        self._past: Tensor | None = None

    def __iter__(self) -> Iterator[Tensor]:
        yield from map(self._averaged, self._stream)

    def push(self, block: NDArray[np.float32]) -> list[Tensor]:
        return [self._averaged(part) for part in self._stream.push(block)]

    def gap(self, n_samples: int) -> tuple[list[Tensor], int]:
        parts, n_lost = self._stream.gap(n_samples)
        averaged = [self._averaged(part) for part in parts]
        self._past = None
        return averaged, n_lost

    def finish(self) -> list[Tensor]:
        return [self._averaged(part) for part in self._stream.finish()]

    def activity(self) -> NDArray[np.bool_]:
        return self._stream.activity()

    def take_activity(self) -> NDArray[np.bool_]:
        return self._stream.take_activity()

    @property
    def n_frames(self) -> int:  # type: ignore[override]
        return self._stream.n_frames

    @property
    def look_ahead_samples(self) -> int:  # type: ignore[override]
        return self._stream.look_ahead_samples

    @property
    def activity_look_ahead_samples(self) -> int:
        return self._stream.activity_look_ahead_samples

    def _averaged(self, new: Tensor) -> Tensor:
        weighted = new if self._pair_weights is None else new * self._pair_weights
        known = weighted if self._past is None else torch.cat([self._past, weighted])
        skip = len(known) - len(new)
        self._past = known[max(0, len(known) - self._average + 1) :] if self._average > 1 else None
        return torch.stack([known[max(0, k - self._average + 1) : k + 1].mean(dim=0) for k in range(skip, len(known))])
