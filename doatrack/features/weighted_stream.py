"""A stream of weighted correlations: noise is learned over a span of the recording around, or before, each frame."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.stream import FeatureStream
from doatrack.features.weighted_gcc import NoiseModel, WeightedGCC

__all__ = ["WeightedStream"]

_PAST_DECAYS = 7.0
"""Sound before a frame whose reverberation is looked at, in time constants of its decay: 30 dB."""
_REFRESH_S = 2.0
"""How often the causal noise model is learned anew; at the start with every frame."""
_FRAMES_AT_ONCE = 8


class WeightedStream(FeatureStream):
    """Correlations of one recording whose noise model follows the recording.

    Not causal: the recording is cut into spans, and each span's frames use the noise of the whole span; the last
    span reaches back to have the full length. Causal: each frame uses what was learned from the span before it.

    Parameters
    ----------
    weighted : WeightedGCC
    order : ndarray of shape (n_mics,)
        Order in which the channels are taken.
    blocks : iterable of ndarray of shape (n_mics, n_samples)

    Examples
    --------
    >>> from doatrack.features import FrameSettings, GCCFeatures
    >>> pairs = np.array([[0, 1]])
    >>> weighted = WeightedGCC(GCCFeatures(), FrameSettings(), torch.arange(-3.0, 4.0), pairs)
    >>> noise = np.random.default_rng(0).normal(size=(2, 16000)).astype(np.float32)
    >>> [tuple(part.shape) for part in WeightedStream(weighted, np.arange(2), [noise])]
    [(4, 1, 14)]
    """

    def __init__(self, weighted: WeightedGCC, order: NDArray[np.int64], blocks: Iterable[NDArray[np.float32]]) -> None:
        super().__init__(weighted.frames, lambda samples: samples, blocks)
        self._weighted = weighted
        self._order = torch.as_tensor(order)
        settings, rate = weighted.settings, self._frames.sample_rate
        hop = self._frames.hop_length
        self._span = max(1, round(settings.statistics_s * rate / hop))
        past_s = settings.reverberation_delay_s + _PAST_DECAYS * settings.reverberation_decay_s
        self._past = math.ceil(past_s * rate / hop) * hop
        self._refresh = max(1, round(_REFRESH_S * rate / hop))

    def __iter__(self) -> Iterator[Tensor]:
        return self._causal() if self._weighted.settings.causal else self._by_spans()

    def _by_spans(self) -> Iterator[Tensor]:
        frames, hop = self._frames, self._frames.hop_length
        kept: Tensor | None = None
        skip = 0  # samples of `kept` before the first frame that is not given out yet
        for new in self._samples():
            kept = new if kept is None else torch.cat([kept, new], dim=1)
            while frames.count(kept.shape[1] - skip) >= self._span:
                noise = self._learn(kept[:, skip : skip + self._length(self._span)])
                yield from self._correlate(kept, noise, self._span, skip)
                skip += self._span * hop
                spare = max(0, skip - self._span * hop - self._past)
                kept, skip = kept[:, spare:], skip - spare
        left = 0 if kept is None else frames.count(kept.shape[1] - skip)
        if kept is not None and left > 0:
            end = skip + self._length(left)
            start = max(0, end - self._length(self._span))
            yield from self._correlate(kept, self._learn(kept[:, start:end]), left, skip)

    def _causal(self) -> Iterator[Tensor]:
        frames, hop = self._frames, self._frames.hop_length
        kept: Tensor | None = None
        noise: NoiseModel | None = None
        skip = 0
        for new in self._samples():
            kept = new if kept is None else torch.cat([kept, new], dim=1)
            for _ in range(frames.count(kept.shape[1] - skip)):
                end = skip + frames.win_length
                if noise is None or self.n_frames < self._refresh or self.n_frames % self._refresh == 0:
                    noise = self._learn(kept[:, max(0, end - self._length(self._span)) : end])
                yield from self._correlate(kept, noise, 1, skip)
                skip += hop
            spare = max(0, skip - self._span * hop - self._past)
            kept, skip = kept[:, spare:], skip - spare

    def _length(self, n_frames: int) -> int:
        return (n_frames - 1) * self._frames.hop_length + self._frames.win_length

    def _learn(self, samples: Tensor) -> NoiseModel:
        return self._weighted.learn(self._weighted.spectra(samples[self._order]))

    def _correlate(self, kept: Tensor, noise: NoiseModel, n_frames: int, skip: int) -> Iterator[Tensor]:
        """Yield the correlations of frames from `skip` on, a few at a time."""
        hop = self._frames.hop_length
        for done in range(0, n_frames, _FRAMES_AT_ONCE):
            count = min(_FRAMES_AT_ONCE, n_frames - done)
            first = skip + done * hop
            before = min(first, self._past)
            part = kept[self._order, first - before : first + self._length(count)]
            self.n_frames += count
            yield self._weighted(self._weighted.spectra(part), noise, count, before)
