"""Losses of several sources: one source is the old loss, two heard sources want two directions, masks fit the pairs."""

import math

import pytest
import torch

from doatrack.distributions import GridMixture, GridPosterior, VonMisesFisher, VonMisesFisherMixture
from doatrack.geometry import DirectionGrid
from doatrack.networks import PairGeometry, PhysicsDecoder, delay_target
from doatrack.training import (
    expected_log_probs,
    masked_physics_loss,
    mixture_physics_loss,
    motion_log_transition,
    several_sources_loss,
    source_masks,
    variational_loss,
)

GRID = DirectionGrid.quasi_uniform(300)
DIRECTIONS = torch.tensor(GRID.directions, dtype=torch.float32)
LAGS = torch.linspace(-7, 7, 29)
BASELINES = torch.tensor([[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0], [3.5, 3.5, 0], [0, 3.5, -3.5]])
GEOMETRY = PairGeometry(LAGS, BASELINES @ DIRECTIONS.T, BASELINES, torch.zeros(5, 6), DIRECTIONS)
DECODER = PhysicsDecoder(0.8).requires_grad_(False)
FRONT, LEFT = torch.eye(3)[0], torch.eye(3)[1]


def heard(*doas):
    """GCC (1, 1, n_pairs, n_lags) with a peak at the delay of each direction."""
    peaks = [torch.exp(-((LAGS - (BASELINES @ doa)[:, None]) ** 2)) for doa in doas]
    return torch.stack(peaks).amax(dim=0)[None, None]


def vmf_mixture(*doas, concentration=1e4):
    n = len(doas)
    return VonMisesFisherMixture(
        torch.zeros(1, 1, n), torch.stack(doas)[None, None], torch.full((1, 1, n), concentration)
    )


def options(**changes):
    return {"gamma": 4.0, "beta": 0.0, "generator": torch.Generator().manual_seed(0)} | changes


def loss(posterior, gcc, **changes):
    return several_sources_loss(posterior, gcc, torch.ones(gcc.shape[:2]), DECODER, GEOMETRY, **options(**changes))


@pytest.mark.parametrize("source_loss", ["mixture", "masked"])
def test_two_heard_sources_want_two_directions(source_loss):
    gcc = heard(FRONT)
    gcc[..., 1:3, :] = heard(LEFT)[..., 1:3, :]  # some pairs hear one, some the other
    both, one, wrong = (
        float(loss(vmf_mixture(*pair), gcc, gamma=10.0, source_loss=source_loss).physics)
        for pair in ((FRONT, LEFT), (FRONT, FRONT), (FRONT, -LEFT))
    )
    assert both < one - 0.2
    assert both < wrong - 0.2


def test_the_mixture_explains_two_peaks_of_one_pair():
    gcc = torch.maximum(heard(FRONT), heard(LEFT)) ** 4
    both, one = (float(loss(vmf_mixture(*pair), gcc, gamma=10.0).physics) for pair in ((FRONT, LEFT), (FRONT, FRONT)))
    assert both < one - 0.2


@pytest.mark.parametrize("source_loss", ["mixture", "masked"])
def test_one_component_has_the_loss_of_one_source(source_loss):
    generator = torch.Generator().manual_seed(3)
    gcc, activity = torch.rand(2, 6, 5, 29, generator=generator), torch.rand(2, 6, generator=generator)
    mean = torch.nn.functional.normalize(torch.randn(2, 6, 1, 3, generator=generator), dim=-1)
    concentration = 20 * torch.rand(2, 6, 1, generator=generator)
    single = variational_loss(
        VonMisesFisher(mean[:, :, 0], concentration[..., 0]), gcc, activity, DECODER, GEOMETRY, **options(beta=0.3)
    )
    mixture = VonMisesFisherMixture(torch.zeros(2, 6, 1), mean, concentration)
    several = several_sources_loss(
        mixture, gcc, activity, DECODER, GEOMETRY, **options(beta=0.3), source_loss=source_loss, mixture_kl="bound"
    )
    for name in ("total", "physics", "kl", "n_active"):
        torch.testing.assert_close(getattr(several, name), getattr(single, name), atol=1e-5, rtol=1e-4)


