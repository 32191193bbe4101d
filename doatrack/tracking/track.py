"""A track: where a source was heard over time, and how sure that is."""

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import FloatArray, check_frame_values, check_same_length, check_times, check_unit_vectors
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.ambiguity import Ambiguity
from doatrack.geometry.coordinates import unit_to_azimuth_elevation
from doatrack.tracking import track_files

if TYPE_CHECKING:
    import pandas

__all__ = ["Track"]

_NOTHING = Ambiguity()
_COLUMNS = ("times", "doa", "concentration", "credible_angle", "activity")


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """Directions of one source over time, frame by frame, silent frames included.

    Parameters
    ----------
    times : array-like of shape (n_frames,)
        Seconds from the start of the recording, increasing: the centres of the frames.
    doa : array-like of shape (n_frames, 3)
        Unit vectors from the array's origin towards the source, x front, y left, z up; NaN where unknown.
    concentration : array-like of shape (n_frames,)
        Concentration of the von Mises-Fisher posterior, at least 0; NaN where a method has none.
    credible_angle : array-like of shape (n_frames,)
        Half-angle in radians, 0 to pi, of the cone around `doa` that holds the source with probability 0.9; NaN
        where unknown.
    activity : array-like of bool, shape (n_frames,)
        Whether the frame holds sound of a source. The direction of a silent frame means little.
    ambiguity : Ambiguity
        What the array could not tell apart: nothing, a direction and its mirror image (microphones in a plane), or a
        cone of directions (on a line). `alternatives` has the other directions. Files do not keep it.

    Raises
    ------
    InvalidInputError
        On other shapes, times that do not increase, vectors of another length than 1, or values out of range.

    Notes
    -----
    The arrays are copied and read-only. Two tracks are equal if all their values are (NaN equals NaN), whatever their
    ambiguity.

    Examples
    --------
    >>> track = Track([0.1, 0.3], [[1.0, 0, 0], [0, 1.0, 0]], [50.0, np.nan], [0.3, np.nan], [True, False])
    >>> track.n_frames, np.degrees(track.azimuth).tolist()
    (2, [0.0, 90.0])
    """

    times: FloatArray
    doa: FloatArray
    concentration: FloatArray
    credible_angle: FloatArray
    activity: NDArray[np.bool_]
    ambiguity: Ambiguity = _NOTHING

    def __post_init__(self) -> None:
        times = check_times("times", self.times)
        doa = check_unit_vectors("doa", self.doa)
        if doa.ndim != 2:
            raise InvalidInputError(f"doa must have the shape (n_frames, 3), got {doa.shape}.")
        check_same_length("doa", len(doa), "times", len(times))
        concentration = check_frame_values("concentration", self.concentration, len(times))
        hint = " It is in radians: convert degrees with numpy.radians."
        angle = check_frame_values("credible_angle", self.credible_angle, len(times), maximum=np.pi + 1e-6, hint=hint)
        columns = (times, doa, concentration, angle, _check_activity(self.activity, len(times)))
        self._keep(columns)
        if not isinstance(self.ambiguity, Ambiguity):
            raise InvalidInputError(
                f"ambiguity must be an Ambiguity, got {type(self.ambiguity).__name__}. "
                "doatrack.geometry.array.ambiguity returns that of an array."
            )

    @classmethod
    def _of_frames(cls, columns: tuple[Any, ...], ambiguity: Ambiguity) -> "Track":
        """Return a track of columns that the library made itself: a live stream need not check each frame."""
        track = object.__new__(cls)
        track._keep(columns)
        object.__setattr__(track, "ambiguity", ambiguity)
        return track

    def _keep(self, columns: tuple[Any, ...]) -> None:
        """Keep copies of the columns that nobody can write to."""
        for name, column in zip(_COLUMNS, columns, strict=True):
            own = np.array(column)
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Track):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True) for name in _COLUMNS)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled tracks pass the constructor, so that their arrays are read-only too.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def __repr__(self) -> str:
        if not self.n_frames:
            return "Track(no frames)"
        active = int(self.activity.sum())
        return f"Track({self.n_frames} frames, {self.times[0]:g} to {self.times[-1]:g} s, {active} active)"

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self.times)

    @property
    def alternatives(self) -> FloatArray:
        """Other directions with the same delays, (n_frames, n_alternatives, 3).

        None for a 3-D array, the mirror image for a planar one, 35 on the cone for a linear one.
        """
        return self.ambiguity.equivalent(self.doa)[:, 1:]

    @property
    def azimuth(self) -> FloatArray:
        """Azimuth in radians in (-pi, pi], counter-clockwise from front, (n_frames,)."""
        return unit_to_azimuth_elevation(self.doa)[0]

    @property
    def elevation(self) -> FloatArray:
        """Elevation in radians in [-pi/2, pi/2], 0 in the x-y plane, (n_frames,)."""
        return unit_to_azimuth_elevation(self.doa)[1]

    def _table(self) -> FloatArray:
        """Return the columns of the CSV file."""
        in_degrees = np.degrees([self.azimuth, self.elevation, self.credible_angle])
        columns = [self.times, *self.doa.T, *in_degrees[:2], self.concentration, in_degrees[2], self.activity]
        return np.stack(columns, axis=1)

    @classmethod
    def _from_columns(cls, source: object, columns: dict[str, Any]) -> "Track":
        doa = np.stack([columns["x"], columns["y"], columns["z"]], axis=1)
        angle = np.minimum(np.radians(columns["credible_angle_deg"]), np.pi)
        try:
            return cls(columns["time_s"], doa, columns["concentration"], angle, columns["active"])
        except InvalidInputError as error:
            raise InvalidInputError(f"{source}: {error}") from error

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file of numbers, one row per frame, silent ones too.

        Columns: time_s, x, y, z, azimuth_deg, elevation_deg, concentration, credible_angle_deg, active (0 or 1);
        unknown is `nan`. An existing file is replaced at once when the new one is complete.

        Parameters
        ----------
        path : path-like
            In a folder that exists.

        Raises
        ------
        OSError
            If it cannot be written; the file that was there is unchanged.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> track = Track([0.128], [[0.6, 0, 0.8]], [np.nan], [np.nan], [True])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     track.to_csv(f"{folder}/a.csv")
        ...     print(pathlib.Path(folder, "a.csv").read_text().splitlines()[1])
        0.128,0.60000000,0.00000000,0.80000000,0.0000,53.1301,nan,nan,1
        """
        track_files.write_csv(path, self._table())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> "Track":
        """Read a file that `to_csv` wrote.

        Azimuth and elevation are not read: they follow from x, y, z.

        Parameters
        ----------
        path : path-like
            A CSV file with the columns of `to_csv`, in any order.

        Raises
        ------
        InvalidInputError
            If the file does not exist, lacks a column or holds values that are no track; the message names it.

        Examples
        --------
        >>> import tempfile
        >>> track = Track([0.1, 0.3], [[1.0, 0, 0], [0, 1.0, 0]], [50.0, 2.0], [0.3, 1.5], [True, False])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     track.to_csv(f"{folder}/a.csv")
        ...     Track.from_csv(f"{folder}/a.csv")
        Track(2 frames, 0.1 to 0.3 s, 1 active)
        """
        return cls._from_columns(path, track_files.read_csv(path))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON object per line and frame, in the form that ODAS sends its tracks.

        {"timeStamp": s, "src": [{"id": 1, "tag": "", "x": .., "y": .., "z": .., "activity": 1.0 or 0.0,
        "concentration": .., "credible_angle_deg": ..}]}; unknown is null. Unlike ODAS, whose time stamps count
        frames, `timeStamp` is in seconds.

        Parameters
        ----------
        path : path-like
            In a folder that exists.

        Raises
        ------
        OSError
            If it cannot be written; the file that was there is unchanged.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> track = Track([0.5], [[0, 1.0, 0]], [np.nan], [np.nan], [True])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     track.to_json(f"{folder}/a.json")
        ...     print(pathlib.Path(folder, "a.json").read_text()[:70])
        {"timeStamp": 0.5, "src": [{"id": 1, "tag": "", "x": 0.0, "y": 1.0, "z
        """
        track_files.write_json(path, self._table())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "Track":
        """Read a file that `to_json` wrote, or ODAS tracks of one source with time stamps in seconds.

        Parameters
        ----------
        path : path-like
            One JSON object per line.

        Raises
        ------
        InvalidInputError
            If the file does not exist, is not of that form, or has several sources; the message names the line.

        Examples
        --------
        >>> import tempfile
        >>> track = Track([0.5], [[0, 1.0, 0]], [np.nan], [np.nan], [True])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     track.to_json(f"{folder}/a.json")
        ...     Track.from_json(f"{folder}/a.json") == track
        True
        """
        return cls._from_columns(path, track_files.read_json(path))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a pandas data frame with the columns of `to_csv`, `active` as bool.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> Track([0.5], [[0, 1.0, 0]], [10.0], [0.7], [True]).to_dataframe()["azimuth_deg"].tolist()
        [90.0]
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: pip install pandas. to_csv works without it.") from error
        frame = pandas.DataFrame(self._table(), columns=list(track_files.CSV_COLUMNS))
        return frame.astype({"active": bool})


def _check_activity(value: object, n_frames: int) -> NDArray[np.bool_]:
    activity = check_frame_values("activity", value, n_frames)
    if not np.isin(activity, (0, 1)).all():
        wrong = float(activity[~np.isin(activity, (0, 1))][0])
        raise InvalidInputError(f"activity must hold booleans, or 0 and 1, got {wrong:g}.")
    return activity.astype(np.bool_)
