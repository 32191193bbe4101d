"""Simulated scenes as a sequence, made when they are asked for."""

import operator
from collections.abc import Sequence
from typing import overload

import numpy as np

from doatrack._validation import check_int
from doatrack.geometry import MicArray
from doatrack.simulation import Scene, SceneSettings, simulate_scene
from doatrack.simulation.noise import NoiseSource
from doatrack.simulation.scene import SpeechSource

__all__ = ["SimulatedScenes"]


class SimulatedScenes(Sequence[Scene]):
    """Scenes that are simulated at each access and not kept, so that any number fits into memory.

    Parameters
    ----------
    array : MicArray
    settings : SceneSettings
    n_scenes : int
    seed : int
        Scene k depends on `seed` and k alone: more scenes leave the first ones as they are.
    speech, noise_source : callable, optional
        As for `doatrack.simulation.simulate_scene`.

    Raises
    ------
    InvalidInputError
        If `n_scenes` or `seed` is negative or not a whole number.

    Examples
    --------
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> scenes = SimulatedScenes(array, SceneSettings(duration_s=0.5, rt60_range=(0.2, 0.3)), n_scenes=3, seed=0)
    >>> len(scenes), scenes[-1].waveform.shape, len(scenes[:2])
    (3, (4, 8000), 2)
    """

    def __init__(
        self,
        array: MicArray,
        settings: SceneSettings,
        n_scenes: int,
        seed: int,
        speech: SpeechSource | None = None,
        noise_source: NoiseSource | None = None,
    ) -> None:
        self.array = array
        self.settings = settings
        self.n_scenes = check_int("n_scenes", n_scenes, 0)
        self.seed = check_int("seed", seed, 0)
        self.speech = speech
        self.noise_source = noise_source

    def __len__(self) -> int:
        return self.n_scenes

    @overload
    def __getitem__(self, index: int) -> Scene: ...

    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...

    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        """Simulate the scene at `index`, or the list of scenes of a slice."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(self.n_scenes))]
        k = operator.index(index)
        if not -self.n_scenes <= k < self.n_scenes:
            raise IndexError(f"scene {k} of {self.n_scenes} was asked for")
        seed = int(np.random.SeedSequence([self.seed, k % self.n_scenes]).generate_state(1, np.uint64)[0])
        return simulate_scene(self.array, self.settings, seed, self.speech, self.noise_source)
