"""Directions of several sources linked from frame to frame, so that a source keeps its number."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from doatrack._validation import check_array, check_unit_vectors
from doatrack.metrics import angular_error

__all__ = ["SourceLinker", "link_sources"]

_FAR = math.radians(45)  # beyond, a link is as unlikely as any other


def link_sources(doa: ArrayLike, present: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return which direction of each frame belongs to which source, so that a source keeps its number.

    Causal: the directions of a frame are assigned to the last known places of the sources by the smallest sum of
    angles (Hungarian algorithm); angles beyond 45 degrees count alike.

    Parameters
    ----------
    doa : array-like of shape (n_frames, n_sources, 3)
        Unit vectors, in any order within a frame.
    present : array-like of bool, shape (n_frames, n_sources), optional
        Which of them are worth a link; None means all. The others get what number is left.

    Returns
    -------
    int64 ndarray of shape (n_frames, n_sources)
        For each source the index into the frame's directions; each row is a permutation.

    Raises
    ------
    InvalidInputError
        If shapes do not fit or directions are no unit vectors.

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> link_sources([[front, left], [left, front], [front, left]]).tolist()
    [[0, 1], [1, 0], [0, 1]]
    """
    table = check_array("doa", doa, ("n_frames", "n_sources", 3))
    return SourceLinker(table.shape[1])(table, present)


class SourceLinker:
    """`link_sources` for frames that come one after the other.

    Parameters
    ----------
    n_sources : int

    Examples
    --------
    >>> link = SourceLinker(2)
    >>> [link([frame]).tolist() for frame in ([[1.0, 0, 0], [0, 1.0, 0]], [[0, 1.0, 0], [1.0, 0, 0]])]
    [[[0, 1]], [[1, 0]]]
    """

    def __init__(self, n_sources: int) -> None:
        self._places = np.full((n_sources, 3), np.nan)

    def __call__(self, doa: ArrayLike, present: ArrayLike | None = None) -> NDArray[np.int64]:
        """Return which direction of each of the next frames belongs to which source, as `link_sources` does."""
        n_sources = len(self._places)
        table = check_unit_vectors("doa", check_array("doa", doa, ("n_frames", n_sources, 3)))
        n_frames = len(table)
        worth = np.ones((n_frames, n_sources)) if present is None else check_array("present", present, table.shape[:2])
        order = np.zeros((n_frames, n_sources), dtype=np.int64)
        for frame, directions in enumerate(table):
            cost = np.minimum(angular_error(self._places[:, None], directions[None]), _FAR)
            # a source that was not heard yet takes what is new
            cost = np.where(np.isnan(cost), _FAR / 2, cost)
            order[frame] = linear_sum_assignment(np.where(worth[frame] > 0, cost, _FAR))[1]
            fresh = worth[frame, order[frame]] > 0
            self._places[fresh] = directions[order[frame]][fresh]
        return order
