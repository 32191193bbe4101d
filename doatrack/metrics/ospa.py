"""The OSPA distance between sets of directions: one number for errors of place and of number."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from doatrack._validation import FloatArray, check_array, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.metrics._source_frames import SourceFrames, source_recordings
from doatrack.metrics.angular import angular_error

__all__ = ["ospa_deg", "ospa_distance"]


def ospa_distance(first: ArrayLike, second: ArrayLike, *, order: float = 1.0, cutoff: float = np.pi / 6) -> float:
    """Return the OSPA distance (optimal subpattern assignment) between two sets of directions.

    Angles are cut off, every direction without a partner counts as the cut-off, and the mean of order p is taken over
    the larger set. It is a metric: symmetric, 0 for equal sets only, and the triangle inequality holds.

    Parameters
    ----------
    first, second : array-like of shape (n, 3) and (m, 3)
        Directions of any length above 0, in any order; n and m may be 0.
    order : float
        p, at least 1: how much large errors weigh.
    cutoff : float
        Largest angle that counts, and the price of a source too many or too few, in radians, above 0 and at most pi.

    Returns
    -------
    float
        In radians, from 0 to `cutoff`.

    Raises
    ------
    InvalidInputError
        On other shapes, NaN, or parameters out of range.

    References
    ----------
    D. Schuhmacher, B.-T. Vo and B.-N. Vo, "A consistent metric for performance evaluation of multi-object filters",
    IEEE Transactions on Signal Processing 2008.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> round(float(np.degrees(ospa_distance([front, left], [left], cutoff=np.pi / 6))), 6)   # (0 + 30) / 2
    15.0
    """
    p, limit = _check_parameters(order, np.degrees(check_real("cutoff", cutoff)))
    one, other = _directions("first", first), _directions("second", second)
    return _ospa(angular_error(one[:, None], other[None]), p, limit)


def ospa_deg(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    order: float = 1.0,
    cutoff_deg: float = 30.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return the mean OSPA distance between true and estimated sources, in degrees.

    The mean is over the frames in which a source is there, true or estimated: silence that is taken for silence does
    not count, so that pauses cannot hide errors.

    Parameters
    ----------
    y_true, y_pred, sample_weight, active_true, active_pred, frame_times
        As in `detect_sources`.
    order : float
        p, at least 1.
    cutoff_deg : float
        Largest error that counts, and the price of a source missed or invented, in degrees.

    Returns
    -------
    float
        From 0 to `cutoff_deg`.

    Raises
    ------
    InvalidInputError
        On other shapes or lengths, parameters out of range, or if no counted frame holds a source.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> round(ospa_deg([[front, left]] * 2, [[left, front]] * 2, active_pred=[[1, 1], [1, 0]]), 6)
    7.5
    """
    p, limit = _check_parameters(order, cutoff_deg)
    recordings = source_recordings(y_true, y_pred, active_true, active_pred, sample_weight, frame_times)
    sums = np.sum([_weighted_sums(recording, p, limit) for recording in recordings], axis=0)
    if sums[1] == 0:
        raise InvalidInputError("No counted frame holds a source, true or estimated: there is nothing to compare.")
    return float(np.degrees(sums[0] / sums[1]))


def _directions(name: str, value: ArrayLike) -> FloatArray:
    return np.zeros((0, 3)) if np.size(value) == 0 else check_array(name, value, ("n", 3))


def _check_parameters(order: object, cutoff_deg: object) -> tuple[float, float]:
    """Return the order and the cut-off in radians."""
    limit = check_real("cutoff_deg", cutoff_deg, 0.0, 180.0, exclusive_minimum=True)
    return check_real("order", order, 1.0), float(np.radians(limit))


def _weighted_sums(frames: SourceFrames, order: float, cutoff: float) -> FloatArray:
    sums = np.zeros(2)
    for k in np.flatnonzero(frames.weight > 0):
        angles = frames.angles[k][frames.active_true[k]][:, frames.active_pred[k]]
        if max(angles.shape) > 0:
            sums += frames.weight[k] * np.array([_ospa(angles, order, cutoff), 1.0])
    return sums


def _ospa(angles: FloatArray, order: float, cutoff: float) -> float:
    """Return the distance from angles (n, m) between two sets."""
    larger, smaller = max(angles.shape), min(angles.shape)
    if larger == 0:
        return 0.0
    # relative to the cut-off: a high order must not underflow
    cost = (np.minimum(angles, cutoff) / cutoff) ** order
    total = cost[linear_sum_assignment(cost)].sum() + (larger - smaller)
    return float(cutoff * (total / larger) ** (1 / order))
