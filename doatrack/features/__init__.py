"""Frames, correlations, maps and activity: pure functions of tensors."""

from doatrack.features.activity import activity_at_frames, band_power, sound_activity
from doatrack.features.activity_probability import activity_probability
from doatrack.features.covariance import (
    CovarianceExtractor,
    snapshot_spectra,
    spatial_covariance,
    steering_vectors,
)
from doatrack.features.dereverberation import dereverberate
from doatrack.features.extractor import GCCExtractor
from doatrack.features.frames import FrameSettings
from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.gcc_phat import gcc_phat, lag_axis, lag_transform, whiten
from doatrack.features.likelihood import beam_power, explained_share, likelihood_gain
from doatrack.features.rotational_invariance import robust_projection, shift_operator, shift_phase_rates
from doatrack.features.srp_map import numerators, srp_map, steered_map, steering_matrix
from doatrack.features.stft import WINDOWS, analysis_window, frame_count, frame_times, stft
from doatrack.features.store import FeatureStore
from doatrack.features.stream import FeatureStream
from doatrack.features.subspace import music_spectrum, normalise_spectrum, signal_subspace

__all__ = [
    "WINDOWS",
    "CovarianceExtractor",
    "FeatureStore",
    "FeatureStream",
    "FrameSettings",
    "GCCExtractor",
    "GCCFeatures",
    "activity_at_frames",
    "activity_probability",
    "analysis_window",
    "band_power",
    "beam_power",
    "dereverberate",
    "explained_share",
    "frame_count",
    "frame_times",
    "gcc_phat",
    "lag_axis",
    "lag_transform",
    "likelihood_gain",
    "music_spectrum",
    "normalise_spectrum",
    "numerators",
    "robust_projection",
    "shift_operator",
    "shift_phase_rates",
    "signal_subspace",
    "snapshot_spectra",
    "sound_activity",
    "spatial_covariance",
    "srp_map",
    "steered_map",
    "steering_matrix",
    "steering_vectors",
    "stft",
    "whiten",
]
