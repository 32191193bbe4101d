"""From pooled time back to the frames, as pooled frames come."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.geometry.interpolation import interpolate_directions

__all__ = ["Unpooling"]


class Unpooling:
    """Bring directions, along the great circle, and other values, linearly, from pooled frames to all frames.

    The first and the last pooled frame are held at the edges.

    Parameters
    ----------
    pooling : int
        Frames in a pooled one, whose time is their centre.
    """

    def __init__(self, pooling: int) -> None:
        self._pooling = pooling
        self._doa: NDArray[np.float64] = np.zeros((0, 3))
        self._others: list[NDArray[np.float64]] | None = None
        self._first = 0  # pooled frame that is kept
        self._next = 0  # frame to be answered

    def push(
        self, doa: NDArray[np.float64], others: list[NDArray[np.float64]], n_frames: int
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Take pooled frames (n, 3) and (n, ...), and return the frames up to the last one's centre, of so many."""
        self._doa = np.concatenate([self._doa, doa])
        before = [values[:0] for values in others] if self._others is None else self._others
        self._others = [np.concatenate(pair) for pair in zip(before, others, strict=True)]
        last = self._first + len(self._doa) - 1
        answer = self._between(min(n_frames, int(np.floor((last + 0.5) * self._pooling - 0.5)) + 1))
        self._doa, self._others = self._doa[-1:], [values[-1:] for values in self._others]
        self._first = max(last, 0)
        return answer

    def finish(self, n_frames: int) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return the rest of so many frames."""
        return self._between(n_frames)

    def _between(self, stop: int) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        frames = np.arange(self._next, max(stop, self._next), dtype=np.float64)
        others = self._others or []
        if len(self._doa) == 0 or len(frames) == 0:
            return self._doa[:0], [values[:0] for values in others]
        self._next = max(stop, self._next)
        times = (self._first + np.arange(len(self._doa), dtype=np.float64) + 0.5) * self._pooling - 0.5
        return interpolate_directions(frames, times, self._doa), [_between_rows(frames, times, v) for v in others]


def _between_rows(at: NDArray[Any], times: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return rows (n_times, ...) interpolated linearly to other times, and held at the ends."""
    place = np.interp(at, times, np.arange(len(times)))
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, len(times) - 1)
    share = (place - before).reshape(-1, *[1] * (rows.ndim - 1))
    return np.asarray((1 - share) * rows[before] + share * rows[after])
