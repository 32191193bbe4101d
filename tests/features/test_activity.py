import numpy as np
import torch

from doatrack.features import activity_at_frames, band_power, sound_activity
from doatrack.features.sound_detector import SoundRatio

RATE = 16000


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def active_blocks(waveform: torch.Tensor) -> np.ndarray:
    return sound_activity(band_power(waveform, RATE))


def test_bursts_over_noise_are_found():
    waveform = 0.1 * noise(8.0)
    for start in (1.0, 3.0, 5.5):
        waveform[:, round(start * RATE) : round((start + 1.0) * RATE)] += noise(1.0, seed=1)
    found = active_blocks(waveform)
    times = (np.arange(len(found)) + 0.5) * 0.032
    inside = np.any([(times > s + 0.05) & (times < s + 0.95) for s in (1.0, 3.0, 5.5)], axis=0)
    outside = np.all([(times < s - 0.1) | (times > s + 1.1) for s in (1.0, 3.0, 5.5)], axis=0)
    assert found[inside].mean() > 0.98
    assert found[outside].mean() < 0.05


def test_the_level_of_the_recording_does_not_matter():
    waveform = 0.1 * noise(4.0)
    waveform[:, 20000:40000] += noise(1.25, seed=1)
    assert np.array_equal(active_blocks(waveform), active_blocks(1e-3 * waveform))


def test_silence_and_steady_noise_are_inactive():
    assert not active_blocks(torch.zeros(2, 5 * RATE)).any()
    assert active_blocks(noise(10.0)).mean() < 0.03


def test_sound_between_digital_silence_is_active():
    waveform = torch.zeros(2, 4 * RATE)
    waveform[:, RATE : 2 * RATE] = noise(1.0)
    found = active_blocks(waveform)
    assert found[33:60].all()
    assert not found[66:].any()


def test_recordings_without_a_whole_block_have_no_activity():
    assert len(active_blocks(torch.zeros(2, 100))) == 0
    assert not activity_at_frames(np.zeros(0, dtype=bool), 3, 4096, 3072, RATE).any()


def test_frames_take_the_share_of_blocks_around_their_centre():
    blocks = np.zeros(62, dtype=bool)
    blocks[31:] = True  # from 0.992 s on
    frames = activity_at_frames(blocks, 9, 4096, 3072, RATE)
    times = (np.arange(9) * 3072 + 2048) / RATE
    assert np.array_equal(frames, times > 0.992)


def test_hours_of_blocks_at_once_are_as_those_that_come_bit_by_bit():
    """What is slowly forgotten is counted backwards, up to an age that numbers can hold."""
    generator = torch.Generator().manual_seed(0)
    power = torch.rand(210_000, 24, generator=generator) * torch.logspace(0, -12, 210_000)[:, None]
    whole, parts = SoundRatio(causal=True), SoundRatio(causal=True)
    one = whole.push(power)
    other = np.concatenate([parts.push(part) for part in power.split(5000)])
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