def test_one_part_of_a_grid_has_the_loss_of_the_grid():
    generator = torch.Generator().manual_seed(4)
    gcc, activity = torch.rand(2, 6, 5, 29, generator=generator), torch.ones(2, 6)
    posterior = GridPosterior(torch.randn(2, 6, 300, generator=generator), DIRECTIONS)
    part = GridMixture(posterior, torch.zeros(2, 6, 1, dtype=torch.long))
    transition = motion_log_transition(DIRECTIONS, 50.0)
    single, several = (
        function(q, gcc, activity, DECODER, GEOMETRY, **options(beta=0.3), transition=transition)
        for function, q in ((variational_loss, posterior), (several_sources_loss, part))
    )
    torch.testing.assert_close(several.total, single.total, atol=1e-4, rtol=1e-4)


def test_the_expectation_on_a_grid_is_that_of_many_draws():
    index = torch.tensor([[[10, 200]]])
    posterior = GridPosterior(
        torch.logsumexp(40 * DIRECTIONS[index[0, 0]] @ DIRECTIONS.T, dim=0)[None, None], DIRECTIONS
    )
    parts = GridMixture(posterior, index)
    exact = expected_log_probs(parts, DECODER, GEOMETRY)
    assert exact.shape == (1, 1, 2, 5, 29)
    drawn = parts.components.sample((3000,))
    sampled = DECODER(drawn, BASELINES, LAGS).mean(dim=0)
    torch.testing.assert_close(sampled, exact, atol=0.0, rtol=0.08)


def test_masks_give_each_pair_to_the_source_it_hears():
    target = delay_target(heard(FRONT), 8.0)
    target[..., 1, :] = delay_target(heard(LEFT), 8.0)[..., 1, :]
    log_probs = expected_log_probs(vmf_mixture(FRONT, LEFT), DECODER, GEOMETRY)
    masks = source_masks(target, log_probs)
    torch.testing.assert_close(masks.sum(dim=-2), torch.ones(1, 1, 5))
    assert float(masks[0, 0, 0, 0]) > 0.95
    assert float(masks[0, 0, 1, 1]) > 0.95
    assert float(masks[0, 0, 0, 2]) == pytest.approx(0.5, abs=0.01)  # the vertical pair cannot tell them apart
    assert not masks.requires_grad


def test_masks_of_known_activity_leave_a_silent_source_alone():
    gcc = heard(LEFT)
    doa = torch.stack([FRONT, LEFT]).requires_grad_()
    log_probs = DECODER(doa, BASELINES, LAGS)[None, None]
    silent_front = torch.tensor([0.0, 1.0])[:, None].expand(1, 1, 2, 5)
    masked_physics_loss(delay_target(gcc, 4.0), log_probs, silent_front).sum().backward()
    assert float(doa.grad[0].abs().max()) == 0
    assert float(doa.grad[1].abs().max()) > 0


def test_the_mixture_lies_below_the_masked_loss_and_has_its_gradient():
    """Lag by lag is the looser explanation; where every pair hears one source alone, both pull alike."""
    target = torch.nn.functional.one_hot(torch.randint(29, (1, 1, 5), generator=torch.Generator().manual_seed(2)), 29)
    gradients = []
    for masked in (False, True):
        doa = torch.stack([FRONT, torch.tensor([0.6, 0.0, 0.8])]).requires_grad_()
        log_probs = DECODER(doa, BASELINES, LAGS)[None, None]
        if masked:
            value = masked_physics_loss(target.float(), log_probs, source_masks(target.float(), log_probs))
        else:
            value = mixture_physics_loss(target.float(), log_probs)
        value.sum().backward()
        gradients.append(doa.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_bound_is_the_larger_divergence():
    gcc = heard(FRONT, LEFT)
    parts = GridMixture(GridPosterior(torch.zeros(1, 1, 300), DIRECTIONS), torch.tensor([[[0, 299]]]))
    for posterior in (vmf_mixture(FRONT, LEFT, concentration=50.0), parts):
        sampled, bound = (float(loss(posterior, gcc, mixture_kl=kl).kl) for kl in ("sampled", "bound"))
        assert 0 < bound - sampled < math.log(2) + 0.1


def test_silent_frames_do_not_count():
    gcc = torch.cat([heard(FRONT, LEFT), heard(-FRONT)], dim=1)
    posterior = VonMisesFisherMixture(
        torch.zeros(1, 2, 2), torch.stack([FRONT, LEFT]).expand(1, 2, 2, 3), torch.full((1, 2, 2), 1e4)
    )
    both = several_sources_loss(posterior, gcc, torch.tensor([[1.0, 0.0]]), DECODER, GEOMETRY, **options())
    alone = loss(vmf_mixture(FRONT, LEFT), gcc[:, :1])
    assert float(both.n_active) == 1
    assert float(both.physics) == pytest.approx(float(alone.physics), rel=0.02)
