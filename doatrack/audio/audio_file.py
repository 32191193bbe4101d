"""A sound file together with the channels that are the microphones."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from doatrack.audio.channels import check_channels

__all__ = ["AudioFile"]


@dataclasses.dataclass(frozen=True)
class AudioFile(os.PathLike[str]):
    """A path of which only some channels are wanted; goes wherever the path of a recording goes.

    Parameters
    ----------
    path : path-like
        The sound file; it is opened only when it is read.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0, in the order wanted; None takes all.

    Raises
    ------
    InvalidInputError
        If `channels` is empty, holds no indices, or one of them twice.

    Examples
    --------
    >>> file = AudioFile("meeting.wav", channels=[1, 2, 3, 4])
    >>> str(file), file.channels, file.path.suffix
    ('meeting.wav', (1, 2, 3, 4), '.wav')
    """

    path: pathlib.Path
    channels: tuple[int, ...] | None = None

    def __init__(self, path: str | os.PathLike[str], channels: Sequence[int] | None = None) -> None:
        object.__setattr__(self, "path", pathlib.Path(path))
        object.__setattr__(self, "channels", None if channels is None else check_channels(channels))

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)
