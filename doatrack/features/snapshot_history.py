"""Spectra of the last snapshots of a stream, each computed once."""

from torch import Tensor

__all__ = ["SnapshotHistory"]

_SPARE = 1.0  # of what is kept, so that moving it to the front is rare, and needs no second buffer


class SnapshotHistory:
    """Spectra (n_freq, n_snapshots, n_mics) of a stream, of bounded length.

    Snapshots are counted from the start of a segment: a gap begins a new one, and what was kept of earlier segments
    counts for the noise only.

    Parameters
    ----------
    n_span : int
        Snapshots from which noise is learned.
    n_past : int
        Snapshots before a frame that are looked at besides.

    Examples
    --------
    >>> import torch
    >>> history = SnapshotHistory(n_span=3, n_past=1)
    >>> history.append(torch.arange(5.0)[None, :, None])
    >>> history.before(5).flatten(), history.between(1, 3).flatten(), history.n_in_segment
    (tensor([2., 3., 4.]), tensor([1., 2.]), 5)
    """

    def __init__(self, n_span: int, n_past: int) -> None:
        self._n_span, self._n_past = n_span, n_past
        self._buffer: Tensor | None = None
        self._begin = self._end = 0  # of what is kept, in the buffer
        self._segment = 0  # where the present segment would begin there

    @property
    def n_in_segment(self) -> int:
        """Snapshots of the present segment so far."""
        return self._end - self._segment

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots of the segment."""
        count = spectra.shape[1]
        self._make_room(spectra)
        assert self._buffer is not None
        self._buffer[:, self._end : self._end + count] = spectra
        self._end += count

    def between(self, first: int, last: int) -> Tensor:
        """Return the snapshots first to last - 1 of the segment."""
        assert self._buffer is not None
        return self._buffer[:, self._segment + first : self._segment + last]

    def before(self, last: int) -> Tensor:
        """Return the span that ends before snapshot `last` of the segment, of earlier segments too."""
        assert self._buffer is not None
        end = self._segment + last
        return self._buffer[:, max(self._begin, end - self._n_span) : end]

    def forget(self, first: int, last: int) -> None:
        """Drop what a frame of snapshots first to last - 1 of the segment, and later ones, will not look at."""
        oldest = self._segment + min(first - self._n_past, last - self._n_span)
        self._begin = max(self._begin, min(oldest, self._end))

    def restart(self) -> None:
        """Begin a new segment."""
        self._segment = self._end

    def _make_room(self, spectra: Tensor) -> None:
        """Bring what is kept to the front of a buffer that takes more."""
        count = spectra.shape[1]
        kept = self._end - self._begin
        capacity = 0 if self._buffer is None else self._buffer.shape[1]
        if self._end + count <= capacity:
            return
        wanted = kept + count
        if wanted > capacity or self._begin < kept:
            size = max(int((1 + _SPARE) * wanted), 16)
            fresh = spectra.new_empty(spectra.shape[0], size, spectra.shape[2])
        else:
            assert self._buffer is not None
            fresh = self._buffer
        if self._buffer is not None:
            fresh[:, :kept] = self._buffer[:, self._begin : self._end]
        self._buffer = fresh
        self._segment -= self._begin
        self._begin, self._end = 0, kept
