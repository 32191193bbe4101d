"""What a recording would have said, had other parts of it been heard: sums over blocks drawn anew."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["resampled_sums"]

Array = NDArray[np.float64]

_RESAMPLES = 400
_BLOCK_S = 0.5


def resampled_sums(values: Array, times: Array, generator: np.random.Generator) -> Array:
    """Return sums over frames of values (n_rows, n_frames) in recordings of drawn half seconds, (n_rows, n_resamples).

    Frames at `times` (n_frames,) in s that share half a second are drawn together: neighbours say much the same.
    """
    block = np.unique(np.floor(times / _BLOCK_S), return_inverse=True)[1]
    n_blocks = int(block.max()) + 1
    sums = np.stack([np.bincount(block, row, n_blocks) for row in values])
    counts = np.stack(
        [np.bincount(drawn, minlength=n_blocks) for drawn in generator.integers(n_blocks, size=(_RESAMPLES, n_blocks))]
    )
    return np.asarray(sums @ counts.T)
