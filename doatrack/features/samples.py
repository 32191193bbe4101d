"""Samples that wait until they fill a frame, with their place in time."""

import torch
from torch import Tensor

__all__ = ["SampleBuffer"]


class SampleBuffer:
    """The samples from a place in time on, of a stream that comes in parts.

    Attributes
    ----------
    n_samples : int
        Samples taken or skipped since the start of the stream.

    Examples
    --------
    >>> buffer = SampleBuffer()
    >>> buffer.push(torch.arange(6.0)[None])
    >>> buffer.take(2), buffer.n_kept, buffer.n_samples
    (tensor([[0., 1.]]), 4, 6)
    """

    def __init__(self) -> None:
        self.n_samples = 0
        self._start = 0  # what comes before is not wanted any more
        self._parts: list[Tensor] = []  # joined when they are asked for: often they are several small chunks
        self._skip = 0  # samples of the first part that are not wanted any more

    @property
    def n_kept(self) -> int:
        """The number of samples that wait."""
        return sum(part.shape[1] for part in self._parts) - self._skip

    def push(self, samples: Tensor) -> None:
        """Append samples (n_mics, n_samples)."""
        unwanted = min(max(0, self._start - self.n_samples), samples.shape[1])
        self.n_samples += samples.shape[1]
        if samples.shape[1] > unwanted or not self._parts:
            self._parts.append(samples[:, unwanted:])

    def take(self, count: int) -> Tensor:
        """Return the first `count` samples, and keep the others."""
        first = self.first(count)
        self.start_at(self._start + count)
        return first

    def first(self, count: int) -> Tensor:
        """Return the first `count` samples."""
        if not self._parts:
            return torch.zeros(0, 0)
        if len(self._parts) > 1:
            self._parts[0] = self._parts[0][:, self._skip :]
            self._parts, self._skip = [torch.cat(self._parts, dim=1)], 0
        return self._parts[0][:, self._skip : self._skip + count]

    def start_at(self, place: int) -> None:
        """Drop what comes before a place in time, also of what is still to come."""
        self._skip += min(max(0, place - self._start), self.n_kept)
        self._start = max(place, self._start)
        while len(self._parts) > 1 and self._skip >= self._parts[0].shape[1]:
            self._skip -= self._parts.pop(0).shape[1]

    def skip(self, n_samples: int) -> None:
        """Let time go on without samples; what waits is dropped."""
        self.n_samples += n_samples
        self._parts, self._skip = [], 0
        self._start = max(self._start, self.n_samples)
