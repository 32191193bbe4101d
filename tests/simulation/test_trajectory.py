"""Paths stay in the room and keep away from the array."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import Trajectory, random_position, random_trajectory


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_paths_keep_the_margin_and_the_distance(seed):
    rng = np.random.default_rng(seed)
    size = rng.uniform([3, 3, 2.5], [10, 8, 6])
    array = random_position(size, rng, margin=1.0)
    path = random_trajectory(size, 20.0, rng, margin=0.3, away_from=array, min_distance=0.5)
    points = path.positions(np.linspace(0, 20, 1001))
    assert (points > 0.3 - 0.01).all()
    assert (points < size - 0.3 + 0.01).all()
    assert np.linalg.norm(points - array, axis=1).min() > 0.48
    np.testing.assert_allclose(points[0], path.start)
    assert not path.is_static


def test_amplitudes_and_oscillations_are_those_asked_for():
    rng = np.random.default_rng(0)
    paths = [random_trajectory([30, 30, 30], 5.0, rng, oscillations_range=(1, 2)) for _ in range(200)]
    amplitude = np.array([p.amplitude for p in paths])
    oscillations = np.array([p.oscillations for p in paths])
    assert amplitude.max() <= 1
    assert amplitude.mean() == pytest.approx(0.5, abs=0.05)
    assert oscillations.min() >= 1
    assert oscillations.mean() == pytest.approx(1.5, abs=0.05)


def test_a_full_oscillation_returns_to_the_straight_line():
    path = Trajectory([1, 1, 1], [2, 3, 1], [0.5, 0, 0.2], [1, 0, 2], 4.0)
    np.testing.assert_allclose(path.positions([2.0, 4.0]), [[1.5, 2, 1], [2, 3, 1]], atol=1e-12)
    np.testing.assert_allclose(path.positions([1.0])[0], [1.75, 1.5, 1.0], atol=1e-12)


def test_a_room_without_space_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match=r"must leave space between margins of 1\.5 m"):
        random_position([3, 3, 2.5], rng, margin=1.5)
    for draw in (random_position, lambda size, g, **k: random_trajectory(size, 1.0, g, **k)):
        with pytest.raises(InvalidInputError, match="No place was found that keeps min_distance = 9 m"):
            draw([3, 3, 2.5], rng, away_from=[1, 1, 1], min_distance=9.0)
