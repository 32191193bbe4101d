"""Networks that pool time make few observations: each counts once, and the motion model fills the frames between."""

import dataclasses

import numpy as np
import pytest

from doatrack import MicArray, NeuralSRPTracker, PhysicsVAETracker
from doatrack.distributions import ConeCalibration
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._pooled_weight import PooledWeight
from doatrack.estimators._smoothing import join_frames, weight_of
from doatrack.geometry import DirectionGrid
from doatrack.tracking import MotionModel

STEP_S, POOLING = 0.2, 5
GRID = DirectionGrid.quasi_uniform(1000)


def pooled_frames(n_pooled, concentration=60.0):
    """A source at rest, heard by a network that pools five frames."""
    n_frames = n_pooled * POOLING
    weight = PooledWeight(POOLING)
    weight.hear(np.ones(n_frames, dtype=bool))
    known = np.full(n_frames, concentration)
    doa = np.tile([0.0, 0.6, 0.8], (n_frames, 1))
    share = weight.of_frames(n_pooled, n_frames)
    return FrameEstimates(doa, known, known, np.ones(n_frames, dtype=bool), known, weight=share)


def test_one_frame_of_each_pooled_one_counts():
    frames = pooled_frames(4)
    np.testing.assert_array_equal(np.flatnonzero(weight_of(frames)), [2, 7, 12, 17])


@pytest.mark.parametrize("smoothing", ["filter", "smoother"])
def test_frames_between_are_predicted(smoothing):
    joined = join_frames(pooled_frames(4), MotionModel().transition(GRID, STEP_S), smoothing, STEP_S)
    known = joined.concentration
    if smoothing == "filter":
        assert (known[3:7] < known[2]).all()
        assert (np.diff(known[2:7]) < 0).all()  # forgetting since the last observation
        assert known[7] > known[6]
    else:
        # from both sides: least known in the middle, and the same on either side
        assert known[9] < known[8] < known[7]
        np.testing.assert_allclose(known[2:10], known[17:9:-1], rtol=1e-6)
    np.testing.assert_allclose(joined.doa[2:] @ [0.0, 0.6, 0.8], 1.0, atol=1e-3)


def test_evidence_is_not_counted_five_times():
    pooled = pooled_frames(6)
    everywhere = dataclasses.replace(pooled, weight=None)
    transition = MotionModel().transition(GRID, STEP_S)
    once, often = (join_frames(f, transition, "smoother", STEP_S).concentration[12] for f in (pooled, everywhere))
    assert once < 0.7 * often


@pytest.mark.parametrize("make", [NeuralSRPTracker, PhysicsVAETracker.paper])
def test_trackers_tell_which_frames_count(make):
    array = MicArray(0.05 * np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    rng = np.random.default_rng(0)
    # bursts: steady noise would be silence
    sound = (rng.normal(size=(4, 16000)) * (np.arange(16000) % 8000 < 4000)).astype(np.float32)
    tracker = make().set_params(win_length=512, hop_length=384, n_epochs=1, random_state=0)
    if make is NeuralSRPTracker:
        n_frames = 1 + (16000 - 512) // 384
        tracker.fit([sound], array, [np.tile([1.0, 0.0, 0.0], (n_frames, 1))])
    else:
        tracker.set_params(width=8).fit([sound], array)
    tracker.calibration_ = {"frame": ConeCalibration()}
    frames = tracker._estimate(tracker._recordings([sound]), 0)
    assert frames.weight is not None
    assert len(frames.weight) == len(frames.doa)
    counted = np.flatnonzero(frames.weight)
    assert len(counted)
    assert (counted[:-1] % POOLING == 2).all()  # the last one may be cut off
    assert tracker.track(sound, smoothing="smoother").concentration.shape == (len(frames.doa),)
