"""Scenes that methods are compared on: scored sets, and simulated ones with a new random array each."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack import MicArray
from doatrack.datasets import ScoredSet, SpeechFolder
from doatrack.simulation import SceneSettings, simulate_scene

__all__ = [
    "CLEARER_SNR_DB",
    "CLEARER_THRESHOLD_DB",
    "NOISES",
    "USUAL_SNR_DB",
    "HeardScene",
    "fixed_array_scenes",
    "random_array",
    "random_array_scenes",
    "scored_scenes",
]

NOISES = ("sensor", "directional")
_SEED = 5_000_000
_DURATION_S = 8.0
USUAL_SNR_DB = (5.0, 30.0)
CLEARER_SNR_DB = (8.0, 33.0)
CLEARER_THRESHOLD_DB = 20.0
"""Scenes of clearer speech, whose faint ends do not count: about as hard for plain SRP-PHAT as the benchmark sets."""


@dataclasses.dataclass(frozen=True)
class HeardScene:
    """A recording (an array of samples, or a path), the array that made it, and its truth rows."""

    array: MicArray
    signals: Any
    truth: NDArray[np.float64]


def scored_scenes(folder: pathlib.Path, group: str) -> Iterator[HeardScene]:
    """Yield the scenes of a scored set whose names start with a group; all of them for an empty one."""
    scored = ScoredSet(folder)
    for name, path, truth in zip(scored.names, scored.paths, scored.truths, strict=True):
        if name.startswith(group):
            yield HeardScene(scored.array, path, truth)


def random_array(generator: np.random.Generator) -> MicArray:
    """Return 4 to 8 microphones on a sphere of 4 to 10 cm radius, at least 2 cm apart and not nearly in a plane."""
    while True:
        radius = generator.uniform(0.04, 0.10)
        positions = generator.normal(size=(generator.integers(4, 9), 3))
        positions *= radius / np.linalg.norm(positions, axis=1, keepdims=True)
        distance = np.linalg.norm(positions[:, None] - positions, axis=-1) + np.eye(len(positions))
        if distance.min() > 0.02 and np.linalg.svd(positions - positions.mean(axis=0))[1][-1] > 0.25 * radius:
            return MicArray(positions)


def random_array_scenes(
    noise: str,
    n_scenes: int,
    speech: SpeechFolder | None,
    seed: int = 0,
    snr_db_range: tuple[float, float] = USUAL_SNR_DB,
) -> Iterator[HeardScene]:
    """Yield simulated scenes, each with a random array of its own."""
    for k in range(n_scenes):
        array = random_array(np.random.default_rng([seed, NOISES.index(noise), k]))
        yield _simulated(array, noise, _SEED + 2 * k + NOISES.index(noise), speech, snr_db_range)


def fixed_array_scenes(array: MicArray, noise: str, n_scenes: int, speech: SpeechFolder | None) -> Iterator[HeardScene]:
    """Yield simulated scenes of one array."""
    for k in range(n_scenes):
        yield _simulated(array, noise, 2 * _SEED + 2 * k + NOISES.index(noise), speech, USUAL_SNR_DB)


def _simulated(
    array: MicArray, noise: str, seed: int, speech: SpeechFolder | None, snr_db_range: tuple[float, float]
) -> HeardScene:
    settings = SceneSettings(duration_s=_DURATION_S, noise=noise, snr_db_range=snr_db_range)
    scene = simulate_scene(array, settings, seed, speech)
    return HeardScene(array, scene.waveform, scene.truth)
