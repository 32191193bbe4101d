"""The JSON file of a microphone array."""

import json
import os
from typing import Any

from doatrack._files import atomic_write_bytes
from doatrack._validation import check_path
from doatrack.exceptions import InvalidInputError

__all__ = ["read_array_file", "write_array_file"]

_CONVENTION = "x front, y left, z up; doa = unit vector from the origin of these coordinates to the source"


def read_array_file(path: str | os.PathLike[str]) -> tuple[Any, str]:
    """Return what a JSON file holds under `mic_positions`, unchecked, and its `name` (else the file's).

    Raises
    ------
    InvalidInputError
        If the file is not JSON, has no `mic_positions`, or gives them in other units than metres.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "pair.json"
    ...     write_array_file(file, [[0.05, 0, 0], [-0.05, 0, 0]], "my pair")
    ...     read_array_file(file)
    ([[0.05, 0, 0], [-0.05, 0, 0]], 'my pair')
    """
    file = check_path("path", path)
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InvalidInputError(f"The array file {file} does not exist.") from error
    except (ValueError, RecursionError, OSError) as error:
        raise InvalidInputError(f"The array file {file} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict) or "mic_positions" not in content:
        raise InvalidInputError(
            f"The array file {file} must hold an object with the key 'mic_positions', a list of [x, y, z] in metres."
        )
    if content.get("units", "m") not in ("m", "metre", "metres", "meter", "meters"):
        raise InvalidInputError(
            f"The array file {file} gives the units {content['units']!r}. Convert the positions to metres ('m')."
        )
    return content["mic_positions"], str(content.get("name", file.stem))


def write_array_file(path: str | os.PathLike[str], positions: list[list[float]], name: str) -> None:
    """Write a JSON file that `read_array_file` reads: whole, or what was there before.

    Raises
    ------
    OSError
        If it cannot be written; what was at `path` before is still there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "pair.json"
    ...     write_array_file(file, [[0.05, 0, 0], [-0.05, 0, 0]], "my pair")
    ...     print(json.loads(file.read_text())["units"])
    m
    """
    content = {"name": name, "units": "m", "convention": _CONVENTION, "mic_positions": positions}
    atomic_write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())
