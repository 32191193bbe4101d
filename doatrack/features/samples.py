"""Samples that wait until they fill a frame, with their place in time."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["SampleBuffer"]


class SampleBuffer:
    """The samples from a place in time on, of a stream that comes in parts.

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
    >>> buffer.push(torch.arange(6.0)[None])
    >>> buffer.take(2), buffer.n_kept, buffer.n_samples
    (tensor([[0., 1.]]), 4, 6)
    """

    def __init__(self, order: NDArray[np.int64] | None = None) -> None:
        self._order = None if order is None or np.array_equal(order, np.arange(len(order))) else order
        self.n_samples = 0
        self._start = 0  # what comes before is not wanted any more
        # columns `_first` to `_end` of memory that is used again and again: often the parts are small chunks
        self._memory: NDArray[Any] | None = None
        self._first = self._end = 0

    @property
    def n_kept(self) -> int:
        """The number of samples that wait."""
        return self._end - self._first

    def push(self, samples: Tensor) -> None:
        """Append samples (n_mics, n_samples)."""
        unwanted = min(max(0, self._start - self.n_samples), samples.shape[1])
        self.n_samples += samples.shape[1]
        end = self._end + samples.shape[1] - unwanted
        if self._memory is None or end > self._memory.shape[1]:
            end = self._make_room(samples, end - self._first)
        assert self._memory is not None
        new = samples.numpy()[:, unwanted:]
        self._memory[:, self._end : end] = new if self._order is None else new.take(self._order, axis=0)
        self._end = end

    def _make_room(self, samples: Tensor, wanted: int) -> int:
        """Bring what waits to the front of memory that has room for so many samples, and return their end there."""
        old = self._memory
        if old is None or 2 * wanted > old.shape[1]:
            self._memory = np.empty((len(samples), 2 * wanted), samples.numpy().dtype)
        if old is not None and self._memory is not None:
            self._memory[:, : self.n_kept] = old[:, self._first : self._end]
        self._first, self._end = 0, self.n_kept
        return wanted

    def take(self, count: int) -> Tensor:
        """Return the first `count` samples, and keep the others."""
        first = self.first(count)
        self.start_at(self._start + count)
        return first

    def first(self, count: int) -> Tensor:
        """Return the first `count` samples; they are there until the next ones come."""
        if self._memory is None:
            return torch.zeros(0, 0)
        return torch.from_numpy(self._memory[:, self._first : min(self._first + count, self._end)])

    def start_at(self, place: int) -> None:
        """Drop what comes before a place in time, also of what is still to come."""
        self._first += min(max(0, place - self._start), self.n_kept)
        self._start = max(place, self._start)

    def skip(self, n_samples: int) -> None:
        """Let time go on without samples; what waits is dropped."""
        self.n_samples += n_samples
        self._first = self._end
        self._start = max(self._start, self.n_samples)
