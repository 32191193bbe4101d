"""How a signal is cut into frames."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from doatrack.features.stft import frame_count, frame_times

__all__ = ["FrameSettings"]


@dataclasses.dataclass(frozen=True)
class FrameSettings:
    """How a signal is cut into frames.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    win_length, hop_length : int
        In samples.
    window : {"hann", "rectangular"}

    Examples
    --------
    >>> FrameSettings().times(2).tolist()
    [0.128, 0.32]
    """

    sample_rate: int = 16000
    win_length: int = 4096
    hop_length: int = 3072
    window: str = "hann"

    def count(self, n_samples: int) -> int:
        """Return the number of whole frames in so many samples."""
        return frame_count(n_samples, self.win_length, self.hop_length)

    def times(self, n_frames: int) -> NDArray[np.float64]:
        """Return the centres of frames in seconds, shape (n_frames,)."""
        return frame_times(n_frames, self.win_length, self.hop_length, self.sample_rate)
