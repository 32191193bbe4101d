"""Where things are in a scene: room, array, path of the talker, loudspeaker."""

import dataclasses
import math
from collections.abc import Iterator

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
_ELEVATION_TRIES = 2000
_PATH_POINTS = 200
_WIDE_TRIES = 200  # paths of which the swing alone is reduced, before they may also become shorter
_SHARES = (1.0, 0.5, 0.2, 0.0)  # of a path's swing, tried until it keeps to an elevation
_SHORTER = (0.5, 0.2, 0.05)  # of its way and swing


@dataclasses.dataclass(frozen=True)
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
    paths : tuple of Trajectory
        Of the talkers, in the room.
    """

    room: ShoeboxRoom
    origin: NDArray[np.float64]
    yaw: float
    mic_positions: NDArray[np.float64]
    paths: tuple[Trajectory, ...]


def draw_layout(array: MicArray, settings: SceneSettings, generator: np.random.Generator) -> SceneLayout:
    """Draw room, array and paths; an rt60 that is too short for the drawn room is drawn from what it can have.

    Raises
    ------
    InvalidInputError
        If the room can have no rt60 of the range, or leaves no place for the array or the talkers.
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
    first = _draw_path(size, origin, settings, generator)
    layout = SceneLayout(room, origin, yaw, mics, (first,))
    while len(layout.paths) < settings.n_sources:
        layout = _with_another_path(layout, settings, generator)
    return layout


def _with_another_path(layout: SceneLayout, settings: SceneSettings, generator: np.random.Generator) -> SceneLayout:
    """Add a talker who keeps an angle to the others at all times."""
    times = np.linspace(0, settings.duration_s, 100)
    others = [directions_from_array(layout, path.positions(times)) for path in layout.paths]
    nearest = math.cos(math.radians(settings.min_talker_separation_deg))
    for _ in range(_TRIES):
        path = _draw_path(layout.room.room_size, layout.origin, settings, generator)
        doa = directions_from_array(layout, path.positions(times))
        if all(float((doa * other).sum(axis=1).max()) <= nearest for other in others):
            return dataclasses.replace(layout, paths=(*layout.paths, path))
    raise InvalidInputError(
        f"No path was found for talker {len(others) + 1} that stays {settings.min_talker_separation_deg:g} degrees "
        "from the others. Reduce n_sources, min_talker_separation_deg or moving_probability."
    )


def _draw_path(
    size: NDArray[np.float64], origin: NDArray[np.float64], settings: SceneSettings, generator: np.random.Generator
) -> Trajectory:
    """Draw the path of a talker that keeps to the elevations of the settings."""
    if settings.elevation_range_deg is None:
        return _draw_any_path(size, origin, settings, generator)
    for k in range(_ELEVATION_TRIES):
        path = _draw_any_path(size, origin, settings, generator)
        for candidate in _calmer(path, shorter=k >= _WIDE_TRIES):
            if _keeps_to(candidate, origin, settings):
                return candidate
    low, high = settings.elevation_range_deg
    raise InvalidInputError(
        f"No path was found for a talker between the elevations {low:g} and {high:g} degrees in a room of "
        f"{' x '.join(f'{side:.3g}' for side in size)} m. Widen elevation_range_deg, reduce source_margin, "
        "min_distance or moving_probability, or take larger rooms."
    )


def _calmer(path: Trajectory, *, shorter: bool) -> Iterator[Trajectory]:
    """Yield a path, then others from the same start that swing less, and if wanted go less far."""
    start, way, swing = (np.asarray(value) for value in (path.start, path.end, path.amplitude))
    way = way - start
    for share in _SHARES[:1] if path.is_static else _SHARES:
        yield dataclasses.replace(path, amplitude=share * swing)
    for share in _SHORTER if shorter and not path.is_static else ():
        yield dataclasses.replace(path, end=start + share * way, amplitude=share * swing)


def _keeps_to(path: Trajectory, origin: NDArray[np.float64], settings: SceneSettings) -> bool:
    """Whether a path stays within the elevations, and away from the array with the swing that it has now."""
    vectors = path.positions(np.linspace(0, path.duration, 1 if path.is_static else _PATH_POINTS)) - origin
    level = np.hypot(vectors[:, 0], vectors[:, 1])
    elevation = np.degrees(np.arctan2(vectors[:, 2], level))
    low, high = np.asarray(settings.elevation_range_deg)
    far = np.hypot(level, vectors[:, 2]).min() >= settings.min_distance
    return bool(far and elevation.min() >= low and elevation.max() <= high)


def _draw_any_path(
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
    """Draw the place of a static noise source, `min_separation_deg` from the mean direction of every talker."""
    times = np.linspace(0, settings.duration_s, 50)
    talkers = [directions_from_array(layout, path.positions(times)).mean(axis=0) for path in layout.paths]
    talkers = [talker / max(float(np.linalg.norm(talker)), 1e-9) for talker in talkers]
    nearest = math.cos(math.radians(settings.min_separation_deg))
    for _ in range(_TRIES):
        place = random_position(
            layout.room.room_size,
            generator,
            margin=settings.source_margin,
            away_from=layout.origin,
            min_distance=settings.min_distance,
        )
        doa = directions_from_array(layout, place[None])[0]
        if all(float(doa @ talker) <= nearest for talker in talkers):
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
