"""Files that hold tracks: CSV and ODAS-like JSON lines, as columns of numbers."""

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from doatrack._files import atomic_write_bytes, read_number_table
from doatrack._validation import FloatArray, check_path
from doatrack.exceptions import InvalidInputError

__all__ = [
    "CSV_COLUMNS",
    "SOURCES_COLUMNS",
    "is_track_csv",
    "read_csv",
    "read_json",
    "read_sources_csv",
    "read_sources_json",
    "write_csv",
    "write_json",
    "write_sources_csv",
    "write_sources_json",
]

CSV_COLUMNS = (
    "time_s",
    "x",
    "y",
    "z",
    "azimuth_deg",
    "elevation_deg",
    "concentration",
    "credible_angle_deg",
    "active",
)
SOURCES_COLUMNS = (CSV_COLUMNS[0], "source", *CSV_COLUMNS[1:])
_NEEDED = ("time_s", "x", "y", "z", "concentration", "credible_angle_deg", "active")


def is_track_csv(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a track that `Track.to_csv` or `MultiTrack.to_csv` wrote, by its first line.

    Parameters
    ----------
    path : path-like
        Any file, or none.

    Returns
    -------
    bool
        False also where nothing is there or it cannot be read.

    Examples
    --------
    >>> is_track_csv("/nowhere/truth.csv")
    False
    """
    headers = [",".join(columns).encode() for columns in (CSV_COLUMNS, SOURCES_COLUMNS)]
    try:
        with open(path, "rb") as file:
            return file.readline(len(headers[1]) + 2).rstrip(b"\r\n") in headers
    except OSError:
        return False


def write_csv(path: str | os.PathLike[str], table: FloatArray) -> None:
    """Write rows of `CSV_COLUMNS`, (n_frames, 9)."""
    _write_lines(path, [CSV_COLUMNS, *(_cells(row) for row in table.tolist())])


def write_sources_csv(path: str | os.PathLike[str], tables: Sequence[FloatArray]) -> None:
    """Write rows of `SOURCES_COLUMNS` from one table (n_frames, 9) per source, frame by frame."""
    rows = [
        (cells[0], str(source), *cells[1:])
        for frame in zip(*(table.tolist() for table in tables), strict=True)
        for source, cells in enumerate(map(_cells, frame))
    ]
    _write_lines(path, [SOURCES_COLUMNS, *rows])


def _cells(row: list[float]) -> tuple[str, ...]:
    time, x, y, z, azimuth, elevation, concentration, angle, active = row
    place = [_fixed(value, 8) for value in (x, y, z)] + [_fixed(value, 4) for value in (azimuth, elevation)]
    return (repr(round(time, 9)), *place, f"{concentration:.9g}", f"{angle:.7g}", f"{active:.0f}")


def _write_lines(path: str | os.PathLike[str], rows: Sequence[Sequence[str]]) -> None:
    atomic_write_bytes(path, "".join(",".join(row) + "\n" for row in rows).encode())


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # minus zero becomes zero


def read_csv(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Return the columns that make a track, by name."""
    return dict(zip(_NEEDED, read_number_table(path, _NEEDED).T, strict=True))


def read_sources_csv(path: str | os.PathLike[str]) -> list[dict[str, FloatArray]]:
    """Return the columns that make a track, by name, for each source."""
    table = read_number_table(path, ("source", *_NEEDED))
    numbers = np.unique(table[:, 0])
    if len(numbers) == 0 or not np.array_equal(numbers, np.arange(len(numbers))):
        raise InvalidInputError(
            f"{path}: column 'source' must number the sources 0, 1, 2 ..., got {numbers[:5].tolist()}."
        )
    return [dict(zip(_NEEDED, table[table[:, 0] == number, 1:].T, strict=True)) for number in numbers]


def write_json(path: str | os.PathLike[str], table: FloatArray) -> None:
    """Write rows of `CSV_COLUMNS`, (n_frames, 9), as one JSON object per line."""
    write_sources_json(path, [table])


def write_sources_json(path: str | os.PathLike[str], tables: Sequence[FloatArray]) -> None:
    """Write one table (n_frames, 9) per source as one JSON object per line and frame."""
    lines = []
    for frame in zip(*(table.tolist() for table in tables), strict=True):
        sources = [_json_source(number, row) for number, row in enumerate(frame, start=1)]
        lines.append(json.dumps({"timeStamp": frame[0][0], "src": sources}, allow_nan=False) + "\n")
    atomic_write_bytes(path, "".join(lines).encode())


def _json_source(number: int, row: list[float]) -> dict[str, Any]:
    value = dict(zip(CSV_COLUMNS, (None if math.isnan(cell) else cell for cell in row), strict=True))
    source = {"id": number, "tag": "", **{axis: value[axis] for axis in "xyz"}, "activity": value["active"]}
    return source | {key: value[key] for key in ("concentration", "credible_angle_deg")}


def read_json(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Return the columns that make a track, by name; null and missing numbers are NaN."""
    rows = [_json_row(path, *line, _only_source) for line in _text_lines(path)]
    return _by_name([row for (row,) in rows])


def read_sources_json(path: str | os.PathLike[str]) -> list[dict[str, FloatArray]]:
    """Return the columns that make a track, by name, for each source; null and missing numbers are NaN."""
    rows = [_json_row(path, *line, lambda sources: list(sources)) for line in _text_lines(path)]
    if not rows or any(len(row) != len(rows[0]) for row in rows) or not rows[0]:
        raise InvalidInputError(f"{path} must hold the same number of sources in every line, at least one.")
    return [_by_name([row[source] for row in rows]) for source in range(len(rows[0]))]


def _text_lines(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    try:
        lines = check_path("path", path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as text: {error}.") from error
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _by_name(rows: list[list[float]]) -> dict[str, FloatArray]:
    return dict(zip(_NEEDED, np.array(rows, dtype=np.float64).reshape(-1, len(_NEEDED)).T, strict=True))


def _only_source(sources: Any) -> list[Any]:
    (source,) = sources
    return [source]


def _json_row(
    path: str | os.PathLike[str], number: int, line: str, choose: Callable[[Any], list[Any]]
) -> list[list[float]]:
    """Return one row of numbers for each chosen source of a frame."""
    try:
        frame = json.loads(line)
        return [_source_row(frame["timeStamp"], source) for source in choose(frame["src"])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidInputError(
            f"{path}, line {number}: expected one frame of {'one source' if choose is _only_source else 'sources'}, "
            '{"timeStamp": s, "src": [{"x": .., "y": .., "z": .., "activity": ..}]}, '
            f"got {line[:80]!r}."
        ) from error


def _source_row(time: Any, source: Any) -> list[float]:
    values = [time, *(source[axis] for axis in "xyz")]
    values += [source.get("concentration"), source.get("credible_angle_deg"), source["activity"]]
    return [math.nan if value is None else _real(value) for value in values]


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)
