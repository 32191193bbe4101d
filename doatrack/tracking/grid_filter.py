"""Bayesian filtering and smoothing of directions on a grid, and the most probable path."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_int, check_same_length
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking.motion import Transition

__all__ = ["grid_filter", "grid_smoother", "most_probable_path", "posterior_directions"]


def grid_filter(
    log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None, lag: int = 0
) -> NDArray[Any]:
    """Return the log posterior of the direction at each frame, given what was heard up to `lag` frames later.

    The forward algorithm of a hidden Markov model: predict through the motion, then multiply by the likelihood. It
    assumes that frames are independent given the direction; overlapping frames and reverberation are not, so a
    likelihood that is too sharp makes posteriors too certain.

    Parameters
    ----------
    log_likelihood : array-like of shape (n_frames, n_directions)
        Log likelihood of each frame in nats, over the transition's grid; a constant per frame does not matter. For
        SRP-PHAT maps: a scale times the map (docs/motion.md). Arrays or tensors; float32 stays float32, all else is
        computed in float64.
    transition : Transition
        From `MotionModel.transition(grid, step_s)`, for one frame.
    activity : array-like of shape (n_frames,), optional
        Weight of each frame's log likelihood in [0, 1]; 0 (or False): the frame tells nothing. None means 1.
    lag : int
        How many later frames are waited for; 0 is causal.

    Returns
    -------
    ndarray of shape (n_frames, n_directions)
        Log probabilities; their exponentials sum to 1 in each row.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, a value is NaN or infinite, or an activity is outside [0, 1].

    Notes
    -----
    Cost per frame: lag + 1 products with the sparse transition.

    Examples
    --------
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> source = grid.directions[[40] * 5]
    >>> log_posterior = grid_filter(20 * source @ grid.directions.T, transition)
    >>> [round(float(row.max()), 1) for row in np.exp(log_posterior)]
    [0.1, 0.2, 0.2, 0.3, 0.3]
    """
    evidence = _evidence(log_likelihood, transition, activity)
    delay = check_int("lag", lag, 0)
    forward = _forward(evidence, transition)
    message = np.ones_like(evidence)
    # all frames at once: first what the last frame waited for tells, then the one before it
    for ahead in range(min(delay, len(evidence) - 1), 0, -1):
        reach = len(evidence) - ahead
        later = np.exp(evidence[ahead:]) * message[:reach]
        message[:reach] = _rescale(transition.backward(later))
    return _normalise(forward + _safe_log(message))


def grid_smoother(log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None) -> NDArray[Any]:
    """Return the log posterior of the direction at each frame, given the whole recording: forward-backward.

    Parameters
    ----------
    log_likelihood, transition, activity
        As in `grid_filter`.

    Returns
    -------
    ndarray of shape (n_frames, n_directions)
        Log probabilities; their exponentials sum to 1 in each row.

    Raises
    ------
    InvalidInputError
        As in `grid_filter`.

    References
    ----------
    L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", Proc. IEEE
    1989, equations 19 to 27.

    Examples
    --------
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> heard = 50 * grid.directions[[40] * 5] @ grid.directions.T
    >>> doa, concentration = posterior_directions(grid_smoother(heard, transition, [1, 1, 0, 1, 1]), grid)
    >>> bool(concentration[2] > concentration[0] / 2), bool((doa @ grid.directions[40] > 0.99).all())
    (True, True)
    """
    evidence = _evidence(log_likelihood, transition, activity)
    posterior = _forward(evidence, transition)
    message = np.ones(evidence.shape[1:], evidence.dtype)
    for frame in range(len(evidence) - 2, -1, -1):
        message = _rescale(transition.backward(np.exp(evidence[frame + 1]) * message))
        posterior[frame] += _safe_log(message)
    return _normalise(posterior)


def most_probable_path(
    log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Return the most probable sequence of grid directions as a whole: the Viterbi algorithm.

    Unlike the maxima of the smoother's maps it is one possible course, without steps that the motion forbids.

    Parameters
    ----------
    log_likelihood, transition, activity
        As in `grid_filter`.

    Returns
    -------
    int64 ndarray of shape (n_frames,)
        Indices into `transition.grid.directions`.

    Raises
    ------
    InvalidInputError
        As in `grid_filter`.

    Examples
    --------
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> most_probable_path(50 * grid.directions[[40, 40, 300, 40]] @ grid.directions.T, transition, [1, 1, 0, 1])
    array([40, 40, 40, 40])
    """
    evidence = _evidence(log_likelihood, transition, activity)
    score = evidence[0] + np.log(transition.shares).astype(evidence.dtype)
    origins = np.zeros(evidence.shape, dtype=np.int64)
    for frame in range(1, len(evidence)):
        score, origins[frame] = transition.best_previous(score - score.max())
        score = score + evidence[frame]
    path = np.zeros(len(evidence), dtype=np.int64)
    path[-1] = score.argmax()
    for frame in range(len(evidence) - 1, 0, -1):
        path[frame - 1] = origins[frame, path[frame]]
    return path


