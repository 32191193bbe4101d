"""Sets of scenes: the same ones whenever and in how many runs they are made."""

import numpy as np
import pytest

from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.scene_sets import ScenePlan, complete_set, true_arrays
from doatrack.geometry import MicArray

ARRAY = MicArray.from_preset("tetrahedron_4")


def plan(condition="sensor", n_scenes=3, **changes):
    return ScenePlan(CONDITIONS[condition], ARRAY, n_scenes, **({"duration_s": 0.5, "seed": 1} | changes))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_set_that_was_broken_off_is_completed_to_the_same_files(tmp_path):
    complete_set(tmp_path / "whole", plan(), None)
    complete_set(tmp_path / "parts", plan(n_scenes=2), None)
    (tmp_path / "parts" / "sensor_00001.wav").unlink()  # killed between the truth and the sound of a scene
    complete_set(tmp_path / "parts", plan(), None)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_what_is_there_is_not_made_again(tmp_path, monkeypatch):
    complete_set(tmp_path, plan(), None)

    def refuse(*arguments):
        raise AssertionError("simulated again")

    monkeypatch.setattr("doatrack.experiments.scene_sets.simulate_scene", refuse)
    assert len(complete_set(tmp_path, plan(), None)) == 3


def test_conditions_share_their_rooms_but_not_with_another_seed():
    scenes = [plan(name).scene(0) for name in ("sensor", "interferer")]
    assert scenes[0].info["room"] == scenes[1].info["room"]
    assert scenes[0].info["snr_db"] == scenes[1].info["snr_db"]
    assert plan(seed=2).scene(0).info["room"] != scenes[0].info["room"]


def test_each_scene_has_its_own_microphones_where_positions_are_uncertain(tmp_path):
    scenes = complete_set(tmp_path, plan("moved-mics"), None)
    assert scenes.array == ARRAY
    apart = np.stack([array.positions for array in true_arrays(scenes)]) - ARRAY.positions
    assert np.abs(apart).max() < 0.05
    assert all(np.abs(apart[j] - apart[k]).max() > 1e-3 for j in range(3) for k in range(j))
    assert true_arrays(complete_set(tmp_path / "exact", plan(), None)) == [ARRAY] * 3


def test_the_share_of_moving_talkers():
    assert all(plan(moving_probability=1.0).scene(k).info["moving"] for k in range(3))
    assert not any(plan(moving_probability=0.0).scene(k).info["moving"] for k in range(3))
    with pytest.raises(ValueError, match="moving_probability"):
        plan(moving_probability=2.0).scene(0)
