"""Raw PCM and WAV from pipes."""

import io
import os
import struct
import threading

import numpy as np
import pytest
import soundfile

from doatrack.exceptions import InvalidInputError, LiveAudioError
from doatrack.live import PcmSource, wav_source
from doatrack.live.pcm import PCM_FORMATS, decode_pcm

SUBTYPES = {f"s{bits}le": f"PCM_{bits}" for bits in (16, 24, 32)}
SUBTYPES |= {"f32le": "FLOAT", "f64le": "DOUBLE", "u8": "PCM_U8"}


class Dribble:
    """A pipe that gives few bytes at a time."""

    def __init__(self, data, size=7):
        self._file, self._size = io.BytesIO(data), size

    def read(self, size):
        return self._file.read(min(size, self._size))


def sound(n=2000, n_channels=3, seed=0):
    return np.clip(np.random.default_rng(seed).normal(size=(n, n_channels)) / 4, -0.99, 0.99)


def wav_bytes(samples, subtype="PCM_16", rate=16000, form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=form)
    return file.getvalue()


def together(chunks):
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


def events(chunks):
    return [event for chunk in chunks for event in chunk.events]


@pytest.mark.parametrize("encoding", PCM_FORMATS)
def test_samples_are_those_that_a_file_of_them_holds(encoding, drained, tmp_path):
    raw, path = tmp_path / "a.raw", tmp_path / "a.wav"
    soundfile.write(raw, sound(), 16000, subtype=SUBTYPES[encoding], format="RAW", endian="LITTLE")
    soundfile.write(path, sound(), 16000, subtype=SUBTYPES[encoding])
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    with PcmSource(io.BytesIO(raw.read_bytes()), encoding, 3, 16000) as source:
        np.testing.assert_array_equal(together(drained(source)), expected.T)


@pytest.mark.parametrize("subtype", SUBTYPES.values())
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
def test_wav_of_any_flavour_is_what_a_file_of_it_holds(subtype, form, drained):
    data = wav_bytes(sound(), subtype, 44100, form)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    with wav_source(Dribble(data, 1013)) as source:
        assert (source.n_channels, source.sample_rate) == (3, 44100)
        chunks = drained(source)
    np.testing.assert_array_equal(together(chunks), expected.T)
    assert events(chunks) == []


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000 - 44, 0xFFFFFFFF - 36])
def test_a_header_that_knows_no_length_reads_to_the_end(size, drained):
    data = wav_bytes(sound())
    place = data.index(b"data") + 4
    with wav_source(io.BytesIO(data[:place] + struct.pack("<I", size) + data[place + 4 :])) as source:
        chunks = drained(source)
    assert together(chunks).shape == (3, 2000)
    assert events(chunks) == []


def test_chunks_before_and_after_the_samples_are_no_samples(drained):
    data = wav_bytes(sound())
    place = data.index(b"data")
    extra = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    with wav_source(io.BytesIO(data[:place] + extra + data[place:] + extra)) as source:
        chunks = drained(source)
    assert together(chunks).shape == (3, 2000)
    assert events(chunks) == []


def test_a_wav_that_breaks_off_is_told(drained):
    data = wav_bytes(sound())
    with wav_source(io.BytesIO(data[:-601])) as source:
        chunks = drained(source)
    assert together(chunks).shape == (3, 1899)
    messages = [event.message for event in events(chunks)]
    assert "promises 12000 bytes of samples, and 601 of them did not come" in messages[0]
    assert "the last 5 of 6 bytes were left out" in messages[1]
    assert {event.kind for event in events(chunks)} == {"truncated"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ended before its samples began"),
        (b"RIFF", "ended within its header"),
        (b"OggS" + bytes(100), "is not WAV"),
        (wav_bytes(sound(100), "ULAW"), "format 7 with 8 bits, which is not read"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "has no format before its samples"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff", "damaged header: chunk b'junk' of 4294967295 bytes"),
        (wav_bytes(sound(100)).replace(struct.pack("<I", 16000), bytes(4), 1), "damaged header: 3 channels at 0 Hz"),
    ],
)
def test_what_is_no_wav_is_named(data, message):
    with pytest.raises(LiveAudioError, match=f"standard input.*{message}"):
        wav_source(io.BytesIO(data))


def test_a_last_sample_that_is_not_whole_is_told(drained):
    with PcmSource(Dribble(bytes(103)), "s16le", 2, 16000) as source:
        chunks = drained(source)
    assert together(chunks).shape == (2, 25)
    assert [event.message for event in events(chunks)] == [
        "standard input ended within a sample: the last 3 of 4 bytes were left out."
    ]


def test_samples_come_as_soon_as_they_are_written_and_silence_holds_nobody_up():
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe, PcmSource(pipe, "s16le", 1, 16000) as source:
        assert source.read(0.01).n_samples == 0
        os.write(writing, bytes(32))
        assert source.read(5.0).n_samples == 16
        assert source.read(0.01).n_samples == 0
        os.close(writing)
        assert source.read(5.0) is None


def test_a_writer_that_is_faster_than_the_tracker_waits():
    reading, writing = os.pipe()
    written = []

    def write():
        with open(writing, "wb", buffering=0) as pipe:
            written.extend(pipe.write(bytes(16000)) for _ in range(100))

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb", buffering=0) as pipe, PcmSource(pipe, "s16le", 1, 8000) as source:
        thread.join(0.3)
        assert sum(written) < 200_000  # a second of sound here, and what the pipe itself holds
        n = 0
        while (chunk := source.read(5.0)) is not None:
            n += chunk.n_samples
            assert chunk.events == ()
    thread.join()
    assert n == 800_000


def test_a_pipe_that_stalls_is_late(clock, drained):
    class Stalling:
        def __init__(self):
            self.n = 0

        def read(self, size):
            self.n += 1
            clock.now += 1.5 if self.n == 300 else 0.05
            return bytes(1600) if self.n < 700 else b""

    source = PcmSource(Stalling(), "s16le", 1, 16000, clock=clock)
    source._feed._most = 10**9  # nobody waits
    with source:
        told = events(drained(source))
    assert [event.kind for event in told] == ["late"]
    assert told[0].values["late_s"] == pytest.approx(1.45, abs=0.01)


def test_a_pipe_that_fails_says_so_after_what_came(drained):
    class Failing:
        def __init__(self):
            self.parts = [bytes(200)]

        def read(self, size):
            if self.parts:
                return self.parts.pop()
            raise OSError(5, "Input/output error")

    with PcmSource(Failing(), "s16le", 1, 16000) as source:
        assert source.read(5.0).n_samples == 100
        with pytest.raises(OSError, match="Input/output error"):
            drained(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "s16be"}, "encoding must be one of the known names, got 's16be'. Did you mean 's16le'?"),
        ({"n_channels": 0}, "n_channels must be at least 1"),
        ({"sample_rate": 10}, "sample_rate must be at least 1000"),
    ],
)
def test_a_pipe_needs_a_format_that_exists(change, message):
    with pytest.raises(InvalidInputError, match=message.replace("?", r"\?")):
        PcmSource(io.BytesIO(), **{"encoding": "s16le", "n_channels": 1, "sample_rate": 16000, **change})


def test_numbers_beyond_single_precision_become_infinite_without_a_warning():
    assert np.isinf(decode_pcm(np.array([1e300]).tobytes(), "f64le", 1)).all()
