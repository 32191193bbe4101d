"""Flat and straight arrays answer one of the directions with the same delays, always the same, and offer the others."""

import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray
from doatrack.metrics import angular_error

SQUARE = MicArray.from_preset("respeaker_usb_4")
LINE = MicArray([[0, 0.1, 0], [0, 0.03, 0], [0, -0.05, 0], [0, -0.1, 0]])
SMOOTHING = (None, "filter", "smoother")


def plane_wave(array, doa, n_samples=20000, seed=0):
    rng = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(n_samples, 1 / 16000)
    early = array.positions @ np.asarray(doa) / 343.0
    loud = np.abs(np.arange(n_samples) - n_samples / 2) < 0.4 * n_samples
    spectrum = np.fft.rfft(rng.normal(size=n_samples) * loud) * np.exp(2j * np.pi * frequency * early[:, None])
    noise = 0.05 * rng.normal(size=(array.n_mics, n_samples))
    return (0.1 * (np.fft.irfft(spectrum, n_samples) + noise)).astype(np.float32)


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("below", [False, True])
def test_a_board_that_lies_flat_looks_up(smoothing, below):
    up = np.array([0.48, 0.36, 0.8])
    waves = plane_wave(SQUARE, up * [1, 1, -1] if below else up)
    tracker = SRPPHAT(n_directions=1000).fit(waves, SQUARE)
    track = tracker.track(waves, smoothing=smoothing)
    middle = slice(1, -1)
    assert np.degrees(angular_error(up, track.doa[middle])).max() < 8
    assert np.degrees(angular_error(up * [1, 1, -1], track.alternatives[middle, 0])).max() < 8
    assert (tracker.predict(waves)[:, 2] >= 0).all()
    assert track.ambiguity == SQUARE.ambiguity


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_a_line_looks_to_the_front(smoothing):
    around = LINE.ambiguity.equivalent([0.0, 0.6, 0.8])
    waves = plane_wave(LINE, around[7])
    track = SRPPHAT(n_directions=1000).fit(waves, LINE).track(waves, smoothing=smoothing)
    assert np.degrees(angular_error([0.8, 0.6, 0.0], track.doa[1:-1])).max() < 8
    np.testing.assert_allclose(track.doa[:, 2], 0, atol=1e-9)
    nearest = angular_error(track.alternatives[2], around[7]).min()
    assert np.degrees(nearest) < 15


def test_two_mirror_images_do_not_make_the_posterior_broad():
    waves = plane_wave(SQUARE, [0.6, 0, 0.8])
    flat = SRPPHAT(n_directions=1000).fit(waves, SQUARE)
    upper = flat.with_search_region(elevation_range_deg=(0, 90))
    both = [tracker.track(waves).concentration for tracker in (flat, upper)]
    np.testing.assert_allclose(both[0], both[1], rtol=0.1)
    assert both[0].min() > 20


def test_a_search_region_is_kept_and_ends_the_ambiguity():
    down = np.array([0.6, 0, -0.8])
    waves = plane_wave(SQUARE, down)
    tracker = SRPPHAT(n_directions=1000, elevation_range_deg=(-90, 0)).fit(waves, SQUARE)
    track = tracker.track(waves)
    assert np.degrees(angular_error(down, track.doa[1:-1])).max() < 8
    assert not track.ambiguity
    assert track.alternatives.shape == (track.n_frames, 0, 3)
    half = tracker.with_search_region(azimuth_range_deg=(-90, 90)).track(waves)
    assert half.ambiguity.kind == "mirror"


def test_an_array_in_space_is_not_touched():
    array = MicArray.from_preset("tetrahedron_4")
    down = np.array([0.6, 0, -0.8])
    waves = plane_wave(array, down)
    track = SRPPHAT(n_directions=1000).fit(waves, array).track(waves)
    assert np.degrees(angular_error(down, track.doa[1:-1])).max() < 8
    assert not track.ambiguity


def test_the_score_is_that_of_the_answer():
    up = np.array([0.6, 0, 0.8])
    waves = plane_wave(SQUARE, up)
    tracker = SRPPHAT(n_directions=1000).fit(waves, SQUARE)
    assert tracker.score(waves, np.tile(up, (len(tracker.predict(waves)), 1))) > -8
