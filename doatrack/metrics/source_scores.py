"""Recall, precision, F score and identity switches of several sources, as single numbers for scorers and tables.

What is found is counted by `detect_sources`, whose module says how truth and estimates are given.
"""

from typing import Any

from doatrack.metrics.source_detections import SourceDetections, detect_sources

__all__ = ["identity_switches", "source_f_score", "source_precision", "source_recall"]


def source_recall(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    tolerance_deg: float = 15.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return the share of true sources that were found, from 0 to 1.

    Parameters
    ----------
    y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times
        As in `detect_sources`.

    Examples
    --------
    >>> source_recall([[[1.0, 0, 0], [0, 1.0, 0]]], [[[0, 1.0, 0], [0, 0, 1.0]]])
    0.5
    """
    return _found(y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times).recall


def source_precision(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    tolerance_deg: float = 15.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return the share of estimates that are a true source, from 0 to 1; NaN where there is no estimate.

    Parameters
    ----------
    y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times
        As in `detect_sources`.

    Examples
    --------
    >>> source_precision([[[1.0, 0, 0]]], [[[0, 1.0, 0], [1.0, 0, 0]]])
    0.5
    """
    return _found(y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times).precision


def source_f_score(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    tolerance_deg: float = 15.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return the harmonic mean of recall and precision, from 0 to 1.

    Parameters
    ----------
    y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times
        As in `detect_sources`.

    Examples
    --------
    >>> round(source_f_score([[[1.0, 0, 0]]], [[[0, 1.0, 0], [1.0, 0, 0]]]), 3)
    0.667
    """
    return _found(y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times).f_score


def identity_switches(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    tolerance_deg: float = 15.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> float:
    """Return how often a true source is found under another number than the last time it was found.

    Parameters
    ----------
    y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times
        As in `detect_sources`.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> identity_switches([[front, left]] * 3, [[front, left], [front, left], [left, front]])
    2.0
    """
    return _found(y_true, y_pred, sample_weight, tolerance_deg, active_true, active_pred, frame_times).n_switches


def _found(
    y_true: Any, y_pred: Any, weight: Any, tolerance_deg: float, active_true: Any, active_pred: Any, times: Any
) -> SourceDetections:
    return detect_sources(
        y_true,
        y_pred,
        weight,
        tolerance_deg=tolerance_deg,
        active_true=active_true,
        active_pred=active_pred,
        frame_times=times,
    )
