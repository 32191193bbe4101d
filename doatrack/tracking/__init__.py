"""Tracks: directions over time with their uncertainty, their files, and the motion that joins frames."""

from doatrack.tracking.grid_filter import (
    grid_filter,
    grid_smoother,
    log_evidence,
    mode_posterior,
    most_probable_path,
    posterior_directions,
)
from doatrack.tracking.motion import Motion, MotionModel, SwitchingMotion
from doatrack.tracking.observations import robust_log_likelihood
from doatrack.tracking.track import Track
from doatrack.tracking.track_files import is_track_csv
from doatrack.tracking.transition import Transition

__all__ = [
    "Motion",
    "MotionModel",
    "SwitchingMotion",
    "Track",
    "Transition",
    "grid_filter",
    "grid_smoother",
    "is_track_csv",
    "log_evidence",
    "mode_posterior",
    "most_probable_path",
    "posterior_directions",
    "robust_log_likelihood",
]
