"""Simulated scenes as a sequence, made when they are asked for."""

import copy
import operator
from collections.abc import Sequence
from typing import Self, overload

import numpy as np
import torch

from doatrack._validation import check_int
from doatrack.geometry import MicArray
from doatrack.simulation import Scene, SceneSettings, simulate_scene
from doatrack.simulation.noise import NoiseSource
from doatrack.simulation.scene import SpeechSource

__all__ = ["SimulatedScenes"]


class SimulatedScenes(Sequence[Scene]):
    """Scenes that are simulated at each access and not kept, so that any number fits into memory.

    Trackers learn from other ones in every epoch, as in the paper: `tracker.fit(scenes, array)` takes those of
    `for_epoch(0)`, then of `for_epoch(1)` and so on (and supervised ones their truth).

    Parameters
    ----------
    array : MicArray
    settings : SceneSettings
    n_scenes : int
    seed : int
        Scene k depends on `seed` and k alone: more scenes leave the first ones as they are.
    speech, noise_source : callable, optional
        As for `doatrack.simulation.simulate_scene`.
    device : torch.device or str
        Where responses and convolutions are computed.
    epoch : int
        0 is the first; the scenes of each are others.

    Attributes
    ----------
    description : str
        What the scenes are drawn from.

    Raises
    ------
    InvalidInputError
        If `n_scenes`, `seed` or `epoch` is negative or not a whole number.

    Examples
    --------
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> scenes = SimulatedScenes(array, SceneSettings(duration_s=0.5, rt60_range=(0.2, 0.3)), n_scenes=3, seed=0)
    >>> bool((scenes.for_epoch(1)[0].waveform == scenes[0].waveform).all())
    False
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
        *,
        device: torch.device | str = "cpu",
        epoch: int = 0,
    ) -> None:
        self.array = array
        self.settings = settings
        self.n_scenes = check_int("n_scenes", n_scenes, 0)
        self.seed = check_int("seed", seed, 0)
        self.speech = speech
        self.noise_source = noise_source
        self.device = device
        self.epoch = check_int("epoch", epoch, 0)

    @property
    def description(self) -> str:
        """What the scenes are drawn from, for runs that are resumed: not the epoch, nor the device."""
        speech, noise = map(_told, (self.speech, self.noise_source))
        where = self.array.positions.tolist()
        return (
            f"{self.n_scenes} simulated scenes, seed {self.seed}, {self.settings!r}, speech {speech}, noise {noise}, "
            f"array {where}"
        )

    def for_epoch(self, epoch: int) -> Self:
        """Return the scenes of an epoch, as many, counted from 0."""
        other = copy.copy(self)
        other.epoch = check_int("epoch", epoch, 0)
        return other

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
        seed = self.seed_of(k % self.n_scenes)
        return simulate_scene(self.array, self.settings, seed, self.speech, self.noise_source, device=self.device)

    def seed_of(self, index: int) -> int:
        """Return what scene `index` >= 0 is drawn from, the "seed" of its `info`."""
        drawn_from = [self.seed, index, *([self.epoch] if self.epoch else [])]
        return int(np.random.SeedSequence(drawn_from).generate_state(1, np.uint64)[0])


def _told(source: SpeechSource | NoiseSource | None) -> str:
    """Return what a source says of itself; one that says nothing is told by its type, not by its place in memory."""
    told = repr(source)
    return type(source).__name__ if " at 0x" in told else told
