"""The sequence of simulated scenes."""

import numpy as np
import pytest
import soundfile

from doatrack.datasets import SimulatedScenes, SpeechFolder
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
    assert "speech None, noise None" in scenes.description
    with pytest.raises(InvalidInputError, match="epoch must be at least 0, got -1"):
        scenes.for_epoch(-1)


def test_the_description_tells_sources_apart_but_not_by_their_place_in_memory(tmp_path):
    def described(speech):
        return SimulatedScenes(ARRAY, SETTINGS, 2, 0, speech).description

    for name in "ab":
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "talk.wav", np.zeros(8000), 16000)
    a, b = (described(SpeechFolder(tmp_path / name)) for name in "ab")
    assert a != b
    assert a == described(SpeechFolder(tmp_path / "a"))
    assert a != described(SpeechFolder(tmp_path / "a", pause_range=(0.3, 0.4)))
    assert "speech function, noise None" in described(lambda *_: None)
