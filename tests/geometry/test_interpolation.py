"""Between two directions the way goes along the great circle, never through angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from doatrack.geometry.interpolation import interpolate_directions


def unit(seed, n):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def angle(a, b):
    return np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1))


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_constant_angular_speed_in_the_plane_of_both(seed, share):
    a, b = unit(seed, 2)
    (between,) = interpolate_directions(np.array([2 + 3 * share]), np.array([2.0, 5.0]), np.stack([a, b]))
    assert np.linalg.norm(between) == pytest.approx(1, abs=1e-12)
    whole = angle(a, b)
    assert angle(a, between) == pytest.approx(share * whole, abs=1e-7)
    assert angle(between, b) == pytest.approx((1 - share) * whole, abs=1e-7)


def test_agrees_with_rotations_of_scipy():
    axis, times = np.array([0.36, 0.48, 0.8]), np.array([0.0, 1.0, 4.0])
    turns = Rotation.from_rotvec(np.outer([0.0, 2.0, 2.9], axis))
    start = np.cross(axis, [0.0, 0.0, 1.0])
    start /= np.linalg.norm(start)
    at = np.linspace(0, 4, 33)
    expected = Slerp(times, turns)(at).apply(start)
    assert np.allclose(interpolate_directions(at, times, turns.apply(start)), expected, atol=1e-9)


def test_a_source_crossing_the_back_does_not_pass_the_front():
    azimuth = np.radians([170.0, -170.0])
    doa = np.column_stack([np.cos(azimuth), np.sin(azimuth), [0, 0]])
    between = interpolate_directions(np.linspace(0, 1, 11), np.array([0.0, 1.0]), doa)
    assert (between[:, 0] < -0.98).all()
    assert between[5] == pytest.approx([-1, 0, 0], abs=1e-12)


def test_given_times_give_given_directions_and_the_ends_are_held():
    times, doa = np.array([0.5, 1.0, 1.2, 4.0]), unit(1, 4)
    assert np.allclose(interpolate_directions(times, times, doa), doa, atol=1e-12)
    assert np.allclose(interpolate_directions(np.array([-3.0, 9.0]), times, doa), doa[[0, -1]], atol=1e-12)


def test_one_direction_holds_always():
    doa = unit(2, 1)
    assert np.array_equal(interpolate_directions(np.array([-1.0, 0.0, 5.0]), np.array([0.0]), doa), doa[[0, 0, 0]])


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-5, np.pi - 1e-5, np.pi - 1e-9, np.pi])
def test_equal_and_opposite_directions_stay_unit_vectors(gap):
    doa = np.array([[1.0, 0, 0], [np.cos(gap), np.sin(gap), 0]])
    between = interpolate_directions(np.linspace(0, 1, 9), np.array([0.0, 1.0]), doa)
    assert np.allclose(np.linalg.norm(between, axis=1), 1, atol=1e-12)
    assert np.allclose(between[[0, -1]], doa, atol=1e-6)
    if gap > 3.1415926:
        assert np.allclose(between[[1, 2, 6, 7]], doa[[0, 0, 1, 1]], atol=1e-6)
