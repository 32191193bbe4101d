"""A distribution over the directions of a grid, as maps give it."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from doatrack.distributions.von_mises_fisher import inverse_mean_resultant_length

__all__ = ["GridPosterior"]


class GridPosterior(Distribution):
    """Probabilities of the directions of a quasi-uniform grid.

    Parameters
    ----------
    logits : Tensor of shape (..., n_directions)
        Unnormalised log probabilities.
    directions : Tensor of shape (n_directions, 3)
        Unit vectors of nearly equal area.

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

    def __init__(self, logits: Tensor, directions: Tensor, validate_args: bool | None = None) -> None:
        self.directions = directions
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
        radius = max(math.radians(10.0), 3 * math.sqrt(4 * math.pi / len(self.directions)))
        peak = self.directions[self.logits.argmax(dim=-1)]
        near = (peak @ self.directions.T) > math.cos(radius)
        return torch.nn.functional.normalize((self.probabilities * near) @ self.directions, dim=-1)

    @property
    def concentration(self) -> Tensor:
        """Concentration (...,) of the von Mises-Fisher distribution with the same mean length."""
        return inverse_mean_resultant_length(self.mean.norm(dim=-1).clamp(max=1 - 1e-6))

    def tempered(self, temperature: float) -> "GridPosterior":
        """Return the posterior whose log probabilities are divided by a temperature: broader above 1."""
        return GridPosterior(self.logits / temperature, self.directions, validate_args=False)

    def expectation(self, values: Tensor) -> Tensor:
        """Return the expectation (...,) of values (..., n_directions) given on the grid."""
        return (self.probabilities * values).sum(dim=-1)

    def entropy(self) -> Tensor:
        """Return the entropy (...,) with respect to area on the sphere, in nats."""
        cell = math.log(4 * math.pi / len(self.directions))
        return cell - (self.probabilities * self.logits).sum(dim=-1)

    def kl_uniform(self) -> Tensor:
        """Return the divergence (...,) from the uniform distribution, in nats."""
        return math.log(4 * math.pi) - self.entropy()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density (...,) at unit vectors (..., 3): that of the nearest grid direction's cell."""
        cell = math.log(4 * math.pi / len(self.directions))
        index = (value @ self.directions.T).argmax(dim=-1)
        shape = torch.broadcast_shapes(index.shape, self.batch_shape)
        return self.logits.expand(*shape, -1).gather(-1, index.expand(shape)[..., None])[..., 0] - cell

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = torch.Size()) -> Tensor:
        """Draw grid directions, shape sample_shape + batch shape + (3,)."""
        index = torch.distributions.Categorical(logits=self.logits).sample(torch.Size(sample_shape))
        return self.directions[index]
