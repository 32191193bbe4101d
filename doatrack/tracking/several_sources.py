"""Several sources at once: grid filters that leave each other's sound alone."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_int, check_real
from doatrack.distributions.grid_posterior import peak_radius
from doatrack.tracking._recursions import check_activity, safe_log
from doatrack.tracking.grid_filter import grid_smoother, posterior_directions
from doatrack.tracking.observations import robust_log_likelihood
from doatrack.tracking.online import MOST_PREDICTED
from doatrack.tracking.transition import Transition

__all__ = ["OnlineSources", "sources_filter", "sources_smoother"]

_HEARD_SHARE = 0.9  # how often a source is in a frame that holds sound: pauses and masking must not move its track
_N_ROUNDS = 2


def sources_filter(
    log_likelihood: ArrayLike,
    transition: Transition,
    n_sources: int,
    activity: ArrayLike | None = None,
    *,
    min_separation: float = math.radians(25),
) -> NDArray[np.float64]:
    """Return the log posterior of the direction of each source at each frame, given what was heard until then.

    One Bayesian filter per source. In each frame the source whose prediction explains the map best is updated first,
    and each sees the map without the cones around the places of the others: there it gets the frame's median, which
    says nothing. So a source keeps its number for as long as it is followed. It assumes that sources are at least
    `min_separation` apart; when they cross, numbers may be exchanged.

    Parameters
    ----------
    log_likelihood : array-like of shape (n_frames, n_directions)
        Of one source alone, in nats over the transition's grid, as `grid_filter` takes it.
    transition : Transition
        From `MotionModel.transition(grid, step_s)`, for one frame.
    n_sources : int
    activity : array-like of shape (n_frames,), optional
        Weight of each frame in [0, 1]; 0: the frame tells nothing. None means 1.
    min_separation : float
        Radius of the cones in radians, at most 2 pi / 3.

    Returns
    -------
    ndarray of shape (n_frames, n_sources, n_directions)
        Log probabilities; their exponentials sum to 1 in each row.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, or a value is NaN, infinite or out of range.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> front, left = grid.directions @ [1.0, 0, 0], grid.directions @ [0, 1.0, 0]
    >>> heard = [50 * np.maximum(front, left - 0.05 * (-1) ** frame) for frame in range(8)]  # now one, now the other
    >>> doa, _ = posterior_directions(sources_filter(heard, transition, n_sources=2), grid)
    >>> bool((doa[2:, 0] @ doa[1, 0] > 0.99).all() and (doa[2:, 1] @ doa[1, 1] > 0.99).all())
    True
    """
    online = OnlineSources(transition, n_sources, min_separation=min_separation)
    return online.update(log_likelihood, activity)


class OnlineSources:
    """`sources_filter` for frames that come one after the other: the same answers, in bounded memory.

    Parameters
    ----------
    transition, n_sources, min_separation
        As in `sources_filter`.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> front, left = grid.directions @ [1.0, 0, 0], grid.directions @ [0, 1.0, 0]
    >>> heard = np.stack([50 * np.maximum(front, left - 0.05 * (-1) ** frame) for frame in range(4)])
    >>> online = OnlineSources(transition, n_sources=2)
    >>> parts = [online.update(heard[:1]), online.update(heard[1:])]
    >>> bool(np.array_equal(np.concatenate(parts), sources_filter(heard, transition, n_sources=2)))
    True
    """

    def __init__(self, transition: Transition, n_sources: int, *, min_separation: float = math.radians(25)) -> None:
        self.transition, self._min_separation = transition, min_separation
        self.n_sources = check_int("n_sources", n_sources, 1)
        self._states: list[Any] | None = None
        self._places: list[Any] = [None] * self.n_sources

    def update(self, log_likelihood: ArrayLike, activity: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the log posteriors (n_frames, n_sources, n_directions) of the next frames, given what came before.

        Parameters
        ----------
        log_likelihood, activity
            As in `sources_filter`.

        Raises
        ------
        InvalidInputError
            As in `sources_filter`; what was known before stays.
        """
        heard = _Heard(log_likelihood, self.transition, self.n_sources, activity, self._min_separation)
        rows = []
        for frame, weight in enumerate(heard.activity):
            states = self._moved()
            if weight > 0:
                states, self._places = heard.update(frame, states, self._places)
            self._states = states
            rows.append([_directions_of(state, self.transition) for state in states])
        return safe_log(np.array(rows).reshape(len(rows), self.n_sources, self.transition.n_directions))

    def predict(self, n_frames: int) -> NDArray[np.float64]:
        """Return the log posteriors of the next frames, of which nothing is heard.

        Parameters
        ----------
        n_frames : int

        Returns
        -------
        ndarray of shape (min(n_frames, 1000), n_sources, n_directions)
            After 1000 frames the last row stands for all that follow.
        """
        count = min(check_int("n_frames", n_frames, 0), MOST_PREDICTED)
        return self.update(np.zeros((count, self.transition.n_directions)), np.zeros(count))

    def _moved(self) -> list[Any]:
        if self._states is None:
            return [self.transition.initial] * self.n_sources
        return [self.transition.forward(state) for state in self._states]


