"""Samples that wait until they fill a frame, with their place in time."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["SampleBuffer", "SampleReader"]


class SampleBuffer:
    """The last samples of a stream that comes in parts, kept for as long as one of its readers wants them.

    Parameters
    ----------
    order : ndarray of shape (n_mics,), optional
        In which the channels are put; None leaves them as they come.

    Attributes
    ----------
    n_samples : int
        Samples taken or skipped since the start of the stream.

    Examples
    --------
    >>> buffer = SampleBuffer()
    >>> reader = buffer.reader()
    >>> buffer.push(torch.arange(6.0)[None])
    >>> reader.take(2), reader.n_kept, buffer.n_samples
    (tensor([[0., 1.]]), 4, 6)
    """

    def __init__(self, order: NDArray[np.int64] | None = None) -> None:
        self._order = None if order is None or np.array_equal(order, np.arange(len(order))) else order
        self._readers: list[SampleReader] = []
        # used again and again: often the parts are small chunks
        self._memory: NDArray[Any] | None = None
        self._begin = 0  # place in time of the memory's first column
        self.n_samples = 0

    def reader(self) -> "SampleReader":
        """Return a new reader of what comes from now on."""
        self._readers.append(SampleReader(self))
        return self._readers[-1]

    def push(self, samples: ArrayLike) -> None:
        """Append copies of samples (n_mics, n_samples)."""
        new = np.asarray(samples)
        if not new.shape[1]:
            return
        first = self.n_samples - self._begin
        if self._memory is None or first + new.shape[1] > self._memory.shape[1]:
            first = self._make_room(new)
        assert self._memory is not None
        end = first + new.shape[1]
        self._memory[:, first:end] = new if self._order is None else new.take(self._order, axis=0)
        self.n_samples += new.shape[1]

    def _make_room(self, new: NDArray[Any]) -> int:
        """Bring what is wanted to the front of memory that has room for new samples, and return where they begin."""
        begin = min([reader.start for reader in self._readers] + [self.n_samples])
        count, old = self.n_samples - begin, self._memory
        wanted = count + new.shape[1]
        if old is None or 2 * wanted > old.shape[1]:
            self._memory = np.empty((len(new), 2 * wanted), new.dtype)
        if old is not None and self._memory is not None:
            self._memory[:, :count] = old[:, begin - self._begin : self.n_samples - self._begin]
        self._begin = begin
        return count

    def skip(self, n_samples: int) -> None:
        """Let time go on without samples; what waits is dropped."""
        self.n_samples += n_samples
        self._begin = self.n_samples
        for reader in self._readers:
            reader.start_at(self.n_samples)

    def between(self, start: int, end: int) -> Tensor:
        """Return the samples between two places in time; they are there until the next ones come."""
        if self._memory is None:
            return torch.zeros(0, 0)
        return torch.from_numpy(self._memory[:, start - self._begin : end - self._begin])


class SampleReader:
    """What one of those who read a buffer still wants of it; `SampleBuffer.reader` makes it.

    Attributes
    ----------
    start : int
        The place in time from which on samples are wanted, which may be still to come.
    """

    def __init__(self, buffer: SampleBuffer) -> None:
        self._buffer, self.start = buffer, buffer.n_samples

    @property
    def n_samples(self) -> int:
        """Samples taken or skipped since the start of the stream."""
        return self._buffer.n_samples

    @property
    def n_kept(self) -> int:
        """The number of samples that wait."""
        return max(0, self._buffer.n_samples - self.start)

    def take(self, count: int) -> Tensor:
        """Return the first `count` samples, and keep the others."""
        first = self.first(count)
        self.start += count
        return first

    def first(self, count: int) -> Tensor:
        """Return the first `count` samples; they are there until the next ones come."""
        return self._buffer.between(self.start, min(self.start + count, max(self.start, self.n_samples)))

    def start_at(self, place: int) -> None:
        """Drop what comes before a place in time, also of what is still to come."""
        self.start = max(self.start, place)
