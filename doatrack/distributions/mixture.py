"""Posteriors of several sources: mixtures of von Mises-Fisher distributions, and grid posteriors split at peaks."""

import math
from typing import Any, ClassVar

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution, constraints

from doatrack.distributions._draws import Source
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.distributions.von_mises_fisher import VonMisesFisher

__all__ = ["GridMixture", "VonMisesFisherMixture"]

_LOG_SPHERE_AREA = math.log(4 * math.pi)
_NEVER = -1e4  # a log probability whose exponential is 0, and 0 times it too

_Shape = Size | list[int] | tuple[int, ...]


class VonMisesFisherMixture(Distribution):
    """A mixture of von Mises-Fisher distributions, one for each source (equation 26).

    q(z) = sum_n pi_n vMF(z; mu_n, k_n).

    Parameters
    ----------
    logits : Tensor of shape (..., n_sources)
        Unnormalised log weights.
    mean_direction : Tensor of shape (..., n_sources, 3)
        Unit vectors mu_n.
    concentration : Tensor of shape (..., n_sources)
        k_n, at least 0.
    validate_args : bool, optional

    Raises
    ------
    ValueError
        If shapes do not fit, a mean direction is not a unit vector, or a concentration is negative or NaN.

    References
    ----------
    Equation 26 of arXiv 2602.08484.

    Examples
    --------
    >>> mixture = VonMisesFisherMixture(torch.zeros(2), torch.eye(3)[:2], torch.tensor([100.0, 20.0]))
    >>> mixture.weights.tolist(), mixture.sample((500,), generator=torch.Generator().manual_seed(0)).shape
    ([0.5, 0.5], torch.Size([500, 3]))
    >>> bool(mixture.kl_uniform(generator=torch.Generator().manual_seed(0)) < mixture.kl_uniform_bound())
    True
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real_vector}
    has_rsample = False  # which component was drawn has no derivative; rsample_components has

    def __init__(
        self, logits: Tensor, mean_direction: Tensor, concentration: Tensor, validate_args: bool | None = None
    ) -> None:
        if not logits.shape == concentration.shape == mean_direction.shape[:-1] or logits.dim() < 1:
            raise ValueError(
                "logits and concentration must have the shape (..., n_sources) and mean_direction (..., n_sources, 3), "
                f"got {tuple(logits.shape)}, {tuple(concentration.shape)} and {tuple(mean_direction.shape)}."
            )
        self.logits = torch.log_softmax(logits, dim=-1)
        self.components = VonMisesFisher(mean_direction, concentration, validate_args=validate_args)
        super().__init__(logits.shape[:-1], Size([3]), validate_args=validate_args)

    @property
    def n_sources(self) -> int:
        """The number of components."""
        return self.logits.shape[-1]

    @property
    def weights(self) -> Tensor:
        """Weights (..., n_sources) with the sum 1."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """Mean vector (..., 3), inside the sphere."""
        return (self.weights[..., None] * self.components.mean).sum(dim=-2)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density per steradian at unit vectors of shape (..., 3)."""
        return torch.logsumexp(self.logits + self.components.log_prob(value[..., None, :]), dim=-1)

    def log_prob_of_components(self, drawn: Tensor) -> Tensor:
        """Return the mixture's log density (..., n_sources) at directions (..., n_sources, 3), one per component."""
        mean, concentration = self.components.mean_direction, self.components.concentration
        under_each = VonMisesFisher(mean[..., None, :, :], concentration[..., None, :], validate_args=False)
        return torch.logsumexp(self.logits[..., None, :] + under_each.log_prob(drawn[..., None, :]), dim=-1)

    def rsample_components(self, sample_shape: _Shape = (), *, generator: Source = None) -> Tensor:
        """Draw one direction from every component, (*sample_shape, *batch_shape, n_sources, 3); differentiable."""
        return self.components.rsample(sample_shape, generator=generator)

    def sample(self, sample_shape: _Shape = (), *, generator: Generator | None = None) -> Tensor:
        """Draw unit vectors (*sample_shape, *batch_shape, 3)."""
        with torch.no_grad():
            drawn = self.rsample_components(sample_shape, generator=generator)
            flat = self.weights.expand(drawn.shape[:-1]).reshape(-1, self.n_sources)
            chosen = torch.multinomial(flat, 1, generator=generator).view(*drawn.shape[:-2], 1, 1)
            return drawn.gather(-2, chosen.expand(*drawn.shape[:-2], 1, 3))[..., 0, :]

    def kl_uniform(self, n_samples: int = 8, *, generator: Source = None) -> Tensor:
        """Return the divergence (...,) from the uniform distribution in nats, by Monte Carlo.

        The expectation over the choice of a component is exact, that over its directions is the mean of `n_samples`
        reparameterised draws: unbiased, and differentiable in all parameters.
        """
        drawn = self.rsample_components((n_samples,), generator=generator)
        # each draw under the whole mixture: (n_samples, ..., n_sources)
        log_density = self.log_prob_of_components(drawn)
        return (self.weights * log_density.mean(dim=0)).sum(dim=-1) + _LOG_SPHERE_AREA

    def kl_uniform_bound(self) -> Tensor:
        """Return an upper bound (...,) of `kl_uniform`: the weighted mean of the components' divergences.

        By convexity of the divergence; too large by at most the entropy of the weights, ln n_sources.
        """
        return (self.weights * self.components.kl_uniform()).sum(dim=-1)


