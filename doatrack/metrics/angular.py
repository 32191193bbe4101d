"""Errors of directions in degrees, over one recording or many.

Every metric takes the truth first. A recording is an array of unit vectors `(n_frames, 3)`; several are a list,
whose lengths may differ, or a batch `(n_recordings, n_frames, 3)`. The truth may also be rows
`time_s, x, y, z, active` at any rate, `(n_rows, 5)`, if `frame_times` says when the predicted frames are.
`sample_weight` is one number per frame: the activity, so that silence does not count. Frames whose truth is
NaN do not count either. All frames of all recordings are pooled before a mean or a median is taken.
"""

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import FloatArray, check_array, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import Ambiguity
from doatrack.metrics._frames import CountedFrames, Directions, FrameValues, pool_frames

__all__ = [
    "angular_error",
    "cone_coverage",
    "mean_angular_error_deg",
    "mean_azimuth_error_deg",
    "mean_elevation_error_deg",
    "median_angular_error_deg",
    "root_mean_square_angular_error_deg",
    "share_within",
]


def angular_error(doa_true: ArrayLike, doa_pred: ArrayLike) -> FloatArray:
    """Return the angle between directions.

    Parameters
    ----------
    doa_true, doa_pred : array-like of shape (..., 3)
        Directions of any length above 0; leading axes are broadcast.

    Returns
    -------
    ndarray of shape (...)
        In radians, from 0 to pi; NaN where a direction is NaN.

    Raises
    ------
    InvalidInputError
        If a last axis is not 3.

    Notes
    -----
    atan2(|a x b|, a . b), exact at 0 and at pi, where the arc cosine of a dot product loses half of the digits.

    Examples
    --------
    >>> np.degrees(angular_error([1.0, 0, 0], [[1.0, 0, 0], [0, 1, 0], [-1, 0, 0]])).tolist()
    [0.0, 90.0, 180.0]
    """
    first = check_array("doa_true", doa_true, ("...", 3), finite=False)
    second = check_array("doa_pred", doa_pred, ("...", 3), finite=False)
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(axis=-1)))


def _errors(frames: CountedFrames, ambiguity: Ambiguity | None = None) -> FloatArray:
    nearest = frames.doa_pred if ambiguity is None else ambiguity.nearest(frames.doa_pred, frames.doa_true)
    return angular_error(frames.doa_true, nearest)


def _errors_deg(frames: CountedFrames, ambiguity: Ambiguity | None = None) -> FloatArray:
    return np.degrees(_errors(frames, ambiguity))


def _weighted_mean(values: FloatArray, weight: FloatArray) -> float:
    return float(np.average(values, weights=weight))


def mean_angular_error_deg(
    y_true: Directions,
    y_pred: Directions,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
    ambiguity: Ambiguity | None = None,
) -> float:
    """Return the mean angle between true and estimated directions, in degrees (MAE).

    Parameters
    ----------
    y_true : array-like of shape (n_frames, 3) or (n_rows, 5), or list of such
        Unit vectors per frame, or truth rows.
    y_pred : array-like of shape (n_frames, 3), or list of such
        Unit vectors.
    sample_weight : array-like of shape (n_frames,), or list of such, optional
        Weights of the frames, such as their activity; None counts all frames alike.
    frame_times : array-like of shape (n_frames,), or list of such, optional
        Seconds of the frames of `y_pred`; needed where `y_true` holds truth rows.
    ambiguity : Ambiguity, optional
        What the array cannot tell apart (`array.ambiguity`): of all directions with the same delays
        the one nearest to the truth counts. None counts the direction given.

    Returns
    -------
    float
        From 0 to 180; 90 is what guessing gives.

    Raises
    ------
    InvalidInputError
        On other shapes or lengths (naming the recording), or if no frame counts.

    Examples
    --------
    >>> mean_angular_error_deg([[1.0, 0, 0], [1.0, 0, 0]], [[1.0, 0, 0], [0, 1.0, 0]])
    45.0
    >>> mean_angular_error_deg([[1.0, 0, 0], [1.0, 0, 0]], [[1.0, 0, 0], [0, 1.0, 0]], sample_weight=[1, 0])
    0.0
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    return _weighted_mean(_errors_deg(frames, ambiguity), frames.weight)


def root_mean_square_angular_error_deg(
    y_true: Directions,
    y_pred: Directions,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
    ambiguity: Ambiguity | None = None,
) -> float:
    """Return the root of the mean squared angle between true and estimated directions, in degrees (RMSE).

    Squares come before the mean, so single far-off frames weigh much. Some papers call a mean of angles "RMS
    angular error": that is `mean_angular_error_deg`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times, ambiguity
        As in `mean_angular_error_deg`.

    Examples
    --------
    >>> round(root_mean_square_angular_error_deg([[1.0, 0, 0], [1.0, 0, 0]], [[1.0, 0, 0], [0, 1.0, 0]]), 2)
    63.64
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    return _weighted_mean(_errors_deg(frames, ambiguity) ** 2, frames.weight) ** 0.5


