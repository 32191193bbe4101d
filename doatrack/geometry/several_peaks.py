"""The highest separated maxima of a map: the classical way to find several sources."""

import dataclasses
import math

import torch
from torch import Tensor

from doatrack._validation import check_int, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.grid import DirectionGrid
from doatrack.geometry.peak import PeakFinder

__all__ = ["Peaks", "SeparatedPeaks", "separated_peaks"]

_RING = 7  # a direction and its neighbours on a quasi-uniform grid


@dataclasses.dataclass(frozen=True, eq=False)
class Peaks:
    """Maxima of maps, the highest first.

    Parameters
    ----------
    doa : Tensor of shape (..., n_sources, 3)
        Unit vectors, refined between the directions of the grid.
    height : Tensor of shape (..., n_sources)
        The map's value at the grid direction; NaN where the map has no further maximum.
    index : int64 Tensor of shape (..., n_sources)
        The grid direction.

    Examples
    --------
    >>> peaks = separated_peaks(torch.arange(500.0), DirectionGrid.quasi_uniform(500), n_sources=1)
    >>> int(peaks.index[0]), float(peaks.height[0])
    (499, 499.0)
    """

    doa: Tensor
    height: Tensor
    index: Tensor


class SeparatedPeaks:
    """Find the highest maxima of maps that lie at least an angle apart.

    Greedy: the highest local maximum, then the highest among those at least `min_separation` from it, and so on. A
    local maximum is as high as all its neighbours on the grid, so that the flank of a broad peak is not taken for a
    source. Where a map has too few maxima, the height of the rest is NaN and their direction the highest value
    outside of the cones around the others.

    Parameters
    ----------
    grid : DirectionGrid
    n_sources : int
        How many maxima.
    min_separation : float
        Least angle between two of them in radians, at most 2 pi / 3.
    refine : bool
        Whether to look for the maximum between grid directions, by a parabola.

    Raises
    ------
    InvalidInputError
        If a parameter is out of range, or the grid has fewer directions than sources.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2000)
    >>> directions = torch.tensor(grid.directions, dtype=torch.float32)
    >>> front, left = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    >>> map_ = torch.exp(20 * (directions @ front - 1)) + 0.5 * torch.exp(20 * (directions @ left - 1))
    >>> peaks = SeparatedPeaks(grid, n_sources=2)(map_)
    >>> bool((peaks.doa[0] @ front > 0.999) & (peaks.doa[1] @ left > 0.999))
    True
    """

    def __init__(
        self, grid: DirectionGrid, n_sources: int, min_separation: float = math.radians(20), *, refine: bool = True
    ) -> None:
        self.n_sources = check_int("n_sources", n_sources, 1)
        if grid.n_directions < n_sources:
            raise InvalidInputError(
                f"A grid of {grid.n_directions} directions cannot hold n_sources={n_sources} of them. "
                "Take a finer grid or a larger search region."
            )
        angle = check_real("min_separation", min_separation, 0.0, 2 * math.pi / 3)
        self._nearest = math.cos(angle) + 1e-7  # so that 0 excludes nothing but, below, the direction itself
        self._finder = PeakFinder(grid)
        self._ring = self._finder.neighbours[:, :_RING]
        self._refine = refine

    @property
    def directions(self) -> Tensor:
        """The grid's unit vectors, (n_directions, 3)."""
        return self._finder.directions

    def __call__(self, values: Tensor) -> Peaks:
        """Return the maxima of maps (..., n_directions)."""
        lowest = -torch.inf
        flat = values.reshape(-1, values.shape[-1])
        is_top = flat >= flat[:, self._ring].amax(dim=-1)
        allowed, tops = flat.clone(), torch.where(is_top, flat, lowest)
        indices, heights = [], []
        for _ in range(self.n_sources):
            height, index = tops.max(dim=-1)
            found = height > lowest
            index = torch.where(found, index, allowed.argmax(dim=-1))
            indices.append(index)
            heights.append(torch.where(found, height, torch.nan))
            near = self.directions[index] @ self.directions.T > self._nearest
            near.scatter_(-1, index[:, None], True)
            allowed, tops = allowed.masked_fill(near, lowest), tops.masked_fill(near, lowest)
        best = torch.stack(indices, dim=-1)
        doa = self._finder.refine(flat[:, None], best) if self._refine else self.directions[best]
        shape = values.shape[:-1]
        return Peaks(
            doa.view(*shape, self.n_sources, 3),
            torch.stack(heights, dim=-1).view(*shape, self.n_sources),
            best.view(*shape, self.n_sources),
        )


def separated_peaks(
    values: Tensor, grid: DirectionGrid, n_sources: int, min_separation: float = math.radians(20)
) -> Peaks:
    """Return the highest maxima of maps that lie at least an angle apart; see `SeparatedPeaks`.

    Parameters
    ----------
    values : Tensor of shape (..., n_directions)
        Maps over the grid.
    grid : DirectionGrid
    n_sources : int
    min_separation : float
        In radians.

    Returns
    -------
    Peaks

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2000)
    >>> map_ = torch.tensor(grid.directions[:, 2] ** 2, dtype=torch.float32)  # up and down alike
    >>> separated_peaks(map_, grid, n_sources=2).doa[:, 2].abs().min() > 0.999
    tensor(True)
    """
    return SeparatedPeaks(grid, n_sources, min_separation)(values)
