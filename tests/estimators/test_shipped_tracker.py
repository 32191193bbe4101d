"""The tracker that ships still does what its model card says: a bound that only a broken one misses."""

import numpy as np
import pytest

from doatrack import PhysicsVAETracker
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.simulation import SceneSettings, simulate_scene


@pytest.fixture(scope="module")
def tracker():
    return PhysicsVAETracker.from_pretrained("nao_head_12")


@pytest.fixture(scope="module")
def scene(tracker):
    settings = SceneSettings(duration_s=6.0, snr_db_range=(15.0, 15.0), rt60_range=(0.4, 0.4))
    return simulate_scene(tracker.array_, settings, seed=2)


@pytest.mark.parametrize("smoothing", [None, "filter", "smoother"])
def test_it_finds_a_simulated_talker_and_knows_how_well(tracker, scene, smoothing):
    track = tracker.track(scene.waveform, smoothing=smoothing)
    doa, active = truth_at_frames(scene.truth, track.times)
    error = angular_error(doa, track.doa)[active]
    assert np.degrees(np.median(error)) < 5
    held = error <= track.credible_angle[active]
    assert held.mean() > 0.6  # of 0.9, with a few dozen frames
    assert np.degrees(np.median(track.credible_angle[active])) < 30
