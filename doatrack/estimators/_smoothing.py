"""Joining what single frames say by a motion model: the step between an estimator's frames and its answer."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack._validation import check_choice
from doatrack.distributions import credible_angle
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.geometry import DirectionGrid
from doatrack.tracking import MotionModel, SwitchingMotion, Transition, grid_filter, grid_smoother, posterior_directions
from doatrack.tracking.agreement import AgreementMean, map_agreement, mean_agreement
from doatrack.tracking.tempering import Tempering

__all__ = [
    "Smoothing",
    "check_smoothing",
    "join_frames",
    "log_likelihood_of",
    "smoother_weights",
    "transition_of",
    "weight_of",
]

Smoothing = Literal["filter", "smoother"] | None
_GRID_OF_DIRECTIONS = 2048
_USUAL_CONCENTRATION = 50.0  # of a method that gives none: errors of about 8 degrees
_SILENT_WEIGHT = 0.1
"""Of maps of frames that are taken for silent: a start that is missed must not be lost, and noise has flat maps."""


def check_smoothing(smoothing: object) -> None:
    """Raise unless frames are to be joined by nothing, the filter or the smoother."""
    if smoothing is not None:
        check_choice("smoothing", smoothing, ("filter", "smoother"))


def transition_of(
    motion: MotionModel | SwitchingMotion | None, grid: DirectionGrid | None, step_s: float
) -> Transition:
    """Return the motion of one frame over an estimator's grid, or over one made for estimators without maps."""
    searched = DirectionGrid.quasi_uniform(_GRID_OF_DIRECTIONS) if grid is None else grid
    return (MotionModel() if motion is None else motion).transition(searched, step_s)


def join_frames(
    frames: FrameEstimates, transition: Transition, smoothing: Literal["filter", "smoother"], step_s: float
) -> FrameEstimates:
    """Return the frames' directions and concentrations given their neighbours, earlier ones or all.

    Where an estimator has no map, its direction and concentration are taken as a von Mises-Fisher likelihood.
    """
    likelihood, weight = log_likelihood_of(frames, transition.grid), weight_of(frames)
    if smoothing == "filter":
        posterior = grid_filter(likelihood, transition, weight)
    else:
        posterior = grid_smoother(likelihood, transition, smoother_weights([frames], step_s)[0])
    doa, concentration = posterior_directions(posterior, transition.grid)
    angle = credible_angle(torch.from_numpy(concentration), 0.9).numpy()
    agreement = map_agreement(posterior, likelihood)
    if smoothing == "filter":
        agreement = AgreementMean(step_s).push(agreement, weight)
    else:
        agreement = mean_agreement(agreement, weight, step_s)
    return dataclasses.replace(frames, doa=doa, concentration=concentration, credible_angle=angle, agreement=agreement)


def log_likelihood_of(frames: FrameEstimates, grid: DirectionGrid) -> NDArray[np.float64]:
    """Return the log-likelihood (n_frames, n_directions) of frames, of an estimator with maps or without."""
    if frames.log_likelihood is not None:
        return frames.log_likelihood
    known = np.where(np.isnan(frames.concentration), _USUAL_CONCENTRATION, frames.concentration)
    return known[:, None] * (frames.doa @ grid.directions.T)


def smoother_weights(parts: Sequence[FrameEstimates], step_s: float) -> list[NDArray[np.float64]]:
    """Return how much frames of successive parts count for the smoother (n_frames,): `weight_of`, maps tempered."""
    tempering, found = Tempering(step_s), []
    for part in parts:
        weight = weight_of(part)
        if part.log_likelihood is not None:
            weight = weight * tempering.push(part.log_likelihood, weight)
        found.append(weight)
    return found


def weight_of(frames: FrameEstimates) -> NDArray[np.float64]:
    """Return how much the log-likelihood of each frame counts (n_frames,)."""
    if frames.weight is not None:
        return frames.weight
    silent = 0.0 if frames.log_likelihood is None else _SILENT_WEIGHT
    return np.where(frames.activity, 1.0, silent)
