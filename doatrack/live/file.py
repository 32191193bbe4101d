"""A sound file, played at its own speed."""

import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from doatrack._validation import check_path
from doatrack.audio.sound_file import open_sound_file, read_pieces
from doatrack.exceptions import InvalidInputError
from doatrack.live.chunk import Chunk, Source
from doatrack.live.feed import Feed
from doatrack.live.messages import LiveEvent

__all__ = ["FileSource"]

_CHUNK_S = 0.05
_HELD_S = 1.0
_BEHIND_S = 2.0  # that a tracker falls behind a file before it is told, and again when it doubles


class FileSource(Source):
    """A recording that comes as if it were heard now.

    Parameters
    ----------
    path : path-like
        WAV, FLAC, OGG or another format that libsndfile reads.
    speed : float
        1 is the file's own speed, 4 four times as fast; infinity as fast as it can be tracked.
    clock : callable
        Gives seconds.

    Raises
    ------
    InvalidInputError
        If `speed` is not above 0.
    AudioFileError
        When it is entered, if the file cannot be read; when it is read, if it breaks off.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", np.zeros((800, 2)), 16000)
    ...     with FileSource(f"{folder}/a.wav", speed=math.inf) as source:
    ...         source.sample_rate, source.n_channels, source.read(1.0).n_samples, source.read(1.0)
    (16000, 2, 800, None)
    """

    def __init__(
        self, path: str | os.PathLike[str], speed: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        given: Any = speed
        if not isinstance(given, (int, float, np.number)) or not given > 0:
            raise InvalidInputError(
                f"speed must be a number above 0, got {given!r}. 1 is the file's own speed, inf the fastest."
            )
        self.path = check_path("path", path)
        self.name = str(self.path)
        self._speed = speed
        self._clock = clock
        self._stopped = threading.Event()

    def __enter__(self) -> "FileSource":
        file = open_sound_file(self.path)
        self.n_channels, self.sample_rate = int(file.channels), int(file.samplerate)
        self._feed = Feed(self.n_channels, self.sample_rate, _HELD_S, drops=False)
        self._thread = threading.Thread(target=self._produce, args=(file,), name="doatrack-file", daemon=True)
        self._thread.start()
        return self

    def read(self, timeout_s: float) -> Chunk | None:
        """Return the next piece, an empty one if it is not time for it yet, or None at the end."""
        return self._feed.get(timeout_s)

    def close(self) -> None:
        """Stop playing."""
        self._stopped.set()
        self._feed.close()
        self._thread.join()

    def _produce(self, file: Any) -> None:
        try:
            with file:
                self._play(file)
        except BaseException as error:  # noqa: BLE001 - it goes on in the consumer's thread
            self._feed.close(error)
        else:
            self._feed.close()

    def _play(self, file: Any) -> None:
        began, n_samples, told_s = self._clock(), 0, _BEHIND_S / 2
        for piece in read_pieces(self.path, file, max(1, int(_CHUNK_S * self.sample_rate)), finite=False):
            n_samples += len(piece)
            due = began + n_samples / (self.sample_rate * self._speed)
            if math.isfinite(self._speed) and self._stopped.wait(max(0.0, due - self._clock())):
                return
            behind_s = self._clock() - due
            events: tuple[LiveEvent, ...] = ()
            if math.isfinite(self._speed) and behind_s >= 2 * told_s:
                told_s = behind_s
                text = f"The tracker is {behind_s:.1f} s behind the file, which waits for it."
                events = (LiveEvent("slow", text, values={"behind_s": behind_s}),)
            if not self._feed.put(np.ascontiguousarray(piece.T), events=events):
                return
