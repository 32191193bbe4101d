"""Simulated scenes as a sequence, made when they are asked for."""

import operator
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

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

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """Return the scene at `index`, or the sequence of scenes of a slice."""

    def __iter__(self) -> Iterator[Scene]:
        return (self[k] for k in range(self.n_scenes))
