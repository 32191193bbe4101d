"""Truth at any rate brought to the frames of a tracker."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import FloatArray, check_array, check_times, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = ["truth_at_frames"]

_ACTIVE_SHARE = 2 / 3
_UNIT_TOLERANCE = 0.01  # files hold rounded numbers
_NO_CHORD = 1e-9
_HALF_STEP_OF_ONE_FRAME = 0.1


def truth_at_frames(rows: ArrayLike, frame_times: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return true directions and activity at frame times.

    Each coordinate is interpolated linearly in time and held before the first and after the last row, so a
    source that crosses the back stays at the back. A frame is active if at least two thirds of the rows within
    half a frame step of its time are active.

    Parameters
    ----------
    rows : array-like of shape (n_rows, 5) or (n_sources, n_rows, 5)
        time_s, x, y, z, active: seconds (increasing), unit vectors in the array's frame (x front, y left, z up;
        NaN where unknown), and 1 or 0; for several sources, one table each.
    frame_times : array-like of shape (n_frames,)
        Seconds, increasing: the centres of the frames.

    Returns
    -------
    doa : ndarray of shape (n_frames, 3) or (n_frames, n_sources, 3)
        Chords between unit vectors: their direction is what counts. NaN where a neighbouring row is unknown, and
        halfway between opposite directions.
    active : ndarray of bool, shape (n_frames,) or (n_frames, n_sources)

    Raises
    ------
    InvalidInputError
        On another shape, times that do not increase, or directions that are no unit vectors (within 1 %).

    Notes
    -----
    The frame step is the median difference of `frame_times`; a single frame is given a step of 0.2 s. A frame
    without any row near it is inactive.

    Examples
    --------
    >>> rows = [[0.0, 1, 0, 0, 0], [0.1, 1, 0, 0, 1], [0.2, 0, 1, 0, 1], [0.3, 0, 1, 0, 1]]
    >>> doa, active = truth_at_frames(rows, [0.0, 0.15, 0.3])
    >>> doa[1].round(6).tolist(), active.tolist()
    ([0.5, 0.5, 0.0], [False, True, True])
    """
    if np.ndim(rows) == 3 and np.shape(rows)[0]:
        doas, actives = zip(*(truth_at_frames(source, frame_times) for source in np.asarray(rows)), strict=True)
        return np.stack(doas, axis=1), np.stack(actives, axis=1)
    table = check_array("truth rows (time_s, x, y, z, active)", rows, ("n_rows", 5), finite=False)
    if len(table) == 0:
        raise InvalidInputError("truth rows must hold at least one row (time_s, x, y, z, active), got none.")
    row_times, times = check_times("the time_s of truth rows", table[:, 0]), check_times("frame_times", frame_times)
    check_unit_vectors("x, y, z of truth rows", table[:, 1:4], tolerance=_UNIT_TOLERANCE)
    doa = np.stack([np.interp(times, row_times, table[:, axis]) for axis in (1, 2, 3)], axis=1)
    doa[np.linalg.norm(doa, axis=1) < _NO_CHORD] = np.nan
    return doa, _active_frames(row_times, table[:, 4], times)


def _active_frames(row_times: FloatArray, active: FloatArray, times: FloatArray) -> NDArray[np.bool_]:
    half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else _HALF_STEP_OF_ONE_FRAME
    first = np.searchsorted(row_times, times - half, side="left")
    last = np.searchsorted(row_times, times + half, side="right")
    unknown = np.isnan(active)
    n_active = _sums_between(np.where(unknown, 0.0, active), first, last)
    n_unknown = _sums_between(unknown.astype(np.float64), first, last)
    share = n_active / np.maximum(last - first, 1)
    return (share >= _ACTIVE_SHARE) & (n_unknown == 0)


def _sums_between(values: FloatArray, first: NDArray[np.intp], last: NDArray[np.intp]) -> FloatArray:
    running = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(running[last] - running[first])
