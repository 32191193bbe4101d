"""Bayesian filtering and smoothing of directions on a grid, and the most probable path."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_int
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.geometry import DirectionGrid
from doatrack.tracking._recursions import (
    forward_states,
    of_directions,
    rescale,
    safe_exp,
    safe_log,
    smoothed_states,
    to_directions,
    weighted_evidence,
)
from doatrack.tracking.transition import Transition

__all__ = [
    "grid_filter",
    "grid_smoother",
    "log_evidence",
    "mode_posterior",
    "most_probable_path",
    "posterior_directions",
]


def grid_filter(
    log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None, lag: int = 0
) -> NDArray[Any]:
    """Return the log posterior of the direction at each frame, given what was heard up to `lag` frames later.

    The forward algorithm of a hidden Markov model: predict through the motion, then multiply by the likelihood. It
    assumes that frames are independent given the direction; overlapping frames and reverberation are not, so a
    likelihood that is too sharp makes posteriors too certain.

    Parameters
    ----------
    log_likelihood : array-like of shape (..., n_frames, n_directions)
        Log likelihood of each frame in nats, over the transition's grid; a constant per frame does not matter. For
        SRP-PHAT maps: `robust_log_likelihood`, or a scale times the map (docs/motion.md). Arrays or tensors; float32
        stays float32, all else is computed in float64. Leading axes are recordings of one length; several at once
        are faster than one after the other.
    transition : Transition
        From `MotionModel.transition(grid, step_s)` or `SwitchingMotion.transition`, for one frame.
    activity : array-like of shape (..., n_frames), optional
        Weight of each frame's log likelihood in [0, 1]; 0 (or False): the frame tells nothing. None means 1.
    lag : int
        How many later frames are waited for; 0 is causal.

    Returns
    -------
    ndarray of shape (..., n_frames, n_directions)
        Log probabilities; their exponentials sum to 1 in each row. Modes of motion are summed over.

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
    [0.1, 0.2, 0.2, 0.2, 0.3]
    """
    evidence, _ = weighted_evidence(log_likelihood, transition, activity)
    delay = check_int("lag", lag, 0)
    forward, _ = forward_states(evidence, transition)
    if delay == 0:
        return of_directions(forward, transition)
    message = np.ones_like(forward)
    # all frames at once: first what the last frame waited for tells, then the one before it
    for ahead in range(min(delay, len(evidence) - 1), 0, -1):
        reach = len(evidence) - ahead
        later = safe_exp(evidence[ahead:]) * message[:reach]
        message[:reach] = rescale(transition.backward(later), transition)
    return to_directions(forward + safe_log(message), transition)


def grid_smoother(log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None) -> NDArray[Any]:
    """Return the log posterior of the direction at each frame, given the whole recording: forward-backward.

    Parameters
    ----------
    log_likelihood, transition, activity
        As in `grid_filter`.

    Returns
    -------
    ndarray of shape (..., n_frames, n_directions)
        Log probabilities; their exponentials sum to 1 in each row. Modes of motion are summed over.

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
    evidence, _ = weighted_evidence(log_likelihood, transition, activity)
    return to_directions(smoothed_states(evidence, transition), transition)


def mode_posterior(
    log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None
) -> NDArray[Any]:
    """Return how probable each mode of motion is at each frame, given the whole recording.

    Parameters
    ----------
    log_likelihood, transition, activity
        As in `grid_filter`; the transition is one of `SwitchingMotion` (with one mode all are 1).

    Returns
    -------
    ndarray of shape (..., n_frames, n_modes)
        Probabilities with the sum 1.

    Raises
    ------
    InvalidInputError
        As in `grid_filter`.

    Examples
    --------
    >>> from doatrack.tracking import SwitchingMotion
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = SwitchingMotion(diffusion=(0.001, 0.5)).transition(grid, step_s=0.2)
    >>> heard = 200 * grid.directions[[40] * 9] @ grid.directions.T
    >>> still, moving = mode_posterior(heard, transition)[4]
    >>> bool(still > 0.9), round(float(still + moving), 6)
    (True, 1.0)
    """
    posterior = np.exp(smoothed_states(weighted_evidence(log_likelihood, transition, activity)[0], transition))
    modes = posterior.sum(axis=-1) if transition.n_modes > 1 else posterior.sum(axis=-1, keepdims=True)
    return np.asarray(np.moveaxis(modes, 0, -2))


def log_evidence(log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None = None) -> NDArray[Any]:
    """Return the log probability of what each frame holds, given the frames before it.

    Its sum over frames says how well motion and likelihood fit a recording, without labels: compare settings by it.
    This needs likelihoods that are normalised alike, as those of `robust_log_likelihood` are.

    Parameters
    ----------
    log_likelihood, transition, activity
        As in `grid_filter`, but a constant per frame does matter.

    Returns
    -------
    ndarray of shape (..., n_frames)
        In nats: ln sum_d p(d | past) p(frame | d).

    Raises
    ------
    InvalidInputError
        As in `grid_filter`.

    Examples
    --------
    >>> from doatrack.tracking import MotionModel, robust_log_likelihood
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> heard = robust_log_likelihood(grid.directions[[40] * 5] @ grid.directions.T, scale=50.0, activity=0.9)
    >>> slow, fast = (MotionModel(diffusion).transition(grid, step_s=0.2) for diffusion in (0.001, 1.0))
    >>> bool(log_evidence(heard, slow).sum() > log_evidence(heard, fast).sum())
    True
    """
    evidence, peak = weighted_evidence(log_likelihood, transition, activity)
    return np.asarray(np.moveaxis(forward_states(evidence, transition)[1] + peak, 0, -1))


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
    check_array("log_likelihood", log_likelihood, ("n_frames", transition.n_directions), finite=False)
    evidence, _ = weighted_evidence(log_likelihood, transition, activity)
    score = evidence[0] + np.log(transition.initial).astype(evidence.dtype)
    origins = np.zeros((len(evidence), *transition.state_shape), dtype=np.int64)
    for frame in range(1, len(evidence)):
        score, origins[frame] = transition.best_previous(score - score.max())
        score = score + evidence[frame]
    state = int(score.argmax())
    path = np.zeros(len(evidence), dtype=np.int64)
    for frame in range(len(evidence) - 1, -1, -1):
        path[frame] = state % transition.n_directions
        state = int(origins[frame].flat[state])
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
    directions = torch.from_numpy(grid.directions)
    posterior = GridPosterior(torch.from_numpy(values), directions, grid.coverage, validate_args=False)
    doa = posterior.mean_direction.numpy()
    return doa, posterior.concentration.numpy()
