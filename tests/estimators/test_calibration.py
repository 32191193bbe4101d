"""Calibration makes cones cover what they claim, and touches no direction."""

import numpy as np
import pytest
import torch

import doatrack
from doatrack.distributions import VonMisesFisher
from doatrack.estimators._calibration import coverage, fit_concentration_scale
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.metrics import angular_error, cone_coverage


@pytest.mark.parametrize("true_scale", [0.02, 1.0, 7.0])
def test_the_factor_between_claimed_and_true_concentration_is_found(true_scale):
    claimed = torch.tensor(np.random.default_rng(0).uniform(5, 200, size=8000))
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(8000, 3)
    draws = VonMisesFisher(up, true_scale * claimed).rsample(generator=torch.Generator().manual_seed(0))
    errors = angular_error(up.numpy(), draws.numpy())
    scale = fit_concentration_scale(errors, claimed.numpy())
    assert scale == pytest.approx(true_scale, rel=0.1)
    assert coverage(errors, scale * claimed.numpy()) == pytest.approx(0.9, abs=1e-3)


def test_coverage_counts_errors_within_the_cone():
    concentration = np.full(4, 100.0)
    angle = np.arccos(1 + np.log(0.1) / 100)
    assert coverage(np.array([0, 0.99, 1.01, 2.0]) * angle, concentration) == 0.5


@pytest.fixture
def truth(signals, doa):
    return [np.repeat(u[None], 1 + (s.shape[1] - 1024) // 768, axis=0) for s, u in zip(signals, doa, strict=True)]


def covered(tracker, signals, truth):
    tracks = tracker.track(signals, smoothing=None)
    return cone_coverage(
        truth, [t.doa for t in tracks], [t.credible_angle for t in tracks], [t.activity.astype(float) for t in tracks]
    )


def test_on_its_own_data_ninety_of_a_hundred_are_covered(quick, signals, array, truth, tmp_path):
    tracker = quick().fit(signals, array)
    before = tracker.predict(signals)
    assert tracker.concentration_scale_ == 1.0
    assert tracker.calibrate(signals, truth) is tracker
    scale = tracker.concentration_scale_
    # a hair wider covers at least nine of ten, a hair narrower at most
    tracker.concentration_scale_ = 0.999 * scale
    wider = covered(tracker, signals, truth)
    tracker.concentration_scale_ = 1.001 * scale
    assert covered(tracker, signals, truth) <= 0.9 <= wider < 0.97
    tracker.concentration_scale_ = scale
    assert all(np.array_equal(a, b) for a, b in zip(tracker.predict(signals), before, strict=True))
    tracker.save(tmp_path / "model")
    loaded = doatrack.load(tmp_path / "model")
    assert loaded.concentration_scale_ == tracker.concentration_scale_ != 1.0
    assert np.array_equal(
        loaded.track(signals[0], smoothing=None).credible_angle,
        tracker.track(signals[0], smoothing=None).credible_angle,
    )


def test_calibrating_twice_is_calibrating_once(quick, signals, array, truth):
    tracker = quick().fit(signals, array).calibrate(signals, truth)
    scale = tracker.concentration_scale_
    assert tracker.calibrate(signals, truth).concentration_scale_ == pytest.approx(scale, rel=1e-6)
    # and a new fit forgets it
    assert tracker.fit(signals, array).concentration_scale_ == 1.0


def test_truth_rows_and_one_recording_are_taken_too(quick, signals, array, doa):
    tracker = quick().fit(signals, array)
    times = np.arange(0, 1.0, 0.02)
    rows = np.column_stack([times, np.repeat(doa[:1], 50, axis=0), times % 0.4 < 0.24])
    assert tracker.calibrate(signals[0], rows).concentration_scale_ > 0
    assert tracker.concentration_scale_ != 1.0


def test_frames_of_unknown_truth_do_not_count(quick, signals, array, truth):
    holes = [t.copy() for t in truth]
    spoilt = [t.copy() for t in truth]
    for k in range(3):
        holes[k][::2] = np.nan
        spoilt[k][::2] = -spoilt[k][::2]
    scales = [quick().fit(signals, array).calibrate(signals, t).concentration_scale_ for t in (truth, holes, spoilt)]
    tracker = quick().fit(signals, array).calibrate(signals, holes)
    known = [
        np.where(np.isnan(h).any(axis=1), 0.0, t.activity)
        for h, t in zip(holes, tracker.track(signals, smoothing=None), strict=True)
    ]
    tracks = tracker.track(signals, smoothing=None)
    share = cone_coverage(truth, [t.doa for t in tracks], [t.credible_angle for t in tracks], known)
    assert share == pytest.approx(0.9, abs=2.01 / sum(w.sum() for w in known))
    assert scales[2] < 0.5 * scales[1]


def test_without_truth_or_sound_it_says_so(quick, signals, array, truth):
    tracker = quick().fit(signals, array)
    with pytest.raises(InvalidInputError, match=r"calibrate needs the truth of its recordings"):
        tracker.calibrate(signals, None)
    with pytest.raises(InvalidInputError, match=r"one entry per recording, 3, got 2"):
        tracker.calibrate(signals, truth[:2])
    with pytest.raises(NoActivityError, match=r"no active frame with known truth"):
        tracker.calibrate(np.zeros((4, 16000)), np.tile([0, 0, 1.0], (20, 1)))
    assert tracker.concentration_scale_ == 1.0
