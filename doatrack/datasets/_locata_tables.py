"""The tables of the LOCATA corpus: tab-separated text with calendar times."""

import datetime
import itertools
import os
import pathlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from doatrack._files import read_number_table
from doatrack.exceptions import InvalidInputError

__all__ = ["Poses", "check_same_rows", "read_audio_start", "read_poses", "read_required_times", "read_vad"]

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]

_TIME = ("year", "month", "day", "hour", "minute", "second")
_LIMITS = ((1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 61))  # 61: leap seconds
_POSITION = ("x", "y", "z")
_ROTATION = tuple(f"rotation_{row}{column}" for row, column in itertools.product((1, 2, 3), repeat=2))
_DAY = 86400.0
_FIRST_DAY = datetime.date(2017, 1, 1).toordinal()  # near the recordings, so that seconds keep their digits
_THINNED = 480  # one in so many times of samples is looked at
_NOT_A_ROTATION = 0.01  # deviation from an orthogonal matrix; the tables hold rounded numbers
_SAME_ROW = 1 / 240  # half a step of the optical tracker, in seconds


class Poses(NamedTuple):
    """What a position table holds: times (n,), positions (n, 3), and of arrays rotations and microphones.

    World coordinates in metres; rotation (n, 3, 3) turns the array's axes into the world's, mics (n, n_mics, 3). NaN
    where the optical tracker lost its target.
    """

    times: _Floats
    position: _Floats
    rotation: _Floats
    mics: _Floats


def read_required_times(path: pathlib.Path) -> tuple[_Floats, _Bools]:
    """Return the times (n,) of a `required_time.txt` and which of them are evaluated."""
    table = read_number_table(path, [*_TIME, "valid_flag"], delimiter="\t")
    times = _times(path, table)
    strange = ~np.isin(table[:, 6], (0.0, 1.0))
    if strange.any():
        row = int(strange.argmax())
        raise InvalidInputError(f"{path}, line {row + 2}, column 'valid_flag': must be 0 or 1, got {table[row, 6]:g}.")
    return times, table[:, 6] == 1


def read_poses(path: pathlib.Path, n_mics: int | None = None) -> Poses:
    """Return a `position_source_*.txt`, or with `n_mics` a `position_array_*.txt`."""
    mics = [f"mic{k + 1}_{axis}" for k in range(n_mics or 0) for axis in _POSITION]
    columns = [*_TIME, *_POSITION, *([] if n_mics is None else _ROTATION), *mics]
    table = read_number_table(path, columns, delimiter="\t")
    times = _times(path, table)
    rotation = np.zeros((len(table), 0, 3)) if n_mics is None else table[:, 9:18].reshape(-1, 3, 3)
    _check_rotations(path, rotation)
    return Poses(times, table[:, 6:9], rotation, table[:, 9 + 9 * (n_mics is not None) :].reshape(len(table), -1, 3))


def check_same_rows(path: pathlib.Path, times: _Floats, other: pathlib.Path, expected: _Floats) -> None:
    """Raise unless two tables tell about the same moments, row by row, as LOCATA's own tools take it."""
    if len(times) != len(expected):
        raise InvalidInputError(
            f"{path} must have as many rows as {other.name} beside it, got {len(times)} and {len(expected)}."
        )
    apart = np.abs(times - expected)
    if apart.max() > _SAME_ROW:
        row = int((apart > _SAME_ROW).argmax())
        raise InvalidInputError(
            f"{path}, line {row + 2}, columns 'year' to 'second': the time must be that of the same line of "
            f"{other.name} beside it, got one {apart[row]:.4g} s from it."
        )


def read_audio_start(path: pathlib.Path, n_samples: int) -> float:
    """Return the time of the first sample from an `audio_*_timestamps_*.txt`, which has one row per sample.

    All rows are counted and one in 480 (10 ms) is read.
    """
    header, lines, n_rows = _thin(path)
    if n_rows != n_samples:
        raise InvalidInputError(
            f"{path} must have one row per sample of the sound beside it, got {n_rows} rows for {n_samples} samples."
        )
    for column in _TIME:
        if column not in header:
            raise InvalidInputError(
                f"{path} has no column {column!r}: its first line must name {' '.join(_TIME)}, "
                f"and it names {' '.join(header) or 'nothing'}."
            )
    places = [header.index(column) for column in _TIME]
    table = np.array([_numbers(path, line, text, places) for line, text in lines], dtype=np.float64)
    return float(_times(path, table, np.array([line for line, _ in lines]), strictly=True)[0])


