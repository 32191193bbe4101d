"""What methods are tested on: simulated scenes of other talkers, measured rooms, LOCATA."""

from collections.abc import Iterator

import numpy as np

from doatrack.datasets import Locata, ScoredSet
from doatrack.experiments.conditions import CONDITIONS, Condition, moved_microphones
from doatrack.experiments.fitting import FIRST
from doatrack.experiments.scene_sets import ScenePlan, complete_set, true_arrays
from doatrack.experiments.scoring import TestSet
from doatrack.experiments.workspace import Workspace
from doatrack.geometry import MicArray

__all__ = [
    "SET_LABELS",
    "corrupted",
    "figure_scene",
    "home_array",
    "locata_set",
    "rooms_set",
    "simulated_names",
    "simulated_sets",
]

SET_LABELS = {f"simulated-{condition.name}": f"simulated, {condition.title}" for condition in CONDITIONS.values()} | {
    "simulated-moved-mics-known": "simulated, microphones 1 cm off, true positions told",
    "rooms": "measured rooms, another array",
    "locata": "LOCATA, tasks 1, 3 and 5",
    "figure": "a simulated scene, white noise of each microphone",
}
"""What test sets are called in tables, by the name that files have."""

_TEST_STREAM, _FIGURE_STREAM, _CORRUPTION_STREAM = 2, 3, 4


def home_array(space: Workspace) -> MicArray:
    """Return the array of the simulated scenes."""
    return MicArray.from_preset(space.scale.array)


def simulated_names(condition: Condition) -> list[str]:
    """Return the names of the sets that `simulated_sets` yields.

    Examples
    --------
    >>> simulated_names(CONDITIONS["sensor"])
    ['simulated-sensor']
    """
    names = [f"simulated-{condition.name}"]
    return [*names, f"{names[0]}-known", f"simulated-{FIRST}"] if condition.position_error else names


def simulated_sets(space: Workspace, condition: Condition) -> Iterator[TestSet]:
    """Yield the sets that methods for a condition are tested on.

    Where microphones are not where trackers think, there are three: that one, the same recordings with the true
    positions told, and recordings of an array that is as it is told.
    """
    scenes = _scenes(space, condition)
    name, *more = simulated_names(condition)
    yield _test(name, scenes)
    if more:
        known, exact = more
        yield _test(known, scenes, true_arrays(scenes))
        yield _test(exact, _scenes(space, CONDITIONS[FIRST]))


def rooms_set(space: Workspace) -> TestSet | None:
    """Return the measured rooms, if a folder was given."""
    if space.rooms is None:
        return None
    scenes = ScoredSet(space.rooms)
    return _test("rooms", scenes)


def locata_set(space: Workspace) -> TestSet | None:
    """Return the robot head's recordings of LOCATA's tasks 1, 3 and 5, if a folder was given."""
    if space.locata is None:
        return None
    corpus = Locata(space.locata)
    return TestSet("locata", SET_LABELS["locata"], corpus.array, corpus.paths, corpus.truths)


def corrupted(space: Workspace, test: TestSet, percent: int) -> TestSet:
    """Return a test set whose positions are told with errors (section 5.4).

    White Gaussian noise of so many per cent of the largest absolute coordinate, relative to the centre of the array,
    is added to each coordinate of each microphone, anew for each recording; the same for all methods, and the same
    noise at every level, scaled.
    """
    place = test.array.positions - test.array.positions.mean(axis=0)
    size = percent / 100 * float(np.abs(place).max())
    told = []
    for k in range(len(test.signals)):
        generator = np.random.default_rng([space.seed, _CORRUPTION_STREAM, k])
        told.append(moved_microphones(test.array, size, generator))
    name = f"{test.name}-corrupted-{percent}"
    return TestSet(name, test.label, test.array, test.signals, test.truths, told, fixed_features=True)


def figure_scene(space: Workspace) -> TestSet:
    """Return one scene with a talker who moves, for figure 3."""
    plan = ScenePlan(
        CONDITIONS[FIRST], home_array(space), 1, space.scale.figure_duration_s, _seed(space, _FIGURE_STREAM), 1.0
    )
    scenes = complete_set(space.path("scenes/figure"), plan, space.test_speech)
    return _test("figure", scenes)


def _scenes(space: Workspace, condition: Condition) -> ScoredSet:
    scale = space.scale
    plan = ScenePlan(condition, home_array(space), scale.n_test, scale.duration_s, _seed(space, _TEST_STREAM))
    folder = space.path(f"scenes/test-{condition.name}")
    space.say(f"scenes to test on: {folder.name}")
    return complete_set(folder, plan, space.test_speech)


def _seed(space: Workspace, stream: int) -> int:
    return 10 * space.seed + stream


def _test(name: str, scenes: ScoredSet, told: list[MicArray] | None = None) -> TestSet:
    return TestSet(name, SET_LABELS[name], scenes.array, scenes.paths, scenes.truths, told)
