"""Metrics as scikit-learn scorers, for cross_validate and GridSearchCV."""

from collections.abc import Callable
from typing import Any

import numpy as np

from doatrack.exceptions import InvalidInputError
from doatrack.metrics._frames import Directions, FrameValues, split_recordings
from doatrack.metrics.angular import (
    mean_angular_error_deg,
    mean_azimuth_error_deg,
    mean_elevation_error_deg,
    median_angular_error_deg,
    root_mean_square_angular_error_deg,
    share_within,
)

__all__ = [
    "FrameScorer",
    "make_frame_scorer",
    "mean_angular_error_scorer",
    "mean_azimuth_error_scorer",
    "mean_elevation_error_scorer",
    "median_angular_error_scorer",
    "root_mean_square_angular_error_scorer",
    "share_within_scorer",
]


class FrameScorer:
    """A callable scorer(estimator, X, y, sample_weight=None) around a metric of directions.

    Made by `make_frame_scorer`. Higher is better, as scikit-learn wants it: an error comes back negative.

    Parameters
    ----------
    metric : callable
        metric(y_true, y_pred, sample_weight=None, *, frame_times=None) -> float.
    greater_is_better : bool
        Whether the metric is a score; False for an error.

    Examples
    --------
    >>> FrameScorer(mean_angular_error_deg, greater_is_better=False)
    make_frame_scorer(mean_angular_error_deg, greater_is_better=False)
    """

    def __init__(self, metric: Callable[..., float], greater_is_better: bool) -> None:
        self.metric = metric
        self.greater_is_better = greater_is_better

    def __repr__(self) -> str:
        name = getattr(self.metric, "__name__", repr(self.metric))
        return f"make_frame_scorer({name}, greater_is_better={self.greater_is_better})"

    def __call__(self, estimator: Any, X: Any, y: Directions, sample_weight: FrameValues = None) -> float:
        """Return the metric of `estimator.predict(X)` against `y`, negative if it is an error.

        Parameters
        ----------
        estimator : object
            Fitted, with `predict`; with `frame_times(n_frames)` if `y` holds truth rows (in a Pipeline or a
            search, its last step or best estimator).
        X : recordings
            What `estimator.predict` takes.
        y : array-like of shape (n_frames, 3) or (n_rows, 5), or list of such
            True directions.
        sample_weight : array-like of shape (n_frames,), or list of such, optional
            Activity or other weights per frame.

        Raises
        ------
        InvalidInputError
            As the metric does; or if `y` is None or holds truth rows and the estimator has no `frame_times`.
        """
        if y is None:
            raise InvalidInputError(f"{self!r} compares with true directions: pass y, or use the estimator's score.")
        y_pred = estimator.predict(X)
        times = _frame_times(estimator, y, y_pred)
        value = float(self.metric(y, y_pred, sample_weight, frame_times=times))
        return value if self.greater_is_better else -value


def make_frame_scorer(metric: Callable[..., float], greater_is_better: bool = False) -> FrameScorer:
    """Return a scorer for scikit-learn's model selection from a metric of directions.

    It differs from `sklearn.metrics.make_scorer` in asking the estimator for its frame times, so that the truth
    may be rows `time_s, x, y, z, active` at any rate, and the window and the hop can be searched.

    Parameters
    ----------
    metric : callable
        metric(y_true, y_pred, sample_weight=None, *, frame_times=None) -> float, such as those of
        `doatrack.metrics`; `functools.partial` sets further arguments.
    greater_is_better : bool
        False for an error (it comes back negative), True for a score.

    Returns
    -------
    FrameScorer
        Callable as scorer(estimator, X, y, sample_weight=None), and picklable.

    Examples
    --------
    >>> from functools import partial
    >>> within_5 = make_frame_scorer(partial(share_within, tolerance_deg=5), greater_is_better=True)
    >>> class Front:
    ...     def predict(self, X):
    ...         return [np.tile([1.0, 0, 0], (len(x), 1)) for x in X]
    >>> within_5(Front(), [[0, 0]], [[[1.0, 0, 0], [0, 1.0, 0]]])
    0.5
    """
    return FrameScorer(metric, greater_is_better)


def _frame_times(estimator: Any, y: Directions, y_pred: Directions) -> list[Any] | None:
    if not any(np.shape(truth)[-1:] == (5,) for truth in split_recordings("y_true", y, 2)):
        return None
    while not hasattr(estimator, "frame_times"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        else:
            raise InvalidInputError(
                f"{type(estimator).__name__} has no frame_times(n_frames), so truth rows (time_s, x, y, z, active) "
                "cannot be brought to its frames: pass y as one unit vector per frame."
            )
    return [estimator.frame_times(len(part)) for part in split_recordings("y_pred", y_pred, 2)]


mean_angular_error_scorer = make_frame_scorer(mean_angular_error_deg)
mean_azimuth_error_scorer = make_frame_scorer(mean_azimuth_error_deg)
mean_elevation_error_scorer = make_frame_scorer(mean_elevation_error_deg)
median_angular_error_scorer = make_frame_scorer(median_angular_error_deg)
root_mean_square_angular_error_scorer = make_frame_scorer(root_mean_square_angular_error_deg)
share_within_scorer = make_frame_scorer(share_within, greater_is_better=True)
