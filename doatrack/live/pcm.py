"""Raw samples from a pipe."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_choice, check_int
from doatrack.live.chunk import Chunk, Source
from doatrack.live.clock import ClockMonitor
from doatrack.live.feed import Feed
from doatrack.live.messages import LiveEvent

__all__ = ["PCM_FORMATS", "ByteStream", "PcmSource", "decode_pcm"]

PCM_FORMATS = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "f64le": 8}
"""Bytes of a sample, by the name that ffmpeg gives to the format."""

_CHUNK_S = 0.05  # read at a time where a pipe is full
_HELD_S = 1.0  # taken out of a pipe ahead of the tracker


class ByteStream(Protocol):
    """What bytes are read from: a pipe, opened without a buffer."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to `size` bytes, none at the end."""


def decode_pcm(data: bytes, encoding: str, n_channels: int) -> NDArray[np.float32]:
    r"""Turn interleaved little-endian samples into channels, full scale 1.

    Parameters
    ----------
    data : bytes
        Whole sample frames.
    encoding : str
        A name in `PCM_FORMATS`.
    n_channels : int
        Channels in it.

    Returns
    -------
    ndarray of shape (n_channels, n_samples)
        float32, as libsndfile reads the same samples from a file.

    Examples
    --------
    >>> decode_pcm(b"\x00\x40\x00\x80", "s16le", n_channels=2).tolist()
    [[0.5], [-1.0]]
    """
    if encoding == "s24le":
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        samples = padded.view("<i4")[:, 0] / np.float32(2.0**31)
    elif encoding == "u8":
        samples = (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128) / 128
    elif encoding.startswith("s"):
        integers = np.frombuffer(data, dtype=f"<i{PCM_FORMATS[encoding]}")
        samples = integers / np.float32(2.0 ** (8 * PCM_FORMATS[encoding] - 1))
    else:
        samples = np.frombuffer(data, dtype=f"<f{PCM_FORMATS[encoding]}")
    with np.errstate(over="ignore"):  # beyond float32 it becomes infinite, which is noticed later
        return np.ascontiguousarray(samples.reshape(-1, n_channels).T, dtype=np.float32)


class PcmSource(Source):
    """Raw interleaved samples from a pipe, such as `arecord -t raw` or `ffmpeg -f s16le` writes.

    Parameters
    ----------
    stream : ByteStream
        Opened without a buffer, so that samples come as soon as they are written.
    encoding : str
        A name in `PCM_FORMATS`: u8, s16le, s24le, s32le, f32le or f64le.
    n_channels, sample_rate : int
        Of the samples: a pipe does not tell.
    name : str
        What messages call it.
    n_bytes : int, optional
        How many bytes of samples were promised; None reads to the end.
    clock : callable
        Gives seconds.

    Raises
    ------
    InvalidInputError
        On an unknown encoding, or a number out of range.

    Notes
    -----
    A thread reads ahead by at most a second of sound; then the writer has to wait. A pipe does not tell what its writer
    lost: sound that comes later and later, and a sample rate that does not fit the clock, are reported by
    `ClockMonitor`.

    Examples
    --------
    >>> import io
    >>> with PcmSource(io.BytesIO(bytes(4 * 1000)), "s16le", n_channels=2, sample_rate=8000) as source:
    ...     total, chunk = 0, source.read(1.0)
    ...     while chunk is not None:
    ...         total, chunk = total + chunk.n_samples, source.read(1.0)
    >>> total
    1000
    """

    def __init__(
        self,
        stream: ByteStream,
        encoding: str,
        n_channels: int,
        sample_rate: int,
        name: str = "standard input",
        n_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.encoding = check_choice("encoding", encoding, PCM_FORMATS)
        self.n_channels = check_int("n_channels", n_channels, 1, 1024)
        self.sample_rate = check_int("sample_rate", sample_rate, 1000, 1_000_000)
        self.name = name
        self._stream = stream
        self._left = sys.maxsize if n_bytes is None else n_bytes
        self._promised = n_bytes
        self._clock = clock
        self._monitor = ClockMonitor(self.sample_rate)
        self._feed = Feed(self.n_channels, self.sample_rate, _HELD_S, drops=False)

    def __enter__(self) -> "PcmSource":
        # a daemon: a read from a pipe that stays silent cannot be broken off
        threading.Thread(target=self._produce, name="doatrack-pcm", daemon=True).start()
        return self

    def read(self, timeout_s: float) -> Chunk | None:
        """Return the next piece, an empty one if none came in time, or None at the end of the pipe."""
        return self._feed.get(timeout_s)

    def close(self) -> None:
        """Take nothing more from the pipe."""
        self._feed.close()

    def _produce(self) -> None:
        try:
            self._pass_on()
        except BaseException as error:  # noqa: BLE001 - it goes on in the consumer's thread
            self._feed.close(error)
        else:
            self._feed.close()

    def _pass_on(self) -> None:
        width = PCM_FORMATS[self.encoding] * self.n_channels
        size = max(1, int(_CHUNK_S * self.sample_rate)) * width
        rest, n_samples = b"", 0
        while data := self._read(size - len(rest)):
            data = rest + data
            whole = len(data) - len(data) % width
            rest = data[whole:]
            if whole == 0:
                continue
            samples = decode_pcm(data[:whole], self.encoding, self.n_channels)
            n_samples += samples.shape[1]
            if not self._feed.put(samples, events=self._noticed(n_samples)):
                return
        self._tell_what_is_missing(len(rest), width)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left)) or b""
        self._left -= len(data)
        return data

    def _noticed(self, n_samples: int) -> tuple[LiveEvent, ...]:
        if self._feed.was_full:  # the writer waits for the tracker, so its clock is not heard
            self._feed.was_full = False
            self._monitor.restart()
            return ()
        return tuple(self._monitor.heard(n_samples, self._clock()))

    def _tell_what_is_missing(self, n_over: int, width: int) -> None:
        events = []
        if self._promised is not None and self._left > 0:
            text = f"{self.name} broke off: its header promises {self._promised} bytes of samples, and {self._left} of "
            events.append(LiveEvent("truncated", text + "them did not come."))
        if n_over:
            text = f"{self.name} ended within a sample: the last {n_over} of {width} bytes were left out."
            events.append(LiveEvent("truncated", text))
        if events:
            self._feed.put(np.zeros((self.n_channels, 0), dtype=np.float32), events=tuple(events))
