"""What a frame tells about the direction: likelihoods from maps, in which silence tells nothing."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_real, check_same_length
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking._diffusion import stationary_shares
from doatrack.tracking._recursions import check_activity

__all__ = ["likelihood_and_slope", "robust_log_likelihood"]


def robust_log_likelihood(
    srp_map: ArrayLike, scale: ArrayLike, activity: ArrayLike = 1.0, grid: DirectionGrid | None = None
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
    scale : float, or array-like of shape (..., n_frames)
        Nats per unit of the map, above 0. From `learn_motion`, or docs/motion.md. For a tracker that gives von
        Mises-Fisher posteriors take the cosines `doa @ grid.directions.T` as the map and a share of its
        concentrations as the scale.
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
    if grid is not None:
        check_same_length("grid", grid.n_directions, "the directions of srp_map", values.shape[-1])
    sharpness = check_array("scale", scale, ("...",))
    check_real("scale", float(sharpness.min()), 0.0, exclusive_minimum=True)
    if sharpness.shape not in ((), values.shape[:-1], values.shape[-2:-1]):
        raise InvalidInputError(
            f"scale must be one number or one per frame {values.shape[:-1]}, got the shape {sharpness.shape}."
        )
    sure = check_activity(activity, values.shape[:-1])[..., None]
    mixed = sure * _density(values, sharpness[..., None], grid) + (1 - sure)
    single = str(getattr(srp_map, "dtype", "")).endswith("float32")
    return np.asarray(np.log(np.maximum(mixed, np.finfo(np.float64).tiny)), np.float32 if single else np.float64)


def likelihood_and_slope(
    srp_map: NDArray[np.float64], activity: NDArray[np.float64], scale: float, grid: DirectionGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `robust_log_likelihood` and its derivative with respect to the scale, both of the map's shape.

    Examples
    --------
    >>> srp_map, grid = np.eye(4)[:1], DirectionGrid.quasi_uniform(4)
    >>> here, slope = likelihood_and_slope(srp_map, np.array([0.9]), 2.0, grid)
    >>> nearby, _ = likelihood_and_slope(srp_map, np.array([0.9]), 2.001, grid)
    >>> np.allclose((nearby - here) / 0.001, slope, atol=1e-3)
    True
    """
    density = _density(srp_map, scale, grid)
    told = activity[..., None] * density
    mixed = np.maximum(told + (1 - activity[..., None]), np.finfo(np.float64).tiny)
    expected = (density * srp_map) @ _shares(grid, srp_map.shape[-1])[:, None]
    return np.log(mixed), told / mixed * (srp_map - expected)


def _density(srp_map: NDArray[Any], scale: Any, grid: DirectionGrid | None) -> NDArray[Any]:
    """Return e^(scale map), with the mean 1 over the sphere in each frame."""
    logs = scale * srp_map
    density = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(density / (density @ _shares(grid, srp_map.shape[-1])[:, None]))


def _shares(grid: DirectionGrid | None, n_directions: int) -> NDArray[np.float64]:
    return np.full(n_directions, 1 / n_directions) if grid is None else stationary_shares(grid)