def read_vad(path: pathlib.Path, n_samples: int) -> _Bools:
    """Return the activity (n_samples,) of a `VAD_*.txt`: a column 'VAD' with 0 or 1 per sample of the sound."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().strip()
            values = np.loadtxt(file, dtype=np.float64, ndmin=1)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}, column 'VAD': cannot be read as one 0 or 1 per line: {error}.") from error
    if header != "VAD":
        raise InvalidInputError(f"{path} has no column 'VAD': its first line must name it alone, and it is {header!r}.")
    if values.shape != (n_samples,):
        raise InvalidInputError(
            f"{path} must have one row per sample of the sound that it belongs to, got {len(values)} rows for "
            f"{n_samples} samples."
        )
    strange = ~np.isin(values, (0.0, 1.0))
    if strange.any():
        row = int(strange.argmax())
        raise InvalidInputError(f"{path}, line {row + 2}, column 'VAD': must be 0 or 1, got {values[row]:g}.")
    return np.asarray(values == 1, dtype=np.bool_)


def _thin(path: pathlib.Path) -> tuple[list[str], list[tuple[int, str]], int]:
    """Return the names of the columns, some rows with their line numbers (first and last among them), and the count."""
    kept: list[tuple[int, str]] = []
    last: tuple[int, str] | None = None
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = [name.strip() for name in file.readline().split("\t")]
            for line, text in enumerate(file, start=2):
                if not text.isspace():
                    last = (line, text)
                    if (line - 2) % _THINNED == 0:
                        kept.append(last)
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as a table: {error}.") from error
    if last is None:
        return header, [], 0
    return header, kept if kept[-1:] == [last] else [*kept, last], last[0] - 1


def _numbers(path: pathlib.Path, line: int, text: str, places: list[int]) -> list[float]:
    cells = text.split("\t")
    values = []
    for place, column in zip(places, _TIME, strict=True):
        cell = cells[place].strip() if place < len(cells) else ""
        try:
            values.append(float(cell))
        except ValueError as error:
            raise InvalidInputError(
                f"{path}, line {line}, column {column!r}: expected a number, got {cell!r}."
            ) from error
    return values


def _times(
    path: str | os.PathLike[str], table: _Floats, lines: NDArray[np.int64] | None = None, *, strictly: bool = False
) -> _Floats:
    """Turn calendar columns (the first six) into seconds that do not go back."""
    lines = np.arange(2, len(table) + 2) if lines is None else lines
    if len(table) == 0:
        raise InvalidInputError(f"{path} has no rows under its header.")
    for place, (column, (low, high)) in enumerate(zip(_TIME, _LIMITS, strict=True)):
        values = table[:, place]
        wrong = ~((values >= low) & (values <= high)) | ((values % 1 != 0) & (column != "second"))
        if wrong.any():
            row = int(wrong.argmax())
            kind = "a number" if column == "second" else "a whole number"
            raise InvalidInputError(
                f"{path}, line {lines[row]}, column {column!r}: must be {kind} from {low} to {high}, got "
                f"{values[row]:g}."
            )
    dates, place_of = np.unique(table[:, :3], axis=0, return_inverse=True)
    days = np.array([_day(path, date) for date in dates])[place_of.reshape(-1)]
    times = days * _DAY + table[:, 3] * 3600.0 + table[:, 4] * 60.0 + table[:, 5]
    steps = np.diff(times)
    back = steps <= 0 if strictly else steps < 0
    if back.any():
        row = int(back.argmax()) + 1
        word = "increase" if strictly else "not go back"
        raise InvalidInputError(
            f"{path}, line {lines[row]}, columns 'year' to 'second': times must {word} from row to row, got a step of "
            f"{steps[row - 1]:.6g} s."
        )
    return np.asarray(times, dtype=np.float64)


def _day(path: str | os.PathLike[str], date: _Floats) -> int:
    year, month, day = (int(value) for value in date)
    try:
        return datetime.date(year, month, day).toordinal() - _FIRST_DAY
    except ValueError as error:
        raise InvalidInputError(f"{path}, column 'day': there is no {year}-{month}-{day}.") from error


def _check_rotations(path: pathlib.Path, rotation: _Floats) -> None:
    known = np.isfinite(rotation).all(axis=(1, 2))
    if rotation.shape[1] == 0 or not known.any():
        return
    square = np.einsum("nij,nkj->nik", rotation, rotation)
    wrong = known & ((np.abs(square - np.eye(3)).max(axis=(1, 2)) > _NOT_A_ROTATION) | (np.linalg.det(rotation) < 0))
    if wrong.any():
        raise InvalidInputError(
            f"{path}, line {int(wrong.argmax()) + 2}, columns 'rotation_11' to 'rotation_33': must be a rotation "
            "matrix (orthogonal, determinant +1)."
        )
