"""Whether a tracker knows how sure it may be: coverage of its cones, and errors of the frames that it is sure of.

Arguments are those of the metrics of angles, and the concentration of each frame, which a `Track` has; a calibration
says what a concentration means where that is not a von Mises-Fisher distribution.
"""

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import FloatArray, check_array
from doatrack.distributions import ConeCalibration
from doatrack.exceptions import InvalidInputError
from doatrack.metrics._frames import CountedFrames, Directions, FrameValues, pool_frames
from doatrack.metrics.angular import angular_error

__all__ = [
    "expected_calibration_error",
    "reliability_curve",
    "risk_coverage_area_deg",
    "risk_coverage_curve",
]

_LEVELS = np.linspace(0.05, 0.95, 19)


def reliability_curve(
    y_true: Directions,
    y_pred: Directions,
    concentration: FrameValues,
    sample_weight: FrameValues = None,
    *,
    levels: ArrayLike | None = None,
    calibration: ConeCalibration | None = None,
    frame_times: FrameValues = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the share of frames whose true direction lies in the cones of several levels.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times
        As in `mean_angular_error_deg`.
    concentration : float, array-like of shape (n_frames,), or list of such
        At least 0, of the posterior around `y_pred`.
    levels : array-like of shape (n_levels,), optional
        Probabilities of the cones, strictly between 0 and 1; None takes 0.05, 0.1, ..., 0.95.
    calibration : ConeCalibration, optional
        From concentrations to cones; None takes them as von Mises-Fisher distributions.

    Returns
    -------
    levels : ndarray of shape (n_levels,)
    coverage : ndarray of shape (n_levels,)
        From 0 to 1; above its level: cones too wide; below: too sure.

    Raises
    ------
    InvalidInputError
        On other shapes or lengths, levels out of range, or a counted frame without a concentration.

    Examples
    --------
    >>> truth, estimate = [[1.0, 0, 0]] * 2, [[1.0, 0, 0], [0, 1.0, 0]]
    >>> levels, coverage = reliability_curve(truth, estimate, [100.0, 100.0], levels=[0.5, 0.9])
    >>> coverage.tolist()
    [0.5, 0.5]
    """
    chosen = _LEVELS if levels is None else check_array("levels", levels, ("n_levels",))
    if ((chosen <= 0) | (chosen >= 1)).any():
        raise InvalidInputError(f"levels must lie strictly between 0 and 1, got {chosen.tolist()}.")
    frames = _frames(y_true, y_pred, concentration, sample_weight, frame_times)
    errors = angular_error(frames.doa_true, frames.doa_pred)
    needed = (calibration or ConeCalibration()).probability(errors, frames.value)
    # a level read back from its own angle must count as inside
    inside = needed[:, None] <= chosen + 1e-9
    return np.array(chosen), np.asarray(np.average(inside, axis=0, weights=frames.weight))


def expected_calibration_error(
    y_true: Directions,
    y_pred: Directions,
    concentration: FrameValues,
    sample_weight: FrameValues = None,
    *,
    calibration: ConeCalibration | None = None,
    frame_times: FrameValues = None,
) -> float:
    """Return the mean distance between the levels of cones and what they cover, from 0 to 1.

    The mean over the levels 0.05, 0.1, ..., 0.95 of `reliability_curve`. Cones that are as wide for good frames as for
    bad ones can have 0 too: look also at `risk_coverage_area_deg`.

    Parameters
    ----------
    y_true, y_pred, concentration, sample_weight, calibration, frame_times
        As in `reliability_curve`.

    Examples
    --------
    >>> round(expected_calibration_error([[1.0, 0, 0]], [[1.0, 0, 0]], 100.0), 3)  # always right, but not sure of it
    0.5
    """
    levels, coverage = reliability_curve(
        y_true, y_pred, concentration, sample_weight, calibration=calibration, frame_times=frame_times
    )
    return float(np.abs(coverage - levels).mean())


def risk_coverage_curve(
    y_true: Directions,
    y_pred: Directions,
    concentration: FrameValues,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the mean error in degrees of the frames that are kept where the least sure ones are left out.

    Parameters
    ----------
    y_true, y_pred, sample_weight, frame_times
        As in `mean_angular_error_deg`.
    concentration : array-like of shape (n_frames,), or list of such
        How sure each frame is; only the order matters.

    Returns
    -------
    coverage : ndarray of shape (n,)
        Share of (weighted) frames kept, rising to 1; frames that are equally sure are kept together.
    risk_deg : ndarray of shape (n,)
        Mean error of the frames kept; the last is the mean error of all.

    References
    ----------
    Y. Geifman, R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    Examples
    --------
    >>> truth, estimate = [[1.0, 0, 0]] * 2, [[0, 1.0, 0], [1.0, 0, 0]]
    >>> coverage, risk = risk_coverage_curve(truth, estimate, [5.0, 80.0])
    >>> coverage.tolist(), risk.tolist()
    ([0.5, 1.0], [0.0, 45.0])
    """
    frames = _frames(y_true, y_pred, concentration, sample_weight, frame_times)
    order = np.argsort(-frames.value, kind="stable")
    errors = np.degrees(angular_error(frames.doa_true, frames.doa_pred))[order]
    weight, sure = frames.weight[order], frames.value[order]
    last = np.append(sure[1:] != sure[:-1], True)
    kept, total = np.cumsum(weight)[last], np.cumsum(weight * errors)[last]
    return kept / kept[-1], total / kept


def risk_coverage_area_deg(
    y_true: Directions,
    y_pred: Directions,
    concentration: FrameValues,
    sample_weight: FrameValues = None,
    *,
    frame_times: FrameValues = None,
) -> float:
    """Return the area under the risk-coverage curve in degrees (AURC).

    The mean error of the frames kept, averaged over how many are kept. An order by chance gives about the mean error
    of all frames; the better the concentration tells good from bad frames, the less.

    Parameters
    ----------
    y_true, y_pred, concentration, sample_weight, frame_times
        As in `risk_coverage_curve`.

    Examples
    --------
    >>> risk_coverage_area_deg([[1.0, 0, 0]] * 2, [[0, 1.0, 0], [1.0, 0, 0]], [5.0, 80.0])
    22.5
    """
    coverage, risk = risk_coverage_curve(y_true, y_pred, concentration, sample_weight, frame_times=frame_times)
    return float(risk @ np.diff(coverage, prepend=0.0))


def _frames(
    y_true: Directions,
    y_pred: Directions,
    concentration: FrameValues,
    sample_weight: FrameValues,
    frame_times: FrameValues,
) -> CountedFrames:
    frames = pool_frames(y_true, y_pred, sample_weight, frame_times, concentration, "concentration")
    if not ((frames.value >= 0) & np.isfinite(frames.value)).all():
        n_bad = int((~((frames.value >= 0) & np.isfinite(frames.value))).sum())
        raise InvalidInputError(
            f"concentration must be known and at least 0 in every counted frame, got {n_bad} of {len(frames.value)} "
            "that are not. A tracker without uncertainty has no coverage."
        )
    return frames