def sources_smoother(
    log_likelihood: ArrayLike,
    transition: Transition,
    n_sources: int,
    activity: ArrayLike | None = None,
    *,
    min_separation: float = math.radians(25),
) -> NDArray[np.float64]:
    """Return the log posterior of the direction of each source at each frame, given the whole recording.

    Starts from `sources_filter`; then each source in turn is smoothed over the maps without the cones around the
    others' tracks, two rounds.

    Parameters
    ----------
    log_likelihood, transition, n_sources, activity, min_separation
        As in `sources_filter`.

    Returns
    -------
    ndarray of shape (n_frames, n_sources, n_directions)
        Log probabilities; their exponentials sum to 1 in each row.

    Raises
    ------
    InvalidInputError
        As in `sources_filter`.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel().transition(grid, step_s=0.2)
    >>> front, left = grid.directions @ [1.0, 0, 0], grid.directions @ [0, 1.0, 0]
    >>> heard = [50 * np.maximum(front, left - 0.05 * (-1) ** frame) for frame in range(8)]  # now one, now the other
    >>> doa, _ = posterior_directions(sources_smoother(heard, transition, n_sources=2), grid)
    >>> angles = [round(float(np.degrees(np.arccos(frame[0] @ frame[1])))) for frame in doa]
    >>> min(angles) > 85 and max(angles) < 95
    True
    """
    heard = _Heard(log_likelihood, transition, n_sources, activity, min_separation)
    logs = sources_filter(log_likelihood, transition, n_sources, activity, min_separation=min_separation)
    if heard.n_sources == 1:
        return np.asarray(grid_smoother(heard.evidence(slice(None), []), transition)[:, None])
    doa, _ = posterior_directions(logs, transition.grid)
    for _ in range(_N_ROUNDS):
        for source in range(heard.n_sources):
            others = [doa[:, other] for other in range(heard.n_sources) if other != source]
            logs[:, source] = grid_smoother(heard.evidence(slice(None), others), transition)
            doa[:, source], _ = posterior_directions(logs[:, source], transition.grid)
    return logs


class _Heard:
    """What the frames tell of one source while others are elsewhere."""

    def __init__(
        self,
        log_likelihood: ArrayLike,
        transition: Transition,
        n_sources: int,
        activity: ArrayLike | None,
        min_separation: float,
    ) -> None:
        self.transition = transition
        self.n_sources = check_int("n_sources", n_sources, 1)
        self.values = check_array("log_likelihood", log_likelihood, ("n_frames", transition.n_directions))
        shape = self.values.shape[:1]
        self.activity = np.ones(shape) if activity is None else np.broadcast_to(check_activity(activity, shape), shape)
        self._directions = transition.grid.directions
        self._cosine = math.cos(check_real("min_separation", min_separation, 0.0, 2 * math.pi / 3))
        grid = transition.grid
        self._vicinity = math.cos(peak_radius(grid.n_directions, grid.coverage))
        self._floor = np.median(self.values, axis=1)

    def evidence(self, frames: Any, others: list[Any]) -> NDArray[np.float64]:
        """Return the log likelihood (..., n_directions) without the cones around the others' directions (..., 3)."""
        values = self.values[frames]
        for doa in others:
            values = np.where(doa @ self._directions.T > self._cosine, self._floor[frames][..., None], values)
        weights = _HEARD_SHARE * self.activity[frames]
        return robust_log_likelihood(np.atleast_2d(values), 1.0, np.atleast_1d(weights)).reshape(values.shape)

    def update(self, frame: int, states: list[Any], places: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return states and places after a frame."""
        states = list(states)
        places = [None if place is None else self._place(state) for state, place in zip(states, places, strict=True)]
        likelihood = np.exp(self.evidence(frame, []))
        explained = [float(_directions_of(state, self.transition) @ likelihood) for state in states]
        for source in np.argsort(explained, kind="stable")[::-1]:
            others = [place for k, place in enumerate(places) if k != source and place is not None]
            state = states[source] * np.exp(self.evidence(frame, others))
            states[source] = state / state.sum()
            places[source] = self._place(states[source])
        return states, places

    def _place(self, state: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean direction (3,) around the most probable one."""
        probability = _directions_of(state, self.transition)
        near = self._directions @ self._directions[probability.argmax()] > self._vicinity
        mean = (probability * near) @ self._directions
        return np.asarray(mean / np.linalg.norm(mean))


def _directions_of(state: NDArray[Any], transition: Transition) -> NDArray[Any]:
    return state if transition.n_modes == 1 else np.asarray(state.sum(axis=0))
