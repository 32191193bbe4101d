"""Writing files so that an old one survives whatever goes wrong, and reading tables of numbers."""

import contextlib
import csv
import errno
import itertools
import os
import pathlib
import secrets
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_path
from doatrack.exceptions import InvalidInputError

__all__ = [
    "atomic_write_bytes",
    "check_folder",
    "is_device_or_pipe",
    "read_number_table",
    "read_text_table",
    "write_beside",
]

_MOST_LISTED = 24  # columns or cells that a message repeats


def is_device_or_pipe(path: str | os.PathLike[str]) -> bool:
    """Return whether something is there that is neither a file nor a folder: it may have no end."""
    place = pathlib.Path(path)
    return place.exists() and not (place.is_file() or place.is_dir())


def check_folder(name: str, path: str | os.PathLike[str]) -> pathlib.Path:
    """Return a path that is a folder, or may be made one.

    Parameters
    ----------
    name : str
        How messages call it.
    path : path-like

    Raises
    ------
    InvalidInputError
        If it, or what it is to be in, is a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_folder("out", f"{folder}/new/one").name
    'one'
    """
    folder = check_path(name, path)
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        which = "it" if there == folder else str(there)
        raise InvalidInputError(f"{name} {folder} must be a folder, but {which} is a file. Choose another name.")
    return folder


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file next to `path` for writing, and move it there once it is complete.

    A full disk, an error or an interruption in the block leaves an existing file at `path` as it was, and no
    rest of the new one. A symbolic link is followed: its target is replaced.

    Parameters
    ----------
    path : path-like
        Where the complete file is to be.

    Yields
    ------
    binary file
        To write to; encode text as UTF-8.

    Raises
    ------
    InvalidInputError
        If `path` is none.
    FileNotFoundError, NotADirectoryError
        If the folder does not exist, or is a file.
    OSError
        If writing fails, for example on a full disk, or `path` is a device; the message names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_beside(pathlib.Path(folder) / "note.txt") as file:
    ...         _ = file.write(b"kept whole or not at all")
    ...     (pathlib.Path(folder) / "note.txt").read_text()
    'kept whole or not at all'
    """
    target = pathlib.Path(os.path.realpath(check_path("path", path)))
    if is_device_or_pipe(target):
        raise OSError(errno.EINVAL, f"{path} cannot be written: it is a device or a pipe, not a file. Name a file.")
    if target.parent.exists() and not target.parent.is_dir():
        raise NotADirectoryError(f"{target.parent} is a file: {target.name} cannot be written into it. Name a folder.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} does not exist; create it before writing {target.name}.")
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        # plain open, not tempfile: the file gets the permissions that the user's umask gives
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        kept = " The file that was there is unchanged." if target.is_file() else ""
        raise OSError(error.errno, f"{path} cannot be written: {error.strerror or error}.{kept}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    """Make the move itself survive a power cut, where the system can (Windows cannot)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a whole file by `write_beside`.

    Parameters
    ----------
    path : path-like
        Where the file shall be.
    data : bytes
        The whole content.

    Raises
    ------
    OSError
        If the folder does not exist or writing fails; what was at `path` before is still there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write_bytes(pathlib.Path(folder) / "a.txt", b"one")
    ...     pathlib.Path(folder, "a.txt").read_bytes()
    b'one'
    """
    with write_beside(path) as file:
        file.write(data)


def read_number_table(
    path: str | os.PathLike[str], columns: Sequence[str], *, delimiter: str = ","
) -> NDArray[np.float64]:
    r"""Read named columns of a CSV file of numbers, in the order asked for, whatever the file's order.

    Parameters
    ----------
    path : path-like
        A UTF-8 CSV file whose first line names its columns; other columns than `columns` are not looked at.
    columns : sequence of str
        The wanted columns.
    delimiter : str
        What stands between cells.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
        The numbers; `nan` stands for unknown.

    Raises
    ------
    InvalidInputError
        If the file cannot be read as text, lacks a column, holds something else than a number, or a row has more
        cells than the first line names; the message names the file, the line and the column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.csv"
    ...     _ = file.write_text("time_s,x,note\n0.5,1,here\n")
    ...     read_number_table(file, ["x", "time_s"]).tolist()
    [[1.0, 0.5]]
    """
    named = _named_rows(path, columns, delimiter)
    rows = [[_number(path, line, column, row[column]) for column in columns] for line, row in named]
    return np.array(rows, dtype=np.float64).reshape(-1, len(columns))


def read_text_table(path: str | os.PathLike[str], columns: Sequence[str]) -> list[dict[str, str]]:
    r"""Read a CSV file as one dictionary per row, with all columns that the file has.

    Parameters
    ----------
    path : path-like
        A UTF-8 CSV file whose first line names its columns.
    columns : sequence of str
        The columns that it must have.

    Raises
    ------
    InvalidInputError
        If the file cannot be read as text, lacks a column, or a row has more cells than the first line names; the
        message names the file, and the line or the column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "index.csv"
    ...     _ = file.write_text("file,split\na.ogg,train\n")
    ...     read_text_table(file, ["file"])
    [{'file': 'a.ogg', 'split': 'train'}]
    """
    return [row for _, row in _named_rows(path, columns, ",")]


def _named_rows(
    path: str | os.PathLike[str], columns: Sequence[str], delimiter: str
) -> list[tuple[int, dict[str, str]]]:
    """Return (number of the line, cells by column) for each row that is not blank; missing cells are empty."""
    lines = _read_csv(path, delimiter)
    names = [name.strip() for name in lines[0]] if lines else []
    for column in columns:
        if column not in names:
            raise InvalidInputError(
                f"{path} has no column {column!r}: its first line must name {_listed(columns, delimiter)}, "
                f"and it names {_listed(names, delimiter) or 'nothing'}."
            )
    for line, row in enumerate(lines[1:], start=2):
        if any(cell.strip() for cell in row[len(names) :]):
            raise InvalidInputError(
                f"{path}, line {line}: there must be at most {len(names)} cells, as many as the first line names, got "
                f"{len(row)}: {_listed(row, delimiter)}. Put cells that hold the delimiter into quotes."
            )
    return [
        (line, dict(itertools.zip_longest(names, row[: len(names)], fillvalue="")))
        for line, row in enumerate(lines[1:], start=2)
        if row
    ]


def _listed(cells: Sequence[str], delimiter: str) -> str:
    more = f" and {len(cells) - _MOST_LISTED} more" if len(cells) > _MOST_LISTED else ""
    return (delimiter if delimiter.isprintable() else " ").join(cells[:_MOST_LISTED]) + more


def _read_csv(path: str | os.PathLike[str], delimiter: str) -> list[list[str]]:
    try:
        with open(check_path("path", path), encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file, delimiter=delimiter))
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} does not exist.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} cannot be read as a CSV file: {error}.") from error


def _number(path: str | os.PathLike[str], line: int, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInputError(
            f"{path}, line {line}, column {column!r}: expected a number or nan, got {text!r}."
        ) from error
