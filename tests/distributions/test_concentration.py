import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.distributions.concentration import (
    credible_angle,
    inverse_mean_resultant_length,
    kl_to_uniform,
    log_peak_to_uniform,
    mean_resultant_complement,
    mean_resultant_length,
    one_minus_cosine_quantile,
)
from doatrack.exceptions import InvalidInputError

# Both sides of every change of formula, and both ends of the range.
CONCENTRATIONS = [0.0, 1e-8, 1e-6, 1e-4, 1e-3, 2e-3, 4e-3, 0.05, 0.06, 0.08, 0.3, 0.99, 1.0, 1.01, 3.0, 30.0, 1e3, 1e5]


def exact_resultant_length(k):
    return mpmath.coth(k) - 1 / k if k else mpmath.mpf(0)


def exact_kl(k):
    return k * mpmath.coth(k) - 1 + mpmath.log(k / mpmath.sinh(k)) if k else mpmath.mpf(0)


def exact_log_peak(k):
    return mpmath.log(2 * k / (1 - mpmath.exp(-2 * k))) if k else mpmath.mpf(0)


def relative_error(values, exact):
    pairs = [(mpmath.mpf(float(value)), reference) for value, reference in zip(values, exact, strict=True)]
    return max(
        float(abs(value - reference) / reference) if reference else abs(float(value)) for value, reference in pairs
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (mean_resultant_length, exact_resultant_length),
        (mean_resultant_complement, lambda k: 1 - exact_resultant_length(k)),
        (kl_to_uniform, exact_kl),
        (log_peak_to_uniform, exact_log_peak),
    ],
)
def test_functions_agree_with_150_digits(function, exact, dtype):
    k = torch.tensor(CONCENTRATIONS, dtype=dtype)
    with mpmath.workdps(150):
        expected = [exact(mpmath.mpf(float(x))) for x in k]
        assert relative_error(function(k), expected) < 6 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("probability", [1e-6, 0.1, 0.5, 0.9])
def test_quantile_and_its_slope_agree_with_60_digits(probability, dtype):
    k = torch.tensor(CONCENTRATIONS, dtype=dtype, requires_grad=True)
    p = torch.full_like(k, probability)
    value = one_minus_cosine_quantile(p, k)
    (slope,) = torch.autograd.grad(value.sum(), k)
    with mpmath.workdps(60):
        share = mpmath.mpf(float(p[0]))

        def exact(x):
            return -mpmath.log(1 + share * mpmath.expm1(-2 * x)) / x if x else 2 * share

        points = [mpmath.mpf(float(x)) for x in k.detach()]
        assert relative_error(value.detach(), [exact(x) for x in points]) < 12 * torch.finfo(dtype).eps
        slopes = [mpmath.diff(exact, x, h=mpmath.mpf(10) ** -20) if x else -2 * share * (1 - share) for x in points]
        assert relative_error(slope, slopes) < (2e-5 if dtype is torch.float32 else 1e-9)


@pytest.mark.parametrize(
    "function",
    [
        mean_resultant_length,
        mean_resultant_complement,
        kl_to_uniform,
        log_peak_to_uniform,
        lambda k: credible_angle(k, 0.9),
        lambda k: one_minus_cosine_quantile(torch.full_like(k, 1 - 2**-23), k),
    ],
)
def test_float32_gradients_are_finite_everywhere(function):
    k = torch.cat([torch.zeros(1), torch.logspace(-30, 5, 400)]).requires_grad_()
    (slope,) = torch.autograd.grad(function(k).sum(), k)
    assert torch.isfinite(function(k)).all()
    assert torch.isfinite(slope).all()


def test_slopes_follow_from_the_resultant_length():
    # d/dk of the log normaliser is 1 - A, and the divergence's slope is k A'.
    k = torch.linspace(0.01, 20, 300, dtype=torch.float64, requires_grad=True)
    (peak_slope,) = torch.autograd.grad(log_peak_to_uniform(k).sum(), k)
    (length_slope,) = torch.autograd.grad(mean_resultant_length(k).sum(), k)
    (kl_slope,) = torch.autograd.grad(kl_to_uniform(k).sum(), k)
    torch.testing.assert_close(peak_slope, mean_resultant_complement(k))
    torch.testing.assert_close(kl_slope, k * length_slope)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_of_the_resultant_length(dtype):
    eps = torch.finfo(dtype).eps
    r = torch.tensor([0, 1e-30, 1e-6, 0.01, 0.3, 0.31303, 0.3131, 0.5, 0.9, 0.999, 0.99999, 1 - 4 * eps], dtype=dtype)
    k = inverse_mean_resultant_length(r)
    with mpmath.workdps(150):
        back = [exact_resultant_length(mpmath.mpf(float(x))) for x in k]
        assert relative_error(r, back) < 2 * eps
        near_one = [1 - value for value in back]
        assert relative_error(1 - r[5:], near_one[5:]) < 6 * eps


def test_inverse_has_the_inverse_slope():
    k = torch.tensor([1e-3, 0.5, 1.0, 7.0, 300.0], dtype=torch.float64, requires_grad=True)
    r = mean_resultant_length(k)
    (slope,) = torch.autograd.grad(r.sum(), k)
    r = r.detach().requires_grad_()
    inverse = inverse_mean_resultant_length(r)
    torch.testing.assert_close(inverse.detach(), k.detach())
    (inverse_slope,) = torch.autograd.grad(inverse.sum(), r)
    torch.testing.assert_close(inverse_slope, 1 / slope)


@pytest.mark.parametrize("wrong", [-0.1, 1.0, math.nan])
def test_inverse_refuses_what_is_no_length(wrong):
    with pytest.raises(InvalidInputError, match=r"must lie in \[0, 1\), got values from"):
        inverse_mean_resultant_length(torch.tensor([0.5, wrong]))


@settings(max_examples=60, deadline=None)
@given(k=st.one_of(st.just(0.0), st.floats(1e-6, 1e5)), level=st.floats(0.01, 0.99))
def test_credible_cone_holds_its_share(k, level):
    angle = credible_angle(torch.tensor(k, dtype=torch.float64), level).item()
    assert 0 < angle < math.pi
    distance = 2 * math.sin(angle / 2) ** 2  # 1 - cos
    share = math.expm1(-k * distance) / math.expm1(-2 * k) if k > 0 else distance / 2
    assert share == pytest.approx(level, rel=1e-9)


def test_credible_angle_of_known_cases():
    k = torch.tensor([0.0, 1e5], dtype=torch.float64)
    flat, sharp = credible_angle(k, 0.9).tolist()
    assert math.cos(flat) == pytest.approx(1 - 2 * 0.9)
    assert sharp == pytest.approx(math.sqrt(2 * math.log(10) / 1e5), rel=1e-4)  # a Rayleigh distribution's quantile


def test_credible_angle_shrinks_with_concentration():
    k = torch.cat([torch.zeros(1), torch.logspace(-6, 5, 200)])
    assert (np.diff(credible_angle(k, 0.9).numpy()) <= 0).all()


def test_credible_angle_names_a_wrong_level():
    with pytest.raises(InvalidInputError, match="level must lie strictly between 0 and 1, got 90"):
        credible_angle(torch.ones(2), 90)
