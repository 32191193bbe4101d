"""Where things are in a scene: room, array, path of the talker, loudspeaker."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doatrack.exceptions import InvalidInputError
from doatrack.geometry.mic_array import MicArray
from doatrack.simulation.absorption import shortest_rt60
from doatrack.simulation.room import ShoeboxRoom
from doatrack.simulation.settings import SceneSettings
from doatrack.simulation.trajectory import Trajectory, random_position, random_trajectory

__all__ = ["SceneLayout", "directions_from_array", "draw_layout", "draw_loudspeaker"]

_TRIES = 100


@dataclass(frozen=True)
class SceneLayout:
    """What is drawn before any sound is made.

    Attributes
    ----------
    room : ShoeboxRoom
    origin : ndarray (3,)
        Of the array's coordinates, in metres from the corner of the room.
    yaw : float
        Angle in rad by which the array's axes are turned from the room's about the vertical.
    mic_positions : ndarray (n_mics, 3)
        In metres from the corner of the room.
    path : Trajectory
        Of the talker, in the room.
    """

    room: ShoeboxRoom
    origin: NDArray[np.float64]
    yaw: float
    mic_positions: NDArray[np.float64]
    path: Trajectory


def draw_layout(array: MicArray, settings: SceneSettings, generator: np.random.Generator) -> SceneLayout:
    """Draw room, array and path; an rt60 that is too short for the drawn room is drawn from what it can have.

    Raises
    ------
    InvalidInputError
        If the room can have no rt60 of the range, or leaves no place for the array or the talker.
    """
    smallest, largest = np.asarray(settings.room_size_range, dtype=np.float64)
    size = np.asarray(generator.uniform(smallest, largest))
    shortest = shortest_rt60(size, speed_of_sound=settings.speed_of_sound)
    low, high = settings.rt60_range
    rt60 = float(generator.uniform(max(low, min(shortest, high)), high))
    room = ShoeboxRoom(size, rt60, sample_rate=settings.sample_rate, speed_of_sound=settings.speed_of_sound)
    yaw = float(generator.uniform(-math.pi, math.pi)) if settings.random_yaw else 0.0
    origin = random_position(size, generator, margin=settings.array_margin)
    mics = room.check_inside("the microphones' positions", origin + array.positions @ _turn(yaw).T)
    return SceneLayout(room, origin, yaw, mics, _draw_path(size, origin, settings, generator))


def _draw_path(
    size: NDArray[np.float64], origin: NDArray[np.float64], settings: SceneSettings, generator: np.random.Generator
) -> Trajectory:
    if generator.random() < settings.moving_probability:
        return random_trajectory(
            size,
            settings.duration_s,
            generator,
            margin=settings.source_margin,
            oscillations_range=settings.oscillations_range,
            amplitude_range=settings.amplitude_range,
            away_from=origin,
            min_distance=settings.min_distance,
        )
    place = random_position(
        size, generator, margin=settings.source_margin, away_from=origin, min_distance=settings.min_distance
    )
    return Trajectory(place, place, np.zeros(3), np.zeros(3), settings.duration_s)


def draw_loudspeaker(
    layout: SceneLayout, settings: SceneSettings, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the place of a static noise source, `min_separation_deg` from the mean direction of the talker."""
    talker = directions_from_array(layout, layout.path.positions(np.linspace(0, settings.duration_s, 50))).mean(axis=0)
    talker /= max(float(np.linalg.norm(talker)), 1e-9)
    nearest = math.cos(math.radians(settings.min_separation_deg))
    for _ in range(_TRIES):
        place = random_position(
            layout.room.room_size,
            generator,
            margin=settings.source_margin,
            away_from=layout.origin,
            min_distance=settings.min_distance,
        )
        if float(directions_from_array(layout, place[None])[0] @ talker) <= nearest:
            return place
    raise InvalidInputError(
        f"No place was found for the loudspeaker {settings.min_separation_deg:g} degrees from the talker. "
        "Reduce min_separation_deg."
    )


def _turn(yaw: float) -> NDArray[np.float64]:
    """Return the rotation matrix about the vertical: from the array's axes to the room's."""
    cosine, sine = math.cos(yaw), math.sin(yaw)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def directions_from_array(layout: SceneLayout, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors (n, 3) from the array's origin to points of the room, in the array's axes."""
    vectors = (positions - layout.origin) @ _turn(layout.yaw)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float64)
