"""Noise models of a stream: from which sound they are learned, and when anew."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from doatrack.features.noise_change import RISES, RISES_LIVE, NoiseLevels, noise_changes, recent_rise
from doatrack.features.noise_history import NoiseHistory
from doatrack.features.noise_model import NoiseModel
from doatrack.features.weighted_gcc import WeightedGCC

__all__ = ["NoiseLearner"]

_REFRESH_S = 7.5
_REFRESH_SHARE = 1.0
"""When the causal noise model is learned anew: after so many seconds, and at the start each time there is so much more
sound, as a share of what there was."""
_MOST, _MOST_CAUSAL = 640, 160
"""Snapshots of a span that noise is learned from. They overlap by three quarters, and neighbours tell nearly the same;
the causal model is learned again and again, and time counts."""
_PIECE_S = 0.2
"""Of the recording, whose least power is looked at for changes of the noise."""


class NoiseLearner:
    """Learns the noise of the last span of a recording, again and again; where it changes, of each part by itself.

    Parameters
    ----------
    weighted : WeightedGCC
        Its settings say how long a span is, whether later sound may be looked at, and whether changes are.

    Attributes
    ----------
    span : int
        Frames of a span.

    Examples
    --------
    >>> import torch
    >>> from doatrack.features import FrameSettings, GCCFeatures
    >>> from doatrack.geometry import MicArray
    >>> array = MicArray([[0.0, 0.05, 0.0], [0.0, -0.05, 0.0]])
    >>> weighted = WeightedGCC(GCCFeatures(), FrameSettings(), torch.arange(-3.0, 4.0), array)
    >>> learner = NoiseLearner(weighted)
    >>> learner.hear(weighted.spectra(torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))))
    >>> learner.n_heard, [n_frames for n_frames, _ in learner.models([6, 18, 30])]
    (59, [3])
    """

    def __init__(self, weighted: WeightedGCC) -> None:
        settings, frames = weighted.settings, weighted.frames
        rate, hop = frames.sample_rate, frames.hop_length
        self._weighted = weighted
        self.span = max(1, round(settings.statistics_s * rate / hop))
        self._n_span = weighted.n_snapshots((self.span - 1) * hop + frames.win_length)
        self._history = self._nothing()
        self._in_piece = 2 * max(1, round(_PIECE_S * rate / weighted.hop / 2))
        longest = max(n for n, _ in (RISES_LIVE if settings.causal else RISES))
        kept = longest if settings.causal else self._n_span // self._in_piece
        self._levels = NoiseLevels(self._in_piece, kept + longest)
        self._frames_a_snapshot = weighted.hop / hop
        self._noise: NoiseModel | None = None
        self._refresh = max(1, round(_REFRESH_S * rate / hop))
        # the causal noise: frames since it began, those for which its model still holds, and when it began
        self._n_frames = self._n_steady = self._first_piece = self._n_looked_at = 0

    def _nothing(self) -> NoiseHistory:
        return NoiseHistory(self._n_span, _MOST_CAUSAL if self._weighted.settings.causal else _MOST)

    @property
    def n_heard(self) -> int:
        """Snapshots heard so far; live, those that are known since the noise changed."""
        return self._history.n_snapshots

    def hear(self, spectra: Tensor) -> None:
        """Take the next snapshots (n_freq, n, n_mics)."""
        self._history.append(spectra)
        if self._weighted.settings.noise_changes:
            self._levels.append(spectra)

    def now(self) -> NoiseModel:
        """Return the causal model of the next frame, once its snapshots were heard: asked for frame by frame."""
        if self._levels.n_pieces > self._n_looked_at:
            self._n_looked_at = self._levels.n_pieces
            if n_pieces := recent_rise(self._levels.last(self._n_looked_at - self._first_piece)):
                self._begin(n_pieces)
        # right after a change there may be no snapshot yet
        if self._n_steady <= 0 and self.n_heard:
            self._noise = self._learned(0, self.n_heard)
            self._n_steady = max(1, min(self._refresh, int(_REFRESH_SHARE * self._n_frames)))
        assert self._noise is not None
        self._n_steady -= 1
        self._n_frames += 1
        return self._noise

    def _begin(self, n_pieces: int) -> None:
        """Forget all sound but what is kept of the last pieces, which counts like what will follow."""
        spectra, _ = self._history.between(self.n_heard - n_pieces * self._in_piece, self.n_heard)
        self._history = self._nothing()
        self._history.append(spectra)
        self._first_piece = self._levels.n_pieces - n_pieces
        n_frames = n_pieces * self._in_piece * self._frames_a_snapshot
        # of a very long span none of these may have been kept
        self._n_frames, self._n_steady = round(n_frames) if spectra.shape[1] else 0, 0

    def models(self, middles: Sequence[int]) -> Iterator[tuple[int, NoiseModel]]:
        """Yield models of the next frames, and for how many of them each holds.

        Parameters
        ----------
        middles : sequence of int
            The snapshot in the middle of each frame, counted from the first that was heard, in ascending order. Noise
            is learned from the span that ends with the last one heard.
        """
        levels = self._levels.last(self._levels.n_pieces)
        first = self._levels.n_pieces - len(levels)
        changes = [self._in_piece * (first + piece) for piece in noise_changes(levels)]
        edges = [0, *changes, max(self.n_heard, middles[-1] + 1)]
        counts = np.diff(np.searchsorted(middles, edges))
        for (start, end), count in zip(itertools.pairwise(edges), counts, strict=True):
            if not count:
                continue
            # of what lies in an earlier span but for its end there is more in the model from then
            too_little = (
                end < edges[-1] and end - max(start, self.n_heard - self._n_span) < self._in_piece * RISES[0][0]
            )
            if self._noise is None or start > 0 or not too_little:
                self._noise = self._learned(start, end)
            yield int(count), self._noise

    def _learned(self, first: int, last: int) -> NoiseModel:
        """Return the model of the snapshots that are kept of `first` to `last` - 1, or of all if there are none."""
        spectra, power = self._history.between(first, last)
        if not spectra.shape[1]:
            spectra, power = self._history.spectra, self._history.power
        return self._weighted.learn(spectra, power, self._history.every)
