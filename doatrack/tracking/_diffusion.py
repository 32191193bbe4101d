"""Diffusion over the directions of a grid: its Laplacian, and the heat kernel as a sparse matrix."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.spatial import ConvexHull, QhullError

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid

__all__ = ["grid_triangles", "heat_kernel", "laplacian", "stationary_shares"]

_SMALLEST_SHARE = 1e-3  # of the mean cell: keeps rates finite where a grid gives a direction no area
_LONGEST_EDGE = 4.0  # in spacings: longer ones bridge what a search region leaves out
_RATE_TIMES_STEP = 0.125
_SERIES_TERMS = 5
_KEPT_WHILE_SQUARING = 1e-10
_KEPT = 6e-5
_FULL = 0.1  # share of entries above which the full matrix is squared faster than the sparse one


def stationary_shares(grid: DirectionGrid) -> NDArray[np.float64]:
    """Return the share of the grid's area of each direction (n_directions,), positive, with the sum 1.

    Examples
    --------
    >>> stationary_shares(DirectionGrid.quasi_uniform(8)).tolist()
    [0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125]
    """
    weights = grid.weights
    shares = np.maximum(weights, _SMALLEST_SHARE * weights.mean())
    return np.asarray(shares / shares.sum())


def heat_kernel(grid: DirectionGrid, variance: float) -> Any:
    """Return the transition of a diffusion on the sphere whose displacement has `variance` along each axis.

    Parameters
    ----------
    grid : DirectionGrid
        At least three directions that span an area.
    variance : float
        In rad^2, for small displacements; the mean of the unit vector shrinks by exp(-variance).

    Returns
    -------
    csr_array of shape (n_directions, n_directions)
        Rows sum to 1; entry i, j is the probability of going from i to j. It is in balance with
        `stationary_shares`. Entries that matter less than 6e-5 are left out and their mass stays where it was.

    Notes
    -----
    exp(variance / 2 * Laplacian), the Laplacian by linear finite elements on the triangles of the directions'
    convex hull: two half steps are one step, however fine the step is against the grid's spacing, which a sampled
    kernel does not give. The exponential is a series for a short step, squared repeatedly.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(200)
    >>> kernel = heat_kernel(grid, 0.05)
    >>> bool(np.allclose(kernel.sum(axis=1), 1)), round(float((kernel @ grid.directions)[7] @ grid.directions[7]), 2)
    (True, 0.95)
    """
    root = np.sqrt(stationary_shares(grid))
    rate = _symmetric_laplacian(grid) * (variance / 2)
    top = -float(rate.diagonal().min())
    squarings = max(0, math.ceil(math.log2(max(top, 1e-300) / _RATE_TIMES_STEP)))
    kernel = _short_exponential(rate / 2.0**squarings)
    for _ in range(squarings):
        kernel = _prune(_square(kernel), _KEPT_WHILE_SQUARING)
    kernel = (diags_array(1 / root) @ _prune(kernel, _KEPT) @ diags_array(root)).tocsr()
    return (kernel + diags_array(1 - kernel.sum(axis=1))).tocsr()


def laplacian(grid: DirectionGrid) -> Any:
    """Return the Laplacian of the sphere on a grid, that `heat_kernel` is the exponential of.

    Parameters
    ----------
    grid : DirectionGrid
        At least three directions that span an area.

    Returns
    -------
    csr_array of shape (n_directions, n_directions)
        Rows sum to 0. The kernel's derivative with respect to its variance is half the Laplacian times the kernel.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> curved = laplacian(grid) @ grid.directions[:, 2]  # a harmonic of degree 1: -1 (1 + 1) times itself
    >>> round(float(curved @ grid.directions[:, 2] / (grid.directions[:, 2] ** 2).sum()), 1)
    -2.0
    """
    root = np.sqrt(stationary_shares(grid))
    return (diags_array(1 / root) @ _symmetric_laplacian(grid) @ diags_array(root)).tocsr()


def _symmetric_laplacian(grid: DirectionGrid) -> Any:
    stiffness = _stiffness(grid)
    # of the grid's cells; a search region has the cells of the whole grid
    scale = diags_array(1 / np.sqrt(4 * math.pi * grid.coverage * stationary_shares(grid)))
    return (scale @ (stiffness - diags_array(stiffness.sum(axis=1))) @ scale).tocsr()


def grid_triangles(grid: DirectionGrid) -> NDArray[np.int64]:
    """Return the triangles between neighbouring directions, rows of three indices (n_triangles, 3).

    Raises
    ------
    InvalidInputError
        If the directions span no area.

    Examples
    --------
    >>> grid_triangles(DirectionGrid.quasi_uniform(100)).shape
    (196, 3)
    """
    points = grid.directions
    n = len(points)
    try:
        # with the origin among the points, the open side of a region closes over it and can be told apart
        faces = ConvexHull(np.vstack([points, np.zeros(3)])).simplices
    except (QhullError, ValueError) as error:
        raise InvalidInputError(
            f"A motion model needs a grid of at least 3 directions that span an area, got {n} that do not. "
            "Take DirectionGrid.quasi_uniform(n) or a sector of it."
        ) from error
    faces = faces[(faces < n).all(axis=1)]
    corners = points[faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    kept = faces[(edges <= max(_LONGEST_EDGE * grid.spacing, 1e-9)).all(axis=1)]
    return np.asarray(kept, dtype=np.int64)


def _stiffness(grid: DirectionGrid) -> Any:
    """Return the cotangent weights of neighbouring directions, a symmetric sparse matrix without a diagonal."""
    points = grid.directions
    n = len(points)
    faces = grid_triangles(grid)
    rows, columns, values = [], [], []
    for k in range(3):
        at, left, right = faces[:, k], faces[:, (k + 1) % 3], faces[:, (k + 2) % 3]
        a, b = points[left] - points[at], points[right] - points[at]
        area = np.linalg.norm(np.cross(a, b), axis=1)
        cotangent = (a * b).sum(axis=1) / np.maximum(area, 1e-12)
        rows += [left, right]
        columns += [right, left]
        values += [cotangent / 2, cotangent / 2]
    pairs = (np.concatenate(rows), np.concatenate(columns))
    weights = csr_array((np.concatenate(values), pairs), shape=(n, n))
    weights.data = np.maximum(weights.data, 0.0)  # a probability must not flow backwards
    return weights


def _short_exponential(rate: Any) -> Any:
    """Return exp(rate) of a matrix with small entries, by a series whose terms are all positive."""
    shift = -float(rate.diagonal().min())
    positive = (rate + shift * eye_array(rate.shape[0])).tocsr()
    term = eye_array(rate.shape[0], format="csr")
    total = term
    for k in range(1, _SERIES_TERMS + 1):
        term = (term @ positive) / k
        total = total + term
    return total * math.exp(-shift)


def _square(matrix: Any) -> Any:
    if matrix.nnz < _FULL * matrix.shape[0] ** 2:
        return matrix @ matrix
    full = matrix.toarray()
    return csr_array(full @ full)


def _prune(matrix: Any, threshold: float) -> Any:
    matrix.data[np.abs(matrix.data) < threshold] = 0.0
    matrix.eliminate_zeros()
    return matrix