class GridMixture:
    """A grid posterior as a mixture of its restrictions to the surroundings of some directions.

    Every direction of the grid belongs to the nearest of the given ones. The mixture of the parts, weighted by their
    probability, is the posterior itself: equation 26 with parts of any form instead of von Mises-Fisher ones.

    Parameters
    ----------
    posterior : GridPosterior of batch shape (...)
    index : int64 Tensor of shape (..., n_sources)
        Grid directions to split at, such as separated peaks.
    radius : float, optional
        Radians around each of them beyond which directions are left out; None keeps all.

    Examples
    --------
    >>> directions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0.6, 0.8]])
    >>> posterior = GridPosterior(torch.tensor([0.6, 0.3, 0.1]).log(), directions)
    >>> parts = GridMixture(posterior, torch.tensor([0, 1]))
    >>> [round(float(weight), 2) for weight in parts.weights]
    [0.6, 0.4]
    >>> [round(float(p), 2) for p in parts.components.probabilities[1]]
    [0.0, 0.75, 0.25]
    """

    def __init__(self, posterior: GridPosterior, index: Tensor, radius: float | None = None) -> None:
        self.posterior = posterior
        closeness = posterior.directions[index] @ posterior.directions.T  # (..., n_sources, n_directions)
        outside = torch.nn.functional.one_hot(closeness.argmax(dim=-2), index.shape[-1]).movedim(-1, -2) == 0
        if radius is not None:
            outside = outside | (closeness < math.cos(radius))
        logits = posterior.logits[..., None, :].expand_as(closeness).masked_fill(outside, _NEVER)
        self.logits = torch.logsumexp(logits, dim=-1)
        self.components = posterior.with_logits(logits)

    @property
    def batch_shape(self) -> Size:
        """The posterior's batch shape."""
        return self.posterior.batch_shape

    @property
    def n_sources(self) -> int:
        """The number of components."""
        return self.logits.shape[-1]

    @property
    def weights(self) -> Tensor:
        """Probability (..., n_sources) of each part; the sum is 1 without a radius."""
        return self.logits.exp()

    def equal_weights(self) -> GridPosterior:
        """Return the mixture of the parts with equal weights, over the grid."""
        return self.posterior.with_logits(torch.logsumexp(self.components.logits, dim=-2))

    def kl_uniform(self) -> Tensor:
        """Return the divergence (...,) of the mixture with equal weights from the uniform distribution, exactly."""
        return self.equal_weights().kl_uniform()

    def kl_uniform_bound(self) -> Tensor:
        """Return the mean of the parts' divergences, an upper bound (...,) of `kl_uniform`."""
        return self.components.kl_uniform().mean(dim=-1)
