"""The set of recordings with known directions that a command line names."""

import pathlib
import re
from typing import TYPE_CHECKING

from doatrack.cli._arguments import ARRAY_FILE
from doatrack.exceptions import InvalidInputError

if TYPE_CHECKING:
    from doatrack.datasets import Locata, ScoredSet

__all__ = ["open_set"]

_NAMED = 4  # missing files that are named
_TASKS = "1,3,5"


def open_set(
    folder: pathlib.Path, tasks: str | None, array: str | None, leading_silence: str | None
) -> "ScoredSet | Locata":
    """Return the scored set of a folder, or what the options choose of the LOCATA corpus.

    Raises
    ------
    InvalidInputError
        If the folder is neither, or options of LOCATA are given for another set.
    """
    from doatrack.datasets import Locata, ScoredSet, is_locata

    if is_locata(folder):
        chosen = _parse_tasks(_TASKS if tasks is None else tasks)
        return Locata(folder, chosen, array or "benchmark2", leading_silence=leading_silence or "keep")
    options = {"--tasks": tasks, "--locata-array": array, "--leading-silence": leading_silence}
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InvalidInputError(
            f"{', '.join(given)} choose parts of the LOCATA corpus, and {folder} is none: it must hold task1, task2 "
            "... with folders of recordings, or dev and eval with these."
        )
    _check_set(folder)
    return ScoredSet(folder)


def _parse_tasks(text: str) -> list[int]:
    if not re.fullmatch(r"\s*\d\s*(,\s*\d\s*)*", text, flags=re.ASCII):
        raise InvalidInputError(f"--tasks must be numbers with commas between them, such as {_TASKS}, got {text!r}.")
    return [int(part) for part in text.split(",")]


def _check_set(folder: pathlib.Path) -> None:
    """Raise where a folder of recordings lacks what makes it a set with known directions."""
    from doatrack.datasets import find_recordings

    if not folder.is_dir():
        return
    needed = [folder / ARRAY_FILE, *(path.with_suffix(".csv") for path in find_recordings([folder]))]
    missing = [str(path) for path in dict.fromkeys(needed) if not path.exists()]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise InvalidInputError(
            f"{folder} is not a set with known directions: it needs the microphones, {ARRAY_FILE}, and the truth of "
            f"each recording, NAME.csv (time_s,x,y,z,active). Missing: {', '.join(missing[:_NAMED])}{more}."
        )
