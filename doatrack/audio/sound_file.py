"""Sound files as they are: opened with every failure named, and read in pieces."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from doatrack.audio.container import cut_off_reason, damage_reason
from doatrack.exceptions import AudioFileError

__all__ = ["open_sound_file", "read_pieces"]

_PIECE = 65536  # samples per channel read at a time
_RATES = (1000, 1_000_000)  # Hz; beyond, a header is damaged
_UNKNOWN_LENGTH = 2**62
_NO_FILE = "File does not exist or is not a regular file"  # what the decoder says of damaged MP3, which is there


def open_sound_file(path: str | os.PathLike[str]) -> Any:
    """Open a sound file for reading; the caller closes it.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or another format that libsndfile reads.

    Returns
    -------
    soundfile.SoundFile
        At its beginning, with at least one sample.

    Raises
    ------
    AudioFileError
        If the file is missing, not a file, empty, cut off, without samples, or not audio; the message names the
        file and the reason.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((800, 4)), 16000)
    ...     with open_sound_file(f"{folder}/a.wav") as file:
    ...         file.frames, file.channels
    (800, 4)
    """
    try:
        _check_is_file(pathlib.Path(path))
        reason = cut_off_reason(path)
        damage = damage_reason(path)
    except AudioFileError:
        raise
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}.") from error
    if reason:
        raise AudioFileError(f"{path} is cut off: {reason}. Copy or record it again.")
    if damage:
        raise AudioFileError(f"{path} is damaged: {damage}. Copy or record it again.")
    try:
        file = soundfile.SoundFile(os.fspath(path))
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        raise AudioFileError(f"{path} cannot be read as audio: {_reason(error)}") from error
    try:
        _check_header(path, file)
    except AudioFileError:
        file.close()
        raise
    return file


def _check_is_file(path: pathlib.Path) -> None:
    if not path.exists():
        raise AudioFileError(f"{path} does not exist.")
    if path.is_dir():
        raise AudioFileError(f"{path} is a folder; doatrack.datasets.find_recordings lists the recordings in it.")
    if not path.is_file():
        raise AudioFileError(f"{path} is not a regular file. Save the sound to a file first.")
    if path.stat().st_size == 0:
        raise AudioFileError(f"{path} is empty (0 bytes).")


def _check_header(path: str | os.PathLike[str], file: Any) -> None:
    if file.frames == 0:
        raise AudioFileError(f"{path} holds no samples.")
    if file.frames >= _UNKNOWN_LENGTH:
        raise AudioFileError(f"{path} does not say how long it is. Decode it to WAV, or encode it again.")
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise AudioFileError(
            f"{path} gives a sample rate of {file.samplerate} Hz, outside {_RATES[0]} to {_RATES[1]} Hz: "
            "its header is damaged."
        )


def _reason(error: Exception) -> str:
    """Return the decoder's own words, without the path, which the message has already."""
    words = str(getattr(error, "error_string", None) or error).removeprefix("Error : ").strip()
    if words.startswith(_NO_FILE):
        words = "it is damaged, or its format is not known"
    return words if words.endswith(".") else f"{words}."


def read_pieces(
    path: str | os.PathLike[str], file: Any, n_samples: int = _PIECE, *, finite: bool = True
) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of an open file from where it stands, piece after piece, each (n, n_channels), full scale 1.

    Parameters
    ----------
    path : path-like
        What messages call the file.
    file : soundfile.SoundFile
        From `open_sound_file`.
    n_samples : int
        Longest piece, in samples per channel.
    finite : bool
        Whether samples that are not finite are an error.

    Raises
    ------
    AudioFileError
        If the file breaks off or is damaged before its end, or holds samples that are not finite.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((70000, 2)), 16000)
    ...     with open_sound_file(f"{folder}/a.wav") as file:
    ...         [piece.shape for piece in read_pieces("a.wav", file)]
    [(65536, 2), (4464, 2)]
    """
    done = file.tell()
    while done < file.frames:
        try:
            piece = file.read(min(n_samples, file.frames - done), dtype="float32", always_2d=True)
        except (RuntimeError, ValueError) as error:
            raise _broken(path, file, done, f": {_reason(error)}") from error
        if len(piece) == 0:
            raise _broken(path, file, done, ".")
        if finite and not np.isfinite(piece).all():
            first = (done + int(np.flatnonzero(~np.isfinite(piece).all(axis=1))[0])) / file.samplerate
            raise AudioFileError(
                f"{path} holds samples that are NaN or infinite, first at {first:.3f} s. "
                "Repair or cut out the gap before tracking."
            )
        yield piece
        done += len(piece)


def _broken(path: str | os.PathLike[str], file: Any, done: int, why: str) -> AudioFileError:
    return AudioFileError(
        f"{path} is cut off or damaged: {done / file.samplerate:.3f} s of {file.frames / file.samplerate:.3f} s could "
        f"be read{why} Copy or record it again."
    )
