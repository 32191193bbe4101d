"""What live tracking says, piece by piece: frames and events, as objects and as JSON."""

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from doatrack.tracking import Track

__all__ = ["LiveEvent", "LiveFrame", "frames_of"]

_DIGITS = 6  # of JSON numbers: a microsecond, a millionth of a degree


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """One frame of a live track: when, where, how sure, and whether anything was heard.

    Parameters
    ----------
    time_s : float
        Middle of the frame in seconds since the stream began, lost sound included.
    doa : (float, float, float)
        Unit vector towards the source, x front, y left, z up; NaN where unknown.
    azimuth_deg, elevation_deg : float
        The same as angles: counter-clockwise from front in (-180, 180], above the x-y plane.
    credible_angle_deg : float
        Half-angle of the cone that holds the source with probability 0.9; NaN where unknown.
    concentration : float
        Of the posterior, at least 0; NaN where a method has none.
    active : bool
        Whether the frame holds sound of a source.

    Examples
    --------
    >>> LiveFrame(0.128, (0.0, 1.0, 0.0), 90.0, 0.0, math.nan, math.nan, True).to_json()[:60]
    '{"type": "frame", "time_s": 0.128, "azimuth_deg": 90.0, "ele'
    """

    time_s: float
    doa: tuple[float, float, float]
    azimuth_deg: float
    elevation_deg: float
    credible_angle_deg: float
    concentration: float
    active: bool

    def to_json(self) -> str:
        """Return one line of JSON without its end; unknown is null."""
        fields = {name: getattr(self, name) for name in ("time_s", "azimuth_deg", "elevation_deg")}
        fields |= {"credible_angle_deg": self.credible_angle_deg, "active": self.active}
        fields |= dict(zip("xyz", self.doa, strict=True)) | {"concentration": self.concentration}
        return _line("frame", fields)


@dataclasses.dataclass(frozen=True)
class LiveEvent:
    """Something that happened to the stream: its start and end, lost or late sound, a device that went away.

    Parameters
    ----------
    kind : str
        One of start, end, gap, nan, channels, late, drift, stall, device, truncated, slow.
    message : str
        The same in words.
    time_s : float
        Seconds since the stream began, where it happened; NaN while unknown.
    lost_s : float
        Seconds of sound that are missing because of it. Time went on by as much.
    values : dict
        Further figures, by name.

    Examples
    --------
    >>> LiveEvent("gap", "0.02 s of sound were lost.", time_s=3.0, lost_s=0.02).to_json()
    '{"type": "event", "event": "gap", "time_s": 3.0, "message": "0.02 s of sound were lost.", "lost_s": 0.02}'
    """

    kind: str
    message: str
    time_s: float = math.nan
    lost_s: float = 0.0
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """Return one line of JSON without its end."""
        fields = {"event": self.kind, "time_s": self.time_s, "message": self.message}
        return _line("event", fields | ({"lost_s": self.lost_s} if self.lost_s else {}) | self.values)

    def at(self, time_s: float) -> "LiveEvent":
        """Return the event with its time, if it had none."""
        return dataclasses.replace(self, time_s=time_s) if math.isnan(self.time_s) else self


def frames_of(track: Track) -> Iterator[LiveFrame]:
    """Return the frames of a part of a track, one by one.

    Parameters
    ----------
    track : Track
        As `session.push` returns it.

    Yields
    ------
    LiveFrame

    Examples
    --------
    >>> track = Track([0.128], [[0.6, 0, 0.8]], [np.nan], [0.1], [True])
    >>> [(frame.time_s, round(frame.elevation_deg, 2), frame.active) for frame in frames_of(track)]
    [(0.128, 53.13, True)]
    """
    angles = np.degrees([track.azimuth, track.elevation, track.credible_angle])
    for k in range(track.n_frames):
        x, y, z = track.doa[k].tolist()
        azimuth, elevation, angle = angles[:, k].tolist()
        concentration, active = float(track.concentration[k]), bool(track.activity[k])
        yield LiveFrame(float(track.times[k]), (x, y, z), azimuth, elevation, angle, concentration, active)


def _line(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind} | {name: _plain(value) for name, value in fields.items()}, allow_nan=False)


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, _DIGITS) + 0.0 if math.isfinite(value) else None  # minus zero becomes zero
