"""A grid posterior agrees with the density that it samples."""

import math

import pytest
import torch

from doatrack.distributions import VonMisesFisher
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.geometry import DirectionGrid

FINE = torch.tensor(DirectionGrid.quasi_uniform(8000).directions, dtype=torch.float32)
MEAN = torch.tensor([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [-0.48, 0.64, -0.6]])


@pytest.fixture(params=[0.5, 10.0, 100.0])
def both(request):
    """A von Mises-Fisher distribution and its values on a fine grid, unnormalised."""
    density = VonMisesFisher(MEAN, torch.full((3,), request.param))
    return density, GridPosterior(density.log_prob(FINE[:, None]).T + 5.0, FINE)


def test_entropy_divergence_and_density_are_those_of_the_sampled_density(both):
    density, posterior = both
    assert posterior.batch_shape == (3,)
    assert torch.allclose(posterior.probabilities.sum(dim=-1), torch.ones(3), atol=1e-5)
    assert torch.allclose(posterior.entropy(), density.entropy(), atol=2e-3)
    assert torch.allclose(posterior.kl_uniform(), density.kl_uniform(), atol=2e-3)
    at = FINE[torch.arange(0, 8000, 2000)]
    assert torch.allclose(posterior.log_prob(at[:, None]), density.log_prob(at[:, None]), atol=1e-2)


def test_leaving_out_directions_without_probability_changes_nothing():
    grid = DirectionGrid.quasi_uniform(2000)
    part = grid.restrict(azimuth_range_deg=(-45, 45), elevation_range_deg=(-20, 20))
    two = torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a)), 0.0] for a in (-20, 20)]).double()
    found = []
    for some in (grid, part):
        directions = torch.from_numpy(some.directions)
        logits = torch.logsumexp(400 * (directions @ two.T - 1) + torch.tensor([1.0, 0.0]), dim=-1)
        found.append(GridPosterior(logits, directions, some.coverage))
    whole, restricted = found
    assert torch.allclose(whole.mean_direction, restricted.mean_direction, atol=1e-6)
    assert abs(float(whole.mean_direction[1])) > 0.3  # of one peak, not of both
    assert float(whole.entropy()) == pytest.approx(float(restricted.entropy()), abs=0.02)
    assert float(whole.kl_uniform()) == pytest.approx(float(restricted.kl_uniform()), abs=0.02)
    at = two[0].expand(1, 3)
    assert float(whole.log_prob(at)) == pytest.approx(float(restricted.log_prob(at)), abs=0.02)
    assert restricted.tempered(2.0).coverage == restricted.coverage


def test_mean_direction_and_concentration_are_recovered(both):
    density, posterior = both
    assert torch.allclose(posterior.mean, density.mean, atol=2e-3)
    assert torch.allclose(posterior.concentration, density.concentration, rtol=0.02, atol=0.02)
    if density.concentration[0] > 1:
        cosine = (posterior.mean_direction * MEAN).sum(dim=-1)
        assert (cosine > math.cos(math.radians(1.0))).all()


def test_expectation_is_linear_and_exact_on_the_grid(both):
    _, posterior = both
    assert torch.allclose(posterior.expectation(FINE[:, 2]), posterior.mean[:, 2], atol=1e-6)
    assert torch.allclose(posterior.expectation(torch.full((8000,), 3.0)), torch.full((3,), 3.0), atol=1e-4)


def test_samples_are_grid_directions_with_the_right_mean(both):
    _, posterior = both
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        draws = posterior.sample((4000,))
    assert draws.shape == (4000, 3, 3)
    assert ((draws @ FINE.T).amax(dim=-1) > 1 - 1e-5).all()
    assert torch.allclose(draws.mean(dim=0), posterior.mean, atol=4 / math.sqrt(4000))


def test_a_second_peak_does_not_pull_the_direction_but_lowers_the_concentration():
    one = 300 * (FINE @ MEAN[0] - 1)
    two = torch.logaddexp(one, 300 * (FINE @ MEAN[2] - 1) - 1.0)
    alone, with_second = GridPosterior(one, FINE), GridPosterior(two, FINE)
    assert torch.allclose(alone.mean_direction, with_second.mean_direction, atol=1e-3)
    assert with_second.concentration < 0.1 * alone.concentration


@pytest.mark.parametrize("offset", [-1e4, 1e4])
def test_logits_are_normalised_and_certain_answers_stay_finite(offset):
    logits = torch.full((8000,), offset)
    logits[77] += 500
    posterior = GridPosterior(logits, FINE)
    assert torch.allclose(posterior.mean_direction, FINE[77], atol=1e-5)
    assert posterior.kl_uniform().item() == pytest.approx(math.log(8000), rel=1e-5)
    assert 1e4 < posterior.concentration.item() < math.inf


def test_tempering_a_von_mises_fisher_divides_its_concentration(both):
    density, posterior = both
    cooler = VonMisesFisher(MEAN, density.concentration / 3)
    tempered = posterior.tempered(3.0)
    assert torch.allclose(tempered.entropy(), cooler.entropy(), atol=2e-3)
    assert torch.allclose(tempered.mean, cooler.mean, atol=2e-3)
