"""True directions over time as CSV files."""

import os

import numpy as np
from numpy.typing import ArrayLike

from doatrack._files import atomic_write_bytes, read_number_table
from doatrack._validation import FloatArray, check_array, check_times, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = ["TRUTH_COLUMNS", "read_truth", "write_truth"]

TRUTH_COLUMNS = ("time_s", "x", "y", "z", "active")
"""The columns of a truth file: seconds, a unit vector (x front, y left, z up), and 1 or 0; for several sources also
`source`, their number from 0."""

_SOURCE = "source"

_UNIT_TOLERANCE = 0.01  # files hold rounded numbers


def read_truth(path: str | os.PathLike[str]) -> FloatArray:
    """Read a truth file.

    Parameters
    ----------
    path : path-like
        A CSV file with the columns of `TRUTH_COLUMNS`, in any order, among others.

    Returns
    -------
    ndarray of shape (n_rows, 5), or (n_sources, n_rows, 5) where the file has a column `source`
        time_s, x, y, z, active; NaN where unknown.

    Raises
    ------
    InvalidInputError
        If a column is missing, a cell is no number, times do not increase, directions are no unit vectors,
        active is neither 0, 1 nor nan, or sources are not numbered 0, 1, ... with the same times each; the message
        names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_truth(f"{folder}/a.csv", [[0.0, 1, 0, 0, 1], [0.02, 1, 0, 0, 0]])
    ...     read_truth(f"{folder}/a.csv").tolist()
    [[0.0, 1.0, 0.0, 0.0, 1.0], [0.02, 1.0, 0.0, 0.0, 0.0]]
    """
    if not _names_sources(path):
        return _check_rows(path, read_number_table(path, TRUTH_COLUMNS))
    table = read_number_table(path, (_SOURCE, *TRUTH_COLUMNS))
    numbers = np.unique(table[:, 0])
    if not np.array_equal(numbers, np.arange(max(1, len(numbers)))):
        raise InvalidInputError(
            f"{path}: column 'source' must number the sources 0, 1, 2 ..., got {numbers[:5].tolist()}."
        )
    return _same_times(path, [_check_rows(path, table[table[:, 0] == number, 1:]) for number in numbers])


def _names_sources(path: str | os.PathLike[str]) -> bool:
    """Say whether the first line names the column of sources; what is wrong with a file is found when it is read."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return _SOURCE in [name.strip() for name in file.readline().split(",")]
    except (OSError, UnicodeDecodeError):
        return False


def _same_times(path: str | os.PathLike[str], tables: list[FloatArray]) -> FloatArray:
    if not tables or any(not np.array_equal(table[:, 0], tables[0][:, 0]) for table in tables):
        raise InvalidInputError(f"{path}: time_s must be the same for every source, which there must be one of.")
    return np.stack(tables)


def write_truth(path: str | os.PathLike[str], rows: ArrayLike) -> None:
    """Write a truth file that `read_truth` reads.

    Parameters
    ----------
    path : path-like
        The file; an existing one is replaced.
    rows : array-like of shape (n_rows, 5) or (n_sources, n_rows, 5)
        time_s, x, y, z, active; several sources have the same times.

    Raises
    ------
    InvalidInputError
        If the rows break the rules of `read_truth`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_truth(f"{folder}/a.csv", [[0.0, 1, 0, 0, 1]])
    ...     print(pathlib.Path(folder, "a.csv").read_text().rstrip())
    time_s,x,y,z,active
    0.000000,1.000000,0.000000,0.000000,1
    """
    if np.ndim(rows) == 3:
        sources = check_array("truth rows", rows, ("n_sources", "n_rows", len(TRUTH_COLUMNS)), finite=False)
        tables = _same_times(path, [_check_rows(path, table) for table in sources])
        header = [TRUTH_COLUMNS[0], _SOURCE, *TRUTH_COLUMNS[1:]]
        lines = [_line(row, [str(k)]) for at_once in zip(*tables, strict=True) for k, row in enumerate(at_once)]
    else:
        table = _check_rows(path, check_array("truth rows", rows, ("n_rows", len(TRUTH_COLUMNS)), finite=False))
        header, lines = list(TRUTH_COLUMNS), [_line(row, []) for row in table]
    atomic_write_bytes(path, "\n".join([",".join(header), *lines, ""]).encode())


def _line(row: FloatArray, source: list[str]) -> str:
    place = [f"{value:.6f}" for value in row[1:4]]
    return ",".join([f"{row[0]:.6f}", *source, *place, f"{row[4]:.0f}"])


def _check_rows(path: str | os.PathLike[str], table: FloatArray) -> FloatArray:
    if len(table) == 0:
        raise InvalidInputError(f"{path} has no rows under its header {','.join(TRUTH_COLUMNS)}.")
    try:
        check_times("column 'time_s'", table[:, 0])
        check_unit_vectors("columns 'x', 'y', 'z'", table[:, 1:4], tolerance=_UNIT_TOLERANCE)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    strange = ~np.isin(table[:, 4], (0.0, 1.0)) & ~np.isnan(table[:, 4])
    if strange.any():
        raise InvalidInputError(f"{path}: column 'active' must be 0, 1 or nan, got {table[strange, 4][0]:g}.")
    return table
