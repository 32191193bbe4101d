"""Equivalent directions give the same delays; the nearest of them is the nearest; regions can end the ambiguity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack import DirectionGrid, MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import Ambiguity, tdoa_far_field

FLAT = np.array([[0.05, 0.0, 0], [-0.02, 0.04, 0], [-0.03, -0.03, 0], [0.01, 0.02, 0]])
LINE = np.array([[0.1, 0, 0], [0.03, 0, 0], [-0.05, 0, 0]])
TURNS = st.integers(0, 1000).map(lambda seed: Rotation.random(random_state=seed))


def directions(seed, n=20):
    found = np.random.default_rng(seed).normal(size=(n, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize(("positions", "kind", "n"), [(FLAT, "mirror", 2), (LINE, "cone", 36)])
@given(turn=TURNS)
def test_equivalent_directions_give_the_same_delays(positions, kind, n, turn):
    array = MicArray(positions).rotate(turn)
    ambiguity = array.ambiguity
    assert ambiguity.kind == kind
    assert ambiguity
    doa = directions(0)
    all_of_them = ambiguity.equivalent(doa)
    assert all_of_them.shape == (20, n, 3)
    np.testing.assert_allclose(all_of_them[:, 0], doa, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(all_of_them, axis=-1), 1)
    np.testing.assert_allclose(
        tdoa_far_field(array, all_of_them),
        np.broadcast_to(tdoa_far_field(array, doa)[:, None], (20, n, array.n_pairs)),
        atol=1e-12,
    )
    assert np.linalg.norm(all_of_them[:, 1] - doa, axis=-1).max() > 0.1


@pytest.mark.parametrize("positions", [FLAT, LINE])
@given(turn=TURNS)
def test_the_nearest_is_the_nearest_of_all(positions, turn):
    ambiguity = MicArray(positions).rotate(turn).ambiguity
    doa, target = directions(1), directions(2)
    nearest = ambiguity.nearest(doa, target)
    many = ambiguity.equivalent(doa, n_directions=3600)
    best = (many * target[:, None]).sum(axis=-1).max(axis=1)
    np.testing.assert_allclose((nearest * target).sum(axis=-1), best, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(nearest, axis=-1), 1)
    turned = (nearest @ np.array(ambiguity.axis), doa @ np.array(ambiguity.axis))
    np.testing.assert_allclose(np.abs(turned[0]), np.abs(turned[1]), atol=1e-12)


def test_a_3d_array_has_none():
    ambiguity = MicArray.from_preset("tetrahedron_4").ambiguity
    assert not ambiguity
    doa = directions(3)
    assert (ambiguity.equivalent(doa)[:, 0] == doa).all()
    assert (ambiguity.nearest(doa, -doa) == doa).all()


def test_a_target_on_the_axis_is_as_far_from_all():
    cone = Ambiguity("cone", (1.0, 0.0, 0.0))
    assert cone.nearest([0.6, 0.8, 0], [1.0, 0, 0]).tolist() == [0.6, 0.8, 0]
    assert np.isnan(cone.equivalent([np.nan] * 3)).all()


@pytest.mark.parametrize(
    ("ambiguity", "region", "kind"),
    [
        (Ambiguity("mirror", (0.0, 0.0, 1.0)), {}, "mirror"),
        (Ambiguity("mirror", (0.0, 0.0, 1.0)), {"elevation_range_deg": (0, 90)}, "none"),
        (Ambiguity("mirror", (0.0, 0.0, 1.0)), {"elevation_range_deg": (-40, 90)}, "mirror"),
        (Ambiguity("mirror", (0.0, 0.0, 1.0)), {"azimuth_range_deg": (-90, 90)}, "mirror"),
        (Ambiguity("mirror", (1.0, 0.0, 0.0)), {"azimuth_range_deg": (-90, 90)}, "none"),
        (Ambiguity("cone", (0.0, 1.0, 0.0)), {"azimuth_range_deg": (-90, 90)}, "cone"),
        (Ambiguity(), {}, "none"),
    ],
)
def test_a_search_region_can_end_it(ambiguity, region, kind):
    grid = DirectionGrid.quasi_uniform(2048)
    grid = grid.restrict(**region) if region else grid
    assert ambiguity.within(grid.directions, grid.spacing).kind == kind


def test_bad_input_is_named():
    with pytest.raises(InvalidInputError, match="kind must be one of"):
        Ambiguity("sphere")
    with pytest.raises(InvalidInputError, match="axis must hold unit vectors"):
        Ambiguity("mirror", (0.0, 0.0, 2.0))
    with pytest.raises(InvalidInputError, match=r"axis must be \(0, 0, 0\) where nothing is ambiguous"):
        Ambiguity("none", (0.0, 0.0, 1.0))
    with pytest.raises(InvalidInputError, match="doa must hold unit vectors"):
        Ambiguity("mirror", (0.0, 0.0, 1.0)).equivalent([1.0, 1.0, 0])


@pytest.mark.parametrize("positions", [FLAT, LINE])
@given(turn=TURNS)
def test_one_direction_stands_for_all_with_its_delays(positions, turn):
    ambiguity = MicArray(positions).rotate(turn).ambiguity
    doa = directions(4)
    standing = ambiguity.canonical(doa)
    for k in (1, -1):
        np.testing.assert_allclose(ambiguity.canonical(ambiguity.equivalent(doa)[:, k]), standing, atol=1e-9)
    np.testing.assert_allclose(ambiguity.canonical(standing), standing, atol=1e-9)
    array = MicArray(positions).rotate(turn)
    np.testing.assert_allclose(tdoa_far_field(array, standing), tdoa_far_field(array, doa), atol=1e-12)


def test_the_side_that_stands_is_up_and_front():
    assert Ambiguity("mirror", (0.0, 0.0, 1.0)).canonical([0.6, 0, -0.8]).tolist() == [0.6, 0, 0.8]
    assert Ambiguity("cone", (0.0, 1.0, 0.0)).canonical([-0.6, 0.8, 0]).tolist() == [0.6, 0.8, 0]
    assert Ambiguity("cone", (1.0, 0.0, 0.0)).canonical([0.6, 0, 0.8]).tolist() == [0.6, 0.8, 0]
    assert Ambiguity().canonical([0.6, 0, -0.8]).tolist() == [0.6, 0, -0.8]
