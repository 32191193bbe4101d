"""The synthetic talker resembles speech, and activity of dry speech is found."""

import numpy as np
import pytest
from scipy.signal import welch

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import speech_activity, synthetic_speech
from doatrack.simulation.phonetics import draw_voice

RATE = 16000


@pytest.fixture(scope="module")
def talkers():
    return [synthetic_speech(10 * RATE, np.random.default_rng(seed)) for seed in range(12)]


def test_level_and_reproducibility(talkers):
    speech, active = talkers[3]
    again, again_active = synthetic_speech(10 * RATE, np.random.default_rng(3))
    assert speech.dtype == np.float32
    assert speech.shape == active.shape == (10 * RATE,)
    assert np.array_equal(speech, again)
    assert np.array_equal(active, again_active)
    assert not np.array_equal(speech, talkers[4][0])
    assert np.sqrt((speech[active] ** 2).mean()) == pytest.approx(0.1, rel=1e-3)


def test_rhythm_is_that_of_speech(talkers):
    share = np.array([active.mean() for _, active in talkers])
    assert 0.6 < share.mean() < 0.95
    pauses = np.concatenate([_runs(~active) for _, active in talkers]) / RATE
    assert (pauses > 0.2).sum() >= 12
    assert pauses.max() < 2.0
    modulation = np.mean([_modulation(speech) for speech, _ in talkers], axis=0)
    assert 2 <= np.arange(1, 17)[modulation.argmax()] <= 6  # syllables: 3 to 5 per second


def test_long_term_spectrum_falls_like_that_of_speech(talkers):
    frequency, power = welch(np.concatenate([s for s, _ in talkers]), RATE, nperseg=1024)
    level = {f: 10 * np.log10(power[(frequency > f / 1.4) & (frequency < f * 1.4)].mean()) for f in (500, 2000, 6000)}
    assert 8 < level[500] - level[2000] < 25
    assert 15 < level[500] - level[6000] < 40
    assert power[frequency < 50].max() < 0.01 * power.max()


def test_voices_differ_in_pitch():
    pitches = [draw_voice(np.random.default_rng(seed)).pitch for seed in range(40)]
    assert min(pitches) < 110
    assert max(pitches) > 220


def test_activity_of_bursts_fills_short_gaps_and_keeps_long_ones():
    speech = 1e-4 * np.random.default_rng(0).normal(size=3 * RATE)
    tone = np.sin(np.arange(RATE // 2))
    for start in (0.2, 0.75, 2.0):  # a gap of 50 ms, then one of 750 ms
        speech[int(start * RATE) : int(start * RATE) + len(tone)] += tone
    active = speech_activity(speech)
    assert active[int(0.25 * RATE) : int(1.2 * RATE)].all()
    assert not active[int(1.3 * RATE) : int(1.95 * RATE)].any()
    assert not active[: int(0.15 * RATE)].any()


@pytest.mark.parametrize("n_samples", [1, 159, 160, 1000])
def test_short_and_silent_input(n_samples):
    assert not speech_activity(np.zeros(n_samples)).any()
    assert speech_activity(np.ones(n_samples)).shape == (n_samples,)
    assert synthetic_speech(n_samples, np.random.default_rng(0))[0].shape == (n_samples,)


def test_errors():
    with pytest.raises(InvalidInputError, match=r"speech must have the shape \(n_samples\)"):
        speech_activity(np.zeros((2, 10)))
    with pytest.raises(InvalidInputError, match="n_samples must be at least 1, got 0"):
        synthetic_speech(0, np.random.default_rng(0))


def _runs(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def _modulation(speech):
    """Return the mean spectrum of the envelope from 1 to 16 Hz."""
    envelope = np.sqrt((speech[: len(speech) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))
    frequency, power = welch(envelope, 100, nperseg=400)
    return np.interp(np.arange(1, 17), frequency, power * np.maximum(frequency, 0.5))
