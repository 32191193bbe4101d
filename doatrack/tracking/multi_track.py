"""Tracks of several sources over the same frames."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import FloatArray, check_array
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.ambiguity import Ambiguity
from doatrack.tracking import track_files
from doatrack.tracking.track import Track

if TYPE_CHECKING:
    import pandas

__all__ = ["MultiTrack"]

_NOTHING = Ambiguity()
_PER_SOURCE = ("doa", "concentration", "credible_angle", "activity")


@dataclasses.dataclass(frozen=True, eq=False)
class MultiTrack:
    """Directions of several sources over time, frame by frame; a sequence of one `Track` per source.

    Parameters
    ----------
    times : array-like of shape (n_frames,)
        Seconds from the start of the recording, increasing: the centres of the frames.
    doa : array-like of shape (n_frames, n_sources, 3)
        Unit vectors from the array's origin towards the sources, x front, y left, z up; NaN where unknown. A source
        keeps its place on the second axis.
    concentration : array-like of shape (n_frames, n_sources)
        Concentration of each source's von Mises-Fisher posterior, at least 0; NaN where a method has none.
    credible_angle : array-like of shape (n_frames, n_sources)
        Half-angle in radians of the cone that holds the source with probability 0.9; NaN where unknown.
    activity : array-like of bool, shape (n_frames, n_sources)
        Whether the source sounds in the frame. The direction of a silent source is where it is expected.
    ambiguity : Ambiguity
        What the array cannot tell apart, as in `Track`.

    Raises
    ------
    InvalidInputError
        On other shapes, times that do not increase, vectors of another length than 1, or values out of range.

    Notes
    -----
    The arrays are copied and read-only. Two of them are equal if all their values are (NaN equals NaN).

    Examples
    --------
    >>> front, left = [1.0, 0, 0], [0, 1.0, 0]
    >>> tracks = MultiTrack([0.1, 0.3], [[front, left]] * 2, [[50.0, 9.0]] * 2, [[0.3, 0.7]] * 2, [[1, 0], [1, 1]])
    >>> tracks
    MultiTrack(2 sources, 2 frames, 0.1 to 0.3 s, 2 and 1 active)
    >>> [round(float(np.degrees(track.azimuth[0]))) for track in tracks]
    [0, 90]
    """

    times: FloatArray
    doa: FloatArray
    concentration: FloatArray
    credible_angle: FloatArray
    activity: NDArray[np.bool_]
    ambiguity: Ambiguity = _NOTHING

    def __post_init__(self) -> None:
        doa = check_array("doa", self.doa, ("n_frames", "n_sources", 3), finite=False)
        n_sources = doa.shape[1]
        if n_sources < 1:
            raise InvalidInputError("doa must hold at least one source, (n_frames, n_sources, 3), got none.")
        columns: dict[str, Any] = {"doa": doa}
        for name in _PER_SOURCE[1:]:
            columns[name] = check_array(name, getattr(self, name), ("n_frames", n_sources), finite=False)
        tracks = [
            # which checks the rest
            Track(self.times, **{name: columns[name][:, k] for name in _PER_SOURCE}, ambiguity=self.ambiguity)
            for k in range(n_sources)
        ]
        object.__setattr__(self, "times", tracks[0].times)
        for name in _PER_SOURCE:
            own = np.stack([getattr(track, name) for track in tracks], axis=1)
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    @classmethod
    def from_tracks(cls, tracks: Sequence[Track]) -> "MultiTrack":
        """Make one of tracks that have the same times.

        Raises
        ------
        InvalidInputError
            If there is none, or the times or the ambiguities differ.

        Examples
        --------
        >>> track = Track([0.5], [[0, 1.0, 0]], [np.nan], [np.nan], [True])
        >>> MultiTrack.from_tracks([track, track]).doa.shape
        (1, 2, 3)
        """
        if not tracks or any(not np.array_equal(track.times, tracks[0].times) for track in tracks):
            raise InvalidInputError("tracks must be at least one, all with the same times.")
        first = tracks[0]
        if any(track.ambiguity != first.ambiguity for track in tracks):
            raise InvalidInputError("tracks must be those of one array, and their ambiguity the same.")
        columns: Any = {name: np.stack([getattr(track, name) for track in tracks], axis=1) for name in _PER_SOURCE}
        return cls(first.times, **columns, ambiguity=first.ambiguity)

    def __len__(self) -> int:
        return self.n_sources

    def __getitem__(self, source: SupportsIndex) -> Track:
        columns: Any = {name: getattr(self, name)[:, source] for name in _PER_SOURCE}
        return Track(self.times, **columns, ambiguity=self.ambiguity)

    def __iter__(self) -> Iterator[Track]:
        return (self[source] for source in range(self.n_sources))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MultiTrack):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def __repr__(self) -> str:
        if not self.n_frames:
            return f"MultiTrack({self.n_sources} sources, no frames)"
        active = " and ".join(str(int(count)) for count in self.activity.sum(axis=0))
        return (
            f"MultiTrack({self.n_sources} sources, {self.n_frames} frames, {self.times[0]:g} to {self.times[-1]:g} s, "
            f"{active} active)"
        )

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self.times)

    @property
    def n_sources(self) -> int:
        """The number of sources that were looked for."""
        return int(self.doa.shape[1])

    def _tables(self) -> list[FloatArray]:
        return [track._table() for track in self]

    @classmethod
    def _from_sources(cls, path: object, sources: list[dict[str, Any]]) -> "MultiTrack":
        tracks = [Track._from_columns(path, columns) for columns in sources]
        try:
            return cls.from_tracks(tracks)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file of numbers, one row per frame and source.

        The columns of `Track.to_csv` with `source`, the number from 0, in second place.

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
        >>> tracks = MultiTrack([0.5], [[[1.0, 0, 0], [0, 1.0, 0]]], [[9, 9]], [[1, 1]], [[1, 0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.to_csv(f"{folder}/a.csv")
        ...     print(pathlib.Path(folder, "a.csv").read_text().splitlines()[2][:40])
        0.5,1,0.00000000,1.00000000,0.00000000,9
        """
        track_files.write_sources_csv(path, self._tables())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> "MultiTrack":
        """Read a file that `to_csv` wrote.

        Raises
        ------
        InvalidInputError
            If the file does not exist, lacks a column, or sources have different times; the message names it.

        Examples
        --------
        >>> import tempfile
        >>> tracks = MultiTrack([0.5], [[[1.0, 0, 0], [0, 1.0, 0]]], [[9, 9]], [[1, 1]], [[1, 0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.to_csv(f"{folder}/a.csv")
        ...     MultiTrack.from_csv(f"{folder}/a.csv")
        MultiTrack(2 sources, 1 frames, 0.5 to 0.5 s, 1 and 0 active)
        """
        return cls._from_sources(path, track_files.read_sources_csv(path))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON object per line and frame, as `Track.to_json` does, with all sources in `src`.

        Their `id` counts from 1, as ODAS counts its tracks.

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
        >>> import json, pathlib, tempfile
        >>> tracks = MultiTrack([0.5], [[[1.0, 0, 0], [0, 1.0, 0]]], [[9, 9]], [[1, 1]], [[1, 0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.to_json(f"{folder}/a.json")
        ...     [source["id"] for source in json.loads(pathlib.Path(folder, "a.json").read_text())["src"]]
        [1, 2]
        """
        track_files.write_sources_json(path, self._tables())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "MultiTrack":
        """Read a file that `to_json` wrote; every frame must hold the same sources in the same order.

        Raises
        ------
        InvalidInputError
            If the file does not exist or is not of that form; the message names the line.

        Examples
        --------
        >>> import tempfile
        >>> tracks = MultiTrack([0.5], [[[1.0, 0, 0], [0, 1.0, 0]]], [[9, 9]], [[1, 1]], [[1, 0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.to_json(f"{folder}/a.json")
        ...     MultiTrack.from_json(f"{folder}/a.json") == tracks
        True
        """
        return cls._from_sources(path, track_files.read_sources_json(path))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a pandas data frame with the columns of `to_csv`, `active` as bool, `source` as int.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> tracks = MultiTrack([0.5], [[[1.0, 0, 0], [0, 1.0, 0]]], [[9, 9]], [[1, 1]], [[1, 0]])
        >>> tracks.to_dataframe()["source"].tolist()
        [0, 1]
        """
        frames = [track.to_dataframe().assign(source=k) for k, track in enumerate(self)]
        import pandas

        table = pandas.concat(frames).sort_values(["time_s", "source"], kind="stable", ignore_index=True)
        return table[list(track_files.SOURCES_COLUMNS)]
