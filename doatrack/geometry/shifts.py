"""Shift structure: displacements that carry a part of an array onto another part of it."""

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int, check_real
from doatrack.geometry.mic_array import MicArray

__all__ = ["Shift", "find_shifts"]


@dataclasses.dataclass(frozen=True, eq=False)
class Shift:
    """A displacement between two identical sub-arrays.

    Parameters
    ----------
    displacement : ndarray of shape (3,)
        From the first sub-array to the second, in metres.
    first, second : int ndarray of shape (n_doublets,)
        Microphones of either sub-array, counted from 0, in the same order.

    Examples
    --------
    >>> [shift] = find_shifts(MicArray([[0, 0, 0], [0.05, 0, 0], [0.1, 0, 0]]))
    >>> shift.displacement.tolist(), shift.first.tolist(), shift.second.tolist()
    ([0.05, 0.0, 0.0], [0, 1], [1, 2])
    """

    displacement: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @property
    def n_doublets(self) -> int:
        """The number of microphones in either sub-array; they may overlap."""
        return len(self.first)

    @property
    def length(self) -> float:
        """The length of the displacement in metres."""
        return float(np.linalg.norm(self.displacement))


def find_shifts(array: MicArray, tolerance: float = 1e-3, min_doublets: int = 2) -> list[Shift]:
    """Return the displacements that carry a sub-array onto another one, the largest sub-arrays first.

    ESPRIT's condition: two sub-arrays that differ by a translation only. Lines with equal steps, rectangles, regular
    hexagons and every array with a centre of symmetry have some; arrays with irregular places have none.

    Parameters
    ----------
    array : MicArray
    tolerance : float
        How far two displacements may be apart to count as one, in metres.
    min_doublets : int
        Least number of microphones in a sub-array.

    Returns
    -------
    list of Shift
        One of each displacement and its opposite, sorted by the number of microphones, then from short to long.

    References
    ----------
    R. Roy and T. Kailath, "ESPRIT: estimation of signal parameters via rotational invariance techniques", IEEE Trans.
    Acoust., Speech, Signal Process. 1989.

    Examples
    --------
    >>> find_shifts(MicArray.from_preset("nao_head_12"))
    []
    >>> [(s.n_doublets, round(s.length, 4)) for s in find_shifts(MicArray.from_preset("respeaker_usb_4"))]
    [(2, 0.0457), (2, 0.0457)]
    """
    reach = check_real("tolerance", tolerance, 0.0, exclusive_minimum=True)
    least = check_int("min_doublets", min_doublets, 1)
    # either way round, so that displacements near the border between "forth" and "back" are not torn apart
    pairs = np.array(list(itertools.permutations(range(array.n_mics), 2)))
    vectors = array.positions[pairs[:, 1]] - array.positions[pairs[:, 0]]
    free, shifts = np.ones(len(pairs), dtype=bool), []
    for k in np.flatnonzero(_points_forth(vectors, reach)):
        alike = np.linalg.norm(vectors - vectors[k], axis=1) <= reach
        if free[k]:
            alike &= free
            free &= ~(alike | _reversed(pairs, pairs[alike]))
            shifts.append(Shift(vectors[alike].mean(axis=0), *pairs[alike].T))
    kept = [shift for shift in shifts if shift.n_doublets >= least]
    return sorted(kept, key=lambda shift: (-shift.n_doublets, round(shift.length, 6)))


def _points_forth(vectors: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Return which vectors point forward, or if they do neither left, or else up: one of each pair of opposites."""
    large = np.abs(vectors) > tolerance
    leading = np.take_along_axis(vectors, large.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.asarray(leading > 0)


def _reversed(pairs: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs are some of them the other way round."""
    return np.asarray((pairs[:, None] == some[None, :, ::-1]).all(axis=2).any(axis=1))
