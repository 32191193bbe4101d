"""The work of the tables of errors: methods fitted for a condition, tried on all test sets."""

from collections.abc import Sequence
from typing import Any

from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.finished import CORRUPTIONS, row_name
from doatrack.experiments.fitting import FIRST, fitted, model_key
from doatrack.experiments.methods import Method
from doatrack.experiments.recordings import corrupted, home_array, locata_set, rooms_set, simulated_sets
from doatrack.experiments.scoring import TestSet, scene_errors
from doatrack.experiments.workspace import Workspace

__all__ = ["score_condition", "score_corruption", "score_rooms"]

_TRAINED_FOR = "moved-mics"
"""The condition of the models of Table 5: its increases start from the errors of experiment 3 (8.3 and 7.6)."""


def score_condition(space: Workspace, methods: Sequence[Method], condition_name: str) -> None:
    """Do what experiments 1 to 3 still need of some methods.

    Parameters
    ----------
    space : Workspace
    methods : sequence of Method
    condition_name : str
        One of `CONDITIONS`.
    """
    condition = CONDITIONS[condition_name]
    home = home_array(space)
    tests = [*simulated_sets(space, condition), *(t for t in (rooms_set(space), locata_set(space)) if t is not None)]
    trackers = [(method, fitted(space, method, condition, home)) for method in methods]
    for test in tests:
        for method, tracker in trackers:
            _score(space, method, tracker, test, f"{condition_name}/{test.name}")


def score_rooms(space: Workspace, methods: Sequence[Method]) -> None:
    """Do what the rows on measured rooms still need: each method moved to their array, and trained for it."""
    test = rooms_set(space)
    assert test is not None
    for method in methods:
        ways = [(home_array(space), "")]
        if method.learns:
            ways.append((test.array, "rooms"))
        for array, place in ways:
            tracker = fitted(space, method, CONDITIONS[FIRST], array, place)
            _score(space, method, tracker, test, f"rooms/{place or 'moved'}")


def score_corruption(space: Workspace, methods: Sequence[Method]) -> None:
    """Do what Table 5 still needs of some methods."""
    found = locata_set(space)
    base = list(simulated_sets(space, CONDITIONS[_TRAINED_FOR]))[-1] if found is None else found
    chosen = [method for method in methods if method.geometry_aware]
    trackers = [(m, fitted(space, m, CONDITIONS[_TRAINED_FOR], home_array(space))) for m in chosen]
    for percent in CORRUPTIONS:
        test = corrupted(space, base, percent)
        for method, tracker in trackers:
            _score(space, method, tracker, test, f"table5/{percent}", joined=False)


def _score(space: Workspace, method: Method, tracker: Any, test: TestSet, part: str, *, joined: bool = True) -> None:
    """Score a method on a test set, as far as that is not finished."""
    key = model_key(tracker)
    for smoothing in method.smoothings if joined else (None,):
        name = row_name(method, smoothing)
        made = {"model": key, "smoothing": smoothing, "scenes": [str(s) for s in test.signals]}
        space.say(f"scoring {name} on {test.name}")

        def score(smoothing: str | None = smoothing) -> list[list[float]]:
            return scene_errors(tracker, test, smoothing)

        space.once(f"parts/{part}/{name}.json", made, score)
