"""Features of one recording, block after block, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from doatrack.exceptions import InvalidInputError
from doatrack.features.frame_activity import FrameActivity
from doatrack.features.frames import FrameSettings
from doatrack.features.samples import SampleBuffer

__all__ = ["FeatureStream"]

_LONGEST_S = 4.0
"""Of what is computed at once, however long a block is."""


class FeatureStream:
    """Features and activity of one recording, block after block: all blocks at once, or pushed as they come.

    Blocks may have any length; samples that do not fill a frame yet are carried over. Iterated over, it takes the
    blocks that it was given, and the activity is known when all are read. Otherwise `push`, `gap` and `finish` give the
    features of the frames that become known, and `take_activity` their activity, which may lag behind.

    Parameters
    ----------
    frames : FrameSettings
    compute : callable
        Features, one row per frame, of whole frames (n_mics, n_samples).
    blocks : iterable of ndarray of shape (n_mics, n_samples)
        What is iterated over.
    causal : bool
        Whether the activity is that of `sound_activity(causal=True)`.
    order : ndarray of shape (n_mics,), optional
        In which features get the channels; None leaves them as they come.

    Attributes
    ----------
    n_frames : int
        Frames whose features were given out so far, and lost ones.
    look_ahead_samples : int
        What must follow a frame at most before its features are known.

    Examples
    --------
    >>> from doatrack.features import GCCExtractor
    >>> from doatrack.geometry import MicArray
    >>> extract = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), n_lags=9)
    >>> stream = extract.stream([np.zeros((4, 5000), np.float32), np.zeros((4, 5000), np.float32)])
    >>> [tuple(gcc.shape) for gcc in stream], stream.activity().tolist()
    ([(1, 6, 9), (1, 6, 9)], [False, False])
    """

    look_ahead_samples = 0

    def __init__(
        self,
        frames: FrameSettings,
        compute: Callable[[Tensor], Tensor],
        blocks: Iterable[NDArray[np.float32]] = (),
        *,
        causal: bool = False,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self._frames = frames
        self._compute = compute
        self._blocks = blocks
        self._buffer = SampleBuffer(order)
        self._samples = self._buffer.reader()
        self._at_once = round(_LONGEST_S * frames.sample_rate)
        self._heard = FrameActivity(frames, causal=causal, samples=self._buffer)
        self._active: list[NDArray[np.bool_]] = []
        self.n_frames = 0

    @property
    def activity_look_ahead_samples(self) -> int:
        """What must follow a frame at most before its activity is known."""
        return self._heard.look_ahead_samples

    def __iter__(self) -> Iterator[Tensor]:
        for block in self._blocks:
            yield from self.push(block)
        yield from self.finish()

    def push(self, block: NDArray[np.float32]) -> list[Tensor]:
        """Take samples (n_mics, n_samples), and return the features of the frames that they complete, in parts."""
        parts = []
        for start in range(0, max(1, block.shape[1]), self._at_once):
            self._buffer.push(block[:, start : start + self._at_once])
            self._active.append(self._heard.hear())
            parts += self._computed()
        return parts

    def gap(self, n_samples: int) -> tuple[list[Tensor], int]:
        """Let time go on by samples that are lost; return what was held back, and how many frames are lost after it."""
        parts = self._rest()
        self._active.append(self._heard.finish())
        self._skip(n_samples)
        self._active.append(self._heard.go_on())
        first = self._frames.after_gap(self.n_frames, self._samples.n_samples)
        n_lost, self.n_frames = first - self.n_frames, first
        self._samples.start_at(first * self._frames.hop_length)
        self._restart()
        return parts, n_lost

    def finish(self) -> list[Tensor]:
        """Return what was held back, as the recording is at its end."""
        self._active.append(self._heard.finish())
        return self._rest()

    def activity(self) -> NDArray[np.bool_]:
        """Return the activity of all frames read, shape (n_frames,)."""
        if not self._active:
            raise InvalidInputError("The activity is known only after the blocks have been read.")
        return np.concatenate(self._active)

    def take_activity(self) -> NDArray[np.bool_]:
        """Return the activity of the frames that became known since the last call, lost ones too."""
        # most chunks decide nothing
        known = [part for part in self._active if len(part)] or [np.zeros(0, dtype=bool)]
        self._active = []
        return known[0] if len(known) == 1 else np.concatenate(known)

    def _computed(self) -> list[Tensor]:
        """Return the features of the whole frames there are."""
        frames = self._frames
        count = frames.count(self._samples.n_kept)
        if not count:
            return []
        whole = self._samples.first((count - 1) * frames.hop_length + frames.win_length)
        self.n_frames += count
        self._samples.start_at(self.n_frames * frames.hop_length)
        return [self._compute(whole)]

    def _skip(self, n_samples: int) -> None:
        """Let time go on in what waits."""
        self._buffer.skip(n_samples)

    def _rest(self) -> list[Tensor]:
        """Return the features of frames that were held back."""
        return []

    def _restart(self) -> None:
        """Forget the frames before a gap, where a frame's features depend on them."""
