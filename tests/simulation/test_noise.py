"""Noise: levels, where it comes from, and that it never stops."""

import numpy as np
import pytest
import torch

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import ShoeboxRoom, scale_to_snr
from doatrack.simulation.noise import diffuse_field, draw_noise_signal, loudspeaker_noise


def test_snr_counts_active_speech_only():
    rng = np.random.default_rng(0)
    speech, noise = torch.tensor(rng.normal(size=(3, 4000))), torch.tensor(rng.normal(size=(3, 4000)))
    speech[:, 1000:] = 0
    active = np.arange(4000) < 1000
    scaled = scale_to_snr(noise, speech, active, 12.0)
    ratio = speech[:, :1000].square().mean() / scaled.square().mean()
    assert 10 * torch.log10(ratio).item() == pytest.approx(12.0, abs=1e-6)
    everywhere = scale_to_snr(noise, speech, np.zeros(4000, bool), 12.0)
    assert (scaled.square().mean() / everywhere.square().mean()).item() == pytest.approx(4.0)


def test_silence_is_not_divided_by():
    silence, noise = torch.zeros(2, 10), torch.ones(2, 10)
    assert torch.equal(scale_to_snr(noise, silence, np.ones(10, bool), 5.0), noise)
    assert torch.equal(scale_to_snr(silence, noise, np.ones(10, bool), 5.0), silence)


def test_a_loudspeaker_is_as_loud_at_the_start_as_later():
    rng = np.random.default_rng(0)
    room, mics = ShoeboxRoom([5, 4, 3], 0.5), np.array([[2, 2, 1.0], [2.1, 2, 1]])
    signal = np.diff(draw_noise_signal(None, rng, 16001, 16000))  # without the lowest modes, which vary slowly
    heard = loudspeaker_noise(signal, room, np.array([4.0, 3, 2]), mics, rng)
    level = 10 * torch.log10(heard.view(2, 10, -1).square().mean(dim=(0, 2)))
    assert (level.max() - level.min()).item() < 1.0


def test_diffuse_noise_is_alike_at_all_microphones_and_incoherent_far_apart():
    rng = np.random.default_rng(0)
    room, mics = ShoeboxRoom([5, 4, 3], 0.5), np.array([[1.0, 1, 1], [1.01, 1, 1], [4, 3, 2]])
    heard = diffuse_field(draw_noise_signal(None, rng, 32000, 16000), room, mics, rng)
    correlation = torch.corrcoef(heard)
    assert correlation[0, 1] > 0.6
    assert abs(correlation[0, 2]) < 0.15


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros(99), r"must return 100 finite samples.*\(99,\)"),
        (np.full(100, np.nan), "must return 100 finite samples"),
        (np.zeros(100), "must not return silence"),
    ],
)
def test_a_bad_noise_source_is_named(returned, message):
    with pytest.raises(InvalidInputError, match=f"noise_source {message}"):
        draw_noise_signal(lambda *_: returned, np.random.default_rng(0), 100, 16000)


def test_a_noise_source_may_return_activity_too():
    drawn = draw_noise_signal(lambda g, n, r: (np.ones(n), np.ones(n, bool)), np.random.default_rng(0), 10, 16000)
    assert np.array_equal(drawn, np.ones(10, np.float32))
