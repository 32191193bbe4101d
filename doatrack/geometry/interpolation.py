"""Directions between two times, along the great circle."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["interpolate_directions"]


def interpolate_directions(
    new_times: NDArray[np.float64], times: NDArray[np.float64], doa: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return directions at other times, at constant angular speed in between and held at both ends.

    Angles are never interpolated: a source that crosses the back does not pass the front.

    Parameters
    ----------
    new_times : ndarray of shape (n_new,)
    times : ndarray of shape (n_times,)
        Increasing, at least one.
    doa : ndarray of shape (n_times, 3)
        Unit vectors.

    Returns
    -------
    ndarray of shape (n_new, 3)
        Unit vectors. Between exactly opposite directions the nearer one is taken.

    Examples
    --------
    >>> doa = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> interpolate_directions(np.array([0.5, 9.0]), np.array([0.0, 1.0]), doa).round(3).tolist()
    [[0.707, 0.707, 0.0], [0.0, 1.0, 0.0]]
    """
    if len(times) == 1:
        return np.repeat(doa, len(new_times), axis=0)
    left = np.clip(np.searchsorted(times, new_times, side="right") - 1, 0, len(times) - 2)
    share = np.clip((new_times - times[left]) / (times[left + 1] - times[left]), 0.0, 1.0)[:, None]
    a, b = doa[left], doa[left + 1]
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1))[:, None]
    small, opposite = angle < 1e-6, angle > np.pi - 1e-6
    sine = np.where(small | opposite, 1.0, np.sin(angle))
    arc = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / sine
    arc = np.where(small, (1 - share) * a + share * b, arc)
    arc = np.where(opposite, np.where(share < 0.5, a, b), arc)
    return np.asarray(arc / np.linalg.norm(arc, axis=1, keepdims=True))
