"""A bounded queue between the thread that hears and the one that tracks."""

import collections
import dataclasses
import threading

import numpy as np
from numpy.typing import NDArray

from doatrack.live.chunk import Chunk
from doatrack.live.messages import LiveEvent

__all__ = ["Feed"]

_BEHIND_S = 2.0  # of sound that waits before that is told


class Feed:
    """Chunks from a producer thread to a consumer, in bounded memory and with every lost sample counted.

    Parameters
    ----------
    n_channels, sample_rate : int
        Of the sound.
    longest_s : float
        How much sound it holds.
    drops : bool
        What happens to a chunk for which there is no room: it is left out and counted (a device, which cannot wait),
        or its producer waits (a file or a pipe).

    Examples
    --------
    >>> feed = Feed(1, 10, longest_s=1.0, drops=True)
    >>> for _ in range(2):
    ...     _ = feed.put(np.zeros((1, 8), dtype=np.float32))
    >>> feed.close()
    >>> feed.get(0).n_samples, feed.get(0).n_lost, feed.get(0)
    (8, 8, None)
    """

    def __init__(self, n_channels: int, sample_rate: int, longest_s: float, drops: bool) -> None:
        self._nothing = np.zeros((n_channels, 0), dtype=np.float32)
        self._sample_rate = sample_rate
        self._most = max(1, int(longest_s * sample_rate))
        self._drops = drops
        self._chunks: collections.deque[Chunk] = collections.deque()
        self._held = 0
        self._dropped = 0
        self._behind = False
        self._noticed: list[LiveEvent] = []
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self.was_full = False
        """Whether the producer has ever had to wait; times of arrival then tell nothing about a clock."""

    @property
    def ended(self) -> bool:
        """Whether the producer is done."""
        with self._changed:
            return self._ended

    def put(self, samples: NDArray[np.float32], n_lost: int = 0, events: tuple[LiveEvent, ...] = ()) -> bool:
        """Add a chunk; False once nobody takes any more."""
        n = samples.shape[1]
        with self._changed:
            if not self._drops:
                self._wait_for_room(n)
            if self._ended:
                return False
            full = self._held > 0 and self._held + n > self._most
            if full and self._drops:
                self._dropped += n + n_lost
                self._noticed += events
                self.was_full = True
                return True
            chunk = Chunk(samples, n_lost + self._dropped, (*self._noticed, *self._overrun(), *events))
            self._dropped, self._noticed = 0, []
            self._chunks.append(chunk)
            self._held += n
            self._changed.notify_all()
        return True

    def _wait_for_room(self, n: int) -> None:
        while self._held > 0 and self._held + n > self._most and not self._ended:
            self.was_full = True
            self._changed.wait()

    def _overrun(self) -> tuple[LiveEvent, ...]:
        if not self._dropped:
            return ()
        lost_s = self._dropped / self._sample_rate
        text = f"The tracker is too slow for this sound: {lost_s:.3f} s were left out, and time goes on."
        return (LiveEvent("slow", text, lost_s=lost_s),)

    def get(self, timeout_s: float) -> Chunk | None:
        """Return the next chunk, an empty one if none came in time, None at the end; raise the producer's error."""
        with self._changed:
            if not self._chunks and not self._ended:
                self._changed.wait(timeout_s)
            if self._chunks:
                chunk = self._chunks.popleft()
                self._held -= chunk.n_samples
                self._changed.notify_all()
                return dataclasses.replace(chunk, events=(*chunk.events, *self._lag()))
            if not self._ended:
                return Chunk(self._nothing)
            if self._dropped or self._noticed:
                chunk = Chunk(self._nothing, self._dropped, (*self._noticed, *self._overrun()))
                self._dropped, self._noticed = 0, []
                return chunk
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    def _lag(self) -> tuple[LiveEvent, ...]:
        """Tell that the tracker has fallen behind a producer that does not wait: once, until it has caught up."""
        behind_s = self._held / self._sample_rate
        told, self._behind = self._behind, behind_s > (_BEHIND_S / 2 if self._behind else _BEHIND_S)
        if not self._drops or told or not self._behind:
            return ()
        text = (
            f"The tracker is {behind_s:.1f} s behind the sound; after {self._most / self._sample_rate:g} s it is lost."
        )
        return (LiveEvent("slow", text, values={"behind_s": behind_s}),)

    def close(self, error: BaseException | None = None) -> None:
        """End the stream, from either side; an error is raised to the consumer after the last chunk."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()
