"""pyroomacoustics on our directions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def search_on(doa: Any, directions: NDArray[np.float64], *, precompute: bool) -> None:
    """Let an estimator of pyroomacoustics search unit vectors (n_directions, 3).

    Given azimuths and colatitudes it would search all their combinations, so the grid is put in afterwards.
    """
    from pyroomacoustics.doa import GridSphere
    from pyroomacoustics.doa.doa import ModeVector

    x, y, z = directions.T
    points = np.stack([np.arctan2(y, x), np.arccos(np.clip(z, -1, 1))])
    doa.grid = GridSphere(spherical_points=points, precompute_neighbors=True)
    doa.mode_vec = ModeVector(doa.L, doa.fs, doa.nfft, doa.c, doa.grid, precompute=precompute)
