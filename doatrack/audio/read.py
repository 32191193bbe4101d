"""Whole recordings from sound files."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from doatrack.audio.blocks import stream_samples
from doatrack.audio.sound_file import open_sound_file

__all__ = ["AudioInfo", "audio_info", "read_audio"]


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What the header of a sound file says.

    Attributes
    ----------
    sample_rate : int
        In Hz, of the file itself.
    n_channels : int
        The number of channels.
    n_samples : int
        Samples per channel, at the file's own rate.

    Examples
    --------
    >>> AudioInfo(sample_rate=48000, n_channels=6, n_samples=96000).duration
    2.0
    """

    sample_rate: int
    n_channels: int
    n_samples: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Return sample rate, channels and length of a sound file without decoding it.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or another format that libsndfile reads.

    Raises
    ------
    AudioFileError
        If it is not a sound file with samples in it, or known to be cut off; the message names the file.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((4800, 4)), 48000)
    ...     audio_info(f"{folder}/a.wav")
    AudioInfo(sample_rate=48000, n_channels=4, n_samples=4800)
    """
    with open_sound_file(path) as file:
        return AudioInfo(int(file.samplerate), int(file.channels), int(file.frames))


def read_audio(
    path: str | os.PathLike[str], sample_rate: int = 16000, channels: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """Read a sound file as one recording.

    A file at another rate is resampled (soxr, high quality), all channels alike, so that delays between them
    stay what they were.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or another format that libsndfile reads.
    sample_rate : int
        In Hz.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0, in the order wanted; None takes those of an `AudioFile`,
        else all.

    Returns
    -------
    ndarray of shape (n_mics, n_samples)
        float32; integer formats are scaled so that full scale is 1, float formats are taken as they are.

    Raises
    ------
    AudioFileError
        If the file cannot be read to its end, holds samples that are not finite, or has fewer channels than
        asked for; the message names the file and the reason.
    InvalidInputError
        If `sample_rate` or `channels` breaks its rule.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((48000, 6)), 48000)
    ...     read_audio(f"{folder}/a.wav", channels=[0, 1, 2, 3]).shape
    (4, 16000)
    """
    return np.concatenate(list(stream_samples(path, sample_rate, channels)), axis=1)
