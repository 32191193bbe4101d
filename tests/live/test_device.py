import sys
import time
import types

import numpy as np
import pytest

from doatrack.exceptions import LiveAudioError
from doatrack.live import DeviceSource, list_devices


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch, clock):
    """Waiting moves the fake clock."""
    monkeypatch.setattr(time, "sleep", lambda seconds: setattr(clock, "now", clock.now + seconds))


@pytest.fixture
def device(sound, clock):
    return lambda **options: DeviceSource(module=sound, clock=clock, **options)


def test_sound_of_a_device_comes_as_it_is_heard(device, sound):
    with device() as source:
        assert (source.name, source.n_channels, source.sample_rate) == ("Ring <6ch>", 6, 16000)
        for k in range(3):
            sound.hear(160, value=k)
        chunks = [source.read(0) for _ in range(3)]
        assert [chunk.samples[5, 0] for chunk in chunks] == [0, 1, 2]
        assert all(chunk.n_lost == 0 and chunk.events == () for chunk in chunks)
        assert source.read(0).n_samples == 0
    assert not sound.state.opened[0].active


@pytest.mark.parametrize("adc", [True, False])
def test_an_overflow_is_told_with_what_was_lost(device, sound, adc):
    with device() as source:
        sound.hear(160, adc=adc)
        sound.hear(160, lost=480, overflow=True, adc=adc)
        sound.hear(160, adc=adc)
        chunks = [source.read(0) for _ in range(3)]
    assert [chunk.n_lost for chunk in chunks] == [0, 480, 0]
    assert [event.kind for event in chunks[1].events] == ["gap"]
    assert chunks[1].events[0].lost_s == pytest.approx(0.03)


def test_an_overflow_that_no_clock_can_measure_is_told_too(device, sound):
    with device() as source:
        sound.hear(160)
        sound.hear(160, overflow=True)
        chunks = [source.read(0) for _ in range(2)]
    assert chunks[1].n_lost == 0
    assert "less sound was lost than its clock can tell" in chunks[1].events[0].message


def test_a_long_silence_of_the_driver_is_lost_sound_even_if_it_denies_it(device, sound):
    with device() as source:
        sound.hear(160)
        sound.hear(160, lost=32000)
        assert [source.read(0).n_lost for _ in range(2)] == [0, 32000]


def test_jitter_is_no_loss(device, sound):
    with device() as source:
        for lost in (0, 300, 0, 800):
            sound.hear(160, lost=lost)
        assert [source.read(0).n_lost for _ in range(4)] == [0, 0, 0, 0]


def test_a_tracker_that_is_too_slow_loses_sound_and_hears_of_it(device, sound):
    with device() as source:
        for _ in range(1300):
            sound.hear(160)  # 13 s, of which 10 are kept
        chunks = []
        while (chunk := source.read(0)).n_samples:
            chunks.append(chunk)
        sound.hear(160)
        chunks.append(source.read(0))
    assert sum(chunk.n_samples + chunk.n_lost for chunk in chunks) == 1301 * 160
    assert chunks[-1].n_lost == 300 * 160
    assert "The tracker is 10.0 s behind the sound" in chunks[0].events[0].message
    assert "The tracker is too slow" in chunks[-1].events[0].message


def test_a_device_that_goes_away_and_comes_back_leaves_a_gap_of_the_right_length(device, sound, clock):
    with device() as source:
        sound.hear(1600)
        assert source.read(0).n_samples == 1600
        sound.state.opened[-1].active = False
        sound.state.present = False
        began = clock.now
        chunks = []
        for _ in range(300):
            clock.now += 0.01
            chunks.append(source.read(0.01))
        sound.state.present = True
        while len(sound.state.opened) == 1:
            chunks.append(source.read(0.01))
        clock.now += 0.2  # before the first block
        sound.hear(160)
        chunks.append(source.read(0))
        away = clock.now - began - 0.01
    assert sum(chunk.n_lost for chunk in chunks) == pytest.approx(away * 16000, abs=2)
    words = [event.message for chunk in chunks for event in chunk.events if event.kind == "device"]
    assert "Ring <6ch> is gone. Waiting 60 s" in words[0]
    assert "Ring <6ch> is back after" in words[1]
    assert len(words) == 2
    total = sum(event.lost_s for chunk in chunks for event in chunk.events)
    assert total == pytest.approx(away, abs=1e-3)


