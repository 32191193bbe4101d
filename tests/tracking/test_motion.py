"""Motion on the sphere is a probability, the same in all directions, and depends on time only."""

import dataclasses

import numpy as np
import pytest

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MotionModel
from doatrack.tracking._diffusion import stationary_shares

GRID = DirectionGrid.quasi_uniform(600)
GRIDS = {
    "quasi-uniform": GRID,
    "rectangular": DirectionGrid.rectangular(32, 16),
    "upper half": GRID.restrict(elevation_range_deg=(0, 90)),
    "front": GRID.restrict(azimuth_range_deg=(-60, 60)),
    "octahedron": DirectionGrid(np.vstack([np.eye(3), -np.eye(3)])),
}


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


@pytest.mark.parametrize("jump_rate", [0.0, 0.3])
def test_rows_are_probabilities_in_balance_with_area(grid, jump_rate):
    matrix = MotionModel(diffusion=0.03, jump_rate=jump_rate).transition(grid, 0.2).dense()
    shares = stationary_shares(grid)
    assert matrix.min() >= 0
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-12)
    flow = shares[:, None] * matrix
    assert np.allclose(flow, flow.T, atol=1e-15)
    assert np.allclose(shares @ matrix, shares, atol=1e-14)


def test_two_half_steps_are_one_step(grid):
    motion = MotionModel(diffusion=0.03, jump_rate=0.3)
    half, whole = (motion.transition(grid, step).dense() for step in (0.1, 0.2))
    # largest total variation over all starting points
    assert np.abs(half @ half - whole).sum(axis=1).max() < 5e-3
    assert np.abs(half - whole).sum(axis=1).max() > 0.02


@pytest.mark.parametrize("name", ["quasi-uniform", "rectangular"])
@pytest.mark.parametrize(("diffusion", "step_s"), [(0.02, 0.01), (0.02, 0.2), (0.5, 0.5)])
def test_the_mean_vector_shrinks_as_diffusion_on_a_sphere_makes_it(name, diffusion, step_s):
    # spherical harmonics of degree 1 decay with exp(-diffusion * time)
    grid = GRIDS[name]
    moved = MotionModel(diffusion, jump_rate=0.0).transition(grid, step_s).backward(grid.directions.T).T
    length = (moved * grid.directions).sum(axis=1)
    assert (1 - length).mean() == pytest.approx(1 - np.exp(-diffusion * step_s), rel=0.04)
    across = moved - length[:, None] * grid.directions
    assert np.linalg.norm(across, axis=1).max() < 0.2 * np.sqrt(diffusion * step_s)


def test_jumps_happen_at_their_rate_and_go_anywhere():
    start = np.zeros(600)
    start[7] = 1.0
    far = GRID.directions @ GRID.directions[7] < 0
    for step_s in (0.1, 0.4):
        gone = MotionModel(0.01, jump_rate=0.5).transition(GRID, step_s).forward(start)[far]
        assert gone.sum() == pytest.approx((1 - np.exp(-0.5 * step_s)) / 2, rel=0.01)
        assert np.ptp(gone) < 1e-12


def test_a_symmetry_of_the_grid_is_one_of_the_motion():
    grid = DirectionGrid.rectangular(16, 8)
    turned = np.roll(np.arange(128).reshape(8, 16), 3, axis=1).ravel()
    # the two diagonals of a cell are equally good triangles, and the hull takes either: no weight lies on them
    matrix = MotionModel(diffusion=0.05).transition(grid, 0.3).dense()
    assert np.allclose(matrix[np.ix_(turned, turned)], matrix, atol=2e-4)


def test_a_search_region_moves_like_the_whole_grid_away_from_its_edge():
    upper = GRID.directions[:, 2] >= 0
    inner = GRID.directions[upper][:, 2] > 0.6
    motion = MotionModel(0.02, jump_rate=0.0)
    whole = motion.transition(GRID, 0.2).dense()[np.ix_(upper, upper)]
    region = motion.transition(GRIDS["upper half"], 0.2).dense()
    assert np.allclose(region[inner], whole[inner], atol=1e-4)
    # the edge reflects: nothing leaves
    assert whole.sum(axis=1).min() < 0.9 < region.sum(axis=1).min()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_products_are_those_of_the_dense_matrix(grid, rng, dtype):
    transition = MotionModel(0.03, 0.2).transition(grid, 0.2)
    matrix = transition.dense()
    values = rng.random((3, 2, grid.n_directions)).astype(dtype)
    forward, backward = transition.forward(values), transition.backward(values)
    assert forward.dtype == backward.dtype == dtype
    assert np.allclose(forward, values @ matrix, rtol=1e-5)
    assert np.allclose(backward, values @ matrix.T, rtol=1e-5)
    assert np.allclose(transition.forward(values[0, 0]), forward[0, 0], rtol=1e-5)
    assert transition.n_entries <= grid.n_directions**2


def test_best_previous_is_the_maximum_over_the_dense_matrix(grid, rng):
    for jump_rate in (0.0, 0.2):
        transition = MotionModel(0.03, jump_rate).transition(grid, 0.2)
        score = rng.normal(size=grid.n_directions) * 5
        with np.errstate(divide="ignore"):
            paths = score[:, None] + np.log(transition.dense())
        best, previous = transition.best_previous(score)
        assert np.allclose(best, paths.max(axis=0), atol=1e-12)
        assert np.allclose(paths[previous, np.arange(len(score))], best, atol=1e-12)


def test_the_walk_is_sparse_on_the_usual_grid():
    transition = MotionModel().transition(DirectionGrid.quasi_uniform(2048), 0.192)
    assert transition.n_entries < 2048**2 / 16


def test_every_parameter_counts():
    usual = MotionModel().transition(GRID, 0.2).dense()
    for change in ({"diffusion": 0.05}, {"jump_rate": 1.0}):
        assert not np.allclose(dataclasses.replace(MotionModel(), **change).transition(GRID, 0.2).dense(), usual)


@pytest.mark.parametrize(
    ("parameters", "step_s", "message"),
    [
        ({"diffusion": 0.0}, 0.2, "diffusion must be above 0, got 0"),
        ({"jump_rate": -0.1}, 0.2, "jump_rate must be at least 0, got -0.1"),
        ({}, 0.0, "step_s must be above 0, got 0"),
        ({"diffusion": np.nan}, 0.2, "diffusion must be finite, got nan"),
    ],
)
def test_values_out_of_range_are_refused(parameters, step_s, message):
    with pytest.raises(InvalidInputError, match=message):
        MotionModel(**parameters).transition(GRID, step_s)


@pytest.mark.parametrize("directions", [np.eye(3)[:2], [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]])
def test_a_grid_without_area_is_refused(directions):
    with pytest.raises(InvalidInputError, match="at least 3 directions that span an area"):
        MotionModel().transition(DirectionGrid(directions), 0.2)


def test_values_of_another_grid_are_refused():
    transition = MotionModel().transition(GRID, 0.2)
    with pytest.raises(InvalidInputError, match="600 directions on the last axis"):
        transition.forward(np.ones(500))
