"""Paths of talkers in a room: three-dimensional sinusoids between two points, or standing still."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_real
from doatrack.exceptions import InvalidInputError

__all__ = ["Trajectory", "random_position", "random_trajectory"]

_TRIES = 200


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A path p(t) = start + (end - start) t / T + amplitude sin(2 pi oscillations t / T).

    Parameters
    ----------
    start, end : array-like of shape (3,)
        In metres from the corner of the room; equal for a straight stand.
    amplitude : array-like of shape (3,)
        Of the oscillation along each axis, in metres.
    oscillations : array-like of shape (3,)
        Periods along each axis within the duration.
    duration : float
        T, in seconds.

    References
    ----------
    Paper, section 5.1 and Table 1.

    Examples
    --------
    >>> path = Trajectory([1, 1, 1], [3, 1, 1], [0, 0, 0.2], [0, 0, 1], duration=4.0)
    >>> path.positions([0, 1, 2, 4]).round(3).tolist()
    [[1.0, 1.0, 1.0], [1.5, 1.0, 1.2], [2.0, 1.0, 1.0], [3.0, 1.0, 1.0]]
    """

    start: ArrayLike
    end: ArrayLike
    amplitude: ArrayLike
    oscillations: ArrayLike
    duration: float

    def __post_init__(self) -> None:
        for name in ("start", "end", "amplitude", "oscillations"):
            object.__setattr__(self, name, check_array(name, getattr(self, name), (3,)))
        check_real("duration", self.duration, 0.0, exclusive_minimum=True)

    @property
    def is_static(self) -> bool:
        """Whether the path is one point."""
        swings = np.asarray(self.amplitude) * np.asarray(self.oscillations)
        return bool(np.array_equal(np.asarray(self.start), np.asarray(self.end)) and not swings.any())

    def positions(self, times: ArrayLike) -> NDArray[np.float64]:
        """Return positions `(n_times, 3)` in metres at `times` `(n_times,)` in seconds."""
        share = (check_array("times", times, ("n_times",)) / self.duration)[:, None]
        straight = np.asarray(self.start) + share * (np.asarray(self.end) - np.asarray(self.start))
        swing = np.asarray(self.amplitude) * np.sin(2 * np.pi * np.asarray(self.oscillations) * share)
        return np.asarray(straight + swing, dtype=np.float64)


def random_position(
    room_size: ArrayLike,
    generator: np.random.Generator,
    *,
    margin: float = 0.3,
    away_from: ArrayLike | None = None,
    min_distance: float = 0.0,
) -> NDArray[np.float64]:
    """Draw a point in the room, uniformly where it may be.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        In metres.
    generator : numpy.random.Generator
    margin : float
        Least distance to every wall in metres.
    away_from : array-like of shape (3,), optional
        A point to keep `min_distance` metres from.
    min_distance : float
        In metres.

    Raises
    ------
    InvalidInputError
        If the room leaves no such point (none found in 200 draws).

    Examples
    --------
    >>> random_position([4, 3, 2.5], np.random.default_rng(0), margin=0.5).shape
    (3,)
    """
    low, high = _inner_box(room_size, margin)
    for _ in range(_TRIES):
        point = generator.uniform(low, high)
        if away_from is None or np.linalg.norm(point - np.asarray(away_from)) >= min_distance:
            return np.asarray(point, dtype=np.float64)
    raise _no_space(min_distance, margin)


def random_trajectory(
    room_size: ArrayLike,
    duration: float,
    generator: np.random.Generator,
    *,
    margin: float = 0.3,
    oscillations_range: tuple[float, float] = (0.0, 2.0),
    amplitude_range: tuple[float, float] = (0.0, 1.0),
    away_from: ArrayLike | None = None,
    min_distance: float = 0.0,
) -> Trajectory:
    """Draw a moving path inside the room.

    Start and end are uniform in the room; amplitude and number of oscillations are drawn for each axis. An amplitude
    that would leave the room is reduced until the path touches the margin.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        In metres.
    duration : float
        In seconds.
    generator : numpy.random.Generator
    margin : float
        Least distance to every wall in metres.
    oscillations_range, amplitude_range : tuple of float
        From, to; amplitudes in metres.
    away_from : array-like of shape (3,), optional
        A point (the array) to keep `min_distance` metres from.
    min_distance : float
        In metres.

    Raises
    ------
    InvalidInputError
        If no path keeps away (none found in 200 draws).

    Examples
    --------
    >>> path = random_trajectory([4, 3, 2.5], 10.0, np.random.default_rng(0))
    >>> path.is_static, bool((path.positions([0, 5, 10]) > 0).all())
    (False, True)
    """
    low, high = _inner_box(room_size, margin)
    times = np.linspace(0, duration, 200)
    for _ in range(_TRIES):
        start, end = generator.uniform(low, high), generator.uniform(low, high)
        oscillations = generator.uniform(*oscillations_range, size=3)
        amplitude = generator.uniform(*amplitude_range, size=3)
        straight = Trajectory(start, end, np.zeros(3), oscillations, duration).positions(times)
        swing = np.sin(2 * np.pi * oscillations * (times / duration)[:, None])
        path = Trajectory(start, end, _fitting_amplitude(straight, swing, amplitude, low, high), oscillations, duration)
        if away_from is None:
            return path
        if np.linalg.norm(path.positions(times) - np.asarray(away_from), axis=1).min() >= min_distance:
            return path
    raise _no_space(min_distance, margin)


def _inner_box(room_size: ArrayLike, margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size = check_array("room_size", room_size, (3,))
    low = np.full(3, check_real("margin", margin, 0.0))
    if (size <= 2 * low).any():
        raise InvalidInputError(
            f"room_size must leave space between margins of {margin:g} m at every wall, got {size.tolist()}. "
            "Reduce the margin or take a larger room."
        )
    return low, np.asarray(size - low, dtype=np.float64)


def _fitting_amplitude(
    straight: NDArray[np.float64],
    swing: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Largest amplitude, at most the given one, with low <= straight + amplitude * swing <= high on each axis."""
    space = np.where(swing >= 0, high - straight, straight - low)
    allowed = (space / np.maximum(np.abs(swing), 1e-9)).min(axis=0)
    return np.asarray(np.minimum(amplitude, allowed), dtype=np.float64)


def _no_space(min_distance: float, margin: float) -> InvalidInputError:
    return InvalidInputError(
        f"No place was found that keeps min_distance = {min_distance:g} m from the array and margin = {margin:g} m "
        "from the walls. Reduce them or take a larger room."
    )
