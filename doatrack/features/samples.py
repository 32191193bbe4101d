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
        self._kept: Tensor | None = None

    @property
    def n_kept(self) -> int:
        """The number of samples that wait."""
        return 0 if self._kept is None else self._kept.shape[1]

    def push(self, samples: Tensor) -> None:
        """Append samples (n_mics, n_samples)."""
        unwanted = min(max(0, self._start - self.n_samples), samples.shape[1])
        self.n_samples += samples.shape[1]
        new = samples[:, unwanted:]
        if self._kept is None or self._kept.shape[1] == 0:
            self._kept = new
        elif new.shape[1]:
            self._kept = torch.cat([self._kept, new], dim=1)

    def take(self, count: int) -> Tensor:
        """Return the first `count` samples, and keep the others."""
        first = self.first(count)
        self.start_at(self._start + count)
        return first

    def first(self, count: int) -> Tensor:
        """Return the first `count` samples."""
        if self._kept is None:
            return torch.zeros(0, 0)
        return self._kept[:, :count]

    def start_at(self, place: int) -> None:
        """Drop what comes before a place in time, also of what is still to come."""
        if self._kept is not None:
            self._kept = self._kept[:, min(max(0, place - self._start), self.n_kept) :]
        self._start = max(place, self._start)

    def skip(self, n_samples: int) -> None:
        """Let time go on without samples; what waits is dropped."""
        self.n_samples += n_samples
        self._kept = None
        self._start = max(self._start, self.n_samples)
