"""Distributions of directions on the sphere."""

from doatrack.distributions.concentration import credible_angle, inverse_mean_resultant_length, mean_resultant_length
from doatrack.distributions.cone_calibration import ConeCalibration
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.distributions.mixture import GridMixture, VonMisesFisherMixture
from doatrack.distributions.von_mises_fisher import SphericalUniform, VonMisesFisher, tangent_basis

__all__ = [
    "ConeCalibration",
    "GridMixture",
    "GridPosterior",
    "SphericalUniform",
    "VonMisesFisher",
    "VonMisesFisherMixture",
    "credible_angle",
    "inverse_mean_resultant_length",
    "mean_resultant_length",
    "tangent_basis",
]
