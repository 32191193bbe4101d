import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features import srp_map, steering_matrix
from doatrack.features.srp_map import steered_correlation
from doatrack.geometry import DirectionGrid, PeakFinder

GRID = DirectionGrid.quasi_uniform(600)
FINDER = PeakFinder(GRID)
DIRECTIONS = torch.as_tensor(GRID.directions, dtype=torch.float32)
unit = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)


def test_the_map_interpolates_linearly_and_averages_pairs():
    lags = torch.tensor([-1.0, 0.0, 1.0])
    steering = steering_matrix(torch.tensor([[0.5, -1.0], [1.0, 0.0]]), lags)
    gcc = torch.tensor([[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]])
    assert torch.allclose(srp_map(gcc, steering), torch.tensor([(3.0 + 5.0) / 2, (0.0 + 3.0) / 2]))


def test_delays_outside_the_lags_take_the_end():
    steering = steering_matrix(torch.tensor([[9.0, -9.0]]), torch.tensor([-1.0, 0.0, 1.0]))
    assert torch.allclose(srp_map(torch.tensor([[1.0, 2.0, 3.0]]), steering), torch.tensor([3.0, 1.0]))


@given(unit)
def test_a_smooth_peak_is_found_between_grid_directions(vector):
    source = torch.tensor(np.array(vector) / np.linalg.norm(vector), dtype=torch.float32)
    values = torch.exp(8 * (DIRECTIONS @ source - 1))
    coarse = DIRECTIONS[values.argmax()]
    angle = torch.rad2deg(torch.linalg.cross(FINDER(values), source).norm().asin())
    assert angle < 0.6
    assert angle <= torch.rad2deg(torch.linalg.cross(coarse, source).norm().asin()) + 0.3


def test_the_peak_stays_near_the_highest_direction_for_any_map():
    values = torch.randn(200, 600, generator=torch.Generator().manual_seed(0))
    found = FINDER(values)
    best = DIRECTIONS[values.argmax(dim=-1)]
    assert torch.isfinite(found).all()
    assert torch.allclose(found.norm(dim=-1), torch.ones(200), atol=1e-5)
    assert (found * best).sum(dim=-1).min() > np.cos(3 * GRID.spacing)


def test_a_constant_map_gives_a_direction():
    assert torch.allclose(FINDER(torch.zeros(600)).norm(), torch.tensor(1.0))


def test_a_tiny_grid_returns_its_own_directions():
    grid = DirectionGrid.quasi_uniform(5)
    finder = PeakFinder(grid)
    assert np.allclose(finder(torch.eye(5)).numpy(), grid.directions, atol=1e-6)


def test_the_power_of_one_direction_per_frame_is_that_frames_value_of_the_map():
    """Also where delays lie between lags and beyond them."""
    generator = torch.Generator().manual_seed(4)
    lags = torch.linspace(-3.0, 3.0, 13)
    delays = 8 * torch.rand(5, 9, generator=generator) - 4  # (n_pairs, n_directions)
    gcc = torch.rand(20, 5, 13, generator=generator)
    chosen = torch.randint(9, (20,), generator=generator)
    whole = srp_map(gcc, steering_matrix(delays, lags))
    expected = whole.gather(1, chosen[:, None])[:, 0]
    assert torch.allclose(steered_correlation(gcc, lags, delays.T[chosen]), expected, atol=1e-6)
