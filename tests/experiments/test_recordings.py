"""Test sets, and corruption that keeps what it must."""

import numpy as np
import pytest

from doatrack.experiments.conditions import CONDITIONS
from doatrack.experiments.recordings import corrupted, figure_scene, rooms_set, simulated_sets


def test_uncertain_positions_are_tested_in_three_ways(kept_space):
    unknown, known, exact = simulated_sets(kept_space, CONDITIONS["moved-mics"])
    assert unknown.signals == known.signals
    assert unknown.told_arrays is None
    assert [a != unknown.array for a in known.told_arrays] == [True, True]
    assert not known.fixed_features
    assert exact.name == "simulated-sensor"
    assert [t.name for t in simulated_sets(kept_space, CONDITIONS["sensor"])] == ["simulated-sensor"]


def test_learning_and_testing_use_other_scenes(kept_space):
    from doatrack.experiments.fitting import train_set

    condition = CONDITIONS["sensor"]
    (test,) = simulated_sets(kept_space, condition)
    train = train_set(kept_space, condition, test.array)
    assert not {p.read_bytes() for p in train.paths} & {p.read_bytes() for p in test.signals}


def test_corruption_changes_only_what_is_told(kept_space):
    (test,) = simulated_sets(kept_space, CONDITIONS["sensor"])
    found = corrupted(kept_space, test, 50)
    assert (found.array, found.signals, found.truths) == (test.array, test.signals, test.truths)
    assert found.fixed_features
    assert corrupted(kept_space, test, 0).told_arrays == [test.array] * 2
    assert found.told_arrays[0] != found.told_arrays[1]  # anew for each recording
    assert found.told_arrays == corrupted(kept_space, test, 50).told_arrays


def test_corruption_is_in_per_cent_of_the_largest_coordinate(kept_space):
    (test,) = simulated_sets(kept_space, CONDITIONS["sensor"])
    place = test.array.positions
    largest = np.abs(place - place.mean(axis=0)).max()
    errors = {p: np.stack([a.positions for a in corrupted(kept_space, test, p).told_arrays]) - place for p in (10, 50)}
    np.testing.assert_allclose(errors[50], 5 * errors[10], atol=1e-12)
    assert errors[50].std() == pytest.approx(0.5 * largest, rel=0.4)  # 24 numbers


def test_the_figure_shows_one_moving_talker(kept_space):
    scene = figure_scene(kept_space)
    assert len(scene.signals) == 1
    directions = scene.truths[0][:, 1:4]
    assert np.abs(directions - directions[0]).max() > 1e-3


def test_no_rooms_without_a_folder(kept_space):
    assert rooms_set(kept_space) is None
