"""A distribution over the directions of a grid, as maps give it."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from doatrack.distributions.von_mises_fisher import inverse_mean_resultant_length

__all__ = ["GridPosterior", "peak_radius"]

_LEAST_RADIUS = math.radians(10.0)
_SPACINGS = 3


def peak_radius(n_directions: int, coverage: float = 1.0) -> float:
    """Return the radius in radians of the region around a peak over which directions are averaged.

    Parameters
    ----------
    n_directions : int
    coverage : float
        The share of the sphere that they cover.

    Examples
    --------
    >>> [round(math.degrees(peak_radius(n, share))) for n, share in ((2048, 1.0), (500, 1.0), (500, 0.25))]
    [13, 27, 14]
    """
    return max(_LEAST_RADIUS, _SPACINGS * math.sqrt(4 * math.pi * coverage / n_directions))


class GridPosterior(Distribution):
    """Probabilities of the directions of a quasi-uniform grid.

    Parameters
    ----------
    logits : Tensor of shape (..., n_directions)
        Unnormalised log probabilities.
    directions : Tensor of shape (n_directions, 3)
        Unit vectors of nearly equal area.
    coverage : float
        The share of the sphere that they cover: below 1 for a search region.

    Examples
    --------
    >>> from doatrack.geometry import DirectionGrid
    >>> grid = torch.as_tensor(DirectionGrid.quasi_uniform(500).directions, dtype=torch.float32)
    >>> flat = GridPosterior(torch.zeros(500), grid)
    >>> abs(float(flat.kl_uniform())) < 1e-5, round(float(flat.concentration), 2)
    (True, 0.0)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real_vector}
    has_rsample = False

    def __init__(
        self, logits: Tensor, directions: Tensor, coverage: float = 1.0, validate_args: bool | None = None
    ) -> None:
        self.directions, self.coverage = directions, coverage
        self.logits = torch.log_softmax(logits, dim=-1)
        super().__init__(logits.shape[:-1], torch.Size([3]), validate_args=validate_args)

    @property
    def probabilities(self) -> Tensor:
        """Probability of each direction (..., n_directions)."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """Mean vector (..., 3), shorter than 1."""
        return self.probabilities @ self.directions

    @property
    def mean_direction(self) -> Tensor:
        """The mean over the region around the most probable direction, a unit vector (..., 3).

        The region is a cone of 3 grid spacings (but at least 10 degrees): a second, distant peak does not pull it.
        """
        radius = peak_radius(len(self.directions), self.coverage)
        peak = self.directions[self.logits.argmax(dim=-1)]
        near = (peak @ self.directions.T) > math.cos(radius)
        return torch.nn.functional.normalize((self.probabilities * near) @ self.directions, dim=-1)

    @property
    def concentration(self) -> Tensor:
        """Concentration (...,) of the von Mises-Fisher distribution with the same mean length."""
        return inverse_mean_resultant_length(self.mean.norm(dim=-1).clamp(max=1 - 1e-6))

    def tempered(self, temperature: float) -> "GridPosterior":
        """Return the posterior whose log probabilities are divided by a temperature: broader above 1."""
        return self.with_logits(self.logits / temperature)

    def with_logits(self, logits: Tensor) -> "GridPosterior":
        """Return a posterior over the same directions."""
        return GridPosterior(logits, self.directions, self.coverage, validate_args=False)

    def expectation(self, values: Tensor) -> Tensor:
        """Return the expectation (...,) of values (..., n_directions) given on the grid."""
        return (self.probabilities * values).sum(dim=-1)

    def entropy(self) -> Tensor:
        """Return the entropy (...,) with respect to area on the sphere, in nats."""
        return self._log_cell - (self.probabilities * self.logits).sum(dim=-1)

    def kl_uniform(self) -> Tensor:
        """Return the divergence (...,) from the uniform distribution, in nats."""
        return math.log(4 * math.pi) - self.entropy()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density (...,) at unit vectors (..., 3): that of the nearest grid direction's cell."""
        index = (value @ self.directions.T).argmax(dim=-1)
        shape = torch.broadcast_shapes(index.shape, self.batch_shape)
        return self.logits.expand(*shape, -1).gather(-1, index.expand(shape)[..., None])[..., 0] - self._log_cell

    @property
    def _log_cell(self) -> float:
        """Log of the area of a direction's cell."""
        return math.log(4 * math.pi * self.coverage / len(self.directions))

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:
        """Draw grid directions, shape sample_shape + batch shape + (3,)."""
        index = torch.distributions.Categorical(logits=self.logits).sample(torch.Size(sample_shape))
        return self.directions[index]
