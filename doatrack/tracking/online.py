"""The grid filter for frames that come one after the other."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_int
from doatrack.tracking._recursions import forward_states, of_directions, weighted_evidence
from doatrack.tracking.transition import Transition

__all__ = ["MOST_PREDICTED", "OnlineFilter"]

MOST_PREDICTED = 1000
"""Frames that are predicted one by one in a gap: 3 minutes at the usual hop. A longer one adds nothing but work."""


class OnlineFilter:
    """`grid_filter` for frames that come one after the other: the same answers, in bounded memory.

    Parameters
    ----------
    transition : Transition
        From `MotionModel.transition(grid, step_s)` or `SwitchingMotion.transition`, for one frame.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> from doatrack.tracking import MotionModel, grid_filter
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> heard = 20 * grid.directions[[40] * 5] @ grid.directions.T
    >>> online = OnlineFilter(transition)
    >>> parts = [online.update(heard[:2]), online.update(heard[2:])]
    >>> bool(np.array_equal(np.concatenate(parts), grid_filter(heard, transition)))
    True
    """

    def __init__(self, transition: Transition) -> None:
        self.transition = transition
        self._last: NDArray[Any] | None = None

    def update(self, log_likelihood: ArrayLike, activity: ArrayLike | None = None) -> NDArray[Any]:
        """Return the log posteriors (n_frames, n_directions) of the next frames.

        Parameters
        ----------
        log_likelihood : array-like of shape (n_frames, n_directions)
            At least one frame; as in `grid_filter`.
        activity : array-like of shape (n_frames,), optional
            Weights in [0, 1]; None means 1.

        Raises
        ------
        InvalidInputError
            As in `grid_filter`; what was known before stays.
        """
        return self._followed(weighted_evidence(log_likelihood, self.transition, activity)[0])

    def heard(self, log_likelihood: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
        """Return what `update` returns, of arrays of finite numbers that the library made itself; nothing is checked.

        In single precision where the log-likelihood is: with one frame at a time, checks and conversions cost more than
        the filter.

        Examples
        --------
        >>> from doatrack.geometry import DirectionGrid
        >>> from doatrack.tracking import MotionModel
        >>> transition = MotionModel().transition(DirectionGrid.quasi_uniform(100), step_s=0.2)
        >>> logs, weight = np.arange(200.0).reshape(2, 100) / 20, np.array([1.0, 0.1])
        >>> parts = OnlineFilter(transition).heard(logs, weight), OnlineFilter(transition).update(logs, weight)
        >>> bool(np.array_equal(*parts))
        True
        """
        values = log_likelihood * weight.astype(log_likelihood.dtype)[:, None]
        evidence = values - values.max(axis=1, keepdims=True)
        return self._followed(evidence if self.transition.n_modes == 1 else evidence[:, None])

    def _followed(self, evidence: NDArray[Any]) -> NDArray[Any]:
        logs, _ = forward_states(evidence, self.transition, self._last)
        self._last = logs[-1]
        return of_directions(logs, self.transition)

    def predict(self, n_frames: int) -> NDArray[Any]:
        """Return the log posteriors of the next frames, of which nothing is heard.

        Parameters
        ----------
        n_frames : int

        Returns
        -------
        ndarray of shape (min(n_frames, 1000), n_directions)
            After 1000 frames the last row stands for all that follow.
        """
        count = min(check_int("n_frames", n_frames, 0), MOST_PREDICTED)
        if count == 0:
            return np.zeros((0, self.transition.n_directions))
        return self.update(np.zeros((count, self.transition.n_directions)))
