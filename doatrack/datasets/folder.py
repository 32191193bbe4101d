"""The recordings that a user names: files, or folders of them."""

import os
import pathlib
from collections.abc import Iterable

from doatrack.exceptions import InvalidInputError

__all__ = ["AUDIO_SUFFIXES", "find_recordings"]

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")
"""The endings, in small letters, of the files that are looked for in a folder."""


def find_recordings(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, recursive: bool = False
) -> list[pathlib.Path]:
    """List the recordings in files and folders.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        A folder stands for the WAV, FLAC and OGG files in it, sorted by name, hidden ones left out; anything else
        stands for itself, whatever its name, so that a reader can say what is wrong with it.
    recursive : bool
        Whether folders within folders are searched too.

    Returns
    -------
    list of pathlib.Path
        Each file once, in the order given.

    Raises
    ------
    InvalidInputError
        If nothing is named, or a folder holds no recording.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.FLAC", "a.wav", "notes.txt", ".hidden.wav"):
    ...         pathlib.Path(folder, name).touch()
    ...     [path.name for path in find_recordings(folder)]
    ['a.wav', 'b.FLAC']
    """
    named = [pathlib.Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not named:
        raise InvalidInputError("paths must name at least one recording or folder, got none.")
    found = [file for path in named for file in (_in_folder(path, recursive) if path.is_dir() else [path])]
    once: dict[pathlib.Path, pathlib.Path] = {}
    for file in found:
        # unlike resolve, realpath leaves a link to itself to the reader
        once.setdefault(pathlib.Path(os.path.realpath(file)), file)
    return list(once.values())


def _in_folder(folder: pathlib.Path, recursive: bool) -> list[pathlib.Path]:
    inside = folder.rglob("*") if recursive else folder.glob("*")
    files = sorted(path for path in inside if _is_recording(path.relative_to(folder)) and path.is_file())
    if not files:
        elsewhere = next((p for p in folder.rglob("*") if _is_recording(p.relative_to(folder)) and p.is_file()), None)
        hint = f" There are some in {elsewhere.parent}: name that folder." if elsewhere else ""
        raise InvalidInputError(f"The folder {folder} holds no recording ({', '.join(AUDIO_SUFFIXES)}).{hint}")
    return files


def _is_recording(path: pathlib.Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in AUDIO_SUFFIXES and not hidden
