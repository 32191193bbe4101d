"""The sequence of simulated scenes."""

import numpy as np
import pytest

from doatrack.datasets.simulated import SimulatedScenes
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray
from doatrack.simulation import SceneSettings

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0]])
SETTINGS = SceneSettings(duration_s=0.2, rt60_range=(0.2, 0.3))


def test_a_scene_depends_on_seed_and_place_alone():
    few, many, other = (SimulatedScenes(ARRAY, SETTINGS, n, seed) for n, seed in ((2, 0), (5, 0), (5, 1)))
    assert np.array_equal(few[1].waveform, many[1].waveform)
    assert np.array_equal(many[-1].waveform, many[4].waveform)
    assert not np.array_equal(many[0].waveform, many[1].waveform)
    assert not np.array_equal(many[1].waveform, other[1].waveform)
    assert [s.info["seed"] for s in many[1:3]] == [many[1].info["seed"], many[2].info["seed"]]


def test_it_ends():
    scenes = SimulatedScenes(ARRAY, SETTINGS, 2, 0)
    assert len(list(scenes)) == len(scenes) == 2
    with pytest.raises(IndexError, match="scene 2 of 2"):
        scenes[2]
    with pytest.raises(InvalidInputError, match="n_scenes must be at least 0"):
        SimulatedScenes(ARRAY, SETTINGS, -1, 0)


def test_every_epoch_has_scenes_of_its_own():
    scenes = SimulatedScenes(ARRAY, SETTINGS, n_scenes=2, seed=0)
    first, second, again = scenes.for_epoch(0), scenes.for_epoch(1), scenes.for_epoch(1)
    assert np.array_equal(first[1].waveform, scenes[1].waveform)
    assert not np.array_equal(second[1].waveform, first[1].waveform)
    assert np.array_equal(second[1].waveform, again[1].waveform)
    assert len(second) == 2
    assert second.description == scenes.description
    other = SimulatedScenes(ARRAY, SETTINGS, n_scenes=2, seed=1)
    assert other.description != scenes.description
    with pytest.raises(InvalidInputError, match="epoch must be at least 0, got -1"):
        scenes.for_epoch(-1)
