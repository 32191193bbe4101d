"""A stream of weighted correlations: noise is learned over a span of the recording around, or before, each frame."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.snapshot_history import SnapshotHistory
from doatrack.features.stream import FeatureStream
from doatrack.features.weighted_gcc import NoiseModel, WeightedGCC

__all__ = ["WeightedStream"]

_PAST_DECAYS = 7.0
"""Sound before a frame whose reverberation is looked at, in time constants of its decay: 30 dB."""
_REFRESH_S = 5.0
_REFRESH_SHARE = 0.25
"""When the causal noise model is learned anew: after so many seconds, and at the start each time there is so much more
sound; the first frames one by one."""
_FRAMES_AT_ONCE = 8


class WeightedStream(FeatureStream):
    """Correlations of one recording whose noise model follows the recording.

    Not causal: the recording is cut into spans, and each span's frames use the noise of the whole span; the last
    span reaches back to have the full length. Causal: each frame uses what was learned from the span before it. A gap
    ends a span; what was learned before it still counts, what was lost does not.

    Parameters
    ----------
    weighted : WeightedGCC
    order : ndarray of shape (n_mics,)
        Order in which the channels are taken.
    blocks : iterable of ndarray of shape (n_mics, n_samples)
    causal : bool
        Whether the activity looks at earlier sound only.

    Notes
    -----
    Snapshots lie on one grid from the start of the recording, or from the first frame after a gap; their spectra are
    computed once and kept for as long as noise is learned from them.

    Examples
    --------
    >>> from doatrack.features import FrameSettings, GCCFeatures
    >>> pairs = np.array([[0, 1]])
    >>> weighted = WeightedGCC(GCCFeatures(), FrameSettings(), torch.arange(-3.0, 4.0), pairs)
    >>> noise = np.random.default_rng(0).normal(size=(2, 16000)).astype(np.float32)
    >>> [tuple(part.shape) for part in WeightedStream(weighted, np.arange(2), [noise])]
    [(4, 1, 14)]
    """

    def __init__(
        self,
        weighted: WeightedGCC,
        order: NDArray[np.int64],
        blocks: Iterable[NDArray[np.float32]] = (),
        *,
        causal: bool = False,
    ) -> None:
        super().__init__(weighted.frames, lambda samples: samples, blocks, causal=causal)
        self._weighted = weighted
        self._order = torch.as_tensor(order)
        settings, rate, hop = weighted.settings, self._frames.sample_rate, self._frames.hop_length
        self._span = max(1, round(settings.statistics_s * rate / hop))
        self._refresh = max(1, round(_REFRESH_S * rate / hop))
        past_s = settings.reverberation_delay_s + _PAST_DECAYS * settings.reverberation_decay_s
        self._past = math.ceil(math.ceil(past_s * rate / hop) * hop / weighted.hop)
        in_span = weighted.n_snapshots(self._length(self._span))
        self._spectra = SnapshotHistory(in_span, self._past)
        self._noise: NoiseModel | None = None
        self._start = 0  # of the present segment, in samples
        self._n_heard = self._n_steady = 0  # frames so far, and those for which the causal noise model still holds
        if not settings.causal:
            self.look_ahead_samples = (self._span - 1) * hop

    def _computed(self) -> list[Tensor]:
        self._measure()
        parts = []
        while (waiting := self._n_whole() - self.n_frames) > 0:
            if self._weighted.settings.causal:
                parts += self._causal(waiting)
            elif waiting >= self._span:
                self._noise = self._learn(self.n_frames + self._span - 1)
                parts += self._correlate(self._span)
            else:
                break
        return parts

    def _causal(self, waiting: int) -> list[Tensor]:
        if self._n_steady == 0:
            self._noise = self._learn(self.n_frames)
            self._n_steady = max(1, min(self._refresh, int(_REFRESH_SHARE * self._n_heard)))
        count = min(waiting, self._n_steady)
        self._n_steady -= count
        self._n_heard += count
        return self._correlate(count)

    def _rest(self) -> list[Tensor]:
        left = self._n_whole() - self.n_frames
        if left <= 0:
            return []
        self._noise = self._learn(self.n_frames + left - 1)
        return self._correlate(left)

    def _restart(self) -> None:
        self._start = self.n_frames * self._frames.hop_length
        self._spectra.restart()

    def _measure(self) -> None:
        """Compute the spectra of the snapshots that are whole."""
        count = self._weighted.n_snapshots(self._samples.n_kept)
        if count:
            samples = self._samples.first((count - 1) * self._weighted.hop + self._weighted.length)
            self._spectra.append(self._weighted.spectra(samples[self._order]))
            self._samples.start_at(self._start + self._spectra.n_in_segment * self._weighted.hop)

    def _n_whole(self) -> int:
        """Return how many frames, from the first one of the stream, are whole."""
        return self._frames.count(self._samples.n_samples)

    def _length(self, n_frames: int) -> int:
        return (n_frames - 1) * self._frames.hop_length + self._frames.win_length

    def _snapshots(self, frame: int) -> tuple[int, int]:
        """Return the first snapshot of a frame, from the start of the segment, and the one after its last."""
        start = frame * self._frames.hop_length - self._start
        hop = self._weighted.hop
        return start // hop, self._weighted.n_snapshots(start + self._frames.win_length)

    def _learn(self, frame: int) -> NoiseModel:
        """Return the noise of the span that ends with a frame."""
        return self._weighted.learn(self._spectra.before(self._snapshots(frame)[1]))

    def _correlate(self, n_frames: int) -> list[Tensor]:
        """Return the correlations of the next frames, a few at a time."""
        assert self._noise is not None
        parts, hop = [], self._weighted.hop
        # the first of several frames decides how far back reverberation is looked for: with chunks it must not change
        at_once = 1 if self._weighted.settings.causal else _FRAMES_AT_ONCE
        for done in range(0, n_frames, at_once):
            count = min(at_once, n_frames - done)
            first = max(0, self._snapshots(self.n_frames)[0] - self._past)
            spectra = self._spectra.between(first, self._snapshots(self.n_frames + count - 1)[1])
            skip = self.n_frames * self._frames.hop_length - self._start - first * hop
            parts.append(self._weighted(spectra, self._noise, count, skip))
            self.n_frames += count
        self._spectra.forget(*self._snapshots(self.n_frames))
        return parts
