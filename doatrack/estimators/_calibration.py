"""One factor that makes credible cones cover what they claim."""

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack.distributions import credible_angle

__all__ = ["coverage", "fit_concentration_scale"]

_LEVEL = 0.9


def coverage(errors: NDArray[np.float64], concentration: NDArray[np.float64], level: float = _LEVEL) -> float:
    """Return the share of errors (n,) in radians within the credible angle of concentrations (n,)."""
    return float((errors <= credible_angle(torch.from_numpy(concentration), level).numpy()).mean())


def fit_concentration_scale(errors: NDArray[np.float64], concentration: NDArray[np.float64]) -> float:
    """Return the factor on concentrations with which the 90 % cones cover 90 % of the errors.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Angles in radians between truth and mean direction.
    concentration : ndarray of shape (n,)
    """
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        # coverage falls as the factor grows
        if coverage(errors, np.exp(middle) * concentration) > _LEVEL:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
