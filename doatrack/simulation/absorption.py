"""Reverberation time, absorption and reflection of a shoebox room."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_choice, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.mic_array import SPEED_OF_SOUND

__all__ = ["absorption_from_rt60", "rt60_from_reflection", "shortest_rt60", "wall_areas"]

MODELS = ("eyring", "sabine")
MOST_ABSORBING = 0.99  # beyond it the room is an anechoic one and rt60 says nothing


def wall_areas(room_size: ArrayLike) -> NDArray[np.float64]:
    """Return the areas of the six walls in m^2, in the order x=0, x=L, y=0, y=L, z=0 (floor), z=L (ceiling).

    Parameters
    ----------
    room_size : array-like of shape (3,)
        Length, width and height in metres.

    Examples
    --------
    >>> wall_areas([4, 3, 2]).tolist()
    [6.0, 6.0, 8.0, 8.0, 12.0, 12.0]
    """
    x, y, z = check_room_size(room_size)
    return np.repeat([y * z, x * z, x * y], 2)


def absorption_from_rt60(
    room_size: ArrayLike, rt60: float, *, model: str = "eyring", speed_of_sound: float = SPEED_OF_SOUND
) -> float:
    """Return the energy absorption that all walls need for a reverberation time.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        In metres.
    rt60 : float
        Time in seconds in which the sound decays by 60 dB.
    model : {"eyring", "sabine"}
        Eyring's formula also holds for dead rooms, where Sabine's asks for more than total absorption.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    float
        In (0, 0.99].

    Raises
    ------
    InvalidInputError
        If the room cannot be that dry.

    References
    ----------
    Sabine: a = k V / (S rt60); Eyring: a = 1 - exp(-k V / (S rt60)); k = 24 ln(10) / c.

    Examples
    --------
    >>> round(absorption_from_rt60([6, 5, 3], 0.5), 3)
    0.206
    """
    size = check_room_size(room_size)
    time = check_real("rt60", rt60, 0.0, exclusive_minimum=True)
    check_choice("model", model, MODELS)
    exponent = _decay_constant(size, speed_of_sound) / time
    absorption = exponent if model == "sabine" else -math.expm1(-exponent)
    if absorption > MOST_ABSORBING:
        raise InvalidInputError(
            f"rt60 = {time:g} s is shorter than a room of {_size_words(size)} can have: {model.capitalize()}'s formula "
            f"asks for an absorption of {absorption:.3g} of all walls, at most {MOST_ABSORBING} is possible. Use at "
            f"least {shortest_rt60(size, model=model, speed_of_sound=speed_of_sound):.3g} s, or a smaller room."
        )
    return absorption


def shortest_rt60(room_size: ArrayLike, *, model: str = "eyring", speed_of_sound: float = SPEED_OF_SOUND) -> float:
    """Return the shortest reverberation time in seconds that `absorption_from_rt60` accepts.

    Examples
    --------
    >>> round(shortest_rt60([6, 5, 3]), 3)
    0.025
    """
    limit = MOST_ABSORBING if check_choice("model", model, MODELS) == "sabine" else -math.log1p(-MOST_ABSORBING)
    return _decay_constant(check_room_size(room_size), speed_of_sound) / limit


def rt60_from_reflection(
    room_size: ArrayLike, reflection: ArrayLike, *, speed_of_sound: float = SPEED_OF_SOUND
) -> float:
    """Return Eyring's reverberation time in seconds for pressure reflection coefficients of the walls.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        In metres.
    reflection : float or array-like of shape (6,)
        Pressure reflection coefficients, in the order of `wall_areas`; energy absorption is 1 - reflection^2.
    speed_of_sound : float
        In m/s.

    Examples
    --------
    >>> beta = (1 - absorption_from_rt60([6, 5, 3], 0.5)) ** 0.5
    >>> round(rt60_from_reflection([6, 5, 3], beta), 6)
    0.5
    """
    size = check_room_size(room_size)
    areas = wall_areas(size)
    mean_absorption = float(areas @ (1 - check_reflection(reflection) ** 2) / areas.sum())
    return _decay_constant(size, speed_of_sound) / -math.log1p(-min(mean_absorption, MOST_ABSORBING))


def check_room_size(room_size: ArrayLike) -> NDArray[np.float64]:
    """Return three positive lengths."""
    size = check_array("room_size", room_size, (3,))
    if (size <= 0).any():
        raise InvalidInputError(
            f"room_size must hold three positive lengths in metres, got {_size_words(size.tolist())}."
        )
    return size.astype(np.float64)


def check_reflection(reflection: ArrayLike) -> NDArray[np.float64]:
    """Return six pressure reflection coefficients in [0, 1)."""
    values = np.asarray(reflection, dtype=np.float64)
    walls = check_array("reflection", np.full(6, values) if values.ndim == 0 else values, (6,))
    if (walls < 0).any() or (walls >= 1).any():
        raise InvalidInputError(
            "reflection must hold pressure reflection coefficients in [0, 1), one or one per wall "
            f"(x=0, x=L, y=0, y=L, floor, ceiling), got {walls.tolist()}."
        )
    return walls.astype(np.float64)


def _decay_constant(size: NDArray[np.float64], speed_of_sound: float) -> float:
    """rt60 * (Sabine absorption): 24 ln(10) V / (c S)."""
    speed = check_real("speed_of_sound", speed_of_sound, 0.0, exclusive_minimum=True)
    return float(24 * math.log(10) * size.prod() / (speed * wall_areas(size).sum()))


def _size_words(size: Sequence[float] | NDArray[np.float64]) -> str:
    return " x ".join(f"{length:g}" for length in size) + " m"
