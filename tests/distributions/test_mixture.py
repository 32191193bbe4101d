"""Mixtures: the density integrates to one, draws follow it, divergences lie below their bound, parts make the whole."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.distributions import GridMixture, GridPosterior, VonMisesFisher, VonMisesFisherMixture
from doatrack.geometry import DirectionGrid, separated_peaks

GRID = DirectionGrid.quasi_uniform(20000)
DIRECTIONS = torch.tensor(GRID.directions)
CELL = 4 * math.pi / len(DIRECTIONS)


def random_mixture(seed, n_sources, batch=(), largest=100.0):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(*batch, n_sources, 3, generator=generator, dtype=torch.float64)
    mean = mean / mean.norm(dim=-1, keepdim=True)
    logits, raw = torch.randn(2, *batch, n_sources, generator=generator, dtype=torch.float64)
    return VonMisesFisherMixture(logits, mean, largest * torch.sigmoid(raw))


@given(seed=st.integers(0, 1000), n_sources=st.integers(1, 4))
def test_density_integrates_to_one_and_gives_mean_and_divergence(seed, n_sources):
    mixture = random_mixture(seed, n_sources)
    log_density = mixture.log_prob(DIRECTIONS)
    density = log_density.exp()
    assert float(density.sum()) * CELL == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close((density[:, None] * DIRECTIONS).sum(0) * CELL, mixture.mean, atol=1e-4, rtol=0)
    exact = float((density * log_density).sum()) * CELL + math.log(4 * math.pi)
    sampled = mixture.kl_uniform(4000, generator=torch.Generator().manual_seed(1))
    assert float(sampled) == pytest.approx(exact, abs=0.06)
    bound = float(mixture.kl_uniform_bound())
    assert exact - 1e-4 <= bound <= exact + math.log(n_sources) + 1e-4


def test_one_component_is_the_plain_distribution():
    mixture = random_mixture(0, 1, batch=(5,))
    alone = VonMisesFisher(mixture.components.mean_direction[:, 0], mixture.components.concentration[:, 0])
    torch.testing.assert_close(mixture.log_prob(DIRECTIONS[:1]), alone.log_prob(DIRECTIONS[:1]))
    torch.testing.assert_close(mixture.kl_uniform_bound(), alone.kl_uniform())


def test_far_components_reach_the_bound_and_equal_ones_do_not():
    poles = torch.tensor([[0.0, 0, 1], [0, 0, -1]], dtype=torch.float64)
    sharp = torch.full((2,), 200.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    far = VonMisesFisherMixture(torch.zeros(2, dtype=torch.float64), poles, sharp)
    # the entropy of the choice lies between the divergence and its bound
    gap = far.kl_uniform_bound() - far.kl_uniform(2000, generator=generator)
    assert float(gap) == pytest.approx(math.log(2), abs=0.05)
    same = VonMisesFisherMixture(torch.zeros(2, dtype=torch.float64), poles[[0, 0]], sharp)
    assert float(same.kl_uniform_bound() - same.kl_uniform(2000, generator=generator)) == pytest.approx(0, abs=0.05)


def test_draws_follow_the_density():
    mixture = random_mixture(3, 3, batch=(2,))
    drawn = mixture.sample((20000,), generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (20000, 2, 3)
    torch.testing.assert_close(drawn.mean(dim=0), mixture.mean, atol=0.02, rtol=0)
    second = drawn[..., :, None] * drawn[..., None, :]
    density = mixture.log_prob(DIRECTIONS[:, None]).exp() * CELL
    expected = torch.einsum("db,di,dj->bij", density, DIRECTIONS, DIRECTIONS)
    torch.testing.assert_close(second.mean(dim=0), expected, atol=0.02, rtol=0)


def test_every_parameter_gets_a_gradient():
    logits = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    mean = torch.eye(3, dtype=torch.float64)[:2].clone().requires_grad_()
    concentration = torch.tensor([5.0, 40.0], dtype=torch.float64, requires_grad=True)
    mixture = VonMisesFisherMixture(logits, mean, concentration)
    (
        mixture.kl_uniform(200, generator=torch.Generator().manual_seed(0)) + mixture.rsample_components().sum()
    ).backward()
    for parameter in (logits, mean, concentration):
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 1e-3


def test_the_gradient_of_the_divergence_is_that_of_its_integral():
    def integral(logits, concentration):
        mixture = VonMisesFisherMixture(logits, torch.eye(3, dtype=torch.float64)[:2], concentration)
        log_density = mixture.log_prob(DIRECTIONS)
        return (log_density.exp() * log_density).sum() * CELL

    values = (torch.tensor([0.5, -0.5], dtype=torch.float64), torch.tensor([6.0, 15.0], dtype=torch.float64))
    parameters = [value.clone().requires_grad_() for value in values]
    expected = torch.autograd.grad(integral(*parameters), parameters)
    mixture = VonMisesFisherMixture(parameters[0], torch.eye(3, dtype=torch.float64)[:2], parameters[1])
    sampled = mixture.kl_uniform(40000, generator=torch.Generator().manual_seed(0))
    for found, wanted in zip(torch.autograd.grad(sampled, parameters), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=0.01, rtol=0.05)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"mean_direction \(..., n_sources, 3\), got \(2,\), \(3,\) and \(3, 3\)"):
        VonMisesFisherMixture(torch.zeros(2), torch.eye(3), torch.ones(3))
    with pytest.raises(ValueError, match="mean_direction"):
        VonMisesFisherMixture(torch.zeros(3), 2 * torch.eye(3), torch.ones(3), validate_args=True)


@pytest.fixture
def two_peaks():
    grid = DirectionGrid.quasi_uniform(800)
    directions = torch.tensor(grid.directions)
    front, left = directions[:, 0], directions[:, 1]
    logits = torch.logaddexp(80 * front, 40 * left + 38)[None]
    return grid, GridPosterior(logits, directions)


def test_parts_of_a_grid_posterior_make_the_whole(two_peaks):
    grid, posterior = two_peaks
    peaks = separated_peaks(posterior.logits.float(), grid, 2)
    parts = GridMixture(posterior, peaks.index)
    torch.testing.assert_close(parts.weights.sum(-1), torch.ones(1, dtype=torch.float64))
    whole = (parts.weights[..., None] * parts.components.probabilities).sum(dim=-2)
    torch.testing.assert_close(whole, posterior.probabilities, atol=1e-12, rtol=0)
    nearest = np.abs(parts.components.mean_direction[0].numpy()).max(axis=-1)
    assert (nearest > 0.995).all()
    assert parts.components.concentration[0].numpy() == pytest.approx([80, 40], rel=0.15)


def test_the_divergence_of_equal_parts_lies_below_its_bound(two_peaks):
    grid, posterior = two_peaks
    parts = GridMixture(posterior, separated_peaks(posterior.logits.float(), grid, 2).index)
    gap = float(parts.kl_uniform_bound() - parts.kl_uniform())
    assert gap == pytest.approx(math.log(2), abs=1e-3)  # the parts do not overlap
    assert torch.isfinite(parts.components.entropy()).all()


def test_a_radius_leaves_out_what_is_far(two_peaks):
    grid, posterior = two_peaks
    index = separated_peaks(posterior.logits.float(), grid, 2).index
    cut = GridMixture(posterior, index, radius=math.radians(10))
    peak = posterior.directions[index[0, 0]]
    far = posterior.directions @ peak < math.cos(math.radians(10))
    assert float(cut.components.probabilities[0, 0, far].sum()) == 0
    assert float(cut.weights.sum()) < 1
