"""The von Mises-Fisher distribution on the sphere and the uniform one, as torch distributions."""

import math
from typing import ClassVar

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution, constraints, register_kl

from doatrack.distributions._draws import Source, uniform_pairs
from doatrack.distributions.concentration import (
    credible_angle,
    inverse_mean_resultant_length,
    kl_to_uniform,
    log_peak_to_uniform,
    mean_resultant_complement,
    mean_resultant_length,
    one_minus_cosine_quantile,
)

__all__ = [
    "SphericalUniform",
    "VonMisesFisher",
    "credible_angle",
    "inverse_mean_resultant_length",
    "mean_resultant_length",
    "tangent_basis",
]

_Shape = Size | list[int] | tuple[int, ...]

_LOG_SPHERE_AREA = math.log(4 * math.pi)


class _UnitVector(constraints.Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        if value.shape[-1:] != (3,):
            return torch.zeros(value.shape[:-1], dtype=torch.bool, device=value.device)
        return (torch.linalg.vector_norm(value, dim=-1) - 1).abs() < 1e-3


_unit_vector = _UnitVector()


def tangent_basis(direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return two unit vectors that span the plane perpendicular to a direction (equation 15).

    Parameters
    ----------
    direction : Tensor of shape (..., 3)
        Unit vectors.

    Returns
    -------
    tuple of two Tensors of shape (..., 3)
        e1 and e2; (e1, e2, direction) is right-handed.

    Notes
    -----
    e1 is the part perpendicular to `direction` of the coordinate axis on which `direction` is smallest, so its
    length before normalisation is at least sqrt(2/3). The choice jumps where two components are equal.

    Examples
    --------
    >>> e1, e2 = tangent_basis(torch.tensor([1.0, 0.0, 0.0]))
    >>> e1.tolist(), e2.tolist()
    ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    """
    axis = torch.zeros_like(direction).scatter(-1, direction.abs().argmin(-1, keepdim=True), 1.0)
    across = axis - (axis * direction).sum(-1, keepdim=True) * direction
    e1 = across / torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    return e1, torch.linalg.cross(direction, e1)


class VonMisesFisher(Distribution):
    """A rotationally symmetric distribution of unit vectors (equation 12).

    f(z) = k / (4 pi sinh k) exp(k mu.z) with respect to area on the unit sphere: the uniform distribution for
    k = 0, and for large k a Gaussian of standard deviation 1/sqrt(k) radians in each tangent direction.

    Parameters
    ----------
    mean_direction : Tensor of shape (..., 3)
        Unit vectors mu.
    concentration : Tensor of shape (...)
        k, at least 0. Both are broadcast to one batch shape.
    validate_args : bool, optional
        Whether parameters and values are checked; None means torch's default.

    Raises
    ------
    ValueError
        If a mean direction is not a unit vector of 3 numbers, or a concentration is negative or NaN.

    Notes
    -----
    Values and gradients are finite for k from 0 to 1e5 in single precision. `log_prob` takes k mu.z as
    k - k |z - mu|^2 / 2, which holds for unit vectors; its gradient in mu is exact along the sphere.

    References
    ----------
    Equations 12 to 16 and 24 of arXiv 2602.08484.

    Examples
    --------
    >>> posterior = VonMisesFisher(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([100.0]))
    >>> draws = posterior.rsample((500,), generator=torch.Generator().manual_seed(0))
    >>> draws.shape, bool(draws[..., 2].mean() > 0.98)
    (torch.Size([500, 1, 3]), True)
    >>> round(torch.distributions.kl_divergence(posterior, SphericalUniform()).item(), 3)
    4.298
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "mean_direction": _unit_vector,
        "concentration": constraints.nonnegative,
    }
    support = _unit_vector
    has_rsample = True

    def __init__(self, mean_direction: Tensor, concentration: Tensor, validate_args: bool | None = None) -> None:
        if mean_direction.shape[-1:] != (3,):
            raise ValueError(f"mean_direction must have the shape (..., 3), got {tuple(mean_direction.shape)}.")
        batch_shape = torch.broadcast_shapes(mean_direction.shape[:-1], concentration.shape)
        self.mean_direction = mean_direction.expand(*batch_shape, 3)
        self.concentration = concentration.expand(batch_shape)
        super().__init__(batch_shape, Size([3]), validate_args=validate_args)

    def expand(self, batch_shape: _Shape, _instance: Distribution | None = None) -> "VonMisesFisher":
        """Return the distribution with its parameters expanded to a larger batch shape."""
        new: VonMisesFisher = self._get_checked_instance(VonMisesFisher, _instance)  # type: ignore[no-untyped-call]
        shape = Size(batch_shape)
        new.mean_direction = self.mean_direction.expand(*shape, 3)
        new.concentration = self.concentration.expand(shape)
        super(VonMisesFisher, new).__init__(shape, Size([3]), validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean_resultant_length(self) -> Tensor:
        """Length of the mean vector, A(k) = coth k - 1/k, of shape `batch_shape`."""
        return mean_resultant_length(self.concentration)

    @property
    def mean(self) -> Tensor:
        """The mean vector A(k) mu, inside the sphere, of shape (..., 3)."""
        return self.mean_resultant_length.unsqueeze(-1) * self.mean_direction

    @property
    def mode(self) -> Tensor:
        """The direction of highest density: `mean_direction`, of shape (..., 3)."""
        return self.mean_direction

    def rsample(self, sample_shape: _Shape = (), *, generator: Source = None) -> Tensor:
        """Draw unit vectors by the exact inverse distribution function (equations 14 to 16).

        Differentiable in both parameters.

        Parameters
        ----------
        sample_shape : tuple of int
            Draws per element of the batch.
        generator : torch.Generator or sequence of them, optional
            Source of randomness; a sequence has one for each element of the first batch dimension, whose draws then
            do not depend on the others. None means torch's default generator.

        Returns
        -------
        Tensor of shape (*sample_shape, *batch_shape, 3)
        """
        concentration = self.concentration.expand(Size(sample_shape) + self.batch_shape)
        dtype = concentration.dtype
        uniform = uniform_pairs(sample_shape, self.batch_shape, generator, concentration)
        distance = one_minus_cosine_quantile(uniform[0], concentration)  # 1 - w; uniform[0] is 1 - u, below 1
        angle = 2 * math.pi * uniform[1]
        # At a draw of exactly 0 the slope of the sine would be infinite; clamped, it is 0.
        sine = (distance * (2 - distance)).clamp(min=torch.finfo(dtype).tiny).sqrt()
        e1, e2 = tangent_basis(self.mean_direction)
        around = angle.cos().unsqueeze(-1) * e1 + angle.sin().unsqueeze(-1) * e2
        return (1 - distance).unsqueeze(-1) * self.mean_direction + sine.unsqueeze(-1) * around

    def sample(self, sample_shape: _Shape = (), *, generator: Source = None) -> Tensor:
        """Draw unit vectors as `rsample` does, without a gradient."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density per steradian at unit vectors of shape (..., 3)."""
        if self._validate_args:
            self._validate_sample(value)
        distance = (value - self.mean_direction).square().sum(-1) / 2  # 1 - mu.z
        return log_peak_to_uniform(self.concentration) - self.concentration * distance - _LOG_SPHERE_AREA

    def entropy(self) -> Tensor:
        """Return the differential entropy in nats: ln(4 pi) for k = 0."""
        return _LOG_SPHERE_AREA - self.kl_uniform()

    def kl_uniform(self) -> Tensor:
        """Return the divergence from the uniform distribution (equation 24), in nats."""
        return kl_to_uniform(self.concentration)

    def credible_angle(self, level: float = 0.9) -> Tensor:
        """Return the half-angle in radians of the cone around the mean direction that holds probability `level`."""
        return credible_angle(self.concentration, level)


class SphericalUniform(Distribution):
    """The uniform distribution of unit vectors, with density 1 / (4 pi): the prior of section 3.4.

    Parameters
    ----------
    batch_shape : tuple of int
    dtype : torch.dtype, optional
        Of samples and log densities; None means torch's default.
    device : torch.device or str, optional
    validate_args : bool, optional
        Whether values are checked to be unit vectors; None means torch's default.

    Examples
    --------
    >>> SphericalUniform().sample((4,), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = _unit_vector
    has_rsample = True

    def __init__(
        self,
        batch_shape: _Shape = (),
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._zero = torch.zeros((), dtype=dtype, device=device)
        super().__init__(Size(batch_shape), Size([3]), validate_args=validate_args)

    def expand(self, batch_shape: _Shape, _instance: Distribution | None = None) -> "SphericalUniform":
        """Return the distribution with another batch shape."""
        return SphericalUniform(batch_shape, self._zero.dtype, self._zero.device, self._validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean vector: zero, of shape (..., 3)."""
        return self._zero.expand(*self.batch_shape, 3)

    def rsample(self, sample_shape: _Shape = (), *, generator: Generator | None = None) -> Tensor:
        """Draw unit vectors of shape (*sample_shape, *batch_shape, 3)."""
        shape = self._extended_shape(Size(sample_shape))
        normal = torch.randn(shape, dtype=self._zero.dtype, device=self._zero.device, generator=generator)
        return normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)

    def sample(self, sample_shape: _Shape = (), *, generator: Generator | None = None) -> Tensor:
        """Draw unit vectors as `rsample` does."""
        return self.rsample(sample_shape, generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return -ln(4 pi) for each unit vector of shape (..., 3)."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self._zero.expand(shape) - _LOG_SPHERE_AREA

    def entropy(self) -> Tensor:
        """Return ln(4 pi)."""
        return self._zero.expand(self.batch_shape) + _LOG_SPHERE_AREA


def _kl_von_mises_fisher_uniform(p: VonMisesFisher, q: SphericalUniform) -> Tensor:
    divergence = p.kl_uniform()
    return divergence.expand(torch.broadcast_shapes(divergence.shape, q.batch_shape))


def _kl_von_mises_fisher(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    # E_p[1 - mu_q.z] = (1 - A_p) + A_p |mu_p - mu_q|^2 / 2.
    complement = mean_resultant_complement(p.concentration)
    apart = (p.mean_direction - q.mean_direction).square().sum(-1) / 2
    peaks = log_peak_to_uniform(p.concentration) - log_peak_to_uniform(q.concentration)
    spread = (q.concentration - p.concentration) * complement
    return peaks + spread + q.concentration * p.mean_resultant_length * apart


register_kl(VonMisesFisher, SphericalUniform)(_kl_von_mises_fisher_uniform)
register_kl(VonMisesFisher, VonMisesFisher)(_kl_von_mises_fisher)
