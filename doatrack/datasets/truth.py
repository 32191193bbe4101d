"""True directions over time as CSV files."""

import os

import numpy as np
from numpy.typing import ArrayLike

from doatrack._files import atomic_write_bytes, read_number_table
from doatrack._validation import FloatArray, check_array, check_times, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = ["TRUTH_COLUMNS", "read_truth", "write_truth"]

TRUTH_COLUMNS = ("time_s", "x", "y", "z", "active")
"""The columns of a truth file: seconds, a unit vector (x front, y left, z up), and 1 or 0."""

_UNIT_TOLERANCE = 0.01  # files hold rounded numbers


def read_truth(path: str | os.PathLike[str]) -> FloatArray:
    """Read a truth file.

    Parameters
    ----------
    path : path-like
        A CSV file with the columns of `TRUTH_COLUMNS`, in any order, among others.

    Returns
    -------
    ndarray of shape (n_rows, 5)
        time_s, x, y, z, active; NaN where unknown.

    Raises
    ------
    InvalidInputError
        If a column is missing, a cell is no number, times do not increase, directions are no unit vectors, or
        active is neither 0, 1 nor nan; the message names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_truth(f"{folder}/a.csv", [[0.0, 1, 0, 0, 1], [0.02, 1, 0, 0, 0]])
    ...     read_truth(f"{folder}/a.csv").tolist()
    [[0.0, 1.0, 0.0, 0.0, 1.0], [0.02, 1.0, 0.0, 0.0, 0.0]]
    """
    return _check_rows(path, read_number_table(path, TRUTH_COLUMNS))


def write_truth(path: str | os.PathLike[str], rows: ArrayLike) -> None:
    """Write a truth file that `read_truth` reads.

    Parameters
    ----------
    path : path-like
        The file; an existing one is replaced.
    rows : array-like of shape (n_rows, 5)
        time_s, x, y, z, active.

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
    table = _check_rows(path, check_array("truth rows", rows, ("n_rows", len(TRUTH_COLUMNS)), finite=False))
    lines = [",".join([*(f"{value:.6f}" for value in row[:4]), f"{row[4]:.0f}"]) for row in table]
    atomic_write_bytes(path, "\n".join([",".join(TRUTH_COLUMNS), *lines, ""]).encode())


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
