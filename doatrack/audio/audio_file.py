"""A sound file together with the part of it that is wanted: channels, and from when on."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from doatrack._validation import check_path, check_real
from doatrack.audio.channels import check_channels

__all__ = ["AudioFile"]


@dataclasses.dataclass(frozen=True)
class AudioFile(os.PathLike[str]):
    """A path of which only a part is wanted; goes wherever the path of a recording goes.

    Parameters
    ----------
    path : path-like
        The sound file; it is opened only when it is read.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0, in the order wanted; None takes all.
    start : float
        Where the recording begins in the file, in seconds: what comes before is not read, and times count from there.

    Raises
    ------
    InvalidInputError
        If `channels` is empty, holds no indices, or one of them twice, or `start` is negative.

    Examples
    --------
    >>> file = AudioFile("meeting.wav", channels=[1, 2, 3, 4])
    >>> str(file), file.channels, file.path.suffix
    ('meeting.wav', (1, 2, 3, 4), '.wav')
    """

    path: pathlib.Path
    channels: tuple[int, ...] | None = None
    start: float = 0.0

    def __init__(self, path: str | os.PathLike[str], channels: Sequence[int] | None = None, start: float = 0.0) -> None:
        object.__setattr__(self, "path", check_path("path", path))
        object.__setattr__(self, "channels", None if channels is None else check_channels(channels))
        object.__setattr__(self, "start", check_real("start", start, 0.0))

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)
