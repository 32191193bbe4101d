"""Rows of tables from the finished parts of a folder, whichever runs made them."""

import json
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from doatrack.exceptions import InvalidInputError
from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.methods import METHODS, Method, srp_reference
from doatrack.experiments.published import BY_CORRUPTION, BY_EXPERIMENT
from doatrack.experiments.recordings import SET_LABELS, simulated_names
from doatrack.experiments.scoring import figures

__all__ = [
    "CORRUPTIONS",
    "condition_rows",
    "corruption_rows",
    "kept_values",
    "rooms_rows",
    "row_name",
]

CORRUPTIONS = (0, 10, 20, 30, 40, 50)
"""Per cent; 0 is what increases refer to."""

_ROOMS_PLACES = {"moved to it": ("rooms/moved", "sensor/rooms"), "trained for it": ("rooms/rooms",)}
"""Of the same trackers on the same recordings, one after the other looked for."""
_EXACT = "moved-mics/simulated-sensor"  # what a corruption of 0 % is
_AS_MEANT = "simulated, the array as it was meant"
"""What simulated recordings are called that are as trackers are told, beside others that are not."""

Row = dict[str, Any]


@dataclass(frozen=True)
class _Part:
    """Errors of a method on a set, scene by scene."""

    method: Method
    smoothing: str | None
    errors: list[list[float]]
    scenes: list[str]
    n_epochs: int | None

    @property
    def name(self) -> str:
        return row_name(self.method, self.smoothing)

    def row(self, set_name: str, references: Sequence["_Part"]) -> Row:
        """Return what stands in a table, compared with the reference where it was tried on the same scenes."""
        method = self.method
        learning = "none" if not method.learns else "supervised" if method.supervised else "unsupervised"
        row: Row = {"set": set_name, "set_label": SET_LABELS[set_name], "method": self.name, "label": method.label}
        row |= {"learning": learning, "smoothing": self.smoothing, "published": method.published}
        row |= {"n_epochs": self.n_epochs}
        other = next((part for part in references if part is not self and part.scenes == self.scenes), None)
        row |= figures(self.errors, None if other is None else other.errors)
        return row | {"reference": None if other is None else other.name}


def row_name(method: Method, smoothing: str | None) -> str:
    """Return the name of a method whose frames are joined: of files, and in tables of figures.

    Examples
    --------
    >>> row_name(METHODS["srp-phat"], "filter")
    'srp-phat+filter'
    """
    return method.name if smoothing is None else f"{method.name}+{smoothing}"


def condition_rows(folder: pathlib.Path, condition_name: str, published: str) -> list[Row]:
    """Return the rows of experiments 1 to 3 that are finished.

    Parameters
    ----------
    folder : path
        Of the runs.
    condition_name : str
        One of `CONDITIONS`.
    published : str
        The experiment of `BY_EXPERIMENT` that the rows stand beside.
    """
    simulated = simulated_names(CONDITIONS[condition_name])
    rows = []
    for name in (*simulated, "rooms", "locata"):
        beside = {simulated[0]: 0, "locata": 1}.get(name)
        parts = list(_parts(folder, f"{condition_name}/{name}"))
        for part in parts:
            known = (
                None if beside is None or part.smoothing else BY_EXPERIMENT[published][part.method.published][beside]
            )
            row = part.row(name, _references(part, parts)) | {"published_deg": known}
            rows.append(row | ({"set_label": _AS_MEANT} if name in simulated[2:] else {}))
    return rows


def rooms_rows(folder: pathlib.Path) -> list[Row]:
    """Return the rows on measured rooms that are finished: each method moved to their array, and trained for it."""
    found = {way: list(_parts(folder, *places)) for way, places in _ROOMS_PLACES.items()}
    moved, rows = found["moved to it"], []
    for way, parts in found.items():
        rows += [part.row("rooms", _references(part, moved)) | {"way": way} for part in parts]
    order = [row_name(method, smoothing) for method in METHODS.values() for smoothing in method.smoothings]
    return sorted(rows, key=lambda row: order.index(row["method"]))


def corruption_rows(folder: pathlib.Path) -> list[Row]:
    """Return the rows of Table 5 that are finished: errors where positions are told wrong, and how much they grow."""
    found = {percent: list(_parts(folder, f"table5/{percent}")) for percent in CORRUPTIONS}
    tried = {part.name for parts in found.values() for part in parts}
    exact = [part for part in _parts(folder, f"table5/{CORRUPTIONS[0]}", _EXACT) if part.name in tried]
    rows: list[Row] = []
    start: dict[str, float] = {}
    for percent, parts in (found | {CORRUPTIONS[0]: exact}).items():
        shown = [part for part in parts if part.method.geometry_aware and part.smoothing is None]
        for part in shown:
            other = [one for one in shown if one.name == "neural-srp"]
            row = part.row(_set_of(part.scenes), other) | {"corruption_percent": percent}
            row |= {"set_label": _AS_MEANT} if row["set"] == "simulated-sensor" else {}
            known = BY_CORRUPTION.get(part.method.published, {}).get(percent)
            row["published_deg"], row["published_increase_percent"] = known or (None, None)
            first = start.setdefault(part.name, row["mae_deg"])
            row["increase_percent"] = 100 * (row["mae_deg"] / first - 1) if first else None
            rows.append(row)
    return rows


def kept_values(folder: pathlib.Path, place: str) -> list[Any]:
    """Return what the finished parts `place`/METHOD.json came to, in the order of the tables."""
    read = (_read(folder / "parts" / place / f"{name}.json") for name in METHODS)
    return [part["value"] for part in read if part is not None]


def _parts(folder: pathlib.Path, *places: str) -> Iterator[_Part]:
    """Yield the finished parts in the order of the tables, each from the first of the places that has it."""
    for method in METHODS.values():
        for smoothing in method.smoothings:
            read = (_read(folder / "parts" / place / f"{row_name(method, smoothing)}.json") for place in places)
            part = next((one for one in read if one is not None), None)
            if part is None:
                continue
            scenes = [pathlib.PurePath(path).name for path in part["key"]["scenes"]]
            n_epochs = part["key"]["model"]["parameters"].get("n_epochs")
            yield _Part(method, smoothing, part["value"], scenes, n_epochs)


def _references(part: _Part, parts: Sequence[_Part]) -> list[_Part]:
    wanted = srp_reference(part.method.make(0), part.smoothing)
    return [other for other in parts if other.name == wanted]


def _set_of(scenes: Sequence[str]) -> str:
    """Return the set that positions were told wrong of: simulated scenes have the name of their condition."""
    simulated = all(scene.startswith("sensor_") for scene in scenes)
    return "simulated-sensor" if simulated else "locata"


def _read(path: pathlib.Path) -> Any:
    try:
        part = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}. Delete it, and run its method again.") from error
    if not isinstance(part, dict) or not {"key", "value"} <= set(part):
        raise InvalidInputError(f"{path} is no part of a run. Delete it, and run its method again.")
    return part
