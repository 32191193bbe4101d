import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch.distributions import kl_divergence

from doatrack.distributions import SphericalUniform, VonMisesFisher, tangent_basis

MU = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3


def sphere_quadrature(mu, n_steps=400, n_angles=24):
    # Gauss-Legendre in the cosine to mu, equal steps around it.
    cosine, weight = np.polynomial.legendre.leggauss(n_steps)
    angle = 2 * np.pi * np.arange(n_angles) / n_angles
    e1, e2 = (v.numpy() for v in tangent_basis(mu))
    sine = np.sqrt(1 - cosine**2)[:, None, None]
    around = np.cos(angle)[:, None] * e1 + np.sin(angle)[:, None] * e2
    points = cosine[:, None, None] * mu.numpy() + sine * around
    return torch.tensor(points), torch.tensor(np.broadcast_to(weight[:, None] * 2 * np.pi / n_angles, points.shape[:2]))


@pytest.mark.parametrize("k", [0.0, 1e-4, 0.5, 1.0, 10.0, 300.0, 2000.0])
def test_density_integrates_to_one_and_has_the_mean(k):
    points, area = sphere_quadrature(MU)
    posterior = VonMisesFisher(MU, torch.tensor(k, dtype=torch.float64))
    mass = area * posterior.log_prob(points).exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-10)
    torch.testing.assert_close((mass.unsqueeze(-1) * points).sum((0, 1)), posterior.mean, atol=1e-10, rtol=0)


@pytest.mark.parametrize("k", [0.0, 1e-3, 0.7, 4.0, 100.0])
def test_divergence_from_uniform_agrees_with_quadrature_and_is_the_missing_entropy(k):
    points, area = sphere_quadrature(MU)
    posterior = VonMisesFisher(MU, torch.tensor(k, dtype=torch.float64))
    log_ratio = posterior.log_prob(points) + math.log(4 * math.pi)
    expected = (area * posterior.log_prob(points).exp() * log_ratio).sum().item()
    divergence = kl_divergence(posterior, SphericalUniform(dtype=torch.float64)).item()
    assert divergence == pytest.approx(expected, abs=1e-10)
    assert posterior.entropy().item() == pytest.approx(math.log(4 * math.pi) - divergence, abs=1e-12)


@pytest.mark.parametrize("k", [0.1, 1.0, 20.0, 1e3])
def test_scipy_agrees(k):
    posterior = VonMisesFisher(MU, torch.tensor(k, dtype=torch.float64))
    reference = scipy.stats.vonmises_fisher(MU.numpy(), k)
    assert posterior.entropy().item() == pytest.approx(reference.entropy(), abs=1e-9)
    points = posterior.sample((50,), generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(posterior.log_prob(points), reference.logpdf(points.numpy()), atol=1e-9)


@pytest.mark.parametrize(("k", "other"), [(0.0, 3.0), (5.0, 0.0), (5.0, 5.0), (40.0, 3.0), (0.5, 200.0)])
def test_divergence_between_two_agrees_with_quadrature(k, other):
    p = VonMisesFisher(MU, torch.tensor(k, dtype=torch.float64))
    q = VonMisesFisher(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64), torch.tensor(other, dtype=torch.float64))
    points, area = sphere_quadrature(MU, 300, 120)
    expected = (area * p.log_prob(points).exp() * (p.log_prob(points) - q.log_prob(points))).sum().item()
    assert kl_divergence(p, q).item() == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert kl_divergence(p, p).item() == 0


