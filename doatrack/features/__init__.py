"""Frames, correlations, maps and activity: pure functions of tensors."""

from doatrack.features.activity import activity_at_frames, band_power, sound_activity
from doatrack.features.extractor import FeatureStream, FrameSettings, GCCExtractor
from doatrack.features.gcc_phat import gcc_phat, lag_axis, lag_transform, whiten
from doatrack.features.srp_map import srp_map, steering_matrix
from doatrack.features.stft import WINDOWS, analysis_window, frame_count, frame_times, stft
from doatrack.features.store import FeatureStore

__all__ = [
    "WINDOWS",
    "FeatureStore",
    "FeatureStream",
    "FrameSettings",
    "GCCExtractor",
    "activity_at_frames",
    "analysis_window",
    "band_power",
    "frame_count",
    "frame_times",
    "gcc_phat",
    "lag_axis",
    "lag_transform",
    "sound_activity",
    "srp_map",
    "steering_matrix",
    "stft",
    "whiten",
]
