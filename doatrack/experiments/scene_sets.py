"""Simulated sets of an experiment on disk: made once, and completed where a run was killed."""

import pathlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from doatrack.datasets import ScoredSet, write_scored_set
from doatrack.experiments.conditions import Condition, moved_microphones
from doatrack.geometry import MicArray
from doatrack.simulation import Scene, simulate_scene
from doatrack.simulation.scene import SpeechSource

__all__ = ["ScenePlan", "complete_set", "true_arrays"]


@dataclass(frozen=True)
class ScenePlan:
    """Which scenes a set consists of; scene k depends on the plan's seed and k alone.

    Parameters
    ----------
    condition : Condition
    array : MicArray
        What trackers are told; where the condition has a position error, each scene's microphones differ from it.
    n_scenes : int
    duration_s : float
    seed : int
    moving_probability : float
        Share of scenes whose talker moves.

    Examples
    --------
    >>> from doatrack.experiments.conditions import CONDITIONS
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> plan = ScenePlan(CONDITIONS["moved-mics"], array, n_scenes=2, duration_s=0.5, seed=0)
    >>> plan.scene(1).waveform.shape
    (4, 8000)
    """

    condition: Condition
    array: MicArray
    n_scenes: int
    duration_s: float
    seed: int
    moving_probability: float = 0.5

    @property
    def names(self) -> list[str]:
        """Names of the scenes' files."""
        return [f"{self.condition.name}_{k:05d}" for k in range(self.n_scenes)]

    def scene(self, index: int, speech: SpeechSource | None = None) -> Scene:
        """Simulate one scene; `info["mic_positions"]` tells where its microphones are, in metres."""
        states = np.random.SeedSequence([self.seed, index]).generate_state(2, np.uint64)
        settings = self.condition.settings(self.duration_s, moving_probability=self.moving_probability)
        generator = np.random.default_rng(states[1])
        array = moved_microphones(self.array, self.condition.position_error, generator)
        scene = simulate_scene(array, settings, int(states[0]), speech)
        return Scene(scene.waveform, scene.truth, scene.info | {"mic_positions": array.positions.tolist()})


def complete_set(folder: pathlib.Path, plan: ScenePlan, speech: SpeechSource | None) -> ScoredSet:
    """Simulate the scenes that a folder lacks and return them all.

    Parameters
    ----------
    folder : path
        Made if missing.
    plan : ScenePlan
    speech : callable, optional
        As for `doatrack.simulation.simulate_scene`.

    Examples
    --------
    >>> import tempfile
    >>> from doatrack.experiments.conditions import CONDITIONS
    >>> plan = ScenePlan(CONDITIONS["sensor"], MicArray.from_preset("tetrahedron_4"), 2, duration_s=0.5, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     complete_set(pathlib.Path(folder), plan, None).names
    ['sensor_00000', 'sensor_00001']
    """
    missing = [k for k, name in enumerate(plan.names) if not (folder / f"{name}.wav").exists()]
    for k in missing:
        for suffix in (".csv", ".json"):  # the sound is written last: a killed run leaves these two
            (folder / f"{plan.names[k]}{suffix}").unlink(missing_ok=True)
    write_scored_set(folder, _scenes(plan, missing, speech), plan.array, [plan.names[k] for k in missing])
    return ScoredSet(folder)


def true_arrays(scenes: ScoredSet) -> list[MicArray]:
    """Return the array that each scene of a simulated set was recorded with."""
    return [MicArray(scenes.info(k)["mic_positions"]) for k in range(len(scenes))]


def _scenes(plan: ScenePlan, indices: Iterable[int], speech: SpeechSource | None) -> Iterator[Scene]:
    return (plan.scene(k, speech) for k in indices)
