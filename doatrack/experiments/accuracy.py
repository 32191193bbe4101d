"""Tables of errors: methods fitted for a condition, on all test sets."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.fitting import FIRST, fitted, model_key
from doatrack.experiments.methods import Method, srp_reference
from doatrack.experiments.published import BY_CORRUPTION, BY_EXPERIMENT
from doatrack.experiments.recordings import corrupted, home_array, locata_set, rooms_set, simulated_sets
from doatrack.experiments.scoring import TestSet, figures, scene_errors
from doatrack.experiments.workspace import Workspace

__all__ = ["CORRUPTIONS", "corruption_table", "error_table", "rooms_table"]

CORRUPTIONS = (0, 10, 20, 30, 40, 50)
"""Per cent; 0 is what increases refer to."""

_TRAINED_FOR = "moved-mics"
"""The condition of the models of Table 5: its increases start from the errors of experiment 3 (8.3 and 7.6)."""

_GEOMETRY_AWARE = ("srp-phat", "physics-vae-paper", "physics-vae", "neural-srp")

Row = dict[str, Any]


@dataclasses.dataclass
class _Scored:
    """A row before it is compared with others."""

    row_id: str
    reference: str
    cells: Row
    errors: list[list[float]]


def error_table(space: Workspace, methods: Sequence[Method], condition_name: str, published: str) -> list[Row]:
    """Return the rows of experiments 1 to 3.

    Parameters
    ----------
    space : Workspace
    methods : sequence of Method
    condition_name : str
        One of `CONDITIONS`.
    published : str
        The experiment of `BY_EXPERIMENT` that the rows stand beside.
    """
    condition = CONDITIONS[condition_name]
    home = home_array(space)
    tests = [*simulated_sets(space, condition), *(t for t in (rooms_set(space), locata_set(space)) if t is not None)]
    trackers = [(method, fitted(space, method, condition, home)) for method in methods]
    rows = []
    for position, test in enumerate(tests):
        place = 1 if test.name == "locata" else 0
        scored = [
            s for m, tracker in trackers for s in _scored(space, m, tracker, test, f"{condition_name}/{test.name}")
        ]
        for s in scored:
            known = (position == 0 or test.name == "locata") and s.cells["smoothing"] is None
            s.cells["published_deg"] = BY_EXPERIMENT[published][s.cells["published"]][place] if known else None
        rows += _compared(scored)
    return rows


def rooms_table(space: Workspace, methods: Sequence[Method]) -> list[Row]:
    """Return rows on measured rooms: each method moved to their array, and trained for it."""
    test = rooms_set(space)
    if test is None:
        return []
    condition = CONDITIONS[FIRST]
    scored = []
    for method in methods:
        ways = [("moved to it", home_array(space), "")]
        if method.learns:
            ways.append(("trained for it", test.array, "rooms"))
        for way, array, place in ways:
            tracker = fitted(space, method, condition, array, place)
            part = f"rooms/{place or 'moved'}"
            scored += [
                dataclasses.replace(s, row_id=f"{s.row_id}/{place}", cells=s.cells | {"way": way})
                for s in _scored(space, method, tracker, test, part)
            ]
    for s in scored:
        s.reference += "/"
    return _compared(scored)


def corruption_table(space: Workspace, methods: Sequence[Method]) -> list[Row]:
    """Return the rows of Table 5: errors where trackers are told wrong positions, and how much they grow."""
    found = locata_set(space)
    base = list(simulated_sets(space, CONDITIONS[_TRAINED_FOR]))[-1] if found is None else found
    chosen = [m for m in methods if m.name in _GEOMETRY_AWARE]
    trackers = [(m, fitted(space, m, CONDITIONS[_TRAINED_FOR], home_array(space))) for m in chosen]
    rows: list[Row] = []
    start: dict[str, float] = {}
    for percent in CORRUPTIONS:
        test = corrupted(space, base, percent)
        part = f"table5/{percent}"
        scored = [s for m, tracker in trackers for s in _scored(space, m, tracker, test, part, joined=False)]
        for s in scored:
            s.reference = "neural-srp"
            s.cells["corruption_percent"] = percent
            known = BY_CORRUPTION.get(s.cells["published"], {}).get(percent)
            s.cells["published_deg"], s.cells["published_increase_percent"] = known or (None, None)
        for row in _compared(scored):
            first = start.setdefault(row["method"], row["mae_deg"])
            row["increase_percent"] = 100 * (row["mae_deg"] / first - 1) if first else None
            rows.append(row)
    return rows


def _scored(
    space: Workspace, method: Method, tracker: Any, test: TestSet, part: str, *, joined: bool = True
) -> Iterator[_Scored]:
    """Yield a method's rows on a test set, from the folder where they are finished."""
    key = model_key(tracker)
    for smoothing in method.smoothings if joined else (None,):
        row_id = method.name if smoothing is None else f"{method.name}+{smoothing}"
        made = {"model": key, "smoothing": smoothing, "scenes": [str(s) for s in test.signals]}
        space.say(f"scoring {row_id} on {test.name}")

        def score(smoothing: str | None = smoothing) -> list[list[float]]:
            return scene_errors(tracker, test, smoothing)

        errors = space.once(f"parts/{part}/{row_id}.json", made, score)
        learning = "none" if not method.learns else "supervised" if method.supervised else "unsupervised"
        cells = {"set": test.name, "set_label": test.label, "method": row_id, "label": method.label}
        cells |= {"learning": learning, "smoothing": smoothing, "published": method.published}
        yield _Scored(row_id, srp_reference(tracker, smoothing), cells, errors)


def _compared(scored: Sequence[_Scored]) -> list[Row]:
    """Return rows with their difference to the row of their reference, where that was run."""
    by_id = {s.row_id: s for s in scored}
    rows = []
    for s in scored:
        other = by_id.get(s.reference)
        against = None if other is None or other is s else other.errors
        rows.append(s.cells | figures(s.errors, against) | {"reference": s.reference if against is not None else None})
    return rows
