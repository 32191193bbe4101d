"""Writing files so that an old one survives whatever goes wrong."""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["write_beside"]


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
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_beside(pathlib.Path(folder) / "note.txt") as file:
    ...         _ = file.write(b"kept whole or not at all")
    ...     (pathlib.Path(folder) / "note.txt").read_text()
    'kept whole or not at all'
    """
    target = pathlib.Path(os.path.realpath(path))
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
    except BaseException:
        part.unlink(missing_ok=True)
        raise
