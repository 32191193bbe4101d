"""Several sources from an estimator's maps: separated peaks, linked or followed from frame to frame."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.distributions import GridMixture, GridPosterior, credible_angle
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._smoothing import Smoothing
from doatrack.geometry import Ambiguity, DirectionGrid, SeparatedPeaks
from doatrack.metrics import ospa_deg
from doatrack.tracking import (
    MultiTrack,
    OnlineSources,
    SourceLinker,
    Track,
    Transition,
    posterior_directions,
    sources_smoother,
)

__all__ = [
    "filtered_sources",
    "follow_sources",
    "lost_sources",
    "peaks_of_frames",
    "score_sources",
    "separated_sources",
    "sources_at",
    "track_of",
]

_SEPARATION = math.radians(20)
_PART_RADIUS = math.radians(30)
_NEAR = math.radians(10)
_SHARE = 0.15
"""What share of a map that is a log-likelihood of one source counts where several are followed: each is masked by the
others for a part of the time. Chosen on simulated scenes of two talkers; 0.12 to 0.25 are as good there, for maps of
either tracker."""
_LEAST_CONTRAST = 1.5
"""How many standard deviations a frame's map must rise above its mean near a source that is called active. Chosen on
simulated scenes of two talkers; a common factor on maps does not change it."""


def separated_sources(grid: DirectionGrid, n_sources: int, *, refine: bool) -> SeparatedPeaks:
    """Return what finds the highest peaks of maps that are far enough apart for two sources."""
    return SeparatedPeaks(grid, n_sources, _SEPARATION, refine=refine)


def peaks_of_frames(
    frames: FrameEstimates, grid: DirectionGrid, find: SeparatedPeaks, link: SourceLinker
) -> FrameEstimates:
    """Return the highest separated peaks of each frame's map as sources, linked so that they keep their numbers.

    The components of the posterior are its parts around the peaks (equation 26): their concentrations are those of
    the parts, unknown where the estimator knows none.
    """
    peaks = find(torch.from_numpy(_maps(frames)).float())
    doa = peaks.doa.double().numpy()
    doa /= np.linalg.norm(doa, axis=-1, keepdims=True)
    return sources_at(frames, grid, doa, link, found=torch.isfinite(peaks.height).numpy(), index=peaks.index)


def sources_at(
    frames: FrameEstimates,
    grid: DirectionGrid,
    doa: NDArray[np.float64],
    link: SourceLinker,
    *,
    found: NDArray[np.bool_],
    index: Tensor,
) -> FrameEstimates:
    """Return sources in directions (n_frames, n_sources, 3), linked so that they keep their numbers.

    `index` are the grid directions nearest to them; sources that were not found are inactive.
    """
    maps, directions = torch.from_numpy(_maps(frames)), torch.from_numpy(grid.directions)
    posterior = GridPosterior(maps, directions, grid.coverage, validate_args=False)
    concentration = GridMixture(posterior, index, _PART_RADIUS).components.concentration.numpy()
    concentration = np.where(np.isnan(frames.concentration)[:, None], np.nan, concentration)
    active = _activity(frames, grid, doa) & found
    order = link(doa, active)
    columns = (np.take_along_axis(values, order, axis=1) for values in (concentration, active))
    return _several(frames, np.take_along_axis(doa, order[..., None], axis=1), *columns)


def follow_sources(
    frames: FrameEstimates, transition: Transition, n_sources: int, smoothing: Smoothing
) -> FrameEstimates:
    """Return the sources given the frames before, or all, by one filter or smoother for each."""
    if smoothing == "filter":
        return filtered_sources(frames, OnlineSources(transition, n_sources))
    heard = _SHARE * _maps(frames)
    posterior = sources_smoother(heard, transition, n_sources, _weight(frames))
    doa, concentration = posterior_directions(posterior, transition.grid)
    return _several(frames, doa, concentration, _activity(frames, transition.grid, doa))


def filtered_sources(frames: FrameEstimates, online: OnlineSources) -> FrameEstimates:
    """Return the sources of the next frames given the frames before."""
    posterior = online.update(_SHARE * _maps(frames), _weight(frames))
    doa, concentration = posterior_directions(posterior, online.transition.grid)
    return _several(frames, doa, concentration, _activity(frames, online.transition.grid, doa))


def lost_sources(doa: NDArray[np.float64], concentration: NDArray[np.float64]) -> FrameEstimates:
    """Return sources (n_frames, n_sources, 3) of frames that were lost."""
    unknown = np.full(len(doa), np.nan)
    nothing = FrameEstimates(doa, unknown, unknown, np.zeros(len(doa), dtype=bool), unknown)
    return _several(nothing, doa, concentration, np.zeros(doa.shape[:2], dtype=bool))


def track_of(times: NDArray[np.float64], frames: FrameEstimates, ambiguity: Ambiguity) -> Track | MultiTrack:
    """Return the track of one source, with what the array cannot tell apart, or of several."""
    if frames.doa.ndim == 2:
        one = (times, frames.doa, frames.concentration, frames.credible_angle, frames.activity)
        return Track._of_frames(one, ambiguity)
    shape = frames.doa.shape[:2]
    columns: Any = tuple(
        np.broadcast_to(values if values.ndim == 2 else values[:, None], shape)
        for values in (frames.concentration, frames.credible_angle, frames.activity)
    )
    concentration, angle, activity = columns
    return MultiTrack(times, frames.doa, concentration, angle, activity, ambiguity)


def score_sources(truth: list[Any], doa: list[Any], activity: list[Any], times: list[Any], weights: Any) -> float:
    """Return the negative mean OSPA distance in degrees; truth of one source counts as one of several."""
    several = [table if np.ndim(table) == 3 else np.asarray(table)[_axis_of_sources(table)] for table in truth]
    return -ospa_deg(several, doa, weights, active_pred=activity, frame_times=times)


def _axis_of_sources(table: Any) -> Any:
    """Return where a truth of one source gets an axis of sources: rows first, directions per frame second."""
    return np.s_[None] if np.shape(table)[-1:] == (5,) else np.s_[:, None]


def _maps(frames: FrameEstimates) -> NDArray[np.float64]:
    assert frames.log_likelihood is not None  # every estimator that follows several sources makes maps
    return frames.log_likelihood


def _weight(frames: FrameEstimates) -> NDArray[Any]:
    return frames.activity if frames.weight is None else frames.weight


def _activity(frames: FrameEstimates, grid: DirectionGrid, doa: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each source sounds in each frame (n_frames, n_sources): the map is high near its direction."""
    maps = _maps(frames)
    spread = np.maximum(maps.std(axis=1), 1e-12)
    contrast = (maps - maps.mean(axis=1, keepdims=True)) / spread[:, None]
    near = np.cos(max(_NEAR, grid.spacing))
    heights = [
        np.where(doa[:, source] @ grid.directions.T > near, contrast, -np.inf).max(axis=1)
        for source in range(doa.shape[1])
    ]
    return np.asarray((np.stack(heights, axis=1) >= _LEAST_CONTRAST) & frames.activity[:, None])


def _several(
    frames: FrameEstimates, doa: NDArray[Any], concentration: NDArray[Any], active: NDArray[Any]
) -> FrameEstimates:
    angle = credible_angle(torch.from_numpy(np.asarray(concentration)), 0.9).numpy()
    return dataclasses.replace(frames, doa=doa, concentration=concentration, credible_angle=angle, activity=active)
