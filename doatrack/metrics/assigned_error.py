"""The angle between true sources and the estimates assigned to them."""

from typing import Any, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from doatrack._validation import FloatArray, check_choice
from doatrack.exceptions import InvalidInputError
from doatrack.metrics._source_frames import SourceFrames, source_recordings

__all__ = ["assigned_angular_error_deg"]


def assigned_angular_error_deg(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    per: Literal["frame", "recording"] = "frame",
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return the mean angle between true sources and the estimates assigned to them, in degrees.

    The assignment is the one with the smallest sum of angles (Hungarian algorithm). As many pairs are formed in a
    frame as there are sources on the smaller side: what is missed or invented does not count here, see
    `detect_sources` and `ospa_deg`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, active_true, active_pred, frame_times
        As in `detect_sources`.
    per : {"frame", "recording"}
        "frame" forgives a tracker that swaps its sources; "recording" assigns each row of `y_pred` to one source for
        the whole recording, where an estimate that is missing costs 180 degrees (in the assignment, not the mean).

    Returns
    -------
    float
        From 0 to 180.

    Raises
    ------
    InvalidInputError
        On other shapes or lengths, or if no frame holds both a true and an estimated source.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> swapped = [[front, left], [left, front]]
    >>> assigned_angular_error_deg([[front, left]] * 2, swapped)
    0.0
    >>> assigned_angular_error_deg([[front, left]] * 2, swapped, per="recording")
    45.0
    """
    check_choice("per", per, ["frame", "recording"])
    recordings = source_recordings(y_true, y_pred, active_true, active_pred, sample_weight, frame_times)
    sums = np.sum([_assigned_sums(recording, per) for recording in recordings], axis=0)
    if sums[1] == 0:
        raise InvalidInputError(
            "No source can be assigned: no counted frame holds both a true and an estimated one. Check active_true and "
            "active_pred, or use ospa_deg, which counts what is missing."
        )
    return float(np.degrees(sums[0] / sums[1]))


def _assigned_sums(frames: SourceFrames, per: str) -> FloatArray:
    """Return the sum of the angles of assigned pairs in radians, and their number, weighted."""
    angles = np.where(np.isfinite(frames.angles), frames.angles, 0.0)
    sums = np.zeros(2)
    if per == "recording":
        cost = np.where(np.isfinite(frames.angles), frames.angles, np.pi * frames.active_true[:, :, None])
        pairs = linear_sum_assignment(np.tensordot(frames.weight, cost, 1))
        both = np.isfinite(frames.angles[:, pairs[0], pairs[1]]) * frames.weight[:, None]
        return np.array([(angles[:, pairs[0], pairs[1]] * both).sum(), both.sum()])
    for k in np.flatnonzero(frames.weight > 0):
        here = np.ix_(np.flatnonzero(frames.active_true[k]), np.flatnonzero(frames.active_pred[k]))
        present = frames.angles[k][here]
        pairs = linear_sum_assignment(present)
        sums += frames.weight[k] * np.array([present[pairs].sum(), len(pairs[0])])
    return sums
