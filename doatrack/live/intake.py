"""From the chunks of a source to what a tracker takes: its microphones, its rate, and gaps where sound is missing."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int
from doatrack.audio.blocks import resampler
from doatrack.audio.channels import check_channels
from doatrack.exceptions import InvalidInputError
from doatrack.live.chunk import Chunk
from doatrack.live.messages import LiveEvent

__all__ = ["Intake", "Span"]

Span = NDArray[np.float32] | int
"""Samples (n_mics, n), or how many were lost."""

_LOUDEST = 1e15  # beyond, single precision overflows
_ZEROS = 65536  # of lost samples put through the resampler at a time


class Intake:
    """Pick channels, resample, and keep time: a sample that is lost or no number takes its time all the same.

    Parameters
    ----------
    n_channels, sample_rate : int
        Of the source.
    rate_out : int
        Of the tracker, in Hz.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0, in the order wanted; None takes all.

    Raises
    ------
    InvalidInputError
        If a channel is asked for that the source does not have.

    Notes
    -----
    What comes out are samples and gaps whose lengths add up to the time that has gone by at the source. Missing
    samples are zeros for the resampler, so all others are what they would be without the gap, but for its edges.

    Examples
    --------
    >>> intake = Intake(2, 48000, rate_out=16000)
    >>> sound = np.ones((2, 4800), dtype=np.float32)
    >>> spans = [*intake.take(Chunk(sound)), *intake.take(Chunk(sound, n_lost=4800)), *intake.finish()]
    >>> sum(span.shape[1] for span in spans if isinstance(span, np.ndarray))
    3200
    """

    def __init__(self, n_channels: int, sample_rate: int, rate_out: int, channels: Sequence[int] | None = None) -> None:
        picked = range(n_channels) if channels is None else check_channels(channels)
        if max(picked) >= n_channels:
            raise InvalidInputError(
                f"The sound has {n_channels} channels, but channel {max(picked)} (counted from 0; {max(picked) + 1} "
                "from 1) was asked for. Pick fewer, or open a device with all microphones."
            )
        self._picked = np.array(picked)
        self._n_channels = check_int("n_channels", n_channels, 1)
        self._rates = check_int("sample_rate", sample_rate, 1), check_int("rate_out", rate_out, 1)
        self._convert = resampler(sample_rate, rate_out, len(picked))
        self._n_in = self._n_out = 0
        self._bad: collections.deque[tuple[int, int]] = collections.deque()
        self._usual_channels = True

    @property
    def n_mics(self) -> int:
        """Channels that come out."""
        return len(self._picked)

    @property
    def time_s(self) -> float:
        """Seconds that have come in, lost ones included."""
        return self._n_in / self._rates[0]

    def take(self, chunk: Chunk) -> Iterator[Span | LiveEvent]:
        """Yield the spans that a chunk completes, and what is wrong with it, in the order of time."""
        if chunk.n_lost:
            if not any(event.lost_s for event in chunk.events):
                yield self._lost("gap", chunk.n_lost, "were lost before it came here")
            yield from self._skip(chunk.n_lost)
        if not chunk.n_samples:
            return
        if len(chunk.samples) != self._n_channels:
            self._usual_channels = False
            text = f"came with {len(chunk.samples)} channels instead of {self._n_channels}"
            yield self._lost("channels", chunk.n_samples, text)
            yield from self._skip(chunk.n_samples)
            return
        if not self._usual_channels:
            self._usual_channels = True
            yield LiveEvent("channels", f"There are {self._n_channels} channels again.", self.time_s)
        yield from self._listen(chunk.samples[self._picked])

    def _listen(self, samples: NDArray[np.float32]) -> Iterator[Span | LiveEvent]:
        peak = np.abs(samples).max()
        if not peak <= _LOUDEST:  # NaN too
            wrong = ~(np.abs(samples) <= _LOUDEST)
            bad = np.flatnonzero(wrong.any(axis=0))
            first, after = int(bad[0]), int(bad[-1]) + 1
            listed = ", ".join(str(channel + 1) for channel in self._picked[wrong.any(axis=1)])
            what = f"reach {peak:.3g}, and full scale is 1" if np.isfinite(peak) else "are no finite numbers"
            yield self._lost("nan", after - first, f"{what} (channel {listed}, counted from 1)", first)
            self._bad.append((self._n_in + first, self._n_in + after))
            samples = np.where(wrong, np.float32(0), samples)
            samples[:, first:after] = 0
        yield from self._pass(samples)

    def _lost(self, kind: str, n: int, why: str, offset: int = 0) -> LiveEvent:
        lost_s = n / self._rates[0]
        text = f"{lost_s:.3f} s of sound {why}. Time goes on without it."
        return LiveEvent(kind, text, self.time_s + offset / self._rates[0], lost_s)

    def _skip(self, n: int) -> Iterator[Span]:
        self._bad.append((self._n_in, self._n_in + n))
        for done in range(0, n, _ZEROS):
            yield from self._pass(np.zeros((self.n_mics, min(_ZEROS, n - done)), dtype=np.float32))

    def _pass(self, samples: NDArray[np.float32], last: bool = False) -> Iterator[Span]:
        self._n_in += samples.shape[1]
        out = np.ascontiguousarray(self._convert(np.ascontiguousarray(samples.T), last).T)
        yield from self._split(out)

    def _split(self, out: NDArray[np.float32]) -> Iterator[Span]:
        """Cut what comes out where the source's samples were missing."""
        while out.shape[1]:
            start, end = self._next_gap()
            if self._n_out < start:
                part, out = out[:, : start - self._n_out], out[:, start - self._n_out :]
                self._n_out += part.shape[1]
                yield part
            else:
                n = min(end - self._n_out, out.shape[1])
                out = out[:, n:]
                self._n_out += n
                yield n

    def _next_gap(self) -> tuple[int, int]:
        """Return where the gap at or after the present place begins and ends, in samples that come out."""
        rate_in, rate_out = self._rates
        while self._bad:
            start, end = self._bad[0]
            place = start * rate_out // rate_in, -(-end * rate_out // rate_in)
            if place[1] > self._n_out:
                return place
            self._bad.popleft()
        return (1 << 62), (1 << 62)

    def finish(self) -> Iterator[Span]:
        """Yield what the resampler still holds."""
        yield from self._pass(np.zeros((self.n_mics, 0), dtype=np.float32), last=True)
