"""Lost samples: time goes on, what was lost says nothing, and what was learned stays."""

import copy
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doatrack.exceptions import LookAheadWarning
from doatrack.features import FrameSettings
from doatrack.tracking import grid_filter, posterior_directions

RATE, WIN, HOP, N = 16000, 512, 384, 20000
TRACKERS = ["srp", "whitened", "averaged", "map", "paper", "neural-srp", "cross3d"]


def joined(tracks, name):
    return np.concatenate([getattr(track, name) for track in tracks])


def stream_of(tracker, smoothing="filter"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LookAheadWarning)
        return tracker.stream(smoothing)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", TRACKERS)
@given(before=st.integers(0, 9000), lost=st.integers(1, 4000), between=st.integers(0, 2000), again=st.integers(1, 900))
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_time_goes_on_in_a_gap(fitted, sound, name, causal, before, lost, between, again):
    """Frames stay where they are in time; those that overlap a gap are silent, the others heard."""
    stream = stream_of(copy.copy(fitted[name]).set_params(causal=causal), None)
    signal, gaps = sound(N), [(before, before + lost), (before + lost + between, before + lost + between + again)]
    tracks, place = [], 0
    for start, stop in gaps:
        tracks += [stream.push(signal[:, place:start]), stream.gap(stop - start)]
        place = stop
    tracks += [stream.push(signal[:, place:]), stream.finish()]
    frames = FrameSettings(win_length=WIN, hop_length=HOP)
    assert np.array_equal(joined(tracks, "times"), frames.times(frames.count(N)))
    first = np.arange(frames.count(N)) * HOP
    lost_frames = np.any([(first < stop) & (first + WIN > start) for start, stop in gaps], axis=0)
    assert not joined(tracks, "activity")[lost_frames].any()
    assert np.array_equal(np.isnan(joined(tracks, "doa")).all(axis=1), lost_frames)


def test_the_filter_predicts_over_a_gap(fitted, sound):
    """It is the offline filter over frames of which the lost ones say nothing."""
    tracker = copy.copy(fitted["srp"]).set_params(causal=True)
    signal = sound(N)
    stream = tracker.stream()
    tracks = [stream.push(signal[:, :14000]), stream.gap(3000), stream.push(signal[:, 17000:])]
    first = np.arange(stream.n_frames) * HOP
    lost = (first < 17000) & (first + WIN > 14000)
    maps = 200.0 * tracker.predict_map(signal)
    active = joined(tracks, "activity")
    weight = np.where(active, 1.0, 0.1)  # silent frames count a little
    posterior = grid_filter(np.where(lost[:, None], 0.0, maps), tracker._transition(own_grid=True), weight)
    doa, concentration = posterior_directions(posterior, tracker.grid_)
    assert np.abs(joined(tracks, "doa") - doa).max() < 1e-6
    assert np.allclose(joined(tracks, "concentration"), concentration, rtol=1e-4)
    assert (np.diff(joined(tracks, "concentration")[lost]) < 0).all()


@pytest.mark.parametrize("name", ["whitened", "map"])
def test_a_gap_does_not_poison_the_noise(fitted, sound, name):
    """Sound before and after many drop-outs: the noise model is that of the sound, not of zeros."""
    tracker = copy.copy(fitted[name]).set_params(causal=True)
    signal = sound(N)
    stream = stream_of(tracker)
    for place in range(0, 20000, 4000):
        stream.push(signal[:, place : place + 3900])
        stream.gap(100)
    whole = stream_of(tracker)
    whole.push(signal[:, :20000])
    ratio = _floor_by_now(stream) / _floor_by_now(whole)
    assert 0.5 < float(ratio.median()) < 2.0


def _floor_by_now(stream):
    """Return the floor learned from all that was heard: the stream's own is of an earlier frame."""
    features = stream._tracker._source._features
    history = features._noise._history
    with torch.inference_mode():
        return features._weighted.learn(history.spectra, history.power, history.every).floor


def test_a_long_gap_costs_little(fitted, sound):
    tracker = copy.copy(fitted["map"]).set_params(causal=True)
    stream = tracker.stream()
    stream.push(sound(8000))
    start = time.process_time()
    track = stream.gap(RATE * 3600)
    assert time.process_time() - start < 10.0
    assert stream.n_samples == 8000 + RATE * 3600
    assert track.n_frames + 20 == 1 + (stream.n_samples - WIN) // HOP
    assert not track.activity.any()
    again = joined([stream.push(sound(8000)), stream.finish()], "times")
    assert again[-1] == pytest.approx((8000 + RATE * 3600 + 8000) / RATE, abs=(HOP + WIN) / RATE)
