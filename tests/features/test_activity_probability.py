"""The probability of sound is one, is right about loud and quiet, and bridges what is too short to be a pause."""

import numpy as np
import pytest
import torch

from doatrack.features import activity_at_frames, activity_probability, band_power, sound_activity
from doatrack.features.activity_probability import _smoothed

FRAMES = (4096, 3072, 16000)


def scene(rng, gain_db=40.0):
    """Return 6 s of noise (2, n_samples) with louder noise from 2 to 4 s."""
    waveform = rng.normal(size=(2, 96000)).astype(np.float32)
    waveform[:, 32000:64000] *= 10 ** (gain_db / 20)
    return torch.from_numpy(waveform)


def test_loud_is_probable_and_quiet_is_not(rng):
    probability = activity_probability(band_power(scene(rng), 16000), 30, *FRAMES)
    times = np.arange(30) * 0.192 + 0.128
    assert probability[(times > 2.2) & (times < 3.8)].min() > 0.95
    assert probability[(times < 1.7) | (times > 4.3)].max() < 0.25
    assert ((probability >= 0) & (probability <= 1)).all()


def test_it_ranks_frames_as_the_detector_does(rng):
    power = band_power(scene(rng, gain_db=6.0), 16000)
    probability = activity_probability(power, 30, *FRAMES)
    active = activity_at_frames(sound_activity(power), 30, *FRAMES)
    assert active.any()
    assert probability[active].min() > probability[~active].max()


def test_states_are_smoothed_as_enumeration_says():
    likelihood = np.array([[1.0, 0.4], [1.0, 3.0], [1.0, 0.2]])
    share, stay = np.array([0.15, 0.5]) / 0.65, np.exp(-0.032 * (1 / 0.5 + 1 / 0.15))
    step = stay * np.eye(2) + (1 - stay) * share
    joint = np.einsum("i,ij,jk,i,j,k->ijk", share, step, step, *likelihood)
    expected = np.stack([joint.sum(axis=(1, 2)), joint.sum(axis=(0, 2)), joint.sum(axis=(0, 1))]) / joint.sum()
    assert _smoothed(likelihood) == pytest.approx(expected)


def test_one_quiet_block_in_speech_is_no_silence_and_one_loud_block_no_speech():
    likelihood = np.tile([1.0, 3.0], (41, 1))
    likelihood[20] = [1.0, 0.6]
    assert _smoothed(likelihood)[20, 1] > 0.9
    assert _smoothed(likelihood[:, ::-1])[20, 1] < 0.1


@pytest.mark.parametrize("n_blocks", [0, 1])
def test_recordings_without_sound_are_silent(n_blocks):
    assert activity_probability(torch.zeros(n_blocks, 24), 2, *FRAMES).max() < 0.8
    assert activity_probability(torch.zeros(0, 24), 2, *FRAMES).tolist() == [0.0, 0.0]
