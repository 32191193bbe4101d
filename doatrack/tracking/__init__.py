"""Tracks: directions over time with their uncertainty, and the files that hold them."""

from doatrack.tracking.track import Track
from doatrack.tracking.track_files import is_track_csv

__all__ = ["Track", "is_track_csv"]
