"""How far estimated directions are from the truth, in scikit-learn's form."""

from doatrack.metrics.alignment import truth_at_frames
from doatrack.metrics.angular import (
    angular_error,
    cone_coverage,
    mean_angular_error_deg,
    mean_azimuth_error_deg,
    mean_elevation_error_deg,
    median_angular_error_deg,
    root_mean_square_angular_error_deg,
    share_within,
)
from doatrack.metrics.scorers import (
    FrameScorer,
    make_frame_scorer,
    mean_angular_error_scorer,
    mean_azimuth_error_scorer,
    mean_elevation_error_scorer,
    median_angular_error_scorer,
    root_mean_square_angular_error_scorer,
    share_within_scorer,
)

__all__ = [
    "FrameScorer",
    "angular_error",
    "cone_coverage",
    "make_frame_scorer",
    "mean_angular_error_deg",
    "mean_angular_error_scorer",
    "mean_azimuth_error_deg",
    "mean_azimuth_error_scorer",
    "mean_elevation_error_deg",
    "mean_elevation_error_scorer",
    "median_angular_error_deg",
    "median_angular_error_scorer",
    "root_mean_square_angular_error_deg",
    "root_mean_square_angular_error_scorer",
    "share_within",
    "share_within_scorer",
    "truth_at_frames",
]
