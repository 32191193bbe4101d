"""Displacements between identical sub-arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import find_shifts

HEXAGON = [[0.04 * np.cos(a), 0.04 * np.sin(a), 0.0] for a in np.radians(np.arange(0, 360, 60))]


def test_every_doublet_is_its_displacement_apart():
    array = MicArray.from_preset("eigenmike_em32")
    shifts = find_shifts(array)
    assert shifts
    for shift in shifts:
        apart = array.positions[shift.second] - array.positions[shift.first]
        assert np.abs(apart - shift.displacement).max() < 1e-3
        assert len(set(shift.first)) == len(set(shift.second)) == shift.n_doublets >= 2


def test_no_pair_stands_in_two_shifts_or_twice_in_one():
    shifts = find_shifts(MicArray.from_preset("minidsp_uma_16"), min_doublets=1)
    pairs = [frozenset(pair) for shift in shifts for pair in zip(shift.first, shift.second, strict=True)]
    assert len(pairs) == len(set(pairs)) == 16 * 15 / 2


def test_a_line_has_every_multiple_of_its_step():
    shifts = find_shifts(MicArray([[0.03 * k, 0, 0] for k in range(5)]))
    assert [shift.n_doublets for shift in shifts] == [4, 3, 2]
    assert np.allclose([shift.displacement for shift in shifts], [[0.03, 0, 0], [0.06, 0, 0], [0.09, 0, 0]])


def test_a_hexagon_has_its_sides_and_short_diagonals():
    lengths = [round(shift.length / 0.04, 6) for shift in find_shifts(MicArray(HEXAGON))]
    assert lengths == [1, 1, 1, *[round(3**0.5, 6)] * 3]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_turned_array_has_the_turned_shifts_whatever_the_order_of_its_microphones(seed):
    rng = np.random.default_rng(seed)
    array = MicArray.from_preset("frl_octahedral_7")
    rotation = Rotation.random(random_state=seed).as_matrix()
    turned = array.rotate(rotation).select(rng.permutation(7))
    expected = np.array([s.displacement for s in find_shifts(array)]) @ rotation.T
    found = np.array([s.displacement for s in find_shifts(turned)])
    distance = np.min([np.linalg.norm(found[:, None] - sign * expected, axis=2) for sign in (-1, 1)], axis=0)
    assert len(found) == len(expected)
    assert sorted(distance.argmin(axis=1)) == list(range(len(expected)))
    assert distance.min(axis=1).max() < 1e-12


def test_irregular_places_have_no_shifts_and_the_tolerance_decides():
    array = MicArray(HEXAGON).perturb(0.0005, random_state=0)
    assert not find_shifts(array, tolerance=1e-6)
    assert len(find_shifts(array, tolerance=4e-3)) == 6


@pytest.mark.parametrize("tolerance", [0.0, -1, "1 mm"])
def test_a_tolerance_that_is_no_length_is_refused(tolerance):
    with pytest.raises(InvalidInputError, match="tolerance must be"):
        find_shifts(MicArray(HEXAGON), tolerance)
