"""Long recordings, block by block, in bounded memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from doatrack._validation import check_int
from doatrack.audio.audio_file import AudioFile
from doatrack.audio.channels import check_channels
from doatrack.audio.sound_file import open_sound_file, read_pieces
from doatrack.exceptions import AudioFileError

__all__ = ["read_blocks", "resampler", "stream_samples"]

_QUALITY = "HQ"  # soxr: flat to 91 % of the lower Nyquist frequency, errors below 20 bits


def read_blocks(
    path: str | os.PathLike[str],
    block_samples: int,
    overlap_samples: int = 0,
    sample_rate: int = 16000,
    channels: Sequence[int] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Read a sound file in blocks; an hour needs no more memory than a block.

    Without overlap the blocks are `read_audio` cut into parts, at any sample rate: the resampler runs on from
    block to block.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or another format that libsndfile reads.
    block_samples : int
        Length of a block in samples at `sample_rate`; the last one may be shorter.
    overlap_samples : int
        How many samples at its beginning a block shares with the one before.
    sample_rate : int
        In Hz; a file at another rate is resampled.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0, in the order wanted; None takes those of an `AudioFile`,
        else all.

    Yields
    ------
    ndarray of shape (n_mics, n_samples)
        float32, full scale 1.

    Raises
    ------
    AudioFileError
        If the file cannot be read to its end, or has fewer channels than asked for; what was read before an end
        that is missing has been yielded by then.
    InvalidInputError
        If a parameter breaks its rule.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((10, 4)), 16000)
    ...     [block.shape for block in read_blocks(f"{folder}/a.wav", block_samples=4, overlap_samples=1)]
    [(4, 4), (4, 4), (4, 4)]
    """
    check_int("block_samples", block_samples, 1)
    check_int("overlap_samples", overlap_samples, 0, block_samples - 1)
    return _cut(stream_samples(path, sample_rate, channels), block_samples, overlap_samples)


def _cut(pieces: Iterator[NDArray[np.float32]], size: int, overlap: int) -> Iterator[NDArray[np.float32]]:
    held: NDArray[np.float32] | None = None
    n_shared = 0
    for piece in pieces:
        held = piece if held is None else np.concatenate([held, piece], axis=1)
        while held.shape[1] >= size:
            yield held[:, :size].copy()
            held = held[:, size - overlap :]
            n_shared = overlap
    if held is not None and held.shape[1] > n_shared:
        yield held.copy()


def stream_samples(
    path: str | os.PathLike[str], sample_rate: int, channels: Sequence[int] | None
) -> Iterator[NDArray[np.float32]]:
    """Yield a file's samples at `sample_rate` in pieces (n_mics, n) of any length.

    Parameters and errors are those of `read_blocks`.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((48000, 4)), 48000)
    ...     sum(piece.shape[1] for piece in stream_samples(f"{folder}/a.wav", 16000, [0, 2]))
    16000
    """
    check_int("sample_rate", sample_rate, 1)
    if channels is None and isinstance(path, AudioFile):
        channels = path.channels
    wanted = None if channels is None else check_channels(channels)
    return _stream(path, sample_rate, wanted, path.start if isinstance(path, AudioFile) else 0.0)


def _stream(
    path: str | os.PathLike[str], sample_rate: int, wanted: tuple[int, ...] | None, start: float
) -> Iterator[NDArray[np.float32]]:
    with open_sound_file(path) as file:
        _skip_to(path, file, start)
        picked = _picked(path, wanted, file.channels)
        convert = resampler(file.samplerate, sample_rate, len(picked))
        for piece in read_pieces(path, file):
            yield np.ascontiguousarray(convert(piece[:, picked], False).T)
        yield np.ascontiguousarray(convert(np.zeros((0, len(picked)), dtype=np.float32), True).T)


def _skip_to(path: str | os.PathLike[str], file: Any, start: float) -> None:
    first = round(start * file.samplerate)
    if first >= file.frames:
        raise AudioFileError(
            f"{path} lasts {file.frames / file.samplerate:.3f} s, so it cannot be read from {start:g} s on. "
            "Choose an earlier start."
        )
    if first:
        try:
            file.seek(first)
        except (RuntimeError, ValueError) as error:
            raise AudioFileError(f"{path} cannot be read from {start:g} s on: {error}") from error


def _picked(path: str | os.PathLike[str], wanted: tuple[int, ...] | None, n_channels: int) -> list[int]:
    picked = list(range(n_channels) if wanted is None else wanted)
    if max(picked) >= n_channels:
        raise AudioFileError(
            f"{path} has {n_channels} channels, but channel {max(picked)} (counted from 0; {max(picked) + 1} from 1) "
            "was asked for. Pick fewer, or use a recording of all microphones."
        )
    return picked


def resampler(
    rate_in: int, rate_out: int, n_channels: int
) -> Callable[[NDArray[np.float32], bool], NDArray[np.float32]]:
    """Return a function that resamples the next samples (n, n_channels); the second argument tells the end.

    What it returns comes later by the length of a filter, but keeps its place in time.

    Examples
    --------
    >>> convert = resampler(48000, 16000, n_channels=2)
    >>> parts = [convert(np.zeros((480, 2), dtype=np.float32), k == 9) for k in range(10)]
    >>> sum(len(part) for part in parts)
    1600
    """
    if rate_in == rate_out:
        return lambda piece, _: piece
    stream = soxr.ResampleStream(rate_in, rate_out, n_channels, dtype="float32", quality=_QUALITY)
    return lambda piece, last: stream.resample_chunk(np.ascontiguousarray(piece), last=last)
