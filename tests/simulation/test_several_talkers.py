"""Several talkers: each heard from its own direction, apart, with its own pauses; noise against their sum."""

import dataclasses
import json

import numpy as np
import pytest

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import tdoa_far_field
from doatrack.simulation import SceneSettings, simulate_scene

ARRAY = MicArray([[0.06, 0.01, 0], [-0.05, 0, 0.01], [0, 0.06, 0], [0, 0.01, 0.06], [0.01, -0.05, -0.03]])
ROOM = ((5.0, 5.0, 4.0), (6.0, 6.0, 4.0))
TWO = SceneSettings(duration_s=2.0, rt60_range=(0.15, 0.15), room_size_range=ROOM, noise="none", n_sources=2)


class TakingTurns:
    """White noise: the first talker in the first half, the second in the second."""

    def __init__(self):
        self.calls = 0

    def __call__(self, generator, n_samples, sample_rate):
        active = (np.arange(n_samples) * 2 // n_samples) == self.calls % 2
        self.calls += 1
        return generator.standard_normal(n_samples) * active, active


def measured_delays(waveform, start):
    spectrum = np.fft.rfft(waveform[:, start : start + 4096] * np.hanning(4096))
    first, second = ARRAY.mic_pairs.T
    cross = spectrum[first] * spectrum[second].conj()
    fine = np.fft.irfft(cross / np.abs(cross), 16 * 4096)
    return ((fine.argmax(axis=1) + 8 * 4096) % (16 * 4096) - 8 * 4096) / 16


@pytest.mark.parametrize("moving", [0.0, 1.0])
def test_each_is_heard_from_its_own_direction(moving):
    settings = dataclasses.replace(TWO, moving_probability=moving, amplitude_range=(0.0, 0.2))
    scene = simulate_scene(ARRAY, settings, 3, speech=TakingTurns())
    assert scene.truth.shape == (2, 100, 5)
    assert scene.info["n_sources"] == 2
    assert scene.info["moving"] == [bool(moving)] * 2
    for source, row in ((0, 25), (1, 85)):
        assert scene.truth[:, row, 4].tolist() == [source == 0, source == 1]
        expected = tdoa_far_field(ARRAY, scene.truth[source, row, 1:4]) * 16000
        found = measured_delays(scene.waveform, row * 320 - 2048)
        assert np.median(np.abs(found - expected)) < 0.4


@pytest.mark.parametrize("seed", range(4))
def test_talkers_keep_apart_at_all_times(seed):
    settings = dataclasses.replace(
        TWO, n_sources=3, min_talker_separation_deg=40.0, moving_probability=0.7, amplitude_range=(0.0, 0.3)
    )
    doa = simulate_scene(ARRAY, settings, seed).truth[:, :, 1:4]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = np.degrees(np.arccos((doa[a] * doa[b]).sum(axis=-1)))
        assert apart.min() > 39


def test_the_first_talker_is_the_one_of_a_scene_with_one():
    alone = simulate_scene(ARRAY, dataclasses.replace(TWO, n_sources=1), 5)
    both = simulate_scene(ARRAY, TWO, 5)
    assert alone.truth.shape == (100, 5)
    np.testing.assert_array_equal(both.truth[0], alone.truth)
    assert not np.array_equal(both.truth[1], alone.truth)
    assert alone.info["rt60"] == both.info["rt60"]
    assert "n_sources" not in alone.info
    json.dumps(both.info)


def test_the_snr_is_that_of_the_sum():
    """The same noise is louder by the share that the second talker adds."""

    def always(generator, n_samples, sample_rate):
        return generator.standard_normal(n_samples), np.ones(n_samples, bool)

    settings = dataclasses.replace(TWO, snr_db_range=(10.0, 10.0))
    silent, noisy = (
        simulate_scene(ARRAY, dataclasses.replace(settings, noise=noise), 8, speech=always).waveform
        for noise in ("none", "sensor")
    )
    # both are scaled to a peak of 0.9: the part of the noisy one that is speech is found by projection
    speech = silent * (noisy * silent).sum() / (silent * silent).sum()
    noise = noisy - speech
    assert 10 * np.log10((speech**2).mean() / (noise**2).mean()) == pytest.approx(10.0, abs=0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_sources": 0}, "n_sources must be at least 1"),
        ({"min_talker_separation_deg": 130.0}, "min_talker_separation_deg must be at least 0 and at most 120"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        dataclasses.replace(TWO, **settings)


def test_a_room_without_place_for_all_says_so():
    crowd = dataclasses.replace(TWO, n_sources=10, min_talker_separation_deg=100.0)
    with pytest.raises(
        InvalidInputError, match=r"No path was found for talker . that stays 100 degrees from the others"
    ):
        simulate_scene(ARRAY, crowd, 0)
