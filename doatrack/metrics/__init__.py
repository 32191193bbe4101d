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
from doatrack.metrics.assigned_error import assigned_angular_error_deg
from doatrack.metrics.bootstrap import PairedDifference, paired_bootstrap
from doatrack.metrics.calibration import (
    expected_calibration_error,
    reliability_curve,
    risk_coverage_area_deg,
    risk_coverage_curve,
)
from doatrack.metrics.cramer_rao import DirectionBound, cramer_rao_bound
from doatrack.metrics.ospa import ospa_deg, ospa_distance
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
from doatrack.metrics.source_detections import SourceDetections, detect_sources
from doatrack.metrics.source_scores import identity_switches, source_f_score, source_precision, source_recall

__all__ = [
    "DirectionBound",
    "FrameScorer",
    "PairedDifference",
    "SourceDetections",
    "angular_error",
    "assigned_angular_error_deg",
    "cone_coverage",
    "cramer_rao_bound",
    "detect_sources",
    "expected_calibration_error",
    "identity_switches",
    "make_frame_scorer",
    "mean_angular_error_deg",
    "mean_angular_error_scorer",
    "mean_azimuth_error_deg",
    "mean_azimuth_error_scorer",
    "mean_elevation_error_deg",
    "mean_elevation_error_scorer",
    "median_angular_error_deg",
    "median_angular_error_scorer",
    "ospa_deg",
    "ospa_distance",
    "paired_bootstrap",
    "reliability_curve",
    "risk_coverage_area_deg",
    "risk_coverage_curve",
    "root_mean_square_angular_error_deg",
    "root_mean_square_angular_error_scorer",
    "share_within",
    "share_within_scorer",
    "source_f_score",
    "source_precision",
    "source_recall",
    "truth_at_frames",
]
