"""Which frames a network that pools time has heard: the pooled ones count, those between are the motion model's."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PooledWeight"]


class PooledWeight:
    """How much each frame's likelihood counts where pooled frames are brought back to all frames.

    A pooled frame is one observation, made at its own time: interpolated to all frames and counted in each, it would be
    believed as often as there are frames in it. So the frame at its centre counts, by the share of its sound that is
    active, and those between do not: the motion model predicts them, from the past by the filter, from both sides by
    the smoother.

    Parameters
    ----------
    pooling : int
        Frames in a pooled one.

    Examples
    --------
    >>> weight = PooledWeight(5)
    >>> weight.hear(np.array([False, False, True, True, True, True]))
    >>> weight.of_frames(n_pooled=1, n_frames=3).tolist()  # the first pooled frame tells the frames up to its centre
    [0.0, 0.0, 0.6]
    >>> weight.of_frames(n_pooled=1, n_frames=3).tolist()  # the last one is cut off: its only frame is the centre
    [0.0, 0.0, 1.0]
    """

    def __init__(self, pooling: int) -> None:
        self._pooling = pooling
        self._activity: NDArray[np.bool_] = np.zeros(0, dtype=bool)  # of frames whose pooled frame is not known yet
        self._centre = (pooling - 1) // 2  # of the next pooled frame, from the next frame to be answered

    def hear(self, activity: NDArray[np.bool_]) -> None:
        """Take the activity of the next frames (n_frames,)."""
        self._activity = np.append(self._activity, activity)

    def of_frames(self, n_pooled: int, n_frames: int) -> NDArray[np.float64]:
        """Return the weights of the next frames, which the next pooled frames, and no later ones, tell.

        A pooled frame that was cut off by the end of the recording, before its centre, counts in the last frame.
        """
        weight = np.zeros(n_frames)
        if n_pooled:
            starts = np.arange(n_pooled) * self._pooling
            heard, self._activity = np.split(self._activity, [min(n_pooled * self._pooling, len(self._activity))])
            sizes = np.diff(np.append(starts, len(heard)))
            weight[np.minimum(self._centre + starts, n_frames - 1)] = (
                np.add.reduceat(heard.astype(float), starts) / sizes
            )
        self._centre += n_pooled * self._pooling - n_frames
        return weight
