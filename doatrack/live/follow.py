"""Live tracking: read a source, track it, tell frames and events, and end well."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_real
from doatrack.exceptions import DoatrackError, InvalidInputError
from doatrack.live._throttle import Throttle
from doatrack.live.chunk import Chunk, Source
from doatrack.live.intake import Intake, Span
from doatrack.live.messages import LiveEvent, LiveFrame, frames_of
from doatrack.tracking import MultiTrack, Track

__all__ = ["LiveSession", "LiveSummary", "Output", "follow"]

Output = Callable[[LiveFrame | LiveEvent], None]
"""Takes frames and events as they come."""

_POLL_S = 0.1  # how soon a stop is noticed
_REST_S = 20.0  # of sound that may wait in a source when it is stopped


class LiveSession(Protocol):
    """What `tracker.stream()` returns, as far as it is used here."""

    @property
    def n_mics(self) -> int:
        """Channels of a chunk."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def latency_s(self) -> float:
        """From sound to direction: window, hop and look-ahead, in seconds."""

    def push(self, chunk: NDArray[np.float32], /) -> Track | MultiTrack:
        """Return the frames that a chunk completes."""

    def gap(self, n_samples: int, /) -> Track | MultiTrack:
        """Return the frames that lost samples complete."""

    def finish(self) -> Track | MultiTrack:
        """Return the frames held back."""


@dataclasses.dataclass(frozen=True)
class LiveSummary:
    """What a live track came to.

    Parameters
    ----------
    n_frames, n_active : int
        Frames told, and how many of them held sound of a source.
    duration_s, lost_s : float
        Seconds that went by at the source, and how many of them were missing.
    stopped : bool
        Whether it was told to stop, rather than the source ending.

    Examples
    --------
    >>> LiveSummary(n_frames=10, n_active=7, duration_s=2.0, lost_s=0.5, stopped=False).lost_s
    0.5
    """

    n_frames: int
    n_active: int
    duration_s: float
    lost_s: float
    stopped: bool


def follow(
    source: Source,
    session: LiveSession,
    outputs: Sequence[Output],
    *,
    channels: Sequence[int] | None = None,
    stop: threading.Event | None = None,
    duration_s: float | None = None,
    patience_s: float = 2.0,
    clock: Callable[[], float] = time.monotonic,
) -> LiveSummary:
    """Track a source until it ends, and tell every frame and event as it comes.

    Sound that is lost, is no number, or comes with other channels takes its time: frames keep their times, and an
    event tells it. Whatever ends the stream, the frames that were heard are told before.

    Parameters
    ----------
    source : Source
        Entered already.
    session : LiveSession
        Of a fitted tracker, `tracker.stream()`.
    outputs : sequence of callable
        Each takes every `LiveFrame` and `LiveEvent` as they come.
    channels : sequence of int, optional
        Which channels are the microphones, counted from 0; None takes all.
    stop : threading.Event, optional
        Ends the stream when it is set, from another thread or a signal handler: the source is closed, and what it had
        heard by then is tracked.
    duration_s : float, optional
        Ends it after so many seconds of sound; None and infinity are for ever.
    patience_s : float
        After so many seconds without sound an event says so.
    clock : callable
        Gives seconds.

    Returns
    -------
    LiveSummary

    Raises
    ------
    InvalidInputError
        If the source's channels do not fit the tracker, it follows several sources, or the duration is none.
    LiveAudioError, AudioFileError
        If the sound broke off for good, after the last frames were told.

    Examples
    --------
    >>> import math, tempfile, soundfile
    >>> from doatrack import SRPPHAT, MicArray
    >>> from doatrack.live import FileSource
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> tracker = SRPPHAT(n_directions=100, causal=True).fit(np.zeros((4, 4096)), array)
    >>> told = []
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((16000, 4)), 16000)
    ...     with FileSource(f"{folder}/a.wav", speed=math.inf) as source:
    ...         follow(source, tracker.stream(), [told.append]).n_frames
    4
    >>> [event.kind for event in told if isinstance(event, LiveEvent)]
    ['start', 'end']
    """
    # for ever is no number of samples
    endless = duration_s is None or duration_s == math.inf
    limit_s = None if endless else check_real("duration_s", duration_s, 0.0)
    intake = Intake(source.n_channels, source.sample_rate, session.sample_rate, channels)
    if intake.n_mics != session.n_mics:
        raise InvalidInputError(
            f"{source.name} must have {session.n_mics} channels, one per microphone, got {intake.n_mics}. Pick the "
            "channels of the microphones, in the order of the array's positions (--channels 2-5)."
        )
    teller = _Teller(session, intake, outputs, Throttle(clock))
    teller.tell(_start(source, session, intake))
    stop = threading.Event() if stop is None else stop
    error: Exception | None = None
    try:
        for chunk in _chunks(source, intake, stop, limit_s, patience_s, clock):
            teller.take(chunk)
    except (DoatrackError, OSError) as caught:
        if isinstance(caught, BrokenPipeError):
            raise  # nobody reads the frames any more
        error = caught
    teller.finish()
    stopped = stop.is_set() or (limit_s is not None and intake.time_s >= limit_s)
    summary = LiveSummary(teller.n_frames, teller.n_active, intake.time_s, teller.lost_s, stopped)
    teller.tell(_end(summary, error))
    if error is not None:
        raise error
    return summary


