"""A stream of weighted correlations: noise is learned over a span of the recording around, or before, each frame."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.dereverberation import Dereverberator
from doatrack.features.noise_learner import NoiseLearner
from doatrack.features.noise_model import NoiseModel
from doatrack.features.reverberation import Echo
from doatrack.features.samples import SampleBuffer
from doatrack.features.stream import FeatureStream
from doatrack.features.weighted_gcc import WeightedGCC

__all__ = ["WeightedStream"]

_FRAMES_AT_ONCE = 8


class WeightedStream(FeatureStream):
    """Correlations of one recording whose noise model follows the recording.

    Not causal: the recording is cut into spans, and each span's frames use the noise of the whole span, or where noise
    starts or stops of what is between; the last span reaches back to have the full length. Causal: each frame uses what
    was learned from the span before it, or since the noise grew. A gap ends a span; what was learned before it still
    counts, what was lost does not.

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
    computed once (causal: those that two frames share twice). Some are kept for as long as noise is learned from them
    (`NoiseHistory`), the others until their frames are known.

    Examples
    --------
    >>> from doatrack.features import FrameSettings, GCCFeatures
    >>> from doatrack.geometry import MicArray
    >>> array = MicArray([[0.0, 0.05, 0.0], [0.0, -0.05, 0.0]])
    >>> weighted = WeightedGCC(GCCFeatures(n_bands=2), FrameSettings(), torch.arange(-3.0, 4.0), array)
    >>> noise = np.random.default_rng(0).normal(size=(2, 16000)).astype(np.float32)
    >>> [tuple(part.shape) for part in WeightedStream(weighted, np.arange(2), [noise])]
    [(4, 1, 28)]
    """

    def __init__(
        self,
        weighted: WeightedGCC,
        order: NDArray[np.int64],
        blocks: Iterable[NDArray[np.float32]] = (),
        *,
        causal: bool = False,
    ) -> None:
        super().__init__(weighted.frames, lambda samples: samples, blocks, causal=causal, order=order)
        self._weighted = weighted
        settings, rate, hop = weighted.settings, self._frames.sample_rate, self._frames.hop_length
        self._noise = NoiseLearner(weighted)
        self._spectra = _Waiting()
        self._echo: Echo | None = None
        self._start = 0  # of the present segment, in samples
        self._dereverberator: Dereverberator | None = None
        if settings.dereverberation:
            # blocks end with frames
            self._dereverberator = Dereverberator(rate, self._frames.win_length, hop, held=settings.causal)
            # frames are made of what it leaves
            self._left = SampleBuffer()
            self._raw, self._samples = self._samples, self._left.reader()
            if not settings.causal:
                self.look_ahead_samples = self._dereverberator.most_delay_samples
        if not settings.causal:
            self.look_ahead_samples += (self._noise.span - 1) * hop

    def _computed(self) -> list[Tensor]:
        if self._dereverberator is not None:
            self._left.push(self._dereverberator.push(self._raw.take(self._raw.n_kept)))
        return self._measured()

    def _measured(self) -> list[Tensor]:
        """Return the correlations of the frames that are whole by now."""
        parts: list[Tensor] = []
        if self._n_whole() == self.n_frames:
            return parts
        self._measure()
        while (waiting := self._n_whole() - self.n_frames) > 0:
            if self._weighted.settings.causal:
                parts += self._causal()
            elif waiting >= self._noise.span:
                parts += self._of_span(self._noise.span)
            else:
                # bit by bit, so that a span need not be copied as a whole
                self._hear(self.n_frames + waiting)
                break
        if self._weighted.settings.causal:
            # of the next frame; to compute them again costs less than to join them with the others
            self._spectra.drop()
            self._drop_samples(self._spectra.begin)
        return parts

    def _causal(self) -> list[Tensor]:
        """Return the correlations of the next frame: one by one, so that chunks do not count."""
        self._hear(self.n_frames + 1)
        return self._correlate(1, self._noise.now())

    def _of_span(self, n_frames: int) -> list[Tensor]:
        """Return the correlations of the next frames, with the noise of the span that ends with them."""
        ranges = [self._snapshots(frame) for frame in range(self.n_frames, self.n_frames + n_frames)]
        self._hear(self.n_frames + n_frames)
        before = self._noise.n_heard - ranges[-1][1]  # snapshots of earlier segments
        middles = [before + (first + end) // 2 for first, end in ranges]
        return [part for count, noise in self._noise.models(middles) for part in self._correlate(count, noise)]

    def _rest(self) -> list[Tensor]:
        parts: list[Tensor] = []
        if self._dereverberator is not None:
            self._left.push(self._dereverberator.finish())
            parts = self._measured()
        left = self._n_whole() - self.n_frames
        if left > 0:
            parts += self._of_span(left)
        return parts

    def _skip(self, n_samples: int) -> None:
        super()._skip(n_samples)
        if self._dereverberator is not None:
            self._left.skip(n_samples)

    def _restart(self) -> None:
        self._start = self.n_frames * self._frames.hop_length
        if self._dereverberator is not None:
            self._dereverberator.restart(self._start + self._frames.win_length - self._samples.n_samples)
        self._spectra, self._echo = _Waiting(), None

    def _measure(self) -> None:
        """Compute the spectra of the whole frames' snapshots."""
        count = self._snapshots(self._n_whole() - 1)[1] - self._spectra.end
        if count > 0:
            samples = self._samples.first((count - 1) * self._weighted.hop + self._weighted.length)
            self._spectra.append(self._weighted.spectra(samples))
            self._drop_samples(self._spectra.end)

    def _drop_samples(self, snapshot: int) -> None:
        """Drop the samples before a snapshot, unless its spectra are to be computed again."""
        if not self._weighted.settings.causal or self._spectra.begin == self._spectra.end:
            self._samples.start_at(self._start + snapshot * self._weighted.hop)

    def _n_whole(self) -> int:
        """Return how many frames, from the first one of the stream, are whole."""
        return self._frames.count(self._samples.n_samples)

    def _snapshots(self, frame: int) -> tuple[int, int]:
        """Return the first snapshot of a frame, from the start of the segment, and the one after its last."""
        return self._weighted.frame_range(frame * self._frames.hop_length - self._start)

    def _hear(self, n_frames: int) -> None:
        """Let noise be learned from what was heard until the end of so many frames."""
        for spectra in self._spectra.unheard(self._snapshots(n_frames - 1)[1]):
            self._noise.hear(spectra)

    def _correlate(self, n_frames: int, noise: NoiseModel) -> list[Tensor]:
        """Return the correlations of the next frames, a few at a time."""
        parts = []
        for done in range(0, n_frames, _FRAMES_AT_ONCE):
            count = min(_FRAMES_AT_ONCE, n_frames - done)
            ranges = [self._snapshots(frame) for frame in range(self.n_frames, self.n_frames + count + 1)]
            first, last = self._spectra.begin, ranges[-2][1]
            keep = min(ranges[-1][0], last)
            spectra = self._spectra.between(first, last)
            places = [(a - first, b - first) for a, b in ranges[:-1]]
            found, self._echo = self._weighted(spectra, noise, places, self._echo, keep - first)
            parts.append(found)
            self._spectra.forget(keep)
            self.n_frames += count
        return parts


