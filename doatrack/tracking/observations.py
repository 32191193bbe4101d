"""What a frame tells about the direction: likelihoods from maps, in which silence tells nothing."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_real, check_same_length
from doatrack.geometry import DirectionGrid
from doatrack.tracking._recursions import check_activity

__all__ = ["robust_log_likelihood"]


def robust_log_likelihood(
    srp_map: ArrayLike, scale: float, activity: ArrayLike = 1.0, grid: DirectionGrid | None = None
) -> NDArray[Any]:
    """Return the log likelihood of maps that come from the source with a probability, and else from anything.

    A frame is a mixture: with the probability `activity` its map is high where the source is, else (silence, another
    sound, an echo) it says nothing about the source. So no frame can contradict the track by more than
    1 - activity allows, and a frame that was taken for silence by mistake still counts a little. Weighting the
    logarithm instead, as the `activity` of `grid_filter` does, makes a doubtful map broad but leaves its peak.

    Parameters
    ----------
    srp_map : array-like of shape (..., n_frames, n_directions)
        Maps without unit, of any estimator; a constant per frame does not matter.
    scale : float
        Nats per unit of the map, above 0. From `learn_motion`, or docs/motion.md.
    activity : array-like of shape (..., n_frames), or float
        Probability in [0, 1] that the map is that of the source: `activity_probability`.
    grid : DirectionGrid, optional
        Whose areas the directions stand for; None: equal areas.

    Returns
    -------
    ndarray of shape (..., n_frames, n_directions)
        ln(activity e^(scale map) / mean e^(scale map) + 1 - activity): its exponential has the mean 1 over the
        sphere, so that evidences can be compared. At least -745. float32 stays float32.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, or a value is NaN, infinite or out of range.

    Examples
    --------
    >>> srp_map = np.array([[0.1, 0.0, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0]])
    >>> np.exp(robust_log_likelihood(srp_map, scale=60.0, activity=[0.9, 0.0])).round(2)
    array([[3.67, 0.11, 0.11, 0.11],
           [1.  , 1.  , 1.  , 1.  ]])
    """
    values = check_array("srp_map", srp_map, ("...", "n_frames", "n_directions"))
    logs = check_real("scale", scale, 0.0, exclusive_minimum=True) * values
    if grid is not None:
        check_same_length("grid", grid.n_directions, "the directions of srp_map", values.shape[-1])
    sure = check_activity(activity, values.shape[:-1])[..., None]
    shares = np.full(values.shape[-1], 1 / values.shape[-1]) if grid is None else grid.weights / grid.weights.sum()
    logs -= logs.max(axis=-1, keepdims=True)
    density = np.exp(logs)
    density /= density @ shares[:, None]
    mixed = np.log(np.maximum(sure * density + (1 - sure), np.finfo(np.float64).tiny))
    single = str(getattr(srp_map, "dtype", "")).endswith("float32")
    return np.asarray(mixed, dtype=np.float32 if single else np.float64)
