"""A tracker fed with sound as it comes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_int, check_waveform
from doatrack.exceptions import InvalidInputError
from doatrack.features import FrameSettings
from doatrack.tracking import Track

__all__ = ["Stream"]


class Stream:
    """A tracker fed with sound as it comes. Made by `tracker.stream()`.

    (First version: the interface; it computes every frame anew from all samples.)

    Examples
    --------
    >>> from doatrack import MicArray, SRPPHAT
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> stream = SRPPHAT(n_directions=200).fit(np.zeros((4, 4096)), array).stream()
    >>> stream.push(np.zeros((4, 5000), np.float32)).n_frames, stream.gap(3000).n_frames, stream.n_samples
    (1, 1, 8000)
    """

    def __init__(self, track: Callable[[NDArray[np.float32]], Any], frames: FrameSettings, n_mics: int) -> None:
        self._track, self._frames, self._n_mics = track, frames, n_mics
        self._samples = np.zeros((n_mics, 0), np.float32)
        self._known = np.zeros(0, bool)
        self._given = 0
        self._finished = False

    @property
    def look_ahead_s(self) -> float:
        """Sound after the end of a frame that its answer waits for, in seconds."""
        return 0.0

    @property
    def latency_s(self) -> float:
        """From a sound's start to its frame's answer at most: window, hop and look-ahead, in seconds."""
        return (self._frames.win_length + self._frames.hop_length) / self._frames.sample_rate + self.look_ahead_s

    @property
    def n_samples(self) -> int:
        """Samples taken so far, lost ones included."""
        return self._samples.shape[1]

    @property
    def n_frames(self) -> int:
        """Frames given out so far."""
        return self._given

    @property
    def n_mics(self) -> int:
        """Channels of a chunk."""
        return self._n_mics

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._frames.sample_rate

    def push(self, chunk: ArrayLike) -> Track:
        """Take samples, and return the frames that they complete.

        Parameters
        ----------
        chunk : array-like of shape (n_mics, n_samples)
            Any number of samples, 0 too.
        """
        self._check_open()
        return self._take(check_waveform(chunk, self._n_mics, name="chunk"), known=True)

    def gap(self, n_samples: int) -> Track:
        """Let time go on by samples that were lost, and return the frames that end with it."""
        self._check_open()
        count = check_int("n_samples", n_samples, 0)
        return self._take(np.zeros((self._n_mics, count), np.float32), known=False)

    def finish(self) -> Track:
        """Return the frames that were held back; nothing can be pushed any more."""
        self._check_open()
        self._finished = True
        return self._new(self._given)

    def _check_open(self) -> None:
        if self._finished:
            raise InvalidInputError("The stream was finished and takes no more sound. Start another one with stream().")

    def _take(self, samples: NDArray[np.float32], *, known: bool) -> Track:
        self._samples = np.concatenate([self._samples, samples], axis=1)
        self._known = np.concatenate([self._known, np.full(samples.shape[1], known)])
        return self._new(self._frames.count(self.n_samples))

    def _new(self, n_frames: int) -> Track:
        first, self._given = self._given, n_frames
        if first == n_frames:
            return Track(np.zeros(0), np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros(0, bool))
        track = self._track(self._samples)
        heard = self._known[
            np.arange(first, n_frames)[:, None] * self._frames.hop_length + np.arange(self._frames.win_length)
        ].all(axis=1)
        rows = slice(first, n_frames)
        return Track(
            track.times[rows],
            track.doa[rows],
            track.concentration[rows],
            track.credible_angle[rows],
            track.activity[rows] & heard,
            track.ambiguity,
        )
