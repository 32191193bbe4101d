"""A tracker fed with sound as it comes."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_int, check_waveform
from doatrack.exceptions import InvalidInputError
from doatrack.features import FrameSettings
from doatrack.tracking import MultiTrack, Track

__all__ = ["SoundTracker", "Stream"]

_LONGEST_GAP_S = 7 * 24 * 3600  # there is a row for every frame of it: 3 million at the usual hop


class SoundTracker(Protocol):
    """What a stream hands its sound to."""

    look_ahead_s: float

    def push(self, samples: NDArray[np.float32]) -> Track | MultiTrack:
        """Take samples (n_mics, n_samples), and return the frames that are known now.

        What is kept of them is copied: a program may use its buffer again.
        """

    def gap(self, n_samples: int) -> Track | MultiTrack:
        """Let time go on by lost samples, and return the frames that are known now."""

    def finish(self) -> Track | MultiTrack:
        """Return the frames that were held back."""


class Stream:
    """A tracker fed with sound as it comes, chunk by chunk of any length. Made by `tracker.stream()`.

    All frames that it returns, one after the other, are those of `tracker.track` on the same samples with the same
    smoothing, whatever the lengths of the chunks. What it keeps does not grow with time. A chunk that is refused leaves
    it as it was. It cannot be copied or pickled: save the tracker, and start a new stream.

    Parameters
    ----------
    tracker : SoundTracker
        What the sound goes to; `tracker.stream()` makes it.
    frames : FrameSettings
    n_mics : int

    Examples
    --------
    >>> from doatrack import MicArray, SRPPHAT
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> tracker = SRPPHAT(n_directions=200, causal=True).fit(np.zeros((4, 4096)), array)
    >>> stream = tracker.stream()
    >>> stream.push(np.zeros((4, 5000), np.float32)).times.tolist()
    [0.128]
    >>> stream.gap(3000).n_frames, stream.finish().n_frames, stream.n_samples, stream.latency_s
    (1, 0, 8000, 0.448)
    """

    def __init__(self, tracker: SoundTracker, frames: FrameSettings, n_mics: int) -> None:
        self._tracker, self._frames, self._n_mics = tracker, frames, n_mics
        self._n_samples = self._n_frames = 0
        self._finished = False

    @property
    def look_ahead_s(self) -> float:
        """How much sound after the end of a frame its answer waits for at most, in seconds."""
        return self._tracker.look_ahead_s

    @property
    def latency_s(self) -> float:
        """From a sound to the answer of the first frame that holds it at most: window, hop and look-ahead."""
        return (self._frames.win_length + self._frames.hop_length) / self._frames.sample_rate + self.look_ahead_s

    @property
    def n_samples(self) -> int:
        """Samples since the start, lost ones too."""
        return self._n_samples

    @property
    def n_frames(self) -> int:
        """Frames returned so far."""
        return self._n_frames

    @property
    def n_mics(self) -> int:
        """Channels of a chunk."""
        return self._n_mics

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._frames.sample_rate

    def push(self, chunk: ArrayLike) -> Track | MultiTrack:
        """Take samples, and return the frames that are known now.

        Parameters
        ----------
        chunk : array-like of shape (n_mics, n_samples)
            The next samples, any number of them, 0 too; full scale is 1 (integers of 8, 16 and 32 bits are scaled by
            their range).

        Returns
        -------
        Track, or MultiTrack for several sources
            With times in seconds since the start of the stream; it may have no frame.

        Raises
        ------
        InvalidInputError
            If the chunk has another number of channels, is no array of real numbers, holds NaN, infinity or 64-bit
            integers, and after `finish`. The stream is as before: go on with the next chunk, and `gap` for the samples
            of this one.
        """
        self._check_open()
        samples = check_waveform(chunk, self._n_mics, name="chunk", whole=False)
        self._n_samples += samples.shape[1]
        return self._counted(self._tracker.push(samples))

    def gap(self, n_samples: int) -> Track | MultiTrack:
        """Let time go on by samples that were lost, and return the frames that are known now.

        Frames that overlap the gap are inactive: the filter predicts them, without it they point nowhere (NaN). The
        noise that was learned stays; networks begin anew after the gap.

        Parameters
        ----------
        n_samples : int
            At least 0, at most a week.

        Raises
        ------
        InvalidInputError
            If the number is negative, more than a week or none, and after `finish`.
        """
        self._check_open()
        count = check_int("n_samples", n_samples, 0)
        if count > _LONGEST_GAP_S * self.sample_rate:
            raise InvalidInputError(
                f"n_samples must be at most a week, {_LONGEST_GAP_S * self.sample_rate} samples, got {count}. Finish "
                "the stream, and start another one with tracker.stream()."
            )
        if count == 0:
            return self._counted(self._tracker.push(np.zeros((self._n_mics, 0), np.float32)))
        self._n_samples += count
        return self._counted(self._tracker.gap(count))

    def finish(self) -> Track | MultiTrack:
        """Return the frames that were held back by the look-ahead, as the recording is at its end.

        Raises
        ------
        InvalidInputError
            If the stream was finished before.
        """
        self._check_open()
        self._finished = True
        return self._counted(self._tracker.finish())

    def __reduce__(self) -> Any:
        # copies would share some of the state and lose some of it, and answer wrongly without a word
        raise InvalidInputError(
            "A stream cannot be copied or pickled: it holds the running state of one sound. Save its tracker with "
            "tracker.save(path) and doatrack.load it where it is needed; tracker.stream() starts another stream there."
        )

    def _check_open(self) -> None:
        if self._finished:
            raise InvalidInputError(
                "The stream was finished and takes no more sound. tracker.stream() starts another one."
            )

    def _counted(self, track: Track | MultiTrack) -> Track | MultiTrack:
        self._n_frames += track.n_frames
        return track
