"""Tracks: directions over time with their uncertainty, their files, and the motion that joins frames."""

from doatrack.tracking.grid_filter import grid_filter, grid_smoother, most_probable_path, posterior_directions
from doatrack.tracking.motion import MotionModel, Transition
from doatrack.tracking.track import Track
from doatrack.tracking.track_files import is_track_csv

__all__ = [
    "MotionModel",
    "Track",
    "Transition",
    "grid_filter",
    "grid_smoother",
    "is_track_csv",
    "most_probable_path",
    "posterior_directions",
]
