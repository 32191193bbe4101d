"""How much of what a frame's map claims the smoother takes for granted: errors of neighbouring frames are alike."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.tracking.agreement import mean_over_grid

__all__ = ["Tempering"]

_USUAL_NATS = 3.0
_TIME_S = 5.0
_LEAST_NATS = 1e-3


class Tempering:
    """Factors for the log-likelihoods of a smoother: the more frames claim, the less of it counts.

    A motion model takes the errors of frames for independent. What a reflection does to them lasts for a while, and it
    is loud and clear: the sharper maps are, the more it is reflections that they are wrong by, and not noise. So of the
    nats by which a map's best direction is above the mean of all, beyond 3, only the geometric mean with 3 counts:
    of 12 nats 6, of 48 nats 12.

    Parameters
    ----------
    step_s : float
        From one frame to the next in seconds.

    Notes
    -----
    What frames claim is the running geometric mean of the last seconds, by weight, so that frames of one recording
    keep their proportions. The filter does better without: it has half as many frames, and none to wait for
    (docs/notes.md).

    Examples
    --------
    >>> sharp, flat = np.zeros((1, 100)), np.zeros((1, 100))
    >>> sharp[0, 40], flat[0, 40] = 12.0, 1.0
    >>> Tempering(0.2).push(sharp, np.ones(1)).round(2), Tempering(0.2).push(flat, np.ones(1))
    (array([0.5]), array([1.]))
    """

    def __init__(self, step_s: float) -> None:
        self._keep = math.exp(-step_s / _TIME_S)
        self._sum = self._weight = 0.0

    def push(self, log_likelihood: NDArray[Any], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factors (n_frames,), at most 1, of the next frames.

        Parameters
        ----------
        log_likelihood : ndarray of shape (n_frames, n_directions)
            In nats. Directions far below all others are left out.
        weight : ndarray of shape (n_frames,)
            How much frames count anyway.
        """
        claimed = log_likelihood.max(axis=1) - mean_over_grid(log_likelihood)
        logs = np.log(np.maximum(claimed, _LEAST_NATS).astype(np.float64))
        found = np.empty(len(logs))
        for k, (log, share) in enumerate(zip(logs, weight, strict=True)):
            self._sum = self._keep * self._sum + share * log
            self._weight = self._keep * self._weight + share
            mean = self._sum / self._weight if self._weight > 0 else log
            found[k] = min(1.0, math.sqrt(_USUAL_NATS / math.exp(mean)))
        return found
