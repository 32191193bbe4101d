"""Rotation of the directions of a grid about the vertical, as a sparse matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from doatrack.geometry import DirectionGrid
from doatrack.tracking._diffusion import grid_triangles, heat_kernel

__all__ = ["turning_kernel"]

_CANDIDATES = 48
_LEAST_VARIANCE = 1e-6


def turning_kernel(grid: DirectionGrid, variance: float, angle: float) -> Any:
    """Return the transition of a diffusion while all directions turn about the vertical (z).

    Parameters
    ----------
    grid : DirectionGrid
        At least three directions that span an area.
    variance : float
        Of the diffusion along each axis, in rad^2.
    angle : float
        By which the azimuth of every direction grows, in rad.

    Returns
    -------
    csr_array of shape (n_directions, n_directions)
        Rows sum to 1; entry i, j is the probability of going from i to j.

    Notes
    -----
    A turned direction is shared between the three corners of the triangle that it falls into, so that its mean is
    right; the variance that this adds (about a sixth of the grid's spacing squared) is taken from the diffusion's as
    far as possible. Directions that turn out of a search region stay at its edge.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> kernel = turning_kernel(grid, 0.01, np.pi / 2)
    >>> float((kernel @ grid.directions)[grid.nearest([1.0, 0, 0])] @ [0.0, 1.0, 0.0]) > 0.98
    True
    """
    if angle == 0:
        return heat_kernel(grid, variance)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = grid.directions @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    turning = _interpolation(grid, turned)
    added = float(1 - ((turning @ grid.directions) * turned).sum(axis=1).mean())
    return (turning @ heat_kernel(grid, max(variance - added, _LEAST_VARIANCE))).tocsr()


def _interpolation(grid: DirectionGrid, points: NDArray[np.float64]) -> Any:
    """Return the shares (n_points, n_directions) of the corners of the triangle that each point falls into."""
    triangles = grid_triangles(grid)
    corners = grid.directions[triangles]
    _, candidates = cKDTree(corners.mean(axis=1)).query(points, k=min(_CANDIDATES, len(triangles)))
    candidates = candidates.reshape(len(points), -1)
    shares = np.einsum("nkij,nj->nki", np.linalg.pinv(corners.transpose(0, 2, 1))[candidates], points)
    # a point is inside where no share is negative; outside a region it goes to the corners that are least so
    inside = shares.min(axis=-1).argmax(axis=1)
    chosen = np.arange(len(points)), inside
    weights = np.maximum(shares[chosen], 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    pointers = np.arange(0, 3 * len(points) + 1, 3)
    return csr_array(
        (weights.ravel(), triangles[candidates[chosen]].ravel(), pointers), shape=(len(points), len(grid.directions))
    )
