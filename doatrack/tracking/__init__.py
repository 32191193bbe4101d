"""Tracks: directions over time with their uncertainty, their files, and the motion that joins frames."""

from doatrack.tracking.grid_filter import (
    grid_filter,
    grid_smoother,
    log_evidence,
    mode_posterior,
    most_probable_path,
    posterior_directions,
)
from doatrack.tracking.learning import MotionFit, learn_motion
from doatrack.tracking.motion import Motion, MotionModel, SwitchingMotion
from doatrack.tracking.multi_track import MultiTrack
from doatrack.tracking.observations import robust_log_likelihood
from doatrack.tracking.online import OnlineFilter
from doatrack.tracking.several_sources import OnlineSources, sources_filter, sources_smoother
from doatrack.tracking.source_links import SourceLinker, link_sources
from doatrack.tracking.track import Track
from doatrack.tracking.track_files import is_track_csv
from doatrack.tracking.transition import Transition
from doatrack.tracking.vmf import posterior_at_times, vmf_filter, vmf_smoother

__all__ = [
    "Motion",
    "MotionFit",
    "MotionModel",
    "MultiTrack",
    "OnlineFilter",
    "OnlineSources",
    "SourceLinker",
    "SwitchingMotion",
    "Track",
    "Transition",
    "grid_filter",
    "grid_smoother",
    "is_track_csv",
    "learn_motion",
    "link_sources",
    "log_evidence",
    "mode_posterior",
    "most_probable_path",
    "posterior_at_times",
    "posterior_directions",
    "robust_log_likelihood",
    "sources_filter",
    "sources_smoother",
    "vmf_filter",
    "vmf_smoother",
]