class _Teller:
    """Track what comes in and tell what comes out."""

    def __init__(self, session: LiveSession, intake: Intake, outputs: Sequence[Output], throttle: Throttle) -> None:
        self._session, self._intake, self._outputs, self._throttle = session, intake, outputs, throttle
        self.n_frames = self.n_active = self._n_lost = 0

    @property
    def lost_s(self) -> float:
        return self._n_lost / self._session.sample_rate

    def take(self, chunk: Chunk) -> None:
        for event in chunk.events:
            self._report(event.at(self._intake.time_s))
        for item in self._intake.take(chunk):
            if isinstance(item, LiveEvent):
                self._report(item)
            else:
                self._track(item)
        self._tell_all(self._throttle.due())

    def _track(self, span: Span) -> None:
        if isinstance(span, int):
            self._n_lost += span
            self._frames(self._session.gap(span))
        else:
            self._frames(self._session.push(span))

    def _frames(self, track: Track | MultiTrack) -> None:
        if not isinstance(track, Track):
            raise InvalidInputError(
                f"Live tracking follows one source, and this tracker {track.n_sources}. Set n_sources to 1."
            )
        for frame in frames_of(track):
            self.n_frames += 1
            self.n_active += frame.active
            self.tell(frame)

    def finish(self) -> None:
        for span in self._intake.finish():
            self._track(span)
        self._frames(self._session.finish())
        self._tell_all(self._throttle.due(everything=True))

    def _report(self, event: LiveEvent) -> None:
        self._tell_all(self._throttle.take(event))

    def _tell_all(self, events: Sequence[LiveEvent]) -> None:
        for event in events:
            self.tell(event)

    def tell(self, message: LiveFrame | LiveEvent) -> None:
        for output in self._outputs:
            output(message)


def _chunks(
    source: Source,
    intake: Intake,
    stop: threading.Event,
    duration_s: float | None,
    patience_s: float,
    clock: Callable[[], float],
) -> Iterator[Chunk]:
    """Yield chunks until the end, with events where nothing comes for a while; the last one is cut to the duration."""
    last, silent = clock(), False
    while True:
        if stop.is_set():
            yield from _rest(source)
            return
        left = None if duration_s is None else round((duration_s - intake.time_s) * source.sample_rate)
        if left is not None and left <= 0:
            return
        chunk = source.read(_POLL_S)
        if chunk is None:
            return
        heard, now = bool(chunk.n_samples or chunk.n_lost), clock()
        if heard and silent:
            text = f"Sound comes again after {now - last:.1f} s."
            chunk = dataclasses.replace(chunk, events=(LiveEvent("stall", text), *chunk.events))
        elif not heard and not silent and now - last >= patience_s:
            text = f"No sound has come from {source.name} for {patience_s:g} s. Waiting."
            chunk = dataclasses.replace(chunk, events=(*chunk.events, LiveEvent("stall", text)))
            silent = True
        yield chunk if left is None else _shortened(chunk, left)
        if heard:
            last, silent = clock(), False  # what tracking took is not the source's silence


def _rest(source: Source) -> Iterator[Chunk]:
    """Yield what a source had heard when it was stopped, but not for ever."""
    source.close()
    most = round(_REST_S * source.sample_rate)
    while most > 0 and (chunk := source.read(0.0)) is not None and (chunk.n_samples or chunk.n_lost):
        yield chunk
        most -= chunk.n_samples + chunk.n_lost


def _shortened(chunk: Chunk, most: int) -> Chunk:
    lost = min(chunk.n_lost, most)
    return dataclasses.replace(chunk, n_lost=lost, samples=chunk.samples[:, : most - lost])


def _start(source: Source, session: LiveSession, intake: Intake) -> LiveEvent:
    text = (
        f"Listening to {source.name}: {intake.n_mics} microphones, {source.sample_rate} Hz. A direction comes at most "
        f"{session.latency_s:.2f} s after its sound."
    )
    values = {"source": source.name, "n_mics": intake.n_mics, "sample_rate": source.sample_rate}
    return LiveEvent("start", text, 0.0, values=values | {"latency_s": session.latency_s})


def _end(summary: LiveSummary, error: Exception | None) -> LiveEvent:
    ended = "Stopped" if summary.stopped else "The sound ended" if error is None else "The sound broke off"
    lost = f", {summary.lost_s:.3f} s of them lost" if summary.lost_s else ""
    text = f"{ended} after {summary.duration_s:.3f} s{lost}: {summary.n_frames} frames."
    values = {"n_frames": summary.n_frames, "total_lost_s": summary.lost_s}
    return LiveEvent("end", text if error is None else f"{text} {error}", summary.duration_s, values=values)
