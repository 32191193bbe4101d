"""Grids of candidate directions on the sphere."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from doatrack._validation import check_int, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = ["DirectionGrid"]

_GOLDEN_ANGLE = math.pi * (1 + math.sqrt(5))


class DirectionGrid:
    """A finite set of directions, searched and decoded with the same table.

    Parameters
    ----------
    directions : array-like of shape (n_directions, 3)
        Unit vectors.
    weights : array-like of shape (n_directions,), optional
        Share of the sphere that each direction stands for; None means equal shares.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2048)
    >>> grid.n_directions, round(grid.spacing_deg, 1)
    (2048, 4.5)
    >>> grid.nearest([0, 0, 1.0]).shape
    ()
    """

    def __init__(self, directions: ArrayLike, weights: ArrayLike | None = None) -> None:
        table = check_unit_vectors("directions", directions)
        if table.ndim != 2 or len(table) < 1 or not np.isfinite(table).all():
            raise InvalidInputError(f"directions must have the shape (n_directions, 3) and no NaN, got {table.shape}.")
        shares = np.full(len(table), 1 / len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
        if shares.shape != (len(table),) or not (shares >= 0).all() or not shares.sum() > 0:
            raise InvalidInputError(
                f"weights must be {len(table)} non-negative numbers, one per direction, got the shape {shares.shape}."
            )
        self.directions: NDArray[np.float64] = table / np.linalg.norm(table, axis=1, keepdims=True)
        self.weights: NDArray[np.float64] = shares / shares.sum()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectionGrid) and np.array_equal(self.directions, other.directions)

    def __hash__(self) -> int:
        return hash(self.directions.tobytes())

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
        return cls(table, weights=np.cos(el).ravel())

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self.directions)

    @property
    def spacing(self) -> float:
        """Side in radians of a square of the mean cell's area: sqrt(4 pi / n) on a whole sphere."""
        return math.sqrt(4 * math.pi / self.n_directions)

    @property
    def spacing_deg(self) -> float:
        """`spacing` in degrees."""
        return math.degrees(self.spacing)

    def nearest(self, doa: ArrayLike) -> NDArray[np.int64]:
        """Return the index of the grid direction nearest to each unit vector, shape (...,)."""
        query = check_unit_vectors("doa", doa)
        return np.asarray(cKDTree(self.directions).query(query)[1], dtype=np.int64)

    def neighbours(self, radius: float) -> list[list[int]]:
        """Return for each direction the indices of those within `radius` radians, itself included."""
        chord = 2 * math.sin(min(radius, math.pi) / 2)
        return [list(map(int, row)) for row in cKDTree(self.directions).query_ball_point(self.directions, chord)]

    def restrict(
        self,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
    ) -> "DirectionGrid":
        """Return the directions within a sector: a search region.

        Parameters
        ----------
        azimuth_range_deg : (float, float), optional
            From, to, counter-clockwise from front, in degrees; (150, 210) or (150, -150) crosses the back.
        elevation_range_deg : (float, float), optional
            Lowest and highest elevation in degrees; (0, 90) is the upper hemisphere.

        Raises
        ------
        InvalidInputError
            If no direction is left.

        Examples
        --------
        >>> upper = DirectionGrid.quasi_uniform(1000).restrict(elevation_range_deg=(0, 90))
        >>> upper.n_directions
        500
        """
        x, y, z = self.directions.T
        keep = np.ones(self.n_directions, dtype=bool)
        if azimuth_range_deg is not None:
            start, stop = azimuth_range_deg
            width = stop - start if abs(stop - start) >= 360 else (stop - start) % 360
            keep &= (np.degrees(np.arctan2(y, x)) - start) % 360 <= (width if width else 360)
        if elevation_range_deg is not None:
            elevation = np.degrees(np.arcsin(np.clip(z, -1, 1)))
            keep &= (elevation >= elevation_range_deg[0]) & (elevation <= elevation_range_deg[1])
        if not keep.any():
            raise InvalidInputError(
                f"No direction lies in azimuth {azimuth_range_deg} and elevation {elevation_range_deg} degrees. "
                "Give (from, to) counter-clockwise, and elevations from low to high."
            )
        return DirectionGrid(self.directions[keep], self.weights[keep])


