"""Grids of candidate directions on the sphere."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from doatrack._validation import check_array, check_int, check_real, check_unit_vectors
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.region import in_region

__all__ = ["DirectionGrid"]

_GOLDEN_ANGLE = math.pi * (1 + math.sqrt(5))


class DirectionGrid:
    """A finite set of directions, searched and decoded with the same table (immutable).

    Parameters
    ----------
    directions : array-like of shape (n_directions, 3)
        Unit vectors.
    weights : array-like of shape (n_directions,), optional
        Share of the whole sphere that each direction stands for; their sum is the share that the grid covers,
        at most 1. None means equal shares of the whole sphere.

    Raises
    ------
    InvalidInputError
        If a vector has not the length 1, or the weights are not shares.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2048)
    >>> grid.n_directions, round(grid.spacing_deg, 1), grid.coverage
    (2048, 4.5, 1.0)
    >>> float(grid.directions[grid.nearest([0, 0, 1.0])] @ [0, 0, 1.0]) > 0.999
    True
    """

    __slots__ = ("_directions", "_weights")

    _directions: NDArray[np.float64]
    _weights: NDArray[np.float64]

    def __init__(self, directions: ArrayLike, weights: ArrayLike | None = None) -> None:
        table = check_unit_vectors("directions", directions)
        if table.ndim != 2 or len(table) < 1 or not np.isfinite(table).all():
            raise InvalidInputError(f"directions must have the shape (n_directions, 3) and no NaN, got {table.shape}.")
        table = table / np.linalg.norm(table, axis=1, keepdims=True) + 0.0
        shares = _check_shares(weights, len(table))
        table.setflags(write=False)
        shares.setflags(write=False)
        object.__setattr__(self, "_directions", table)
        object.__setattr__(self, "_weights", shares)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"DirectionGrid is immutable: build a new one to change {key}.")

    def __delattr__(self, key: str) -> None:
        raise AttributeError(f"DirectionGrid is immutable: {key} cannot be deleted.")

    def __copy__(self) -> "DirectionGrid":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "DirectionGrid":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._directions.copy(), self._weights.copy())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DirectionGrid):
            return NotImplemented
        same_directions = np.array_equal(self._directions, other._directions)
        return same_directions and np.array_equal(self._weights, other._weights)

    def __hash__(self) -> int:
        return hash(self._directions.tobytes())

    def __repr__(self) -> str:
        return f"DirectionGrid(n_directions={self.n_directions}, spacing={self.spacing_deg:.2g} degrees)"

    @classmethod
    def quasi_uniform(cls, n_directions: int = 2048) -> "DirectionGrid":
        """Return a Fibonacci spiral: n directions of nearly equal area.

        References
        ----------
        R. Swinbank and R. J. Purser, "Fibonacci grids: a novel approach to global modelling", QJRMS 2006.

        Examples
        --------
        >>> DirectionGrid.quasi_uniform(500).directions.shape
        (500, 3)
        """
        n = check_int("n_directions", n_directions, 4)
        i = np.arange(n) + 0.5
        z = 1 - 2 * i / n
        radius, azimuth = np.sqrt(1 - z * z), _GOLDEN_ANGLE * i
        return cls(np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1))

    @classmethod
    def rectangular(cls, n_azimuths: int = 64, n_elevations: int = 32) -> "DirectionGrid":
        """Return equal steps of azimuth and elevation (the paper, section 5.2: 64 x 32).

        Azimuths start at -pi and leave out +pi, the same direction; elevations are the centres of equal
        bands from -pi/2 to pi/2, so no direction stands twice at a pole. Elevation varies slowest.

        Examples
        --------
        >>> DirectionGrid.rectangular(64, 32).n_directions
        2048
        """
        across = check_int("n_azimuths", n_azimuths, 3)
        up = check_int("n_elevations", n_elevations, 2)
        azimuth = -np.pi + 2 * np.pi * np.arange(across) / across
        elevation = -np.pi / 2 + np.pi * (np.arange(up) + 0.5) / up
        el, az = np.meshgrid(elevation, azimuth, indexing="ij")
        table = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], axis=-1).reshape(-1, 3)
        # the band of height h around elevation e has the area 4 pi cos(e) sin(h / 2)
        return cls(table, weights=np.cos(el).ravel() / np.cos(el).sum())

    @property
    def directions(self) -> NDArray[np.float64]:
        """Unit vectors, shape (n_directions, 3): a copy, which torch takes without a warning."""
        return self._directions.copy()

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of the whole sphere that each direction stands for, shape (n_directions,): a copy."""
        return self._weights.copy()

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self._directions)

    @property
    def coverage(self) -> float:
        """The share of the sphere that the grid covers: 1 for a whole one, 0.5 for a hemisphere."""
        return min(1.0, float(self._weights.sum()))

    @property
    def spacing(self) -> float:
        """Side in radians of a square of the mean cell's area: sqrt(4 pi coverage / n)."""
        return math.sqrt(4 * math.pi * self.coverage / self.n_directions)

    @property
    def spacing_deg(self) -> float:
        """`spacing` in degrees."""
        return math.degrees(self.spacing)

    def nearest(self, doa: ArrayLike) -> NDArray[np.int64]:
        """Return the index of the grid direction nearest to each unit vector, shape (...,).

        Examples
        --------
        >>> DirectionGrid([[1, 0, 0], [0, 1, 0], [0, 0, 1]]).nearest([[0.6, 0.8, 0], [0, 0, 1]])
        array([1, 2])
        """
        query = check_array("doa", check_unit_vectors("doa", doa), ("...", 3))
        return np.asarray(cKDTree(self._directions).query(query)[1], dtype=np.int64)

    def neighbours(self, radius: float) -> list[list[int]]:
        """Return for each direction the indices of those within `radius` radians, itself included.

        Examples
        --------
        >>> DirectionGrid([[1, 0, 0], [0.6, 0.8, 0], [0, 1, 0]]).neighbours(0.7)
        [[0], [1, 2], [1, 2]]
        """
        angle = min(check_real("radius", radius, 0.0), math.pi)
        chord = 2 * math.sin(angle / 2) + 1e-12
        lists: Any = cKDTree(self._directions).query_ball_point(self._directions, chord)
        return [sorted(int(i) for i in row) for row in lists]

    def restrict(
        self,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
    ) -> "DirectionGrid":
        """Return the directions within a sector: a search region.

        Parameters
        ----------
        azimuth_range_deg : (float, float), optional
            From, to, counter-clockwise from front, in degrees; (150, 210) or (150, -150) crosses the back. Two
            numbers 360 or more apart mean all azimuths.
        elevation_range_deg : (float, float), optional
            Lowest and highest elevation in degrees; (0, 90) is the upper hemisphere.

        Returns
        -------
        DirectionGrid
            The directions keep their order, weights and spacing.

        Raises
        ------
        InvalidInputError
            If a range is not two numbers, or no direction is left.

        Examples
        --------
        >>> grid = DirectionGrid.quasi_uniform(1000)
        >>> upper = grid.restrict(elevation_range_deg=(0, 90))
        >>> upper.n_directions, round(upper.coverage, 3), round(upper.spacing / grid.spacing, 3)
        (500, 0.5, 1.0)
        """
        keep = in_region(self._directions, azimuth_range_deg, elevation_range_deg)
        if not keep.any():
            raise InvalidInputError(
                f"No direction lies in azimuth {azimuth_range_deg} and elevation {elevation_range_deg} degrees. "
                "Give azimuths as (from, to) counter-clockwise and elevations from low to high, or take a finer grid."
            )
        return DirectionGrid(self._directions[keep], self._weights[keep])


def _check_shares(weights: ArrayLike | None, n_directions: int) -> NDArray[np.float64]:
    if weights is None:
        return np.full(n_directions, 1 / n_directions)
    shares = np.array(check_array("weights", weights, ("n_directions",)), dtype=np.float64)
    total = float(shares.sum())
    if len(shares) != n_directions or shares.min() < 0 or not 0 < total <= 1 + 1e-6:
        raise InvalidInputError(
            f"weights must be {n_directions} shares of the sphere, one per direction, not negative and with a sum of "
            f"at most 1; got {len(shares)} with the sum {total:.4g}. Divide them by their sum for a whole sphere."
        )
    return shares
