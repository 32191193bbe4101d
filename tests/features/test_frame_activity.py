"""Activity as sound comes is that of the whole; causal activity knows nothing of later sound; gaps are silent."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.features import FrameSettings, activity_at_frames, band_power, sound_activity
from doatrack.features.frame_activity import FrameActivity

RATE = 16000


def bursts(n_samples, seed=0):
    gate = 0.1 + 2.0 * (np.arange(n_samples) % 16000 > 9000)
    noise = np.random.default_rng(seed).normal(size=(2, n_samples))
    return torch.from_numpy((gate * noise).astype(np.float32))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("win", "hop"), [(4096, 3072), (512, 384), (300, 1000)])
@given(sizes=st.lists(st.integers(0, 30000), max_size=5))
@settings(max_examples=8, deadline=None)
def test_chunks_change_nothing(causal, win, hop, sizes):
    waveform = bursts(60000)
    frames = FrameSettings(RATE, win, hop)
    whole, parts = FrameActivity(frames, causal=causal), FrameActivity(frames, causal=causal)
    expected = np.concatenate([whole.push(waveform), whole.finish()])
    places = np.minimum(np.cumsum(sizes), 60000).astype(int).tolist()
    found = [parts.push(part) for part in torch.tensor_split(waveform, places, dim=1)] + [parts.finish()]
    assert np.array_equal(np.concatenate(found), expected)
    assert len(expected) == frames.count(60000)
    assert 0.1 < expected.mean() < 0.6
    if not causal:
        active = sound_activity(band_power(waveform, RATE))
        assert np.array_equal(expected, activity_at_frames(active, len(expected), win, hop, RATE))


@pytest.mark.parametrize("cut", [30000, 41111])
def test_causal_activity_knows_nothing_of_later_sound(cut):
    frames = FrameSettings(RATE, 1024, 768)
    one, other = bursts(60000), bursts(60000)
    other[:, cut:] *= 100
    known = frames.count(cut)
    a, b = (FrameActivity(frames, causal=True).push(waveform) for waveform in (one, other))
    assert np.array_equal(a[:known], b[:known])
    assert not np.array_equal(a, b)


def test_causal_activity_finds_the_same_bursts():
    waveform = bursts(160000)
    frames = FrameSettings(RATE, 4096, 3072)
    causal, around = FrameActivity(frames, causal=True), FrameActivity(frames)
    expected = np.concatenate([around.push(waveform), around.finish()])
    assert (causal.push(waveform) == expected).mean() > 0.85


def test_the_floor_outlives_a_gap():
    """Steady noise is silence after a gap too, a burst is not, and the gap itself is silent."""
    frames = FrameSettings(RATE, 512, 384)
    heard = FrameActivity(frames, causal=True)
    noise = 0.1 * bursts(16000) / 0.1
    before = heard.push(noise[:, :9000])
    silent = heard.gap(32000)
    after = heard.push(noise[:, :8000])
    loud = heard.push(20 * noise[:, :8000])
    assert not before.any()
    assert not silent.any()
    assert after.mean() < 0.1
    assert loud[3:].all()
    assert len(before) + len(silent) + len(after) + len(loud) == frames.count(9000 + 32000 + 16000)
