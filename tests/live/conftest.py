"""Clocks, sources and sessions that stand in for the real ones."""

import types

import numpy as np
import pytest

from doatrack import Track
from doatrack.live import Chunk, Source

WIN, HOP, RATE = 400, 300, 1000


class FakeClock:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeSession:
    """A tracker whose frames show their own mean level as concentration, and whether a gap was in them."""

    n_mics, sample_rate, latency_s = 2, RATE, 0.7

    def __init__(self):
        self.samples = np.zeros((2, 0))
        self.known = np.zeros(0, bool)
        self.n_frames = 0
        self.finished = False
        self.largest = 0

    def push(self, chunk):
        assert chunk.dtype == np.float32
        assert np.isfinite(chunk).all()
        return self._take(chunk, True)

    def gap(self, n_samples):
        return self._take(np.zeros((2, n_samples)), False)

    def finish(self):
        assert not self.finished
        self.finished = True
        return self._take(np.zeros((2, 0)), True)

    def _take(self, chunk, known):
        self.largest = max(self.largest, chunk.shape[1])
        self.samples = np.concatenate([self.samples, chunk], axis=1)
        self.known = np.concatenate([self.known, np.full(chunk.shape[1], known)])
        first = self.n_frames
        self.n_frames = max(0, (self.samples.shape[1] - WIN) // HOP + 1)
        spans = [slice(k * HOP, k * HOP + WIN) for k in range(first, self.n_frames)]
        n = len(spans)
        level = [np.abs(self.samples[0, span]).mean() for span in spans]
        times = [(span.start + WIN / 2) / RATE for span in spans]
        doa = np.tile([0.0, 1.0, 0.0], (n, 1))
        return Track(times, doa, level, np.full(n, 0.1), [self.known[span].all() for span in spans])


class ListSource(Source):
    """Chunks from a list; an exception among them is raised, a callable called."""

    name, n_channels, sample_rate = "the list", 2, RATE

    def __init__(self, items):
        self._items = list(items)
        self.closed = False

    def close(self):
        self.closed = True

    def read(self, timeout_s):
        item = self._items.pop(0) if self._items else None
        if isinstance(item, Exception):
            raise item
        return item() if callable(item) else item


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def list_source():
    return ListSource


@pytest.fixture
def chunk():
    """Return a function that makes a chunk of a constant, 2 channels unless told otherwise."""

    def make(n, value=1.0, n_channels=2, **rest):
        return Chunk(np.full((n_channels, n), value, dtype=np.float32), **rest)

    return make


@pytest.fixture
def frame():
    """Return a function that makes a frame."""
    from doatrack.live import LiveFrame

    return lambda time_s=0.128, **rest: LiveFrame(
        **{
            "time_s": time_s,
            "doa": (0.0, 1.0, 0.0),
            "azimuth_deg": 90.0,
            "elevation_deg": 0.0,
            "credible_angle_deg": 5.0,
            "concentration": 300.0,
            "active": True,
            **rest,
        }
    )


@pytest.fixture
def drained():
    """Return a function that reads a source to its end."""

    def read(source, timeout_s=5.0):
        chunks = []
        while (chunk := source.read(timeout_s)) is not None:
            chunks.append(chunk)
        return chunks

    return read


class PortAudioError(Exception):
    """Of the fake sounddevice."""


@pytest.fixture
def sound(clock):
    """A stand-in for sounddevice: one device of 6 channels, and a function that lets a block be heard."""
    state = types.SimpleNamespace(present=True, channels=6, opened=[], refuse=None)

    class InputStream:
        def __init__(self, *, device, channels, samplerate, dtype, callback):
            if state.refuse:
                raise PortAudioError(state.refuse)
            self.channels, self.rate, self.callback = channels, samplerate, callback
            self.active = False

        def start(self):
            self.active = True
            state.opened.append(self)

        def close(self, ignore_errors=True):
            self.active = False

    def query_devices(device=None, kind=None):
        info = {"name": "Ring <6ch>", "max_input_channels": state.channels, "default_samplerate": 16000.0}
        if not state.present or device == "other":
            if kind is None:
                return []
            raise ValueError(f"No input device matching {device!r}")
        return [info, {**info, "name": "Speaker", "max_input_channels": 0}] if kind is None else info

    def hear(n, *, lost=0, overflow=False, value=0.5, adc=True, n_channels=None):
        stream = state.opened[-1]
        begin = clock.now + lost / stream.rate
        clock.now = begin + n / stream.rate
        times = types.SimpleNamespace(inputBufferAdcTime=begin + 5000.0 if adc else 0.0)
        data = np.full((n, n_channels or stream.channels), value, dtype=np.float32)
        stream.callback(data, n, times, types.SimpleNamespace(input_overflow=overflow))

    return types.SimpleNamespace(
        InputStream=InputStream, query_devices=query_devices, PortAudioError=PortAudioError, state=state, hear=hear
    )
