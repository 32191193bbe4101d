"""Wrong positions told: features stay, and what the tracker believes is what it was told."""

import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray, NeuralSRPTracker, PhysicsVAETracker
from doatrack.experiments.told import told

ARRAY = MicArray.from_preset("tetrahedron_4")
TURNED = MicArray(ARRAY.positions[::-1].copy())  # the same places, other channels: another canonical order


def tracker_of(kind, signals):
    if kind == "paper":
        made = PhysicsVAETracker.paper(random_state=0)
        return made.set_params(width=8, n_epochs=1, crop_frames=5, verbose=0).fit(signals, ARRAY)
    if kind == "neural-srp":
        doa = np.tile([1.0, 0, 0], (2, 5, 1))
        return NeuralSRPTracker(width=8, n_epochs=1, random_state=0, verbose=0).fit(signals, ARRAY, doa)
    return SRPPHAT(n_directions=300).fit(signals, ARRAY)


@pytest.fixture
def signals(rng):
    return rng.normal(size=(2, 4, 18000)).astype(np.float32) * np.repeat([0.01, 1.0], 9000).astype(np.float32)


@pytest.mark.parametrize("kind", ["paper", "neural-srp", "srp-phat"])
def test_the_truth_changes_nothing_and_an_error_does(kind, signals):
    tracker = tracker_of(kind, signals)
    before = tracker.predict(signals)
    np.testing.assert_array_equal(told(tracker, ARRAY).predict(signals), before)
    assert np.abs(told(tracker, TURNED).predict(signals) - before).max() > 1e-6
    np.testing.assert_array_equal(tracker.predict(signals), before)  # a copy was misled


@pytest.mark.parametrize("kind", ["paper", "neural-srp"])
def test_features_stay_those_of_the_true_array(kind, signals):
    tracker = tracker_of(kind, signals)
    larger = MicArray(3 * TURNED.positions)
    heard, misled = tracker._runtime(), told(tracker, larger)._runtime()
    np.testing.assert_array_equal(misled.extractor._order, heard.extractor._order)
    np.testing.assert_array_equal(misled.extractor.lags, heard.extractor.lags)
    positions = misled.geometry.positions if kind == "paper" else misled.positions
    first = misled.extractor._order[misled.extractor.mic_pairs[0, 0]]
    expected = larger.positions[first] if kind == "paper" else 100 * larger.positions[first]
    centre = larger.positions.mean(axis=0) if kind == "paper" else 0.0
    np.testing.assert_allclose(positions[0, :3], expected - centre, atol=1e-5)


def test_steering_by_the_positions_told(rng):
    # a plane wave, heard by an array whose channels are told to be elsewhere, points where these would hear it
    noise = rng.normal(size=20000).astype(np.float32)
    signals = np.stack([noise] * 4)
    tracker = SRPPHAT(n_directions=300).fit(signals, ARRAY)
    wrong = MicArray(ARRAY.positions @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]))
    np.testing.assert_array_equal(
        told(tracker, wrong).predict(signals), SRPPHAT(n_directions=300).fit(signals, wrong).predict(signals)
    )
