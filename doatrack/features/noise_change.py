"""When the noise of a recording changes: a machine that starts, a loudspeaker that stops."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["RISES", "RISES_LIVE", "NoiseLevels", "noise_changes", "recent_rise"]

Rises = tuple[tuple[int, float], ...]
Levels = NDArray[np.float32]

# How much the least power must be above that before, in nats, to be another noise: over so many pieces on both sides.
# Speech pauses; the shorter the time, the more it rises too. Chosen on scenes of `train` talkers (docs/notes.md)
RISES: Rises = ((8, 1.5), (15, 0.8))
RISES_LIVE: Rises = ((4, 1.6), (9, 0.8))
_SHARE = 0.75  # of the frequencies must rise
_EVERY, _EVERY_FREQUENCY = 2, 4  # snapshots and frequencies that are looked at: neighbours tell nearly the same
_FIRST = 64  # pieces that there is room for at first
_TOGETHER = 2  # of these frequencies are summed: least powers of one scatter


class NoiseLevels:
    """The least power, in groups of frequencies, of each piece of the last sound.

    Parameters
    ----------
    n_snapshots : int
        Of a piece, an even number.
    most : int
        Pieces that are kept.

    Attributes
    ----------
    n_pieces : int
        Whole pieces so far.

    Examples
    --------
    >>> import torch
    >>> levels = NoiseLevels(n_snapshots=2, most=3)
    >>> levels.append(torch.full((16, 5, 4), 2.0 + 0j))
    >>> levels.n_pieces, np.exp(levels.last(2)).round(2).tolist()
    (2, [[32.0, 32.0], [32.0, 32.0]])
    """

    def __init__(self, n_snapshots: int, most: int) -> None:
        self._size, self._most = n_snapshots // _EVERY, most
        self.n_pieces = self._n_heard = self._n_begun = 0
        self._begun: Levels | None = None  # least power of the piece that is not whole
        # written one after the other; when it is full it grows, or the last ones are copied to the front
        self._whole: Levels | None = None
        self._end = 0

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots (n_freq, n, n_mics)."""
        # the last of each few, so that a piece is known when its last snapshot is
        power = _grouped(spectra, (-1 - self._n_heard) % _EVERY)
        self._n_heard += spectra.shape[1]
        while power.shape[1]:
            part = power[:, : self._size - self._n_begun]
            power = power[:, part.shape[1] :]
            self._n_begun += part.shape[1]
            least = np.minimum.reduce(part, axis=1)
            if not least.all():
                # a snapshot of digital silence says nothing of the noise around it
                least = np.where(part > 0, part, np.float32(np.inf)).min(axis=1)
            self._begun = least if self._begun is None else np.minimum(self._begun, least)
            if self._n_begun == self._size:
                self._add(np.log(self._begun))
                self._begun, self._n_begun = None, 0

    def _add(self, level: Levels) -> None:
        if self._whole is None:
            self._whole = np.empty((min(2 * self._most, _FIRST), len(level)), np.float32)
        if self._end == len(self._whole):
            last = self._whole[-self._most :]
            if len(self._whole) < 2 * self._most:
                self._whole = np.empty((min(2 * self._most, 2 * len(self._whole)), len(level)), np.float32)
            self._whole[: len(last)] = last
            self._end = len(last)
        self._whole[self._end] = level
        self._end += 1
        self.n_pieces += 1

    def last(self, count: int) -> Levels:
        """Return logs of the least powers of the last pieces (n, n_groups), of so many or of all that are kept."""
        if self._whole is None:
            return np.zeros((0, 1), np.float32)
        return self._whole[self._end - min(count, self._most, self.n_pieces) : self._end]


def _grouped(spectra: Tensor, first: int) -> Levels:
    """Return the power (n_groups, n) of some snapshots and frequencies, summed over microphones and few of these."""
    some = spectra.cpu().numpy()[::_EVERY_FREQUENCY, first::_EVERY]
    parts = some.view(np.float32)
    power = np.einsum("ijk,ijk->ij", parts, parts)
    whole = len(power) // _TOGETHER * _TOGETHER
    groups = power[:whole].reshape(whole // _TOGETHER, _TOGETHER, power.shape[1])
    return np.asarray(np.add.reduce(groups, axis=1) if whole else power)


def recent_rise(levels: Levels, rises: Rises = RISES_LIVE) -> int:
    """Return how many pieces ago the noise grew; 0 if it did not.

    Parameters
    ----------
    levels : ndarray of shape (n, n_groups)
        From `NoiseLevels.last`, the newest last.
    rises : tuple of (int, float)
        Pieces on both sides, and how much higher the least power must be, in nats.

    Notes
    -----
    Speech pauses in every frequency within a second or two, and lets the noise be heard; where the least power of a
    second is far above that of the second before, in three frequencies of four, it is the noise that grew.

    Examples
    --------
    >>> levels = np.zeros((12, 5), np.float32)
    >>> levels[8:] = 3.0
    >>> recent_rise(levels), recent_rise(levels[:-1])
    (4, 0)
    """
    return next((n for n, nats in rises if len(levels) >= 2 * n and _has_risen(levels[-2 * n :], nats)), 0)


def noise_changes(levels: Levels, rises: Rises = RISES) -> list[int]:
    """Return the pieces with which other noise begins: louder than before, or softer.

    Parameters
    ----------
    levels : ndarray of shape (n, n_groups)
        From `NoiseLevels.last`.
    rises : tuple of (int, float)
        As for `recent_rise`, in both directions of time. The first and last pieces belong to what is next to them.

    Examples
    --------
    >>> levels = np.zeros((60, 5), np.float32)
    >>> levels[20:45] = 3.0
    >>> noise_changes(levels)
    [20, 45]
    """
    backwards = (len(levels) - piece for piece in _rises_in(levels[::-1], rises))
    shortest = min((n for n, _ in rises), default=0)
    found: list[int] = []
    for piece in sorted({*_rises_in(levels, rises), *backwards}):
        if not found or piece - found[-1] >= shortest:
            found.append(piece)
    return found


def _rises_in(levels: Levels, rises: Rises) -> Iterator[int]:
    """Yield the pieces with which louder noise begins."""
    start = 0
    for piece in range(1, len(levels)):
        around = ((n, nats) for n, nats in rises if start + n <= piece <= len(levels) - n)
        if any(_has_risen(levels[piece - n : piece + n], nats) for n, nats in around):
            yield piece
            start = piece


def _has_risen(levels: Levels, nats: float) -> bool:
    """Return whether the least power of the second half is so many nats above that of the first in most groups."""
    half = len(levels) // 2
    before, after = np.minimum.reduce(levels[:half]), np.minimum.reduce(levels[half:])
    risen = np.count_nonzero(after - nats >= before)
    # most often not even with those of which nothing is known, as they are infinite
    if risen < _SHARE * len(before) and before.max() < np.inf and after.max() < np.inf:
        return False
    known = (before < np.inf) & (after < np.inf)
    risen = np.count_nonzero((after - nats >= before) & known)
    return bool(risen and risen >= _SHARE * np.count_nonzero(known))
