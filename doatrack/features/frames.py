"""How a signal is cut into frames."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.stft import frame_count

__all__ = ["FrameSettings", "gather_frames"]


@dataclasses.dataclass(frozen=True)
class FrameSettings:
    """How a signal is cut into frames.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    win_length, hop_length : int
        In samples.
    window : {"hann", "rectangular"}

    Examples
    --------
    >>> FrameSettings().times(2).tolist()
    [0.128, 0.32]
    """

    sample_rate: int = 16000
    win_length: int = 4096
    hop_length: int = 3072
    window: str = "hann"

    def count(self, n_samples: int) -> int:
        """Return the number of whole frames in so many samples."""
        return frame_count(n_samples, self.win_length, self.hop_length)

    def times(self, n_frames: int, first: int = 0) -> NDArray[np.float64]:
        """Return the centres of frames from a first one on in seconds, shape (n_frames,)."""
        return (np.arange(first, first + n_frames) * self.hop_length + self.win_length / 2) / self.sample_rate

    def after_gap(self, first: int, n_samples: int) -> int:
        """Return the first frame that begins after a gap, at least `first`, the first one that was not whole before.

        Parameters
        ----------
        first : int
        n_samples : int
            Where the gap ends, counted from the start.

        Examples
        --------
        >>> FrameSettings().after_gap(first=2, n_samples=20000)  # frame 6 begins before its end
        7
        """
        return max(first, -(-n_samples // self.hop_length))


def gather_frames(parts: Iterable[Tensor], n_frames: int) -> Iterator[Tensor]:
    """Yield features (n, ...) of a stream in parts of `n_frames`, so that each product has enough rows to be fast.

    Parameters
    ----------
    parts : iterable of Tensor of shape (n, ...)
    n_frames : int
        The last part may be shorter.

    Examples
    --------
    >>> [len(part) for part in gather_frames([torch.zeros(3, 2), torch.zeros(6, 2), torch.zeros(1, 2)], 4)]
    [4, 4, 2]
    """
    held: list[Tensor] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= n_frames:
            known = torch.cat(held)
            whole = count - count % n_frames
            yield from known[:whole].split(n_frames)
            held, count = [known[whole:]], count - whole
    if count:
        yield torch.cat(held)