class _Waiting:
    """Spectra (n_freq, n, n_mics) of a segment's snapshots, from one on that is still needed."""

    def __init__(self) -> None:
        self.begin = self.end = 0
        self._parts: list[Tensor] = []
        self._n_heard = 0

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots."""
        self._parts.append(spectra)
        self.end += spectra.shape[1]

    def between(self, first: int, last: int) -> Tensor:
        """Return the snapshots first to last - 1."""
        found, start = [], self.begin
        for part in self._parts:
            end = start + part.shape[1]
            if start < last and end > first:
                found.append(part[:, max(0, first - start) : last - start])
            start = end
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def unheard(self, last: int) -> list[Tensor]:
        """Return the snapshots before `last` that were not asked for like this before."""
        first, self._n_heard = self._n_heard, max(self._n_heard, last)
        return [self.between(first, last)] if first < last else []

    def drop(self) -> None:
        """Drop all, to be given again from the first one that is needed."""
        self._parts, self.end = [], self.begin

    def forget(self, first: int) -> None:
        """Drop the snapshots before one."""
        while self._parts and self.begin + self._parts[0].shape[1] <= first:
            self.begin += self._parts.pop(0).shape[1]
        if self.begin < first:
            self._parts[0] = self._parts[0][:, first - self.begin :]
            self.begin = first
