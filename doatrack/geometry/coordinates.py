"""Unit vectors to angles and back, in this library's convention and in others'.

Inside the library a direction is a unit vector (x front, y left, z up); angles exist only here. NaN (unknown)
stays NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = [
    "azimuth_colatitude_deg_to_unit",
    "azimuth_colatitude_to_unit",
    "azimuth_elevation_deg_to_unit",
    "azimuth_elevation_to_unit",
    "cross3d_to_unit",
    "locata_to_unit",
    "unit_to_azimuth_colatitude",
    "unit_to_azimuth_colatitude_deg",
    "unit_to_azimuth_elevation",
    "unit_to_azimuth_elevation_deg",
    "unit_to_cross3d",
    "unit_to_locata",
]

_Floats = NDArray[np.float64]
_ROUNDING = 1e-6  # radians that an angle in single precision may lie outside its range


def azimuth_elevation_to_unit(azimuth: ArrayLike, elevation: ArrayLike) -> _Floats:
    """Return the unit vectors of azimuths and elevations in radians.

    Parameters
    ----------
    azimuth : array-like of shape (...,)
        Radians counter-clockwise (to the left) from front, +x; any turn.
    elevation : array-like of shape (...,)
        Radians from the x-y plane towards +z, -pi/2 to pi/2. Broadcasts with `azimuth`.

    Returns
    -------
    ndarray of shape (..., 3)

    Raises
    ------
    InvalidInputError
        If an elevation lies outside its range: it was probably given in degrees, or is a colatitude.

    Examples
    --------
    >>> azimuth_elevation_to_unit(np.pi / 2, 0.0).round(3)   # left
    array([0., 1., 0.])
    """
    around, up = _check_angles("azimuth", azimuth, "elevation", elevation, -np.pi / 2, np.pi / 2)
    return np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=-1)


def unit_to_azimuth_elevation(doa: ArrayLike) -> tuple[_Floats, _Floats]:
    """Return azimuth in (-pi, pi] and elevation in [-pi/2, pi/2], in radians, of unit vectors.

    Straight up and straight down every azimuth is right; 0 is returned.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.

    Returns
    -------
    azimuth, elevation : ndarray of shape (...,)

    Raises
    ------
    InvalidInputError
        If a vector has not the length 1.

    Examples
    --------
    >>> azimuth, elevation = unit_to_azimuth_elevation([-1.0, 0.0, 0.0])
    >>> float(azimuth), float(elevation)
    (3.141592653589793, 0.0)
    """
    x, y, z = np.moveaxis(check_unit_vectors("doa", doa), -1, 0)
    return _azimuth(x, y), np.arctan2(z, np.hypot(x, y))


def azimuth_elevation_deg_to_unit(azimuth_deg: ArrayLike, elevation_deg: ArrayLike) -> _Floats:
    """Return the unit vectors of azimuths and elevations in degrees, as in DCASE and STARSS labels.

    Parameters
    ----------
    azimuth_deg : array-like of shape (...,)
        Degrees counter-clockwise from front, +x; any turn.
    elevation_deg : array-like of shape (...,)
        Degrees from the x-y plane towards +z, -90 to 90. Broadcasts with `azimuth_deg`.

    Returns
    -------
    ndarray of shape (..., 3)

    Raises
    ------
    InvalidInputError
        If an elevation lies outside its range.

    Examples
    --------
    >>> azimuth_elevation_deg_to_unit(-90, 0).round(3)   # right
    array([ 0., -1.,  0.])
    """
    return azimuth_elevation_to_unit(_radians("azimuth_deg", azimuth_deg), _radians("elevation_deg", elevation_deg))


def unit_to_azimuth_elevation_deg(doa: ArrayLike) -> tuple[_Floats, _Floats]:
    """Return azimuth in (-180, 180] and elevation in [-90, 90], in degrees, of unit vectors.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.

    Returns
    -------
    azimuth_deg, elevation_deg : ndarray of shape (...,)

    Examples
    --------
    >>> azimuth_deg, elevation_deg = unit_to_azimuth_elevation_deg([0.6, 0.0, 0.8])
    >>> float(azimuth_deg), round(float(elevation_deg), 2)
    (0.0, 53.13)
    """
    azimuth, elevation = unit_to_azimuth_elevation(doa)
    return np.degrees(azimuth), np.degrees(elevation)


def azimuth_colatitude_to_unit(azimuth: ArrayLike, colatitude: ArrayLike) -> _Floats:
    """Return the unit vectors of azimuths and colatitudes in radians, as in pyroomacoustics.

    Parameters
    ----------
    azimuth : array-like of shape (...,)
        Radians counter-clockwise from +x; any turn.
    colatitude : array-like of shape (...,)
        Radians from +z, 0 to pi: pi/2 minus the elevation. Broadcasts with `azimuth`.

    Returns
    -------
    ndarray of shape (..., 3)

    Raises
    ------
    InvalidInputError
        If a colatitude lies outside its range: it was probably given in degrees, or is an elevation.

    Examples
    --------
    >>> azimuth_colatitude_to_unit(0.0, np.pi / 2).round(3)   # front
    array([1., 0., 0.])
    """
    around, down = _check_angles("azimuth", azimuth, "colatitude", colatitude, 0.0, np.pi)
    return np.stack([np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down)], axis=-1)


def unit_to_azimuth_colatitude(doa: ArrayLike) -> tuple[_Floats, _Floats]:
    """Return azimuth in (-pi, pi] and colatitude in [0, pi], in radians, of unit vectors.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.

    Returns
    -------
    azimuth, colatitude : ndarray of shape (...,)

    Examples
    --------
    >>> azimuth, colatitude = unit_to_azimuth_colatitude([0.0, 0.0, -1.0])
    >>> float(azimuth), float(colatitude)
    (0.0, 3.141592653589793)
    """
    x, y, z = np.moveaxis(check_unit_vectors("doa", doa), -1, 0)
    return _azimuth(x, y), np.arctan2(np.hypot(x, y), z)


def azimuth_colatitude_deg_to_unit(azimuth_deg: ArrayLike, colatitude_deg: ArrayLike) -> _Floats:
    """Return the unit vectors of azimuths and colatitudes in degrees.

    Parameters
    ----------
    azimuth_deg : array-like of shape (...,)
        Degrees counter-clockwise from +x; any turn.
    colatitude_deg : array-like of shape (...,)
        Degrees from +z, 0 to 180. Broadcasts with `azimuth_deg`.

    Returns
    -------
    ndarray of shape (..., 3)

    Examples
    --------
    >>> azimuth_colatitude_deg_to_unit(90, [0, 90]).round(3).tolist()   # up, left
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    return azimuth_colatitude_to_unit(_radians("azimuth_deg", azimuth_deg), _radians("colatitude_deg", colatitude_deg))


