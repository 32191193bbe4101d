"""The decoder is equations 9 to 11 and the target equations 17 to 20: checked against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.networks import PhysicsDecoder, delay_target

LAGS = torch.linspace(-12, 12, 241)
SIGMA_GRID = [0.3, 0.8, 2.2]


@pytest.mark.parametrize("sigma", SIGMA_GRID)
def test_sums_to_one_and_is_the_gaussian_of_width_sigma(sigma):
    delays = torch.tensor([-3.0, 0.0, 1.25])
    p = PhysicsDecoder(sigma).of_delays(delays, LAGS).exp()
    assert torch.allclose(p.sum(dim=-1), torch.ones(3), atol=1e-5)
    step = float(LAGS[1] - LAGS[0])
    density = torch.exp(-0.5 * ((LAGS - delays[:, None]) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    assert torch.allclose(p / step, density, atol=2e-3 / sigma)
    mean = (p * LAGS).sum(dim=-1)
    assert torch.allclose(mean, delays, atol=1e-3)
    spread = (p * (LAGS - mean[:, None]) ** 2).sum(dim=-1).sqrt()
    assert torch.allclose(spread, torch.full((3,), sigma), rtol=1e-2)


def test_the_peak_is_at_the_delay_of_the_direction(geometry):
    log_p = PhysicsDecoder(0.5)(geometry.directions, geometry.baselines, LAGS)
    assert log_p.shape == (300, 6, 241)
    peaks = LAGS[log_p.argmax(dim=-1)]
    assert (peaks - geometry.delays.T).abs().max() <= 0.051


def test_directions_and_their_delays_give_the_same(geometry):
    decoder = PhysicsDecoder(0.8)
    of_direction = decoder(geometry.directions[:20], geometry.baselines, geometry.lags, 1.5)
    of_delay = decoder.of_delays(geometry.delays[:, :20].T, geometry.lags, 1.5)
    assert torch.allclose(of_direction, of_delay, atol=1e-3)


def test_blur_is_a_factor_on_the_width():
    delays = torch.tensor([0.7])
    assert torch.allclose(
        PhysicsDecoder(0.5).of_delays(delays, LAGS, blur=3.0), PhysicsDecoder(1.5).of_delays(delays, LAGS), atol=1e-4
    )


@pytest.mark.parametrize("sigma", [1e-3, 0.8, 50.0])
def test_only_the_width_is_trainable_and_starts_where_asked(sigma):
    decoder = PhysicsDecoder(sigma)
    assert [name for name, _ in decoder.named_parameters()] == ["raw_sigma"]
    assert sum(p.numel() for p in decoder.parameters()) == 1
    assert decoder.sigma.item() == pytest.approx(sigma, rel=1e-4)
    with torch.no_grad():
        decoder.raw_sigma.fill_(-30.0)
    assert decoder.sigma.item() > 0


def test_gradients_reach_direction_and_width(geometry):
    decoder = PhysicsDecoder(1.0).double()
    lags, baselines = geometry.lags.double(), geometry.baselines.double()
    doa = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64, requires_grad=True)
    target = torch.softmax(-((lags - 1.0) ** 2), dim=0)

    def loss(z, raw):
        decoder.raw_sigma.data = raw.detach()
        log_p = torch.func.functional_call(decoder, {"raw_sigma": raw}, (z, baselines, lags))
        return -(target * log_p).sum()

    raw = decoder.raw_sigma.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (doa, raw))
    by_doa, by_width = torch.autograd.grad(loss(doa, raw), (doa, raw))
    assert by_doa.abs().min() > 1e-3
    assert abs(float(by_width)) > 1e-3


def test_a_step_against_the_gradient_moves_the_width_towards_the_heard_one():
    for heard, sign in ((0.5, 1), (2.0, -1)):
        decoder = PhysicsDecoder(1.0)
        target = torch.softmax(-0.5 * (LAGS / heard) ** 2, dim=0)
        (-(target * decoder.of_delays(torch.tensor(0.0), LAGS)).sum()).backward()
        assert sign * float(decoder.raw_sigma.grad) > 0.01


def test_target_limits_of_gamma(generator):
    gcc = torch.rand(5, 3, 17, generator=generator)
    assert torch.allclose(delay_target(gcc, 0.0), torch.full_like(gcc, 1 / 17))
    hard = delay_target(gcc, 1e4)
    assert torch.equal(hard.argmax(dim=-1), gcc.argmax(dim=-1))
    assert torch.allclose(hard.amax(dim=-1), torch.ones(5, 3), atol=1e-3)
    assert torch.isfinite(hard).all()


def test_target_is_the_softmax_of_standard_scores(generator):
    gcc = torch.rand(4, 17, generator=generator, dtype=torch.float64)
    score = (gcc - gcc.mean(dim=-1, keepdim=True)) / gcc.std(dim=-1, correction=0, keepdim=True)
    odds = torch.exp(3.0 * score)
    assert torch.allclose(delay_target(gcc, 3.0), odds / odds.sum(dim=-1, keepdim=True))


@pytest.mark.parametrize("level", [0.0, 0.4, -1.0])
def test_target_of_silence_is_uniform(level):
    assert torch.allclose(delay_target(torch.full((2, 9), level), 10.0), torch.full((2, 9), 1 / 9), atol=1e-4)


@given(
    scale=st.floats(0.05, 50.0),
    offset=st.floats(-2.0, 2.0),
    gamma=st.floats(0.1, 10.0),
    seed=st.integers(0, 10_000),
)
def test_target_knows_neither_scale_nor_offset(scale, offset, gamma, seed):
    gcc = torch.rand(11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.allclose(delay_target(scale * gcc + offset, gamma), delay_target(gcc, gamma), atol=1e-6)
