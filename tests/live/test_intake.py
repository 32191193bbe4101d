import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.live import Chunk, LiveEvent
from doatrack.live.intake import Intake


def run(intake, chunks):
    """Return what comes out as one recording, where it is known, and the events."""
    samples, known, events = [np.zeros((intake.n_mics, 0), np.float32)], [np.zeros(0, bool)], []
    items = [item for chunk in chunks for item in intake.take(chunk)] + list(intake.finish())
    for item in items:
        if isinstance(item, LiveEvent):
            events.append(item)
            continue
        n = item if isinstance(item, int) else item.shape[1]
        samples.append(np.zeros((intake.n_mics, n), np.float32) if isinstance(item, int) else item)
        known.append(np.full(n, not isinstance(item, int)))
    return np.concatenate(samples, axis=1), np.concatenate(known), events


def cut(signal, sizes):
    edges = np.minimum(np.cumsum([0, *sizes, signal.shape[1]]), signal.shape[1])
    return [Chunk(signal[:, a:b]) for a, b in itertools.pairwise(edges)]


@given(sizes=st.lists(st.integers(0, 700), max_size=12), rate=st.sampled_from([8000, 16000, 44100, 48000]))
def test_chunks_of_any_length_give_the_whole_recording_resampled(sizes, rate):
    signal = np.random.default_rng(0).normal(size=(3, 4410)).astype(np.float32)
    found, known, events = run(Intake(3, rate, 16000, [2, 0]), cut(signal, sizes))
    expected = signal[[2, 0]] if rate == 16000 else soxr.resample(signal[[2, 0]].T, rate, 16000).T
    assert events == []
    assert known.all()
    assert abs(found.shape[1] - expected.shape[1]) <= 1
    n = min(found.shape[1], expected.shape[1])
    np.testing.assert_allclose(found[:, :n], expected[:, :n], atol=2e-5)


@pytest.mark.parametrize("rate", [16000, 48000, 44100])
def test_lost_samples_take_their_time_and_change_nothing_far_from_them(rate):
    signal = np.random.default_rng(1).normal(size=(2, rate)).astype(np.float32)
    first, after = rate // 4, rate // 2
    whole, _, _ = run(Intake(2, rate, 16000), [Chunk(signal)])
    chunks = [Chunk(signal[:, :first]), Chunk(signal[:, after:], n_lost=after - first)]
    found, known, events = run(Intake(2, rate, 16000), chunks)
    assert found.shape == whole.shape
    np.testing.assert_array_equal(np.flatnonzero(~known)[[0, -1]], [4000, 7999])
    assert (~known).sum() == 4000
    far = np.r_[0:3500, 8500:16000]
    np.testing.assert_allclose(found[:, far], whole[:, far], atol=1e-4)
    assert [(event.kind, round(event.time_s, 6), event.lost_s) for event in events] == [("gap", 0.25, 0.25)]


def test_a_gap_that_the_source_told_already_is_not_told_twice():
    told = LiveEvent("gap", "by the device", lost_s=0.1)
    sound = np.zeros((1, 10), np.float32)
    _, known, events = run(Intake(1, 100, 100), [Chunk(sound), Chunk(sound, n_lost=10, events=(told,))])
    assert events == []
    assert known.sum() == 20


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers_become_a_gap(bad):
    sound = np.ones((3, 100), np.float32)
    sound[1, 40:45] = bad
    found, known, events = run(Intake(3, 1000, 1000), [Chunk(np.ones((3, 100), np.float32)), Chunk(sound)])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(np.flatnonzero(~known), np.arange(140, 145))
    assert (events[0].kind, events[0].time_s, events[0].lost_s) == ("nan", pytest.approx(0.14), pytest.approx(0.005))
    assert "channel 2, counted from 1" in events[0].message
    assert ("reach 1e+30, and full scale is 1" in events[0].message) == (bad == 1e30)
    assert ("are no finite numbers" in events[0].message) == (bad != 1e30)
    assert (found[:, known] == 1).all()


def test_bad_channels_that_are_not_microphones_do_not_matter():
    sound = np.ones((3, 100), np.float32)
    sound[0] = np.nan
    _, known, events = run(Intake(3, 1000, 1000, [2, 1]), [Chunk(sound)])
    assert known.all()
    assert events == []


def test_a_change_of_channels_is_a_gap_until_it_is_undone():
    chunks = [Chunk(np.ones((n, 100), np.float32)) for n in (4, 2, 2, 4)]
    _, known, events = run(Intake(4, 1000, 1000), chunks)
    np.testing.assert_array_equal(np.flatnonzero(~known), np.arange(100, 300))
    assert [event.kind for event in events] == ["channels"] * 3
    assert "came with 2 channels instead of 4" in events[0].message
    assert "4 channels again" in events[-1].message
    assert sum(event.lost_s for event in events) == pytest.approx(0.2)


def test_a_minute_without_a_device_comes_out_in_pieces():
    intake = Intake(12, 48000, 16000)
    spans = list(intake.take(Chunk(np.zeros((12, 0), np.float32), n_lost=48000 * 60)))
    assert sum(span for span in spans if isinstance(span, int)) > 16000 * 59
    assert all(isinstance(span, (int, LiveEvent)) for span in spans)
    assert intake.time_s == 60


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(InvalidInputError, match=r"has 4 channels, but channel 5 \(counted from 0; 6 from 1\)"):
        Intake(4, 16000, 16000, [0, 5])
