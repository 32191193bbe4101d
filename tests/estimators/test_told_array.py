"""A tracker that is told wrong positions hears it, and goes by the array that it learned with."""

import warnings

import numpy as np
import pytest

from doatrack import MicArray
from doatrack.audio.recordings import Recordings
from doatrack.estimators._told_array import contradicts
from doatrack.exceptions import ArrayMismatchWarning, InvalidInputError
from doatrack.features import FrameSettings


def moved(tracker, array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArrayMismatchWarning)
        return tracker.for_array(array)


def wrong(array, size, seed=0):
    return MicArray(array.positions + size * np.random.default_rng(seed).normal(size=array.positions.shape))


@pytest.mark.parametrize("smoothing", [None, "filter", "smoother"])
@pytest.mark.parametrize("size", [0.03, 0.05])
def test_wrong_positions_are_not_believed(fitted, signals, array, size, smoothing):
    # four microphones and one direction: smaller errors are nearly explained by another direction
    told = moved(fitted, wrong(array, size))
    with pytest.warns(ArrayMismatchWarning, match="explain the sound clearly worse"):
        found = told.predict(signals[0], smoothing)
    assert np.allclose(found, fitted.predict(signals[0], smoothing), atol=1e-6)


def test_it_can_be_made_to_believe(fitted, signals, array):
    told = moved(fitted, wrong(array, 0.03)).set_params(check_positions=False)
    assert not np.allclose(told.predict(signals[0]), fitted.predict(signals[0]), atol=1e-3)


def test_the_positions_of_the_recording_are_believed(fitted, signals, array):
    other = wrong(array, 0.03)
    learned_elsewhere = moved(fitted, other)
    learned_elsewhere.fitted_array_ = other
    right = moved(learned_elsewhere, array)
    # no warning, which would be an error here: the signals are this array's
    assert np.allclose(right.predict(signals[0]), fitted.predict(signals[0]), atol=1e-6)


def test_another_number_of_microphones_is_not_compared(fitted, signals, array):
    fewer = moved(fitted, MicArray(array.positions[:3]))
    assert fewer.predict(signals[0][:3]).shape == fitted.predict(signals[0]).shape


def test_small_errors_are_believed(fitted, signals, array):
    slightly = moved(fitted, wrong(array, 0.0003))
    assert slightly.predict(signals[0]).shape == fitted.predict(signals[0]).shape


def test_noise_alone_contradicts_nobody():
    """No plane wave is there: which array explains more of it is chance, and every seed must be left alone."""
    frames = FrameSettings(win_length=1024, hop_length=768)
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(size=(12, 16000)).astype(np.float32)
        one, other = (MicArray(0.06 * np.random.default_rng(k).normal(size=(12, 3))) for k in (2 * seed, 2 * seed + 1))
        recordings = Recordings([noise], 12, 16000)
        assert not contradicts(recordings, 0, one, other, frames, 343.0)
        assert not contradicts(recordings, 0, other, one, frames, 343.0)


def test_parameter(quick, signals, array):
    with pytest.raises(InvalidInputError, match="check_positions"):
        quick(check_positions="yes").fit(signals, array)
