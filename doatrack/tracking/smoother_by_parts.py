"""The smoother over long recordings, part by part: forward and backward in the memory of one part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.tracking._recursions import forward_states, rescale, safe_exp, safe_log, to_directions, weighted_evidence
from doatrack.tracking.agreement import map_agreement
from doatrack.tracking.grid_filter import posterior_directions
from doatrack.tracking.transition import Transition

__all__ = ["smoothed_directions"]


def smoothed_directions(
    log_likelihoods: Sequence[NDArray[np.floating]], activities: Sequence[NDArray[Any]], transition: Transition
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return directions and concentrations of `grid_smoother` for a recording given in parts, and how frames agree.

    The filter runs over all parts and keeps its state at their borders only; then the parts are smoothed from the last
    to the first, each with its own filter run again. What is equal: everything. What it costs: the filter twice.

    Parameters
    ----------
    log_likelihoods : sequence of ndarray of shape (n_frames, n_directions)
        As in `grid_filter`, of successive parts of at least one frame; single precision is kept as it is and computed
        with in double precision.
    activities : sequence of ndarray of shape (n_frames,)
    transition : Transition

    Returns
    -------
    doa : ndarray of shape (n_all_frames, 3)
        Unit vectors.
    concentration : ndarray of shape (n_all_frames,)
    agreement : ndarray of shape (n_all_frames, 3)
        `map_agreement` of each frame.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> from doatrack.tracking import MotionModel, grid_smoother
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> heard = 50 * grid.directions[[40, 41, 300, 42, 43]] @ grid.directions.T
    >>> active = np.ones(5, dtype=bool)
    >>> doa, concentration, _ = smoothed_directions([heard[:2], heard[2:]], [active[:2], active[2:]], transition)
    >>> whole, _ = posterior_directions(grid_smoother(heard, transition, active), grid)
    >>> bool(np.allclose(doa, whole)), concentration.shape
    (True, (5,))
    """
    before: list[NDArray[np.float64] | None] = [None]
    for part, active in zip(log_likelihoods[:-1], activities[:-1], strict=True):
        states, _ = forward_states(
            weighted_evidence(part.astype(np.float64), transition, active)[0], transition, before[-1]
        )
        before.append(states[-1].copy())
    found = []
    later: NDArray[np.float64] | None = None  # what all later frames say of the state of the next one
    for part, active, known in zip(reversed(log_likelihoods), reversed(activities), reversed(before), strict=True):
        evidence, _ = weighted_evidence(part.astype(np.float64), transition, active)
        posterior, _ = forward_states(evidence, transition, known)
        for frame in range(len(evidence) - 1, -1, -1):
            message = np.ones_like(posterior[0]) if later is None else rescale(transition.backward(later), transition)
            posterior[frame] += safe_log(message)
            later = safe_exp(evidence[frame]) * message
        where = to_directions(posterior, transition)
        found.append((*posterior_directions(where, transition.grid), map_agreement(where, part)))
    doa, concentration, agreement = (np.concatenate(column) for column in zip(*reversed(found), strict=True))
    return doa, concentration, agreement
