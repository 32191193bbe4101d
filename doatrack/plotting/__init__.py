"""Pictures of tracks, maps, learning and arrays; matplotlib is imported when one is drawn."""

from doatrack.plotting.calibration_displays import ReliabilityDisplay, RiskCoverageDisplay
from doatrack.plotting.history_display import HistoryDisplay
from doatrack.plotting.mic_array_display import MicArrayDisplay
from doatrack.plotting.multi_track_display import MultiTrackDisplay
from doatrack.plotting.srp_map_display import SRPMapDisplay
from doatrack.plotting.track_display import TrackDisplay

__all__ = [
    "HistoryDisplay",
    "MicArrayDisplay",
    "MultiTrackDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "SRPMapDisplay",
    "TrackDisplay",
]
