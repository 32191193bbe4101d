"""From the concentrations that a method claims to those that may be believed."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from doatrack.distributions import ConeCalibration
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._smoothing import Smoothing

__all__ = ["SMOOTHINGS", "believed", "name_of"]

SMOOTHINGS: tuple[Smoothing, ...] = (None, "filter", "smoother")
_LEVEL = 0.9


def name_of(smoothing: Smoothing) -> str:
    """Return the name under which the calibration of a way of joining frames is kept."""
    return smoothing or "frame"


def believed(frames: FrameEstimates, calibration: ConeCalibration | None, *, claims: bool) -> FrameEstimates:
    """Return the frames with calibrated concentrations and cones.

    Without a calibration they stay as claimed, or become unknown where a method's claims mean nothing by themselves.
    """
    if calibration is not None and frames.agreement is not None and len(frames.concentration) == 1:
        # of a stream: in plain numbers
        claimed, agreement = float(frames.concentration[0]), frames.agreement[0].tolist()
        cone = [np.array([number]) for number in calibration.cone_of_frame(claimed, agreement, _LEVEL)]
        return dataclasses.replace(frames, concentration=cone[0], credible_angle=cone[1])
    if calibration is not None:
        concentration = np.asarray(calibration.believed(frames.concentration, frames.agreement), dtype=np.float64)
        angle = calibration.angle_of_believed(concentration, _LEVEL).astype(np.float64, copy=False)
        return dataclasses.replace(frames, concentration=concentration, credible_angle=angle)
    if claims:
        return frames
    unknown: NDArray[np.float64] = np.full_like(frames.concentration, np.nan)
    return dataclasses.replace(frames, concentration=unknown, credible_angle=unknown)