def unit_to_azimuth_colatitude_deg(doa: ArrayLike) -> tuple[_Floats, _Floats]:
    """Return azimuth in (-180, 180] and colatitude in [0, 180], in degrees, of unit vectors.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.

    Returns
    -------
    azimuth_deg, colatitude_deg : ndarray of shape (...,)

    Examples
    --------
    >>> azimuth_deg, colatitude_deg = unit_to_azimuth_colatitude_deg([0.0, -1.0, 0.0])
    >>> float(azimuth_deg), float(colatitude_deg)
    (-90.0, 90.0)
    """
    azimuth, colatitude = unit_to_azimuth_colatitude(doa)
    return np.degrees(azimuth), np.degrees(colatitude)


def locata_to_unit(azimuth: ArrayLike, colatitude: ArrayLike) -> _Floats:
    """Return the unit vectors of angles as the LOCATA challenge's tools and results give them.

    LOCATA counts the azimuth from +y, the look direction of its arrays, and calls the angle from +z elevation.
    The axes stay LOCATA's (those of the `locata_*` and `nao_head_12` presets): azimuth 0 becomes [0, 1, 0].

    Parameters
    ----------
    azimuth : array-like of shape (...,)
        Radians counter-clockwise from +y.
    colatitude : array-like of shape (...,)
        Radians from +z, 0 to pi; "elevation" in LOCATA's files.

    Returns
    -------
    ndarray of shape (..., 3)

    References
    ----------
    cevers/sap_locata_io, utils/mycart2sph.m.

    Examples
    --------
    >>> locata_to_unit(0.0, np.pi / 2).round(3)
    array([0., 1., 0.])
    """
    return azimuth_colatitude_to_unit(check_array("azimuth", azimuth, ("...",), finite=False) + np.pi / 2, colatitude)


