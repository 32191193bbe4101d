"""Files that hold tracks: CSV and ODAS-like JSON lines, as columns of numbers."""

import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from doatrack._files import atomic_write_bytes, read_number_table
from doatrack._validation import FloatArray
from doatrack.exceptions import InvalidInputError

__all__ = ["CSV_COLUMNS", "is_track_csv", "read_csv", "read_json", "write_csv", "write_json"]

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
_NEEDED = ("time_s", "x", "y", "z", "concentration", "credible_angle_deg", "active")


def is_track_csv(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a track that `Track.to_csv` wrote, by its first line.

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
    header = ",".join(CSV_COLUMNS).encode()
    try:
        with open(path, "rb") as file:
            return file.readline(len(header) + 2).rstrip(b"\r\n") == header
    except OSError:
        return False


def write_csv(path: str | os.PathLike[str], table: FloatArray) -> None:
    """Write rows of `CSV_COLUMNS`, (n_frames, 9)."""
    lines = [",".join(CSV_COLUMNS)]
    for time, x, y, z, azimuth, elevation, concentration, angle, active in table.tolist():
        place = [_fixed(value, 8) for value in (x, y, z)] + [_fixed(value, 4) for value in (azimuth, elevation)]
        rest = [f"{concentration:.9g}", f"{angle:.7g}", f"{active:.0f}"]
        lines.append(",".join([repr(round(time, 9)), *place, *rest]))
    atomic_write_bytes(path, ("\n".join(lines) + "\n").encode())


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # minus zero becomes zero


def read_csv(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Return the columns that make a track, by name."""
    return dict(zip(_NEEDED, read_number_table(path, _NEEDED).T, strict=True))


def write_json(path: str | os.PathLike[str], table: FloatArray) -> None:
    """Write rows of `CSV_COLUMNS`, (n_frames, 9), as one JSON object per line."""
    lines = []
    for row in table.tolist():
        value = dict(zip(CSV_COLUMNS, (None if math.isnan(number) else number for number in row), strict=True))
        source = {"id": 1, "tag": "", **{axis: value[axis] for axis in "xyz"}, "activity": value["active"]}
        source |= {key: value[key] for key in ("concentration", "credible_angle_deg")}
        lines.append(json.dumps({"timeStamp": value["time_s"], "src": [source]}, allow_nan=False) + "\n")
    atomic_write_bytes(path, "".join(lines).encode())


def read_json(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Return the columns that make a track, by name; null and missing numbers are NaN."""
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as text: {error}.") from error
    rows = [_json_row(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return dict(zip(_NEEDED, np.array(rows, dtype=np.float64).reshape(-1, len(_NEEDED)).T, strict=True))


def _json_row(path: str | os.PathLike[str], number: int, line: str) -> list[float]:
    try:
        frame = json.loads(line)
        (source,) = frame["src"]
        values = [frame["timeStamp"], *(source[axis] for axis in "xyz")]
        values += [source.get("concentration"), source.get("credible_angle_deg"), source["activity"]]
        return [math.nan if value is None else _real(value) for value in values]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidInputError(
            f"{path}, line {number}: expected one frame of one source, "
            '{"timeStamp": s, "src": [{"x": .., "y": .., "z": .., "activity": ..}]}, '
            f"got {line[:80]!r}."
        ) from error


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)
