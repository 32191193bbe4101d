"""The maximum of a map between the directions of its grid."""

import torch
from torch import Tensor

from doatrack.geometry.grid import DirectionGrid

__all__ = ["PeakFinder"]


class PeakFinder:
    """Find a map's maximum between the directions of its grid.

    Around the highest grid direction a parabola in the tangent plane is fitted to its neighbours by least
    squares; its vertex is taken where it is a maximum and stays within the fit's reach, else the grid
    direction itself.

    Parameters
    ----------
    grid : DirectionGrid
    n_neighbours : int
        Directions in each fit; at least 7 for the parabola's 6 coefficients.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> source = torch.tensor([0.6, 0.0, 0.8])
    >>> map_ = 10 * torch.tensor(grid.directions, dtype=torch.float32) @ source
    >>> bool((PeakFinder(grid)(map_) @ source) > 0.99999)
    True
    """

    def __init__(self, grid: DirectionGrid, n_neighbours: int = 13) -> None:
        self.directions = torch.tensor(grid.directions, dtype=torch.float32)
        count = min(n_neighbours, grid.n_directions)
        similarity = torch.cat([part.topk(count).indices for part in _cosines(self.directions)])
        self.neighbours = similarity
        self.basis = _tangent_planes(self.directions)
        offset = torch.einsum("kmd,kad->kma", self.directions[self.neighbours], self.basis)
        self.reach = offset.norm(dim=-1).amax(dim=-1)
        a, b = offset.unbind(-1)
        design = torch.stack([torch.ones_like(a), a, b, a * a, a * b, b * b], dim=-1)
        # with fewer neighbours than coefficients the grid direction itself is returned
        self.solve = torch.linalg.pinv(design.double()).float() if count >= 7 else None

    def __call__(self, values: Tensor) -> Tensor:
        """Return the refined directions, unit vectors (..., 3), of maps (..., n_directions)."""
        return self.refine(values, values.argmax(dim=-1))

    def refine(self, values: Tensor, best: Tensor) -> Tensor:
        """Return the refined directions, unit vectors (..., 3), around maxima of maps (..., n_directions).

        Parameters
        ----------
        values : Tensor of shape (..., n_directions)
        best : int64 Tensor of shape (...)
            Index of a maximum of each map.
        """
        if self.solve is None:
            return self.directions[best]
        around = values.expand(*best.shape, -1).gather(-1, self.neighbours[best])
        around = around - around.mean(dim=-1, keepdim=True)
        _, ga, gb, caa, cab, cbb = torch.einsum("...cm,...m->...c", self.solve[best], around).unbind(-1)
        # vertex of g.x + x'Hx/2 with H = [[2 caa, cab], [cab, 2 cbb]]
        determinant = 4 * caa * cbb - cab * cab
        safe = torch.where(determinant > 0, determinant, torch.ones_like(determinant))
        step = torch.stack([cab * gb - 2 * cbb * ga, cab * ga - 2 * caa * gb], dim=-1) / safe[..., None]
        inside = (determinant > 0) & (caa < 0) & (step.norm(dim=-1) <= self.reach[best])
        step = torch.where(inside[..., None], step, torch.zeros_like(step))
        refined = self.directions[best] + torch.einsum("...a,...ad->...d", step, self.basis[best])
        return torch.nn.functional.normalize(refined, dim=-1)


def _cosines(directions: Tensor, block: int = 2048) -> list[Tensor]:
    return [part @ directions.T for part in directions.split(block)]


def _tangent_planes(directions: Tensor) -> Tensor:
    """Two orthonormal vectors across each direction, shape (n_directions, 2, 3)."""
    helper = torch.zeros_like(directions)
    helper.scatter_(-1, directions.abs().argmin(dim=-1, keepdim=True), 1.0)
    first = torch.nn.functional.normalize(torch.linalg.cross(directions, helper), dim=-1)
    return torch.stack([first, torch.linalg.cross(directions, first)], dim=-2)