def unit_to_locata(doa: ArrayLike) -> tuple[_Floats, _Floats]:
    """Return the angles that LOCATA's tools give for unit vectors in LOCATA's axes.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors in the array's local frame of LOCATA.

    Returns
    -------
    azimuth, colatitude : ndarray of shape (...,)
        Radians from +y in (-pi, pi], and radians from +z in [0, pi] ("elevation" in LOCATA's files).

    Examples
    --------
    >>> azimuth, colatitude = unit_to_locata([1.0, 0.0, 0.0])   # to the right of the look direction +y
    >>> round(float(azimuth), 3), round(float(colatitude), 3)
    (-1.571, 1.571)
    """
    x, y, z = np.moveaxis(check_unit_vectors("doa", doa), -1, 0)
    # seen with the look direction +y as x, left is -x
    return _azimuth(y, -x), np.arctan2(np.hypot(x, y), z)


def cross3d_to_unit(angles: ArrayLike) -> _Floats:
    """Return the unit vectors of angle pairs as Cross3D, Neural-SRP and SRP-DNN store them.

    Parameters
    ----------
    angles : array-like of shape (..., 2)
        Colatitude (called elevation there) and azimuth, in this order, in radians.

    Returns
    -------
    ndarray of shape (..., 3)

    Examples
    --------
    >>> cross3d_to_unit([np.pi / 2, 0.0]).round(3)
    array([1., 0., 0.])
    """
    pair = check_array("angles", angles, ("...", 2), finite=False)
    return azimuth_colatitude_to_unit(pair[..., 1], pair[..., 0])


def unit_to_cross3d(doa: ArrayLike) -> _Floats:
    """Return angle pairs (colatitude, azimuth) as in Cross3D, Neural-SRP and SRP-DNN.

    Parameters
    ----------
    doa : array-like of shape (..., 3)
        Unit vectors.

    Returns
    -------
    ndarray of shape (..., 2)
        Radians: colatitude in [0, pi], azimuth in (-pi, pi].

    Examples
    --------
    >>> unit_to_cross3d([0.0, 1.0, 0.0]).round(3)
    array([1.571, 1.571])
    """
    azimuth, colatitude = unit_to_azimuth_colatitude(doa)
    return np.stack([colatitude, azimuth], axis=-1)


def _azimuth(x: _Floats, y: _Floats) -> _Floats:
    """atan2 in (-pi, pi], and 0 on the vertical axis whatever the signs of zero are."""
    angle = np.arctan2(y, x)
    angle = np.where(angle == -np.pi, np.pi, angle)
    return np.where((x == 0) & (y == 0), 0.0, angle) + 0.0


def _radians(name: str, degrees: ArrayLike) -> _Floats:
    return np.radians(check_array(name, degrees, ("...",), finite=False))


def _check_angles(
    first_name: str, first: ArrayLike, second_name: str, second: ArrayLike, low: float, high: float
) -> tuple[_Floats, _Floats]:
    around = check_array(first_name, first, ("...",), finite=False)
    other = check_array(second_name, second, ("...",), finite=False)
    if np.isinf(around).any():
        raise InvalidInputError(f"{first_name} must be finite or NaN (unknown), got an infinite angle.")
    outside = (other < low - _ROUNDING) | (other > high + _ROUNDING)
    if outside.any():
        rest = "colatitude (from +z)" if second_name == "elevation" else "elevation (from the x-y plane)"
        raise InvalidInputError(
            f"{second_name} must lie between {low:.5g} and {high:.5g} radians ({np.degrees(low):g} to "
            f"{np.degrees(high):g} degrees), got {other[outside].flat[0]:.5g} radians. For degrees use the function "
            f"with _deg in its name; for {rest} the one that names it."
        )
    try:
        pair = np.broadcast_arrays(around, np.clip(other, low, high))
    except ValueError as error:
        raise InvalidInputError(
            f"{first_name} and {second_name} must have shapes that broadcast, got {around.shape} and {other.shape}."
        ) from error
    unknown = np.isnan(pair[0]) | np.isnan(pair[1])  # half a direction is none: no component may stay
    return np.where(unknown, np.nan, pair[0]), np.where(unknown, np.nan, pair[1])
