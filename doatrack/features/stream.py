"""Features of one recording, block after block, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.exceptions import InvalidInputError
from doatrack.features.activity import ACTIVITY_BLOCK_S, activity_at_frames, band_power, sound_activity
from doatrack.features.frames import FrameSettings

__all__ = ["FeatureStream"]


class FeatureStream:
    """Features of one recording, block after block; the activity is known when all are read.

    Blocks may have any length; samples that do not fill a frame yet are carried over.

    Parameters
    ----------
    frames : FrameSettings
    compute : callable
        Features, one row per frame, of whole frames (n_mics, n_samples).
    blocks : iterable of ndarray of shape (n_mics, n_samples)

    Examples
    --------
    >>> from doatrack.features import GCCExtractor
    >>> from doatrack.geometry import MicArray
    >>> extract = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), n_lags=9)
    >>> stream = extract.stream([np.zeros((4, 5000), np.float32), np.zeros((4, 5000), np.float32)])
    >>> [tuple(gcc.shape) for gcc in stream], stream.activity().tolist()
    ([(1, 6, 9), (1, 6, 9)], [False, False])
    """

    def __init__(
        self,
        frames: FrameSettings,
        compute: Callable[[Tensor], Tensor],
        blocks: Iterable[NDArray[np.float32]],
    ) -> None:
        self._frames = frames
        self._compute = compute
        self._blocks = blocks
        self._power: list[Tensor] = []
        self.n_frames = 0

    def __iter__(self) -> Iterator[Tensor]:
        frames = self._frames
        pending: Tensor | None = None
        for new in self._samples():
            pending = new if pending is None else torch.cat([pending, new], dim=1)
            count = frames.count(pending.shape[1])
            if count:
                self.n_frames += count
                yield self._compute(pending[:, : (count - 1) * frames.hop_length + frames.win_length])
                pending = pending[:, count * frames.hop_length :]

    def _samples(self) -> Iterator[Tensor]:
        """Yield the blocks as tensors, and measure their power for the activity."""
        rate = self._frames.sample_rate
        size = round(ACTIVITY_BLOCK_S * rate)
        unmeasured: Tensor | None = None
        for block in self._blocks:
            new = torch.from_numpy(np.require(block, requirements=["C", "W"]))
            unmeasured = new if unmeasured is None else torch.cat([unmeasured, new], dim=1)
            whole = unmeasured.shape[1] // size * size
            self._power.append(band_power(unmeasured[:, :whole], rate))
            unmeasured = unmeasured[:, whole:]
            yield new

    def activity(self) -> NDArray[np.bool_]:
        """Return the activity of all frames read, shape (n_frames,)."""
        if not self._power:
            raise InvalidInputError("The activity is known only after the blocks have been read.")
        frames = self._frames
        blocks = sound_activity(torch.cat(self._power))
        return activity_at_frames(blocks, self.n_frames, frames.win_length, frames.hop_length, frames.sample_rate)
