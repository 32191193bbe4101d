"""Direction, concentration and cone of single log posteriors: what a live filter says of each frame, at little cost."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.distributions.grid_posterior import peak_radius
from doatrack.geometry import DirectionGrid

__all__ = ["PosteriorSummary"]

_SMALL = 1.0  # below this concentration the continued fraction is used, above it the exponential forms
_FRACTION_TERMS = 9
_NEWTON_STEPS = 4
_LONGEST = 1 - 1e-6
_SERIES_BELOW = 1e-3  # of the quantile's series: its error is of the fourth order


class PosteriorSummary:
    """`posterior_directions` and `credible_angle` for a few frames at a time.

    With one frame, what tensors cost is their calls, not their numbers: arrays and plain numbers take a tenth of the
    time.

    Parameters
    ----------
    grid : DirectionGrid

    Notes
    -----
    Equal to `posterior_directions` and `credible_angle` in double precision, but for rounding.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(2000)
    >>> doa, concentration, angle = PosteriorSummary(grid)(100 * grid.directions[None] @ [0.6, 0.0, 0.8])
    >>> doa.round(2).tolist(), concentration.round(), np.degrees(angle).round()
    ([[0.6, 0.0, 0.8]], array([100.]), array([12.]))
    """

    def __init__(self, grid: DirectionGrid) -> None:
        self._directions = grid.directions
        self._near = math.cos(peak_radius(grid.n_directions, grid.coverage))
        self._neighbours: dict[int, NDArray[np.int64]] = {}  # of directions that were the best of a frame

    def __call__(
        self, log_posterior: NDArray[Any], level: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return directions (n, 3), concentrations (n,) and half-angles (n,) of log posteriors (n, n_directions)."""
        doa = np.empty((len(log_posterior), 3))
        concentration, angle = np.empty(len(doa)), np.empty(len(doa))
        for row, logs in enumerate(log_posterior):
            best = int(logs.argmax())
            probability = np.exp(logs - logs[best]).astype(np.float64, copy=False)
            mean = probability @ self._directions / probability.sum()
            near = self._near_of(best)
            around = probability[near] @ self._directions[near]
            doa[row] = around / max(math.hypot(*around), 1e-12)
            concentration[row] = _concentration(min(math.hypot(*mean), _LONGEST))
            angle[row] = _cone(float(concentration[row]), level)
        return doa, concentration, angle

    def _near_of(self, best: int) -> NDArray[np.int64]:
        """Return the directions around one."""
        if best not in self._neighbours:
            self._neighbours[best] = np.flatnonzero(self._directions @ self._directions[best] > self._near)
        return self._neighbours[best]


def _concentration(length: float) -> float:
    """Return the k whose mean resultant length coth k - 1/k this is, by Newton's method."""
    k = length * (3 - length * length) / (1 - length * length)
    for _ in range(_NEWTON_STEPS):
        if k < _SMALL:
            fraction = 2.0 * _FRACTION_TERMS + 3
            for odd in range(2 * _FRACTION_TERMS + 1, 1, -2):
                fraction = odd + k * k / fraction
            missing, slope = length - k / fraction, 1 - 2 / fraction - (k / fraction) ** 2
        else:
            tail = -2 * math.exp(-2 * k) / math.expm1(-2 * k)
            missing, slope = 1 / k - tail - (1 - length), 1 / k**2 - tail * (tail + 2)
        k = max(0.0, k + missing / slope)
    return k


def _cone(k: float, level: float) -> float:
    """Return the half-angle of the cone that holds a probability."""
    if k < _SERIES_BELOW:
        s = 1 - 2 * level
        tilt = k * (0.5 - k * (s / 3 - k * ((3 * s * s - 1) / 12 + k * s * (2 - 3 * s * s) / 15)))
        distance = 2 * level - 4 * level * (1 - level) * tilt
    else:
        distance = -math.log1p(level * math.expm1(-2 * k)) / k
    return 2 * math.atan2(math.sqrt(distance), math.sqrt(max(0.0, 2 - distance)))
