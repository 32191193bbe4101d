"""Time differences of arrival between two microphones."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_real, check_unit_vectors
from doatrack.geometry.mic_array import SPEED_OF_SOUND, MicArray

__all__ = ["speed_of_sound", "tdoa_far_field", "tdoa_near_field"]


def speed_of_sound(temperature_celsius: float) -> float:
    """Return the speed of sound in dry air in m/s.

    Parameters
    ----------
    temperature_celsius : float
        Air temperature, -50 to 60 degrees Celsius.

    References
    ----------
    c = 331.3 sqrt(1 + T / 273.15), the ideal-gas law at 0 degrees.

    Examples
    --------
    >>> round(speed_of_sound(20.0), 1)
    343.2
    """
    temperature = check_real("temperature_celsius", temperature_celsius, -50.0, 60.0)
    return float(331.3 * np.sqrt(1 + temperature / 273.15))


def tdoa_far_field(array: MicArray, doa: ArrayLike, speed_of_sound: float = SPEED_OF_SOUND) -> NDArray[np.float64]:
    """Return the time differences of plane waves (equation 9, in seconds).

    tau_ij = t_i - t_j = (r_j - r_i) . u / c: positive where the wave reaches microphone j first.

    Parameters
    ----------
    array : MicArray
        The microphones, in metres.
    doa : array-like of shape (..., 3)
        Unit vectors from the array's origin towards the source.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    ndarray of shape (..., n_pairs)
        In seconds, in the order of `array.mic_pairs`; NaN where the direction is NaN.

    Raises
    ------
    InvalidInputError
        If a direction has not the length 1; for points at a distance see `tdoa_near_field`.

    Examples
    --------
    >>> array = MicArray([[0.1, 0, 0], [-0.1, 0, 0]])
    >>> (tdoa_far_field(array, [1.0, 0, 0]) * 1e3).round(3)     # the front microphone hears it first
    array([-0.583])
    """
    speed = check_real("speed_of_sound", speed_of_sound, 0.0, exclusive_minimum=True)
    first, second = array.mic_pairs.T
    baseline = array.positions[second] - array.positions[first]
    return np.asarray(check_unit_vectors("doa", doa) @ baseline.T / speed, dtype=np.float64)


def tdoa_near_field(
    array: MicArray, source_positions: ArrayLike, speed_of_sound: float = SPEED_OF_SOUND
) -> NDArray[np.float64]:
    """Return the time differences of spherical waves from points near the array.

    Parameters
    ----------
    array : MicArray
        The microphones, in metres.
    source_positions : array-like of shape (..., 3)
        In metres, in the array's coordinates.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    ndarray of shape (..., n_pairs)
        t_i - t_j in seconds, in the order of `array.mic_pairs`.

    Examples
    --------
    >>> array = MicArray([[0.1, 0, 0], [-0.1, 0, 0]])
    >>> (tdoa_near_field(array, [0.3, 0, 0]) * 1e3).round(3)
    array([-0.583])
    """
    speed = check_real("speed_of_sound", speed_of_sound, 0.0, exclusive_minimum=True)
    points = check_array("source_positions", source_positions, ("...", 3))
    distance = np.linalg.norm(points[..., None, :] - array.positions, axis=-1)
    first, second = array.mic_pairs.T
    return np.asarray((distance[..., first] - distance[..., second]) / speed, dtype=np.float64)
