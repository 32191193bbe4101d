"""Which frames of a stream hold sound, as soon as that is known."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.activity import ACTIVITY_BLOCK_S, band_power
from doatrack.features.frames import FrameSettings
from doatrack.features.samples import SampleBuffer
from doatrack.features.sound_detector import SoundDetector

__all__ = ["FrameActivity"]

_SHARE = 0.5
_NOTHING = np.zeros(0, dtype=bool)


class FrameActivity:
    """The activity of frames (`activity_at_frames` of `sound_activity`) for sound that comes in parts.

    Parameters
    ----------
    frames : FrameSettings
    causal : bool
        Whether a frame is decided by what was heard until its end; otherwise by the sound around it.
    samples : SampleBuffer, optional
        Into which others push the sound: then `hear`, `finish` and `go_on` say what is known. None: it is pushed here.

    Attributes
    ----------
    look_ahead_samples : int
        What must follow the end of a frame at most before it is decided.

    Examples
    --------
    >>> import torch
    >>> heard = FrameActivity(FrameSettings(), causal=True)
    >>> heard.push(torch.zeros(2, 8000)).tolist(), heard.look_ahead_samples
    ([False, False], 0)
    """

    def __init__(self, frames: FrameSettings, *, causal: bool = False, samples: SampleBuffer | None = None) -> None:
        self._frames, self._causal = frames, causal
        self._size = round(ACTIVITY_BLOCK_S * frames.sample_rate)
        self._detector = SoundDetector(causal=causal)
        self._buffer = SampleBuffer() if samples is None else samples
        self._samples = self._buffer.reader()
        self._active = np.zeros(0)
        self._first_block = 0  # that `_active` tells of
        self._next, self._lost_until = 0, 0
        reach = max(frames.hop_length, self._size) - frames.win_length
        blocks = round((self._detector.look_ahead + 0.5) * self._size)
        self.look_ahead_samples = 0 if causal else max(0, reach // 2 + blocks)

    def push(self, samples: Tensor) -> NDArray[np.bool_]:
        """Take samples (n_mics, n_samples), and return the activity of the frames that are decided now."""
        self._buffer.push(samples)
        return self.hear()

    def hear(self) -> NDArray[np.bool_]:
        """Return the activity of the frames that are decided now, after samples came into the buffer."""
        # with small chunks the work is done once a frame, not once a chunk
        if self._frames.count(self._samples.n_samples) == self._next:
            return _NOTHING
        self._listen()
        return self._decided(last=False)

    def _listen(self) -> None:
        """Take the blocks that are whole."""
        blocks = self._samples.take(self._samples.n_kept // self._size * self._size)
        if blocks.shape[1]:
            found = self._detector.push(band_power(blocks, self._frames.sample_rate))
            self._active = np.concatenate([self._active, found])

    def gap(self, n_samples: int) -> NDArray[np.bool_]:
        """Let time go on; what was heard before is decided, and frames that overlap the gap hold no sound."""
        before = self.finish()
        self._buffer.skip(n_samples)
        return np.append(before, self.go_on())

    def go_on(self) -> NDArray[np.bool_]:
        """Return the activity of the frames that overlap a gap, after samples of the buffer were skipped."""
        until = self._samples.n_samples
        self._lost_until = self._frames.after_gap(max(self._next, self._lost_until), until)
        self._first_block = -(-until // self._size)
        self._active = np.zeros(0)
        self._samples.start_at(self._first_block * self._size)
        return self._decided(last=False)

    def finish(self) -> NDArray[np.bool_]:
        """Return the activity of all whole frames that are not decided yet, as if the sound went on as it is."""
        self._listen()
        self._active = np.append(self._active, self._detector.flush())
        return self._decided(last=True)

    def _decided(self, *, last: bool) -> NDArray[np.bool_]:
        frames, count = self._frames, self._frames.count(self._samples.n_samples)
        n_known = self._first_block + len(self._active)
        found: list[bool] = []
        for frame in range(self._next, count):
            (low, high), lost, heard = self._blocks(frame), frame < self._lost_until, n_known
            if self._causal:
                # what is told of a frame does not depend on how much more came with its end
                heard = min(heard, (frame * frames.hop_length + frames.win_length) // self._size)
            elif not last and not lost and high > n_known:
                break
            found.append(not lost and self._share(low, high, heard) >= _SHARE)
        self._next += len(found)
        self._forget(self._blocks(self._next)[0])
        return np.array(found, dtype=bool)

    def _blocks(self, frame: int) -> tuple[int, int]:
        """Return `block_ranges` of one frame, in plain numbers."""
        hop = self._frames.hop_length
        centre, reach = frame * hop + self._frames.win_length / 2, max(hop, self._size) / 2
        return (
            math.ceil((centre - reach) / self._size - 0.5),
            math.floor((centre + reach) / self._size - 0.5) + 1,
        )

    def _share(self, low: int, high: int, n_known: int) -> float:
        """Return the share of active blocks in a range, of those that are known: the nearest where there are none."""
        start, known = self._first_block, n_known - self._first_block
        if known <= 0:
            return 0.0
        first = min(max(low - start, 0), known - 1)
        end = min(max(high - start, first + 1), max(known, first + 1))
        return float(np.count_nonzero(self._active[first:end])) / (end - first)

    def _forget(self, block: int) -> None:
        """Drop the blocks before one; the last one stays, should no later one be in the next frame's range."""
        unneeded = min(max(block - self._first_block, 0), max(len(self._active) - 1, 0))
        self._active = self._active[unneeded:]
        self._first_block += unneeded
