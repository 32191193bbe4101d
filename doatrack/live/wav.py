"""WAV from a pipe, whose header may not know its length."""

import struct
import time
from collections.abc import Callable

from doatrack.exceptions import LiveAudioError
from doatrack.live.pcm import ByteStream, PcmSource

__all__ = ["wav_source"]

_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000)  # where a writer to a pipe cannot know the size
_STREAMING = 0x7FFF0000  # near the largest: arecord and sox put such sizes
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ENCODINGS = {
    (_PCM, 8): "u8",
    (_PCM, 16): "s16le",
    (_PCM, 24): "s24le",
    (_PCM, 32): "s32le",
    (_FLOAT, 32): "f32le",
    (_FLOAT, 64): "f64le",
}
_LONGEST_CHUNK = 1 << 24  # bytes of a chunk before the samples; more is no header
_RATES = (1000, 1_000_000)


def wav_source(
    stream: ByteStream, name: str = "standard input", clock: Callable[[], float] = time.monotonic
) -> PcmSource:
    """Read the header of a WAV stream and return the source of its samples.

    Parameters
    ----------
    stream : ByteStream
        A pipe, opened without a buffer. It stands behind the header afterwards.
    name : str
        What messages call it.
    clock : callable
        Gives seconds.

    Returns
    -------
    PcmSource
        With the channels and the rate of the header.

    Raises
    ------
    LiveAudioError
        If it is no WAV, or of an encoding that is not read (8 to 32 bit integers, 32 and 64 bit floats are).

    Notes
    -----
    A length that is unknown (0, or about 2 or 4 GB, as ffmpeg, sox and arecord write to a pipe) reads to the end. RF64
    and the extensible format are read too.

    Examples
    --------
    >>> import io
    >>> head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16, b"data", 0)
    >>> source = wav_source(io.BytesIO(head + bytes(400)))
    >>> source.n_channels, source.sample_rate, source.encoding
    (2, 8000, 's16le')
    """
    riff, _, wave = struct.unpack("<4sI4s", _exactly(stream, 12, name))
    if riff not in (b"RIFF", b"RF64") or wave != b"WAVE":
        raise LiveAudioError(
            f"{name} is not WAV (it begins with {riff!r}). Write WAV into the pipe, or say what raw samples it holds: "
            "--pcm s16le --n-channels 4 --rate 16000."
        )
    form, long_size = b"", None
    while True:
        kind, size = struct.unpack("<4sI", _exactly(stream, 8, name))
        if kind == b"data":
            break
        if size > _LONGEST_CHUNK:
            raise LiveAudioError(f"{name} has a damaged header: chunk {kind!r} of {size} bytes before the samples.")
        content = _exactly(stream, size + size % 2, name)
        if kind == b"fmt ":
            form = content
        elif kind == b"ds64" and size >= 16:
            long_size = struct.unpack_from("<Q", content, 8)[0]
    encoding, n_channels, rate = _format(form, name)
    unknown = size in _UNKNOWN_SIZES or size >= _STREAMING
    n_bytes = long_size or None if long_size is not None else None if unknown else size
    return PcmSource(stream, encoding, n_channels, rate, name, n_bytes, clock)


def _exactly(stream: ByteStream, size: int, name: str) -> bytes:
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    if missing == size and size:
        raise LiveAudioError(f"{name} ended before its samples began. Does the program that writes into it run?")
    if missing:
        raise LiveAudioError(f"{name} ended within its header.")
    return b"".join(parts)


def _format(content: bytes, name: str) -> tuple[str, int, int]:
    if len(content) < 16:
        raise LiveAudioError(f"{name} has no format before its samples: its header is damaged.")
    tag, n_channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack_from("<H", content, 24)[0]
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None:
        raise LiveAudioError(
            f"{name} holds WAV of format {tag} with {bits} bits, which is not read. Write 16, 24 or 32 bit integers or "
            "32 bit floats."
        )
    if not _RATES[0] <= rate <= _RATES[1] or not 1 <= n_channels <= 1024:
        raise LiveAudioError(f"{name} has a damaged header: {n_channels} channels at {rate} Hz.")
    return encoding, n_channels, rate
