"""A piece of live sound with what went wrong before it."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from doatrack.live.messages import LiveEvent

__all__ = ["Chunk", "Source"]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A piece of sound from a source, and what the source noticed.

    Parameters
    ----------
    samples : ndarray of shape (n_channels, n_samples)
        float32, full scale 1, at the source's rate; may be empty.
    n_lost : int
        Samples per channel that were lost just before this piece: time goes on by as much.
    events : tuple of LiveEvent
        What is to be reported.

    Examples
    --------
    >>> Chunk(np.zeros((2, 160), dtype=np.float32), n_lost=16).n_samples
    160
    """

    samples: NDArray[np.float32]
    n_lost: int = 0
    events: tuple[LiveEvent, ...] = ()

    @property
    def n_samples(self) -> int:
        """Samples per channel, without those that were lost."""
        return int(self.samples.shape[1])


class Source:
    """Where live sound comes from: opened by `with`, read piece by piece.

    A subclass sets `name`, `n_channels` and `sample_rate` when it is entered at the latest, and gives `read`.

    Examples
    --------
    >>> class Silence(Source):
    ...     name, n_channels, sample_rate = "silence", 2, 16000
    ...     def read(self, timeout_s):
    ...         return Chunk(np.zeros((2, 800), dtype=np.float32))
    >>> with Silence() as source:
    ...     source.read(1.0).n_samples
    800
    """

    name: str
    n_channels: int
    sample_rate: int

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self, timeout_s: float) -> Chunk | None:
        """Return the next piece, an empty one if none came within so many seconds, or None at the end.

        Raises
        ------
        LiveAudioError, AudioFileError
            If the sound broke off for good.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of device, file or pipe; what was heard by then can still be read."""