@pytest.mark.parametrize("k", [0.0, 1e-3, 0.3, 1.0, 8.0, 200.0, 1e5])
def test_cosines_of_samples_follow_equation_13(k):
    posterior = VonMisesFisher(MU, torch.tensor(k, dtype=torch.float64))
    draws = posterior.sample((4000,), generator=torch.Generator().manual_seed(3))
    distance = ((draws - MU) ** 2).sum(-1).numpy() / 2  # 1 - w
    assert scipy.stats.kstest(distance, lambda d: np.expm1(-k * d) / np.expm1(-2 * k) if k else d / 2).pvalue > 1e-3
    e1, e2 = tangent_basis(MU)
    around = np.arctan2((draws @ e2).numpy(), (draws @ e1).numpy())
    assert scipy.stats.kstest(around, scipy.stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    spread = math.sqrt((1 - posterior.mean_resultant_length.item() ** 2) / 4000)
    torch.testing.assert_close(draws.mean(0), posterior.mean, atol=5 * spread, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    k=st.one_of(st.just(0.0), st.floats(1e-30, 1e5)),
    xyz=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: math.hypot(*v) > 1e-3),
    seed=st.integers(0, 2**31),
)
def test_single_precision_draws_are_unit_vectors_with_finite_gradients(k, xyz, seed):
    mu = torch.tensor(xyz)
    mu = (mu / mu.norm()).requires_grad_()
    concentration = torch.tensor(k, dtype=torch.float32, requires_grad=True)
    posterior = VonMisesFisher(mu, concentration)
    draws = posterior.rsample((200,), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(draws.norm(dim=-1), torch.ones(200), atol=2e-6, rtol=0)
    log_prob = posterior.log_prob(draws)
    assert torch.isfinite(log_prob).all()
    loss = draws.square().sum() + draws.sum() + log_prob.sum() + posterior.kl_uniform() + posterior.mean.sum()
    gradients = torch.autograd.grad(loss, (mu, concentration))
    assert all(torch.isfinite(g).all() for g in gradients)


class _FixedUniform:
    """Stands in for torch.rand: hands out the ends of the interval."""

    def __init__(self, value):
        self.value = value

    def __call__(self, shape, *, generator=None, dtype=None, device=None):
        return torch.full(shape, self.value, dtype=dtype, device=device)


@pytest.mark.parametrize("value", [0.0, 1 - 2**-24])
def test_the_ends_of_the_random_interval_stay_finite(monkeypatch, value):
    monkeypatch.setattr(torch, "rand", _FixedUniform(value))
    k = torch.tensor([0.0, 1e-7, 0.05, 1.0, 9.0, 1e5], requires_grad=True)
    draws = VonMisesFisher(MU.float().expand(6, 3), k).rsample()
    torch.testing.assert_close(draws.norm(dim=-1), torch.ones(6), atol=1e-5, rtol=0)
    (slope,) = torch.autograd.grad(draws.sum(), k)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("k", [0.0, 1e-4, 0.02, 0.9, 1.5, 50.0])
def test_draws_are_differentiable_in_both_parameters(k):
    def draw(mu, concentration):
        unit = mu / mu.norm(dim=-1, keepdim=True)
        return VonMisesFisher(unit, concentration).rsample((3,), generator=torch.Generator().manual_seed(0))

    # At k = 0 central differences would leave the domain: one step to the side, within the series.
    arguments = (MU.clone().requires_grad_(), torch.tensor(max(k, 1e-5), dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(draw, arguments, eps=1e-6, atol=1e-6)


def test_gradient_of_an_expectation_through_draws():
    # E[z . a] = A(k) mu . a: the sampled gradient in k must be A'(k) mu . a.
    k = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    posterior = VonMisesFisher(MU, k)
    draws = posterior.rsample((40_000,), generator=torch.Generator().manual_seed(5))
    (sampled,) = torch.autograd.grad((draws @ MU).mean(), k)
    (expected,) = torch.autograd.grad(posterior.mean_resultant_length, k)
    assert sampled.item() == pytest.approx(expected.item(), rel=0.03)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_tangent_basis_is_right_handed_and_orthonormal(seed):
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    directions = torch.tensor(np.concatenate([rotation, np.eye(3), -np.eye(3), [[0.6, 0.6, math.sqrt(0.28)]]]))
    e1, e2 = tangent_basis(directions)
    frame = torch.stack([e1, e2, directions], -1)
    torch.testing.assert_close(frame.mT @ frame, torch.eye(3, dtype=torch.float64).expand(len(frame), 3, 3))
    torch.testing.assert_close(torch.linalg.det(frame), torch.ones(len(frame), dtype=torch.float64))


def test_batch_shapes_and_expand():
    posterior = VonMisesFisher(MU, torch.rand(4, 1, dtype=torch.float64) + 1)
    assert (posterior.batch_shape, posterior.event_shape) == ((4, 1), (3,))
    wide = posterior.expand((2, 4, 5))
    assert wide.sample((7,)).shape == (7, 2, 4, 5, 3)
    assert wide.log_prob(MU).shape == wide.entropy().shape == wide.credible_angle(0.9).shape == (2, 4, 5)
    torch.testing.assert_close(wide.entropy()[1, :, 3], posterior.entropy()[:, 0])
    assert kl_divergence(posterior, SphericalUniform((3, 4, 6))).shape == (3, 4, 6)
    torch.testing.assert_close(wide.mode[0, 0, 0], MU)


def test_the_same_generator_draws_the_same():
    posterior = VonMisesFisher(MU, torch.tensor(2.0, dtype=torch.float64))
    first, second = (posterior.sample((5,), generator=torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, posterior.sample((5,), generator=torch.Generator().manual_seed(10)))


def test_wrong_parameters_and_values_are_refused():
    with pytest.raises(ValueError, match=r"mean_direction must have the shape \(\.\.\., 3\), got \(2,\)"):
        VonMisesFisher(torch.zeros(2), torch.tensor(1.0))
    with pytest.raises(ValueError, match="mean_direction"):
        VonMisesFisher(torch.ones(3), torch.tensor(1.0))
    with pytest.raises(ValueError, match="concentration"):
        VonMisesFisher(MU, torch.tensor([1.0, -1.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="concentration"):
        VonMisesFisher(MU, torch.tensor(math.nan, dtype=torch.float64))
    with pytest.raises(ValueError, match="support"):
        VonMisesFisher(MU, torch.tensor(1.0, dtype=torch.float64)).log_prob(2 * MU)


def test_spherical_uniform_is_uniform():
    prior = SphericalUniform((2,), dtype=torch.float64)
    draws = prior.sample((3000,), generator=torch.Generator().manual_seed(0))
    assert draws.shape == (3000, 2, 3)
    for axis in range(3):
        assert scipy.stats.kstest(draws[:, 0, axis].numpy(), scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3
    torch.testing.assert_close(prior.log_prob(draws).exp(), torch.full((3000, 2), 1 / (4 * math.pi)).double())
    torch.testing.assert_close(prior.entropy(), torch.full((2,), math.log(4 * math.pi)).double())
    assert prior.expand((4, 2)).mean.abs().sum() == 0
    assert prior.expand((4, 2)).log_prob(MU).shape == (4, 2)
