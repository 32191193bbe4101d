"""Functions of a von Mises-Fisher distribution's concentration, exact from 0 to 1e5 in single precision."""

import torch
from torch import Tensor

from doatrack._validation import check_probability
from doatrack.exceptions import InvalidInputError

__all__ = [
    "credible_angle",
    "inverse_mean_resultant_length",
    "kl_to_uniform",
    "log_peak_to_uniform",
    "mean_resultant_complement",
    "mean_resultant_length",
    "one_minus_cosine_quantile",
]

# Below this concentration the power series and the continued fraction are used, above it the exponential forms.
_SMALL = 1.0
_FRACTION_TERMS = 9
_SERIES_TERMS = 9
_NEWTON_STEPS = 3  # and one more: exact in double precision


def _branches(concentration: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # Each branch of a `where` gets values from its own domain, so that neither sends NaN into the gradient.
    small = concentration < _SMALL
    return small, concentration.clamp(max=_SMALL), concentration.clamp(min=_SMALL)


def _resultant_ratio(concentration: Tensor) -> Tensor:
    # A(k) / k = 1 / (3 + k^2 / (5 + k^2 / (7 + ...))), Lambert's continued fraction: only sums of positive terms.
    square = concentration * concentration
    fraction = torch.full_like(concentration, 2.0 * _FRACTION_TERMS + 3)
    for odd in range(2 * _FRACTION_TERMS + 1, 1, -2):
        fraction = odd + square / fraction
    return 1 / fraction


def _log_sinh_ratio(concentration: Tensor) -> Tensor:
    # ln(sinh(k) / k), from sinh(k) / k - 1 = k^2/6 (1 + k^2/20 (1 + k^2/42 (...))).
    square = concentration * concentration
    series = torch.zeros_like(concentration)
    for n in range(_SERIES_TERMS, 0, -1):
        series = square / (2 * n * (2 * n + 1)) * (1 + series)
    return torch.log1p(series)


def _tail(concentration: Tensor) -> Tensor:
    # coth(k) - 1 = 2 e^-2k / (1 - e^-2k).
    return -2 * torch.exp(-2 * concentration) / torch.expm1(-2 * concentration)


def mean_resultant_length(concentration: Tensor) -> Tensor:
    """Return the length of a von Mises-Fisher distribution's mean vector, A(k) = coth k - 1/k.

    Parameters
    ----------
    concentration : Tensor of shape (...)
        At least 0.

    Returns
    -------
    Tensor of shape (...)
        In [0, 1); about k/3 for small k and 1 - 1/k for large k.

    Notes
    -----
    Lambert's continued fraction below k = 1, the exponential form above: relative error a few rounding units.

    Examples
    --------
    >>> mean_resultant_length(torch.tensor([0.0, 3e-6, 1e4]))
    tensor([0.0000e+00, 1.0000e-06, 9.9990e-01])
    """
    small, low, high = _branches(concentration)
    return torch.where(small, low * _resultant_ratio(low), 1 - (1 / high - _tail(high)))


def mean_resultant_complement(concentration: Tensor) -> Tensor:
    """Return 1 - A(k), the expected 1 - cos of the angle to the mean direction, exact where A(k) rounds to 1.

    Parameters
    ----------
    concentration : Tensor of shape (...)
        At least 0.

    Examples
    --------
    >>> mean_resultant_complement(torch.tensor([0.0, 1e5]))
    tensor([1.0000e+00, 1.0000e-05])
    """
    small, low, high = _branches(concentration)
    return torch.where(small, 1 - low * _resultant_ratio(low), 1 / high - _tail(high))


def inverse_mean_resultant_length(resultant_length: Tensor) -> Tensor:
    """Return the concentration whose mean vector has a given length, the k with A(k) = r.

    With the length of the mean of unit vectors this is the maximum-likelihood concentration.

    Parameters
    ----------
    resultant_length : Tensor of shape (...)
        In [0, 1).

    Returns
    -------
    Tensor of shape (...)
        At least 0. Differentiable: dk/dr = 1 / A'(k).

    Raises
    ------
    InvalidInputError
        If a length is not within [0, 1).

    References
    ----------
    A. Banerjee et al., "Clustering on the unit hypersphere using von Mises-Fisher distributions", JMLR 2005,
    equation 4.4 (the start of the Newton iteration).

    Examples
    --------
    >>> inverse_mean_resultant_length(torch.tensor([0.0, 0.5, 0.9]))
    tensor([ 0.0000,  1.7968, 10.0000])
    """
    # a traced graph has no values to look at
    if not torch.compiler.is_compiling() and not bool(((resultant_length >= 0) & (resultant_length < 1)).all()):
        raise InvalidInputError(
            f"resultant_length must lie in [0, 1), got values from {resultant_length.min().item():g} to "
            f"{resultant_length.max().item():g}. A length of 1 would need an infinite concentration."
        )
    with torch.no_grad():
        square = resultant_length**2
        concentration = resultant_length * (3 - square) / (1 - square)
        for _ in range(_NEWTON_STEPS):
            concentration = _newton_step(concentration, resultant_length).clamp(min=0)
    return _newton_step(concentration, resultant_length)  # a last step at a fixed k carries the gradient


def _newton_step(concentration: Tensor, resultant_length: Tensor) -> Tensor:
    small, low, high = _branches(concentration)
    ratio, tail = _resultant_ratio(low), _tail(high)
    missing = torch.where(small, resultant_length - low * ratio, (1 / high - tail) - (1 - resultant_length))
    # A'(k) = 1 - 2 A/k - A^2 = 1/k^2 - 1/sinh^2 k; the second form does not cancel for large k.
    slope = torch.where(small, 1 - 2 * ratio - (low * ratio) ** 2, 1 / high**2 - tail * (tail + 2))
    return concentration + missing / slope


def log_peak_to_uniform(concentration: Tensor) -> Tensor:
    """Return ln of the density at the mean direction times 4 pi, ln(2k / (1 - e^-2k)).

    Parameters
    ----------
    concentration : Tensor of shape (...)
        At least 0.

    Examples
    --------
    >>> log_peak_to_uniform(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8386])
    """
    small, low, high = _branches(concentration)
    return torch.where(small, low - _log_sinh_ratio(low), torch.log(2 * high) - torch.log1p(-torch.exp(-2 * high)))


def kl_to_uniform(concentration: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the uniform distribution (equation 24), in nats.

    D(k) = k coth k - 1 + ln(k / sinh k): k^2/6 for small k, ln(2k) - 1 for large k.

    Parameters
    ----------
    concentration : Tensor of shape (...)
        At least 0.

    Examples
    --------
    >>> kl_to_uniform(torch.tensor([0.0, 1e-3, 100.0]))
    tensor([0.0000e+00, 1.6667e-07, 4.2983e+00])
    """
    small, low, high = _branches(concentration)
    near = low * low * _resultant_ratio(low) - _log_sinh_ratio(low)
    far = torch.log(2 * high) - torch.log1p(-torch.exp(-2 * high)) - 1 + high * _tail(high)
    return torch.where(small, near, far)


def one_minus_cosine_quantile(probability: Tensor, concentration: Tensor) -> Tensor:
    """Return 1 - cos of the angle within which a share of the distribution lies, the inverse of equation 13.

    Parameters
    ----------
    probability : Tensor of shape (...)
        Probability p of the cone around the mean direction, in [0, 1]; 1 - u of equation 14.
    concentration : Tensor of shape (...)
        At least 0.

    Returns
    -------
    Tensor of shape (...)
        1 - w = -ln(1 + p (e^-2k - 1)) / k, within [0, 2]; 2p where k = 0.

    Examples
    --------
    >>> one_minus_cosine_quantile(torch.tensor(0.5), torch.tensor([0.0, 1e5]))
    tensor([1.0000e+00, 6.9315e-06])
    """
    # The quotient loses digits (in the derivative first) as k -> 0; there w = ln(cosh k + s sinh k) / k with
    # s = 1 - 2p is expanded in the cumulants of a variable that is +-1 with mean s.
    limit = torch.finfo(concentration.dtype).eps ** (1 / 6)
    k = concentration.clamp(max=limit)
    s = 1 - 2 * probability
    tilt = k * (0.5 - k * (s / 3 - k * ((3 * s * s - 1) / 12 + k * s * (2 - 3 * s * s) / 15)))
    near = 2 * probability - 4 * probability * (1 - probability) * tilt
    high = concentration.clamp(min=limit)
    far = -torch.log1p(probability * torch.expm1(-2 * high)) / high
    return torch.where(concentration < limit, near, far).clamp(0, 2)


def credible_angle(concentration: Tensor, level: float = 0.9) -> Tensor:
    """Return the half-angle of the cone around the mean direction that holds a given probability.

    Parameters
    ----------
    concentration : Tensor of shape (...)
        At least 0.
    level : float
        Probability of the cone, strictly between 0 and 1.

    Returns
    -------
    Tensor of shape (...)
        In radians, in (0, pi): cos a = 1 + ln(1 - level (1 - e^-2k)) / k, and 1 - 2 level where k = 0.

    Raises
    ------
    InvalidInputError
        If `level` is not strictly between 0 and 1.

    Examples
    --------
    >>> torch.rad2deg(credible_angle(torch.tensor([0.0, 100.0]), level=0.9))
    tensor([143.1301,  12.3192])
    """
    probability = torch.full_like(concentration, check_probability("level", level))
    distance = one_minus_cosine_quantile(probability, concentration)
    return 2 * torch.atan2(distance.sqrt(), (2 - distance).sqrt())
