import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import (
    DirectionGrid,
    azimuth_elevation_deg_to_unit,
    unit_to_azimuth_elevation,
    unit_to_azimuth_elevation_deg,
)

EVERYWHERE = DirectionGrid.quasi_uniform(20_000).directions


def farthest(grid):
    """The largest angle, in radians, from any direction to the nearest one of the grid."""
    chord = cKDTree(grid.directions).query(EVERYWHERE)[0].max()
    return 2 * np.arcsin(chord / 2)


@pytest.mark.parametrize("n_directions", [50, 500, 2048, 5000])
def test_quasi_uniform_leaves_no_hole_and_no_cluster(n_directions):
    grid = DirectionGrid.quasi_uniform(n_directions)
    assert farthest(grid) < 0.85 * grid.spacing
    nearest_two = cKDTree(grid.directions).query(grid.directions, 2)[0][:, 1]
    assert nearest_two.min() > 0.7 * grid.spacing


@given(n_directions=st.integers(10, 3000))
def test_quasi_uniform_has_the_moments_of_the_sphere(n_directions):
    directions = DirectionGrid.quasi_uniform(n_directions).directions
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=2 / n_directions)
    np.testing.assert_allclose(directions.T @ directions / n_directions, np.eye(3) / 3, atol=8 / n_directions)


def test_rectangular_is_a_table_of_azimuths_and_elevations():
    grid = DirectionGrid.rectangular(64, 32)
    azimuth, elevation = unit_to_azimuth_elevation(grid.directions)
    assert grid.n_directions == 64 * 32
    elevations = elevation.reshape(32, 64)
    np.testing.assert_allclose(elevations, np.tile(elevations[:, :1], 64), atol=1e-12)
    np.testing.assert_allclose(np.diff(elevations[:, 0]), np.pi / 32)
    np.testing.assert_allclose(elevations[0, 0] + np.pi / 2, np.pi / 64)
    azimuths = azimuth.reshape(32, 64)
    np.testing.assert_allclose(np.diff(azimuths[:, 1:], axis=1), 2 * np.pi / 64)
    np.testing.assert_allclose(np.abs(azimuths[:, 0]), np.pi)
    assert len(np.unique(grid.directions.round(9), axis=0)) == 64 * 32


def test_rectangular_weights_are_areas():
    grid = DirectionGrid.rectangular(64, 32)
    band = grid.weights.reshape(32, 64).sum(axis=1)
    edges = np.linspace(-np.pi / 2, np.pi / 2, 33)
    np.testing.assert_allclose(band, np.diff(np.sin(edges)) / 2, rtol=1e-12)
    second = np.einsum("d,di,dj->ij", grid.weights, grid.directions, grid.directions)
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=1e-3)


@pytest.mark.parametrize("grid", [DirectionGrid.quasi_uniform(999), DirectionGrid.rectangular(12, 7)])
def test_weights_of_a_whole_sphere_sum_to_one(grid):
    assert grid.weights.sum() == pytest.approx(1, abs=1e-12)
    assert grid.coverage == pytest.approx(1)


@given(seed=st.integers(0, 2**32 - 1))
def test_nearest_is_nearest(seed):
    grid = DirectionGrid.quasi_uniform(300)
    doa = np.random.default_rng(seed).normal(size=(2, 4, 3))
    doa /= np.linalg.norm(doa, axis=-1, keepdims=True)
    assert (grid.nearest(doa) == (doa @ grid.directions.T).argmax(axis=-1)).all()


def test_neighbours_are_those_within_the_angle():
    grid = DirectionGrid.quasi_uniform(200)
    cosine = grid.directions @ grid.directions.T
    for row, near in zip(cosine, grid.neighbours(0.3), strict=True):
        assert near == np.flatnonzero(row >= np.cos(0.3)).tolist()
    assert all(len(near) == 200 for near in grid.neighbours(10.0))


@pytest.mark.parametrize("sector", [(150, 210), (150, -150), (510, 570)])
def test_sector_across_the_back(sector):
    grid = DirectionGrid.quasi_uniform(2000)
    part = grid.restrict(azimuth_range_deg=sector)
    azimuth, _ = unit_to_azimuth_elevation_deg(part.directions)
    assert (np.abs(azimuth) >= 150).all()
    assert part.coverage == pytest.approx(1 / 6, rel=0.03)
    assert part.spacing == pytest.approx(grid.spacing, rel=1e-12)


def test_sector_and_the_rest_make_the_whole():
    grid = DirectionGrid.rectangular(36, 18)
    inside, outside = (grid.restrict(azimuth_range_deg=r) for r in [(-30.5, 45.5), (45.5, -30.5)])
    assert inside.n_directions + outside.n_directions == grid.n_directions
    assert inside.coverage + outside.coverage == pytest.approx(1)


