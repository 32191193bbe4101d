"""What kinds of scenes to simulate."""

import math
from dataclasses import dataclass

import numpy as np

from doatrack._validation import check_array, check_choice, check_int, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.mic_array import SPEED_OF_SOUND
from doatrack.simulation.noise import NOISE_KINDS

__all__ = ["SceneSettings"]

Range = tuple[float, float]
Size = tuple[float, float, float]


@dataclass(frozen=True)
class SceneSettings:
    """Ranges from which scenes are drawn, uniformly; the defaults are those of the paper's Table 1.

    Parameters
    ----------
    duration_s : float
        Length of a scene in seconds.
    rt60_range : tuple of float
        Reverberation times in seconds.
    snr_db_range : tuple of float
        See `scale_to_snr` for what SNR means.
    room_size_range : tuple of two tuples of 3 floats
        Smallest and largest room (length, width, height) in metres.
    noise : str
        "sensor": white and independent at each microphone; "directional": a loudspeaker that plays white noise all the
        time; "recorded": a loudspeaker that plays `noise_source`; "diffuse": `noise_source` (white without one) from
        all sides; "none"; "mixed": one of the others but "none" for each scene.
    moving_probability : float
        Share of scenes whose talker moves, 0 to 1.
    oscillations_range : tuple of float
        Periods of the sinusoid along each axis of a moving talker's path.
    amplitude_range : tuple of float
        Its amplitude along each axis in metres, reduced where it would leave the room.
    source_margin, array_margin : float
        Least distance of talker and loudspeaker, and of the array's origin, to every wall in metres.
    min_distance : float
        Least distance of talker and loudspeaker to the array's origin in metres.
    noise_share : float
        Part of the recording during which a loudspeaker plays, above 0 to 1. The SNR counts the noise while it plays.
    noise_start_share : float
        Part of the recording after which it starts, 0 to 0.99; what of its time would lie after the end is cut off.
    min_separation_deg : float
        Least angle at the array between the loudspeaker and the mean direction of every talker, in degrees.
    n_sources : int
        Talkers in a scene, each with a path and speech of its own; they talk at the same time, with their pauses.
    min_talker_separation_deg : float
        Least angle at the array between two talkers at any time of the scene, in degrees.
    elevation_range_deg : tuple of float, optional
        Lowest and highest elevation of talkers, seen from the array at any time of the scene, in degrees from its x-y
        plane, -90 to 90: (0, 90) for a flat array that lies on a table and cannot tell above from below. None is
        wherever the room allows. Loudspeakers are not restricted.
    random_yaw : bool
        Whether the array is turned about the vertical by a random angle, so that walls tell nothing about directions.
    points_per_second : float
        Room responses per second along the path of a moving talker.
    sample_rate : int
        In Hz.
    speed_of_sound : float
        In m/s.

    Raises
    ------
    InvalidInputError
        On ranges that are reversed or of the wrong kind.

    Examples
    --------
    >>> SceneSettings(duration_s=5.0, noise="directional", rt60_range=(0.3, 0.3)).noise
    'directional'
    """

    duration_s: float = 20.0
    rt60_range: Range = (0.2, 1.0)
    snr_db_range: Range = (5.0, 30.0)
    room_size_range: tuple[Size, Size] = ((3.0, 3.0, 2.5), (10.0, 8.0, 6.0))
    noise: str = "sensor"
    moving_probability: float = 0.5
    oscillations_range: Range = (0.0, 2.0)
    amplitude_range: Range = (0.0, 1.0)
    source_margin: float = 0.3
    array_margin: float = 1.0
    min_distance: float = 0.5
    noise_share: float = 1.0
    noise_start_share: float = 0.0
    min_separation_deg: float = 0.0
    n_sources: int = 1
    min_talker_separation_deg: float = 20.0
    elevation_range_deg: Range | None = None
    random_yaw: bool = True
    points_per_second: float = 8.0
    sample_rate: int = 16000
    speed_of_sound: float = SPEED_OF_SOUND

    def __post_init__(self) -> None:
        check_choice("noise", self.noise, [*NOISE_KINDS, "mixed"])
        check_int("sample_rate", self.sample_rate, 1000)
        check_int("n_sources", self.n_sources, 1, 10)
        for name in ("duration_s", "points_per_second", "speed_of_sound"):
            check_real(name, getattr(self, name), 0.0, exclusive_minimum=True)
        for name in ("source_margin", "array_margin", "min_distance"):
            check_real(name, getattr(self, name), 0.0)
        check_real("moving_probability", self.moving_probability, 0.0, 1.0)
        check_real("noise_share", self.noise_share, 0.0, 1.0, exclusive_minimum=True)
        check_real("noise_start_share", self.noise_start_share, 0.0, 0.99)
        check_real("min_separation_deg", self.min_separation_deg, 0.0, 120.0)
        check_real("min_talker_separation_deg", self.min_talker_separation_deg, 0.0, 120.0)
        for name in ("oscillations_range", "amplitude_range"):
            _check_range(name, getattr(self, name), 0.0)
        _check_range("rt60_range", self.rt60_range, 0.01)
        _check_range("snr_db_range", self.snr_db_range, None)
        if self.elevation_range_deg is not None:
            _check_range("elevation_range_deg", self.elevation_range_deg, -90.0, 90.0)
        sizes = check_array("room_size_range", self.room_size_range, (2, 3))
        if (sizes[0] > sizes[1]).any() or (sizes[0] <= 0).any():
            raise InvalidInputError(
                "room_size_range must hold the smallest and the largest room, ((x, y, z), (x, y, z)) in metres, "
                f"got {sizes.tolist()}."
            )
        margin = max(self.source_margin, self.array_margin)
        if (sizes[0] <= 2 * margin).any():
            raise InvalidInputError(
                f"room_size_range must leave space between margins of {margin:g} m at every wall, but the smallest "
                f"room is {sizes[0].tolist()} m. Reduce source_margin and array_margin or take larger rooms."
            )

    @property
    def noise_samples(self) -> tuple[int, int]:
        """The first sample in which a loudspeaker plays, and the one after the last."""
        start = min(self.n_samples - 1, round(self.noise_start_share * self.n_samples))
        return start, min(self.n_samples, start + math.ceil(self.noise_share * self.n_samples))

    @property
    def n_samples(self) -> int:
        """Length of a scene in samples."""
        return max(1, round(self.duration_s * self.sample_rate))


def _check_range(name: str, value: object, minimum: float | None, maximum: float | None = None) -> None:
    low, high = check_array(name, value, (2,))
    check_real(f"{name}[0]", float(low), minimum)
    check_real(f"{name}[1]", float(high), None, maximum)
    if not np.less_equal(low, high):
        raise InvalidInputError(f"{name} must go from low to high, got ({low:g}, {high:g}). Swap the two.")
