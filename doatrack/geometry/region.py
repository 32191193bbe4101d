"""Search regions: sectors of azimuth and elevation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array
from doatrack.geometry.coordinates import unit_to_azimuth_elevation

__all__ = ["in_region"]

_EDGE = 1e-9  # degrees by which a direction on the edge of a sector may be rounded out of it


def in_region(
    doa: ArrayLike,
    azimuth_range_deg: tuple[float, float] | None = None,
    elevation_range_deg: tuple[float, float] | None = None,
) -> NDArray[np.bool_]:
    """Return which directions lie within a sector of azimuth and elevation.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.
    azimuth_range_deg : (float, float), optional
        From, to, counter-clockwise from front, in degrees; (150, 210) or (150, -150) crosses the back. Two
        numbers 360 or more apart mean all azimuths, as does None.
    elevation_range_deg : (float, float), optional
        Lowest and highest elevation in degrees; None is from pole to pole.

    Returns
    -------
    bool ndarray of shape (...)
        The borders belong to the sector.

    Raises
    ------
    InvalidInputError
        If a range is not two numbers.

    Examples
    --------
    >>> in_region([[-1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], (150, -150), (0, 45)).tolist()
    [True, False, False]
    """
    azimuth, elevation = map(np.degrees, unit_to_azimuth_elevation(doa))
    keep = np.ones(azimuth.shape, dtype=bool)
    if azimuth_range_deg is not None:
        start, stop = check_array("azimuth_range_deg", azimuth_range_deg, (2,))
        width = 360.0 if abs(stop - start) >= 360 else (stop - start) % 360
        keep &= (azimuth - start + _EDGE) % 360 <= width + 2 * _EDGE
    if elevation_range_deg is not None:
        low, high = check_array("elevation_range_deg", elevation_range_deg, (2,))
        keep &= (elevation >= low - _EDGE) & (elevation <= high + _EDGE)
    return keep