def posterior_directions(
    log_posterior: ArrayLike, grid: DirectionGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the direction and the concentration of log posteriors, by `GridPosterior`.

    Parameters
    ----------
    log_posterior : array-like of shape (..., n_directions)
        Log probabilities, from `grid_filter` or `grid_smoother`.
    grid : DirectionGrid
        Their directions.

    Returns
    -------
    doa : ndarray of shape (..., 3)
        Unit vectors: the mean around the most probable direction.
    concentration : ndarray of shape (...,)
        Of the von Mises-Fisher distribution with the same mean length; as certain as the likelihood, not calibrated.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2000)
    >>> doa, concentration = posterior_directions(100 * grid.directions @ [0.6, 0.0, 0.8], grid)
    >>> doa.round(2).tolist(), round(float(concentration))
    ([0.6, 0.0, 0.8], 100)
    """
    values = check_array("log_posterior", log_posterior, ("...", grid.n_directions))
    posterior = GridPosterior(torch.from_numpy(values), torch.from_numpy(grid.directions))
    doa = posterior.mean_direction.numpy()
    return doa, posterior.concentration.numpy()


def _evidence(log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None) -> NDArray[Any]:
    """Return the weighted log likelihood with the maximum 0 in every frame."""
    values = check_array("log_likelihood", log_likelihood, ("n_frames", transition.n_directions))
    if len(values) == 0:
        raise InvalidInputError("log_likelihood must hold at least one frame, got none.")
    # from here on in single precision if it came so; the difference to the maximum is exact enough
    values = values - values.max(axis=1, keepdims=True)
    if activity is not None:
        weights = check_array("activity", activity, ("n_frames",))
        check_same_length("activity", len(weights), "log_likelihood", len(values))
        if weights.min() < 0 or weights.max() > 1:
            raise InvalidInputError(
                f"activity must lie between 0 and 1, got {float(weights.min()):g} to {float(weights.max()):g}."
            )
        values = weights[:, None] * values
    single = str(getattr(log_likelihood, "dtype", "")).endswith("float32")
    return values.astype(np.float32) if single else values


def _forward(evidence: NDArray[Any], transition: Transition) -> NDArray[Any]:
    """Return the logarithms of the filter's probabilities."""
    logs = np.empty_like(evidence)
    prediction = transition.shares.astype(evidence.dtype)
    for frame, row in enumerate(evidence):
        if frame > 0:
            prediction = transition.forward(np.exp(logs[frame - 1]))
        # in the log domain, so that a likelihood may contradict the prediction by any factor
        logs[frame] = _normalise(_safe_log(prediction) + row)
    return logs


def _rescale(message: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(message / np.maximum(message.max(axis=-1, keepdims=True), np.finfo(message.dtype).tiny))


def _safe_log(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.log(np.maximum(values, np.finfo(values.dtype).tiny)))


def _normalise(logs: NDArray[Any]) -> NDArray[Any]:
    logs = logs - logs.max(axis=-1, keepdims=True)
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True)))
