import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features import steering_matrix
from doatrack.features.fine_steering import FineSteering

LAGS = torch.arange(-8.0, 9.0) * 0.366


def delays(n_pairs: int, n_directions: int, seed: int, reach: float = 2.5) -> torch.Tensor:
    return reach * (2 * torch.rand(n_pairs, n_directions, generator=torch.Generator().manual_seed(seed)) - 1)


@given(st.integers(1, 9), st.integers(1, 30), st.integers(2, 12), st.integers(0, 70), st.integers(0, 50))
def test_it_is_the_product_with_its_matrix(n_pairs, n_directions, n_lags, n_rows, seed):
    steer = FineSteering(delays(n_pairs, n_directions, seed), 0.5 * torch.arange(n_lags) - 1.0)
    values = torch.randn(n_rows, 2, n_pairs * n_lags, generator=torch.Generator().manual_seed(seed))
    found, expected = steer(values), values.double() @ steer.matrix.double()
    assert found.shape == (n_rows, 2, n_directions)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    assert torch.allclose(steer.matrix.sum(dim=0), torch.ones(n_directions), atol=1e-5)


@pytest.mark.parametrize("frequency_hz", [500.0, 3000.0, 7900.0])
def test_waves_of_any_delay_are_steered_better_than_by_lines(frequency_hz):
    """A correlation that is a cosine is read off at the delay, up to the highest frequency."""
    wanted, true = delays(1, 500, 0), np.linspace(-2, 2, 9)
    step = 2 * np.pi * frequency_hz / 16000
    heard = torch.tensor(np.cos(step * (LAGS.numpy()[None] - true[:, None])), dtype=torch.float32)
    expected = np.cos(step * (wanted.numpy() - true[:, None]))
    fine = np.abs(FineSteering(wanted, LAGS)(heard).numpy() - expected).max()
    lines = np.abs((heard @ steering_matrix(wanted, LAGS)).numpy() - expected).max()
    # a sixteenth of the distance of lags is off by half of it at most
    assert fine < 0.05 + step * 0.366 / 32
    assert frequency_hz < 7000 or fine < lines


def test_delays_beyond_the_lags_take_the_last_one():
    steer = FineSteering(torch.tensor([[-9.0, 9.0]]), LAGS)
    values = torch.randn(3, len(LAGS))
    assert torch.allclose(steer(values), values[:, [0, -1]], atol=1e-6)


def test_gradients_and_double_precision_pass_through():
    steer = FineSteering(delays(2, 5, 0), LAGS)
    values = torch.randn(4, 2 * len(LAGS), requires_grad=True)
    steer(values).sum().backward()
    assert torch.allclose(values.grad, steer.matrix.sum(dim=1).expand(4, -1), atol=1e-6)
    double = torch.randn(4, 2 * len(LAGS), dtype=torch.float64)
    assert torch.allclose(steer(double), double @ steer.matrix.double(), atol=1e-12)


def test_its_matrix_is_made_where_the_delays_are():
    """Learning on a GPU takes the geometry there; the meta device refuses to be mixed with the CPU, too."""
    steer = FineSteering(delays(2, 5, 0).to("meta"), LAGS.to("meta"))
    assert steer.matrix.device.type == "meta"
    assert steer.matrix.shape == (2 * len(LAGS), 5)


@pytest.mark.parametrize("renew", [copy.deepcopy, lambda steer: pickle.loads(pickle.dumps(steer))])
def test_a_copy_steers_alike(renew):
    steer, values = FineSteering(delays(3, 8, 1), LAGS), torch.randn(6, 3 * len(LAGS))
    expected = steer(values)
    assert torch.equal(renew(steer)(values), expected)