def median_angular_error_deg(
    y_true: Directions,
    y_pred: Directions,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
    ambiguity: Ambiguity | None = None,
) -> float:
    """Return the median angle between true and estimated directions, in degrees.

    With weights, the angle that half of the total weight lies below; with equal or 0/1 weights the usual median.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times, ambiguity
        As in `mean_angular_error_deg`.

    Examples
    --------
    >>> median_angular_error_deg([[1.0, 0, 0]] * 3, [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    90.0
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    errors = _errors_deg(frames, ambiguity)
    order = np.argsort(errors)
    errors, below = errors[order], np.cumsum(frames.weight[order])
    middle = [min(int(np.searchsorted(below, below[-1] / 2, side=side)), len(errors) - 1) for side in ("left", "right")]
    return float(errors[middle].mean())


def share_within(
    y_true: Directions,
    y_pred: Directions,
    sample_weight: FrameValues = None,
    *,
    tolerance_deg: float = 10.0,
    frame_times: FrameValues = None,
    ambiguity: Ambiguity | None = None,
) -> float:
    """Return the share of frames whose error is at most a tolerance, from 0 to 1.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times, ambiguity
        As in `mean_angular_error_deg`.
    tolerance_deg : float
        In degrees, 0 to 180.

    Examples
    --------
    >>> share_within([[1.0, 0, 0]] * 2, [[1.0, 0, 0], [0, 1.0, 0]], tolerance_deg=5)
    0.5
    """
    tolerance = check_real("tolerance_deg", tolerance_deg, 0.0, 180.0)
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    return _weighted_mean((_errors_deg(frames, ambiguity) <= tolerance).astype(np.float64), frames.weight)


def mean_azimuth_error_deg(
    y_true: Directions, y_pred: Directions, sample_weight: FrameValues = None, *, frame_times: FrameValues = None
) -> float:
    """Return the mean absolute difference of azimuth, the shorter way round, in degrees.

    Near the zenith and the nadir an azimuth means little and this error is large for directions that are close.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times
        As in `mean_angular_error_deg`.

    Examples
    --------
    >>> across_the_back = [[-1.0, 0.1, 0], [-1.0, -0.1, 0]] / np.sqrt(1.01)
    >>> round(mean_azimuth_error_deg(across_the_back[:1], across_the_back[1:]), 2)
    11.42
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    flat = np.array([1.0, 1.0, 0.0])
    errors = np.degrees(angular_error(frames.doa_true * flat, frames.doa_pred * flat))
    return _weighted_mean(errors, frames.weight)


def mean_elevation_error_deg(
    y_true: Directions, y_pred: Directions, sample_weight: FrameValues = None, *, frame_times: FrameValues = None
) -> float:
    """Return the mean absolute difference of elevation, in degrees.

    Elevation is 0 in the x-y plane and +90 straight up (+z); it is not the colatitude.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times
        As in `mean_angular_error_deg`.

    Examples
    --------
    >>> mean_elevation_error_deg([[1.0, 0, 0], [0, 0, 1.0]], [[0, 1.0, 0], [0, 1.0, 0]])
    45.0
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times)
    difference = _elevation(frames.doa_true) - _elevation(frames.doa_pred)
    return _weighted_mean(np.degrees(np.abs(difference)), frames.weight)


def _elevation(doa: FloatArray) -> FloatArray:
    return np.asarray(np.arctan2(doa[:, 2], np.hypot(doa[:, 0], doa[:, 1])))


def cone_coverage(
    y_true: Directions,
    y_pred: Directions,
    credible_angle: FrameValues,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
    ambiguity: Ambiguity | None = None,
) -> float:
    """Return the share of frames whose true direction lies within the credible cone, from 0 to 1.

    A calibrated tracker has the coverage that its cones claim: 0.9 for 90 % credible angles; less is
    overconfident, more is too careful. Needs a third argument, so it does not go into `make_scorer`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times, ambiguity
        As in `mean_angular_error_deg`.
    credible_angle : float, array-like of shape (n_frames,), or list of such
        Half-angle of the cone around `y_pred` in radians, from 0 to pi.

    Raises
    ------
    InvalidInputError
        On other shapes or lengths, or if the angle of a counted frame is NaN or outside of [0, pi].

    Examples
    --------
    >>> cone_coverage([[1.0, 0, 0]] * 2, [[1.0, 0, 0], [0, 1.0, 0]], credible_angle=np.radians(12.0))
    0.5
    """
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times, values=credible_angle)
    if not ((frames.value >= 0) & (frames.value <= np.pi)).all():
        raise InvalidInputError(
            "credible_angle must lie between 0 and pi radians in every counted frame, got values from "
            f"{frames.value.min():g} to {frames.value.max():g}. A tracker without uncertainty has no coverage."
        )
    inside = _errors(frames, ambiguity) <= frames.value
    return _weighted_mean(inside.astype(np.float64), frames.weight)
