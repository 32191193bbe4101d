"""Calibration makes cones cover what they claim, and touches no direction."""

import copy

import numpy as np
import pytest

import doatrack
from doatrack import SRPPHAT, MicArray
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.metrics import cone_coverage

SMOOTHINGS = {"frame": None, "filter": "filter", "smoother": "smoother"}


@pytest.fixture
def truth(signals, doa):
    return [np.repeat(u[None], 1 + (s.shape[1] - 1024) // 768, axis=0) for s, u in zip(signals, doa, strict=True)]


def covered(tracker, signals, truth, level=0.9, smoothing=None):
    tracks = tracker.track(signals, smoothing=smoothing)
    angles = [tracker.credible_angle(t, level, smoothing) for t in tracks]
    return cone_coverage(truth, [t.doa for t in tracks], angles, [t.activity.astype(float) for t in tracks])


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_on_its_own_data_every_level_is_covered(quick, signals, array, truth, tmp_path, name):
    tracker = quick().fit(signals, array)
    before = tracker.predict(signals, smoothing=SMOOTHINGS[name])
    assert tracker.calibration_ == {}
    assert tracker.calibrate(signals, truth) is tracker
    assert set(tracker.calibration_) == set(SMOOTHINGS)
    n_frames = sum(t.activity.sum() for t in tracker.track(signals))
    for level in (0.5, 0.8, 0.95):
        share = covered(tracker, signals, truth, level, SMOOTHINGS[name])
        # a few dozen frames; smoothed ones of a source at rest err alike, and are in or out together
        slack = 0.05 + 3.01 / n_frames
        assert level - slack <= share <= level + slack + (0.2 if SMOOTHINGS[name] else 0.0), level
    assert all(
        np.array_equal(a, b) for a, b in zip(tracker.predict(signals, smoothing=SMOOTHINGS[name]), before, strict=True)
    )
    tracker.save(tmp_path / "model")
    loaded = doatrack.load(tmp_path / "model")
    assert loaded.calibration_ == tracker.calibration_
    ours, theirs = (t.track(signals[0], smoothing=SMOOTHINGS[name]) for t in (tracker, loaded))
    assert np.array_equal(ours.credible_angle, theirs.credible_angle)
    assert np.allclose(ours.credible_angle, tracker.credible_angle(ours, 0.9, SMOOTHINGS[name]))


def test_calibrating_twice_is_calibrating_once(quick, signals, array, truth):
    tracker = quick().fit(signals, array).calibrate(signals, truth)
    before = tracker.track(signals[0], smoothing=None).credible_angle
    after = tracker.calibrate(signals, truth).track(signals[0], smoothing=None).credible_angle
    assert np.allclose(after, before, rtol=1e-5)
    # and a new fit forgets it
    assert tracker.fit(signals, array).calibration_ == {}


def test_srp_phat_knows_only_of_its_smoothed_frames(signals, array, truth):
    srp = SRPPHAT(n_directions=400, win_length=1024, hop_length=768).fit(signals, array).calibrate(signals, truth)
    assert set(srp.calibration_) == {"filter", "smoother"}
    assert np.isnan(srp.track(signals[0], smoothing=None).credible_angle).all()
    assert np.isfinite(srp.track(signals[0]).credible_angle).all()


def test_truth_rows_and_one_recording_are_taken_too(quick, signals, array, doa):
    tracker = quick().fit(signals, array)
    times = np.arange(0, 1.0, 0.02)
    rows = np.column_stack([times, np.repeat(doa[:1], 50, axis=0), times % 0.4 < 0.24])
    assert set(tracker.calibrate(signals[0], rows).calibration_) == set(SMOOTHINGS)


def test_frames_of_unknown_truth_do_not_count(quick, signals, array, truth):
    holes = [t.copy() for t in truth]
    spoilt = [t.copy() for t in truth]
    for k in range(3):
        holes[k][::2] = np.nan
        spoilt[k][::2] = -spoilt[k][::2]
    cones = []
    for given in (holes, spoilt):
        tracker = quick().fit(signals, array).calibrate(signals, given)
        tracks = tracker.track(signals, smoothing=None)
        cones.append(np.concatenate([t.credible_angle[t.activity] for t in tracks]))
        known = [np.where(np.isnan(h).any(axis=1), 0.0, t.activity) for h, t in zip(given, tracks, strict=True)]
        # frames of a source at rest that answer the same err exactly alike: the cone's edge may be their error
        angles = [t.credible_angle + 1e-6 for t in tracks]
        share = cone_coverage(given, [t.doa for t in tracks], angles, known)
        assert share == pytest.approx(0.9, abs=0.05 + 2.01 / sum(w.sum() for w in known))
    assert np.median(cones[1]) > 3 * np.median(cones[0])


def test_without_truth_or_sound_it_says_so(quick, signals, array, truth):
    tracker = quick().fit(signals, array)
    with pytest.raises(InvalidInputError, match=r"calibrate needs the truth of its recordings"):
        tracker.calibrate(signals, None)
    with pytest.raises(InvalidInputError, match=r"one entry per recording, 3, got 2"):
        tracker.calibrate(signals, truth[:2])
    with pytest.raises(NoActivityError, match=r"no active frame with known truth"):
        tracker.calibrate(np.zeros((4, 16000)), np.tile([0, 0, 1.0], (20, 1)))
    assert tracker.calibration_ == {}


def test_several_arrays_calibrate_together(quick, signals, array, truth):
    tracker = quick().fit(signals, array)
    alone = copy.deepcopy(tracker).calibrate(signals, truth).calibration_
    same = copy.deepcopy(tracker).calibrate(signals, truth, arrays=[array] * len(signals)).calibration_
    assert same == alone
    wide = MicArray(1.5 * array.positions)
    arrays = [array, wide] * len(signals)
    mixed = [s for s in signals for _ in range(2)]
    mixed_truth = [t for t in truth for _ in range(2)]
    found = copy.deepcopy(tracker).calibrate(mixed, mixed_truth, arrays=arrays).calibration_
    assert found["smoother"] != alone["smoother"]
    with pytest.raises(InvalidInputError, match="as many recordings, truths and arrays"):
        tracker.calibrate(signals, truth, arrays=[array])
    with pytest.raises(InvalidInputError, match=r"truths and arrays, got .* and MicArray\. Give one MicArray per"):
        tracker.calibrate(signals, truth, arrays=array)
    with pytest.raises(InvalidInputError, match="recordings in a tuple"):
        tracker.calibrate(tuple(signals), truth, arrays=[array] * len(signals))
    assert tracker.calibration_ == {}