def test_sector_includes_its_edges_and_full_turn_is_all():
    grid = DirectionGrid(azimuth_elevation_deg_to_unit([-30, 0, 30, 180], [0, 0, 0, 0]))
    assert grid.restrict(azimuth_range_deg=(-30, 30)).n_directions == 3
    assert grid.restrict(azimuth_range_deg=(30, 30)).n_directions == 1
    assert grid.restrict(azimuth_range_deg=(180, -180)).n_directions == 4
    assert grid.restrict(azimuth_range_deg=(-180, 180)).n_directions == 4
    assert grid.restrict(elevation_range_deg=(0, 0)).n_directions == 4


def test_hemisphere_of_a_hemisphere_keeps_its_share():
    part = DirectionGrid.quasi_uniform(1000).restrict(elevation_range_deg=(0, 90)).restrict(azimuth_range_deg=(0, 180))
    assert part.coverage == pytest.approx(0.25, rel=0.02)
    assert DirectionGrid(part.directions, part.weights).spacing == part.spacing


def test_immutable():
    grid = DirectionGrid.quasi_uniform(10)
    before = grid.directions
    grid.directions[0] = 5
    grid.weights[0] = 5
    assert (grid.directions == before).all()
    assert grid.weights.sum() == pytest.approx(1)
    for change in (lambda: setattr(grid, "directions", before), lambda: delattr(grid, "_directions")):
        with pytest.raises(AttributeError, match="immutable"):
            change()
    before[0] = [0, 0, 1]
    assert grid == DirectionGrid.quasi_uniform(10)


def test_equality_hash_copy_and_pickle():
    grid, same = DirectionGrid.rectangular(8, 4), DirectionGrid.rectangular(8, 4)
    assert grid == same
    assert hash(grid) == hash(same)
    assert grid != DirectionGrid(grid.directions)  # other weights
    assert grid != "grid"
    assert copy.deepcopy(grid) is grid
    assert pickle.loads(pickle.dumps(grid)) == grid


def test_torch_takes_the_directions():
    assert torch.as_tensor(DirectionGrid.quasi_uniform(5).directions).shape == (5, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DirectionGrid([[1, 1, 0]]), "directions must hold unit vectors.*length 1.414"),
        (lambda: DirectionGrid([[np.nan] * 3]), r"directions must have the shape \(n_directions, 3\) and no NaN"),
        (lambda: DirectionGrid([1.0, 0, 0]), r"directions must have the shape \(n_directions, 3\).*got \(3,\)"),
        (lambda: DirectionGrid([[1, 0, 0]], [3.0]), "weights must be 1 shares of the sphere.*sum 3.*Divide them"),
        (lambda: DirectionGrid([[1, 0, 0]], [0.5, 0.5]), "weights must be 1 shares.*got 2"),
        (lambda: DirectionGrid([[1, 0, 0]], [np.nan]), "weights must be finite, got 1 NaN"),
        (lambda: DirectionGrid([[1, 0, 0], [0, 1, 0]], [-0.5, 1]), "not negative"),
        (lambda: DirectionGrid.quasi_uniform(2), "n_directions must be at least 4, got 2"),
        (lambda: DirectionGrid.quasi_uniform(2048.0), "n_directions must be a whole number, got 2048.0 of type float"),
        (lambda: DirectionGrid.rectangular(2, 5), "n_azimuths must be at least 3"),
        (lambda: DirectionGrid.rectangular(5, 1), "n_elevations must be at least 2"),
        (lambda: DirectionGrid.quasi_uniform(9).nearest([2.0, 0, 0]), "doa must hold unit vectors"),
        (lambda: DirectionGrid.quasi_uniform(9).nearest([np.nan] * 3), "doa must be finite, got 3 NaN"),
        (lambda: DirectionGrid.quasi_uniform(9).neighbours(-1), "radius must be at least 0, got -1"),
        (
            lambda: DirectionGrid.quasi_uniform(9).restrict(elevation_range_deg=(90, 0)),
            r"No direction lies in azimuth None and elevation \(90, 0\) degrees.*low to high",
        ),
        (
            lambda: DirectionGrid.quasi_uniform(9).restrict(azimuth_range_deg=(0, 1, 2)),
            r"azimuth_range_deg must have the shape \(2\), got \(3,\)",
        ),
        (lambda: DirectionGrid.quasi_uniform(9).restrict(elevation_range_deg=(0, np.nan)), "elevation_range_deg .*NaN"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
