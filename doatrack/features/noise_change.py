"""When the noise of a recording changes: a machine that starts, a loudspeaker that stops."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.noise_statistics import snapshot_power

__all__ = ["RISES", "RISES_LIVE", "NoiseLevels", "noise_changes", "recent_rise"]

Rises = tuple[tuple[int, float], ...]

RISES: Rises = ((8, 1.5), (15, 0.8))
RISES_LIVE: Rises = ((4, 1.6), (9, 0.8))
"""How much the least power must be above that before, in nats, to be another noise: over so many pieces on both sides.
Speech pauses; the shorter the time, the more it rises too. Chosen on simulated scenes of `train` talkers
(docs/notes.md)."""
_SHARE = 0.25  # of the frequencies may rise less
_EVERY, _TOGETHER = 2, 4  # every second frequency, and the mean of four of them: least powers of one scatter
_LEAST = 1e-30


class NoiseLevels:
    """The least power, in groups of frequencies, of each piece of the last sound.

    Parameters
    ----------
    n_snapshots : int
        Of a piece.
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
    >>> levels.n_pieces, levels.last(2).round(2).tolist()
    (2, [[2.77, 2.77], [2.77, 2.77]])
    """

    def __init__(self, n_snapshots: int, most: int) -> None:
        self._n_snapshots, self._most = n_snapshots, most
        self.n_pieces = self._n_begun = 0
        self._begun: NDArray[np.float32] | None = None  # least power of the piece that is not whole
        self._whole: list[NDArray[np.float32]] = []

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots (n_freq, n, n_mics)."""
        power = _grouped(snapshot_power(spectra[::_EVERY]).cpu().numpy())
        while power.shape[1]:
            part = power[:, : self._n_snapshots - self._n_begun]
            power = power[:, part.shape[1] :]
            least = part.min(axis=1)
            self._begun = least if self._begun is None else np.minimum(self._begun, least)
            self._n_begun += part.shape[1]
            if self._n_begun == self._n_snapshots:
                self._whole.append(np.log(np.maximum(self._begun, _LEAST)))
                self._begun, self._n_begun = None, 0
                self.n_pieces += 1
        del self._whole[: -self._most]

    def last(self, count: int) -> NDArray[np.float32]:
        """Return logs of the least powers of the last pieces (n, n_groups), of so many or of all that are kept."""
        return np.array(self._whole[max(0, len(self._whole) - count) :])


def _grouped(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means over neighbouring frequencies, infinite in digital silence, which says nothing of the noise."""
    if not power.all():
        power = np.where(power.any(axis=0), power, np.float32(np.inf))
    whole = len(power) // _TOGETHER * _TOGETHER
    return power[:whole].reshape(-1, _TOGETHER, power.shape[1]).mean(axis=1) if whole else power


def recent_rise(levels: NDArray[np.float32], rises: Rises = RISES_LIVE) -> int:
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
    return next((n for n, least in rises if len(levels) >= 2 * n and _rise(levels[-2 * n :]) >= least), 0)


def noise_changes(levels: NDArray[np.float32], rises: Rises = RISES) -> list[int]:
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
    backwards = (len(levels) - piece for piece in _begun(levels[::-1], rises))
    shortest = min((n for n, _ in rises), default=0)
    found: list[int] = []
    for piece in sorted({*_begun(levels, rises), *backwards}):
        if not found or piece - found[-1] >= shortest:
            found.append(piece)
    return found


def _begun(levels: NDArray[np.float32], rises: Rises) -> Iterator[int]:
    """Yield the pieces with which louder noise begins."""
    start = 0
    for piece in range(1, len(levels)):
        around = ((n, least) for n, least in rises if start + n <= piece <= len(levels) - n)
        if any(_rise(levels[piece - n : piece + n]) >= least for n, least in around):
            yield piece
            start = piece


def _rise(levels: NDArray[np.float32]) -> float:
    """Return by how much, in nats, the least power of the second half is above the first in most groups."""
    before, after = (half.min(axis=0) for half in (levels[: len(levels) // 2], levels[len(levels) // 2 :]))
    known = np.isfinite(before) & np.isfinite(after)
    return float(np.quantile((after - before)[known], _SHARE)) if known.any() else 0.0
