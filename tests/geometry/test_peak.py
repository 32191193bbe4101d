"""The maximum between grid directions: exact where a map is smooth, never worse than the grid elsewhere."""

import numpy as np
import pytest
import torch

from doatrack.geometry import DirectionGrid, PeakFinder


def unit(n, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return torch.tensor(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=torch.float32)


def angle_deg(a, b):
    return torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(dim=-1)))


@pytest.mark.parametrize("n_directions", [300, 1500])
@pytest.mark.parametrize("sharpness", [3.0, 30.0])
def test_a_smooth_maximum_is_found_between_the_directions(n_directions, sharpness):
    grid = DirectionGrid.quasi_uniform(n_directions)
    directions = torch.tensor(grid.directions, dtype=torch.float32)
    source = unit(400)
    values = torch.exp(sharpness * (source @ directions.T - 1))
    coarse = angle_deg(source, directions[values.argmax(dim=-1)])
    fine = angle_deg(source, PeakFinder(grid)(values))
    assert fine.mean() < 0.3 * coarse.mean()
    assert fine.max() < coarse.max()


def test_there_is_no_preferred_side(rng):
    """The error is not a bias towards a pole or along the spiral."""
    grid = DirectionGrid.quasi_uniform(500)
    source = unit(2000)
    values = torch.exp(20 * (source @ torch.tensor(grid.directions, dtype=torch.float32).T - 1))
    mean = (PeakFinder(grid)(values) - source).mean(dim=0)
    assert mean.abs().max() < 5e-4


@pytest.mark.parametrize("grid", [DirectionGrid.quasi_uniform(400), DirectionGrid.rectangular(32, 16)])
def test_answers_are_unit_vectors_near_the_highest_direction(grid, rng):
    directions = torch.tensor(grid.directions, dtype=torch.float32)
    values = torch.tensor(rng.normal(size=(3, 200, len(directions))), dtype=torch.float32)
    finder = PeakFinder(grid)
    refined = finder(values)
    best = values.argmax(dim=-1)
    assert refined.shape == (3, 200, 3)
    assert torch.allclose(refined.norm(dim=-1), torch.ones(3, 200), atol=1e-5)
    moved = torch.deg2rad(angle_deg(refined, directions[best]))
    assert (moved <= torch.atan(finder.reach[best]) + 1e-3).all()
    assert (moved > 1e-3).any()


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (50.0, 0.0), (1.0, 7.0)])
def test_scale_and_offset_of_the_map_do_not_matter(scale, offset):
    grid = DirectionGrid.quasi_uniform(500)
    values = torch.exp(10 * (unit(50) @ torch.tensor(grid.directions, dtype=torch.float32).T - 1))
    finder = PeakFinder(grid)
    assert angle_deg(finder(values), finder(scale * values + offset)).max() < 0.1


def test_flat_and_pointed_maps_give_the_grid_direction_itself():
    grid = DirectionGrid.quasi_uniform(500)
    directions = torch.tensor(grid.directions, dtype=torch.float32)
    finder = PeakFinder(grid)
    assert torch.allclose(finder(torch.zeros(500)), directions[0], atol=1e-6)
    assert torch.isfinite(finder(torch.full((2, 500), -3.0))).all()


def test_a_maximum_at_the_edge_of_a_search_region_stays_near_it():
    """The true source lies outside: the answer does not follow it far beyond the region."""
    grid = DirectionGrid.quasi_uniform(1500).restrict(None, (0.0, 90.0))
    directions = torch.tensor(grid.directions, dtype=torch.float32)
    source = torch.tensor([0.8, 0.0, -0.6])
    refined = PeakFinder(grid)(torch.exp(5 * (directions @ source - 1)))
    assert torch.isfinite(refined).all()
    assert refined[2] > -0.2


@pytest.mark.parametrize("n_directions", [4, 6])
def test_with_too_few_directions_for_a_parabola_the_grid_is_the_answer(n_directions):
    grid = DirectionGrid.quasi_uniform(n_directions)
    values = torch.eye(n_directions)
    expected = torch.tensor(grid.directions, dtype=torch.float32)
    assert torch.equal(PeakFinder(grid)(values), expected)
