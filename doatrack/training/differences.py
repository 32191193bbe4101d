"""How two runs of learning differ, in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["differences"]

_LONGEST = 80  # characters of a value that a message repeats
_MISSING = "nothing"


def differences(kept: dict[str, Any], asked: dict[str, Any], derived: Sequence[str] = ()) -> list[str]:
    """Return what differs between two runs, each in words: its name, what the one has and what the other.

    Parameters
    ----------
    kept, asked : dict
        What the runs depend on, by name, as JSON has it.
    derived : sequence of str
        Names of what follows from the rest, and is told only where nothing else differs.

    Examples
    --------
    >>> differences({"beta": 0.1, "seed": 3}, {"beta": 0.7, "seed": 5}, derived=("seed",))
    ['beta: 0.1 there, 0.7 asked for']
    """
    names = [n for n in sorted({*kept, *asked}) if n not in kept or n not in asked or kept[n] != asked[n]]
    told = [name for name in names if name not in derived] or names
    return [_in_words(name, kept.get(name, _MISSING), asked.get(name, _MISSING)) for name in told]


def _in_words(name: str, kept: Any, asked: Any) -> str:
    tables = _table(kept), _table(asked)
    if tables[0] is not None and tables[1] is not None:
        if tables[0].shape == tables[1].shape:
            return f"{name}: they differ by up to {np.abs(tables[0] - tables[1]).max():.2g}"
        kept, asked = (f"a table of {len(table)} rows" for table in tables if table is not None)
    there, here = _shortened(str(kept), str(asked))
    return f"{name}: {there} there, {here} asked for"


def _table(value: Any) -> Any:
    """Return rows of numbers as an array; None if it is something else."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.ndim > 1 else None


def _shortened(kept: str, asked: str) -> list[str]:
    """Return two texts, of long ones the parts between commas that the other lacks."""
    if max(len(kept), len(asked)) > _LONGEST:
        parts = [text.split(", ") for text in (kept, asked)]
        own = [", ".join(p for p in mine if p not in other) for mine, other in (parts, parts[::-1])]
        kept, asked = (part or text for part, text in zip(own, (kept, asked), strict=True))
    return [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in (kept, asked)]