def test_a_device_that_stays_away_ends_it(device, sound, drained):
    with device(reconnect_s=3.0) as source:
        sound.state.opened[-1].active = False
        sound.state.present = False
        with pytest.raises(LiveAudioError, match=r"did not come back within 3 s\. Is it plugged in\?"):
            drained(source, 0.05)


def test_no_time_is_lost_while_another_program_holds_a_device_that_is_back(device, sound, clock):
    with device() as source:
        sound.hear(1600)
        source.read(0)
        sound.state.opened[-1].active = False
        sound.state.refuse = "Device unavailable"
        began, chunks = clock.now, []
        for _ in range(500):
            clock.now += 0.01
            chunks.append(source.read(0.01))
        assert sum(chunk.n_lost for chunk in chunks) == pytest.approx((clock.now - began) * 16000, abs=0.3 * 16000)
        sound.state.refuse = None
        while len(sound.state.opened) == 1:
            clock.now += 0.01
            chunks.append(source.read(0.01))
        sound.hear(160)
        chunks.append(source.read(0))
        away = clock.now - began - 0.01
    assert sum(chunk.n_lost for chunk in chunks) == pytest.approx(away * 16000, abs=2)
    words = [event.message for chunk in chunks for event in chunk.events if event.kind == "device"]
    assert len(words) == 2  # gone, and back once it could be opened


def test_a_device_that_comes_back_with_fewer_channels_is_not_taken(device, sound, drained):
    with device(reconnect_s=3.0) as source:
        sound.state.opened[-1].active = False
        sound.state.channels = 2
        with pytest.raises(LiveAudioError, match="did not come back"):
            drained(source, 0.05)
    assert len(sound.state.opened) == 1


def test_drift_of_a_device_is_told(device, sound, clock):
    with device() as source:
        for _ in range(2000):
            sound.hear(800)
            clock.now += 0.05 * 400e-6  # each block takes longer than it should
            chunk = source.read(0)
            if chunk.events:
                break
    assert chunk.events[0].kind == "drift"
    assert chunk.events[0].values["drift_ppm"] == pytest.approx(-400, abs=10)


def test_a_device_that_is_not_there_or_too_small_is_named(device, sound):
    with pytest.raises(LiveAudioError, match=r"No such sound device .* There are: 0: Ring <6ch> \(6 channels\)"):
        device(device="other").__enter__()
    with pytest.raises(LiveAudioError, match="has 6 channels, and 8 were asked for"):
        device(n_channels=8).__enter__()
    sound.state.refuse = "Invalid sample rate"
    with pytest.raises(LiveAudioError, match="cannot be opened with 6 channels at 44100 Hz: Invalid sample rate"):
        device(sample_rate=44100).__enter__()


def test_a_virtual_device_is_opened_with_what_is_needed(device, sound):
    sound.state.channels = 128
    with device(n_needed=5) as source:
        assert source.n_channels == 5


def test_devices_that_only_play_are_not_listed(sound):
    assert list_devices(sound) == [(0, "Ring <6ch>", 6, 16000.0)]


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(LiveAudioError, match=r"pip install 'doatrack\[live\]'"):
        DeviceSource().__enter__()


def test_what_was_heard_before_it_was_closed_can_be_read(device, sound, drained):
    with device() as source:
        sound.hear(160)
        sound.hear(160)
        source.close()
        assert [chunk.n_samples for chunk in drained(source, 0)] == [160, 160]


def test_a_device_that_is_away_can_be_closed(device, sound, drained):
    with device() as source:
        sound.state.opened[-1].active = False
        sound.state.present = False
        for _ in range(3):
            source.read(0.01)
        source.close()
        assert drained(source, 0) == []


def test_blocks_are_copied(device, sound):
    with device(n_channels=1) as source:
        data = np.ones((10, 1), dtype=np.float32)
        sound.state.opened[-1].callback(data, 10, None, types.SimpleNamespace(input_overflow=False))
        data[:] = 7
        assert (source.read(0).samples == 1).all()
