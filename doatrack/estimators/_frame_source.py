"""What an estimator says of each frame, for sound that comes in parts; a file's blocks or a stream's chunks."""

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.distributions import credible_angle
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.features import FeatureStream

__all__ = ["FrameHead", "FrameSource", "HeardFrames", "unit_rows"]


@dataclasses.dataclass(frozen=True)
class HeardFrames:
    """What a method makes of some frames: `FrameEstimates` without what follows from it, or from the sound alone."""

    doa: NDArray[np.float64]
    concentration: NDArray[np.float64]
    evidence: NDArray[np.float64]
    log_likelihood: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None


class FrameHead(Protocol):
    """From features and activity of frames to what a method makes of them, one row per frame, in order."""

    at_once: int
    """How many frames at a time are worth the call, where nobody waits for them."""

    look_ahead: int
    """Later frames that one waits for."""

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        """Take the next frames, and return those that are known now."""

    def finish(self) -> list[HeardFrames]:
        """Return the frames that were held back; nothing comes after."""


class _End:
    """Where sound breaks off: what comes after it is heard as a new recording."""


class FrameSource:
    """Frames of one recording as its sound comes: features, their activity, and what the estimator makes of them.

    Parameters
    ----------
    features : FeatureStream
    start : callable
        Makes a new head, at the start and after every gap.
    prompt : bool
        Whether every frame is answered as soon as it can be; otherwise as many at once as the head likes.
    """

    def __init__(self, features: FeatureStream, start: Callable[[], FrameHead], *, prompt: bool) -> None:
        self._features, self._start = features, start
        self._head = start()
        self._at_once = 1 if prompt else self._head.at_once
        self._waiting: deque[Tensor | int | _End] = deque()
        self._known = np.zeros(0, dtype=bool)  # activity of frames that wait for the head
        self._asked = np.zeros(0, dtype=bool)  # of those that the head has, and not yet answered

    def look_ahead_samples(self, hop_length: int) -> int:
        """Return what must follow a frame at most before it is answered."""
        heard = max(self._features.look_ahead_samples, self._features.activity_look_ahead_samples)
        return heard + self._head.look_ahead * hop_length

    def push(self, samples: NDArray[np.float32]) -> list[FrameEstimates | int]:
        """Take samples (n_mics, n_samples), and return the frames that are known now; numbers are of lost ones."""
        self._waiting += self._features.push(samples)
        return self._answers(last=False)

    def gap(self, n_samples: int) -> list[FrameEstimates | int]:
        """Let time go on by samples that are lost."""
        parts, n_lost = self._features.gap(n_samples)
        self._waiting += [*parts, _End(), n_lost]
        return self._answers(last=False)

    def finish(self) -> list[FrameEstimates | int]:
        """Return the frames that were held back, as the recording is at its end."""
        self._waiting += [*self._features.finish(), _End()]
        return self._answers(last=True)

    def _answers(self, *, last: bool) -> list[FrameEstimates | int]:
        known = self._features.take_activity()
        if len(known):
            self._known = np.concatenate([self._known, known]) if len(self._known) else known
        found: list[FrameEstimates | int] = []
        while self._waiting:
            first = self._waiting[0]
            if isinstance(first, _End):
                self._waiting.popleft()
                found += self._estimates(self._head.finish())
                self._head = self._start()
            elif isinstance(first, int):
                n_lost = min(first, len(self._known))
                self._known = self._known[n_lost:]
                found += [n_lost] if n_lost else []
                if n_lost < first:
                    self._waiting[0] = first - n_lost
                    break
                self._waiting.popleft()
            else:
                rows = self._take_rows(last=last)
                if rows is None:
                    break
                activity, self._known = self._known[: len(rows)], self._known[len(rows) :]
                self._asked = np.concatenate([self._asked, activity]) if len(self._asked) else activity
                with torch.no_grad():
                    found += self._estimates(self._head.push(rows, activity))
        return found

    def _take_rows(self, *, last: bool) -> Tensor | None:
        """Return the features of the next frames whose activity is known, if they are enough."""
        parts: list[Tensor] = []
        while self._waiting and isinstance(self._waiting[0], Tensor):
            parts.append(self._waiting.popleft())  # type: ignore[arg-type]
        rows = parts[0] if len(parts) == 1 else torch.cat(parts)
        ready = min(len(rows), len(self._known))
        all_there = ready == len(rows) and (last or bool(self._waiting))
        count = 0 if ready < self._at_once and not all_there else ready
        if self._at_once > 1:
            count = min(count, self._at_once)
        if count < len(rows):
            self._waiting.appendleft(rows[count:])
        return rows[:count] if count else None

    def _estimates(self, heard: list[HeardFrames]) -> list[FrameEstimates]:
        found = []
        for part in heard:
            activity, self._asked = self._asked[: len(part.doa)], self._asked[len(part.doa) :]
            angle = part.concentration
            if not np.isnan(angle).all():
                angle = credible_angle(torch.from_numpy(angle), 0.9).numpy()
            told = part.log_likelihood, part.weight
            found.append(FrameEstimates(part.doa, part.concentration, angle, activity, part.evidence, *told))
        return [part for part in found if len(part.doa)]


def unit_rows(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors (n, 3) at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
