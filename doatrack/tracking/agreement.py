"""How well what was heard agrees with where the source is taken to be: what a posterior's width alone does not tell."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGREEMENTS", "AgreementMean", "map_agreement", "mean_agreement", "mean_over_grid"]

AGREEMENTS = ("level", "contrast", "miss")
_TIME_S = 1.0
_LEFT_OUT = 1e5  # nats below the best: directions for which others stand
_NOTHING = 1e-9


def map_agreement(log_posterior: NDArray[Any], log_likelihood: NDArray[Any]) -> NDArray[np.float64]:
    """Return how frames' log-likelihoods agree with a posterior that earlier or later frames have had a say in.

    Parameters
    ----------
    log_posterior, log_likelihood : ndarray of shape (n_frames, n_directions)
        In nats, over one grid.

    Returns
    -------
    ndarray of shape (n_frames, 3)
        `AGREEMENTS`: the expected log-likelihood under the posterior; how far that is above the mean over all
        directions; and how far it stays below the frame's own best direction.

    Notes
    -----
    A narrow posterior over frames that all point elsewhere, or explain little of their sound, deserves less trust than
    one over frames that agree; a filter's own concentration grows with every frame either way.

    Examples
    --------
    >>> heard = np.array([[0.0, 4.0, 2.0]])
    >>> map_agreement(np.log([[1e-12, 0.5, 0.5]]), heard).round(6).tolist()
    [[3.0, 1.0, 1.0]]
    """
    best, mean = log_likelihood.max(axis=1), mean_over_grid(log_likelihood)
    expected = np.einsum("td,td->t", np.exp(log_posterior), log_likelihood)
    return np.array([expected, expected - mean, best - expected], dtype=np.float64).T


def mean_over_grid(log_likelihood: NDArray[Any]) -> NDArray[Any]:
    """Return each frame's mean over directions, but for those that others stand for, far below all else.

    Examples
    --------
    >>> mean_over_grid(np.array([[1.0, 2.0, -1e6]]))
    array([1.5])
    """
    best = log_likelihood.max(axis=1)
    if (log_likelihood.min(axis=1) > best - _LEFT_OUT).all():
        return np.asarray(np.add.reduce(log_likelihood, axis=1) / log_likelihood.shape[1])
    counts = log_likelihood > best[:, None] - _LEFT_OUT
    return np.asarray(np.where(counts, log_likelihood, 0.0).sum(axis=1) / counts.sum(axis=1))


class AgreementMean:
    """Running mean of agreements over the last second, weighted as the frames are.

    Parameters
    ----------
    step_s : float
        From one frame to the next in seconds.

    Examples
    --------
    >>> mean = AgreementMean(step_s=1.0)
    >>> mean.push(np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]]), np.array([1.0, 0.0]))[:, 0].tolist()
    [1.0, 1.0]
    """

    def __init__(self, step_s: float) -> None:
        self._keep = math.exp(-step_s / _TIME_S)
        self._sum, self._weight = np.zeros(len(AGREEMENTS)), 0.0

    def push(self, agreement: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means (n_frames, 3) after each of the next frames, given their agreements and weights (n_frames,).

        A frame before any that counts is taken as it is.
        """
        found = np.array(agreement)
        for k, (row, share) in enumerate(zip(agreement, weight, strict=True)):
            self._sum = self._keep * self._sum + share * row
            self._weight = self._keep * self._weight + share
            if self._weight > _NOTHING:
                found[k] = self._sum / self._weight
        return found

    @property
    def last(self) -> NDArray[np.float64]:
        """The present mean (3,); zeros before any frame."""
        return np.asarray(self._sum / self._weight if self._weight > _NOTHING else self._sum)


def mean_agreement(agreement: NDArray[np.float64], weight: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """Return means of agreements (n_frames, 3) over the second before and after each frame, by the frames' weights.

    Examples
    --------
    >>> mean_agreement(np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3]), np.ones(3), step_s=1.0)[:, 0].round(2).tolist()
    [0.24, 0.58, 0.24]
    """
    keep = math.exp(-step_s / _TIME_S)
    weighted = np.column_stack([agreement * weight[:, None], weight])
    # forward and backward recursions count the frame itself twice
    total = _recursion(weighted, keep) + _recursion(weighted[::-1], keep)[::-1] - weighted
    heard = total[:, -1:] > _NOTHING
    return np.where(heard, total[:, :-1] / np.where(heard, total[:, -1:], 1.0), agreement)


def _recursion(rows: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    found = np.array(rows)
    for k in range(1, len(found)):
        found[k] += keep * found[k - 1]
    return found
