"""Joining frames with those before them, as they come; what is said of frames that were lost."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._one_side import OneSide
from doatrack.estimators._several_sources import filtered_sources, lost_sources
from doatrack.estimators._smoothing import log_likelihood_of, weight_of
from doatrack.tracking import OnlineFilter, OnlineSources, Transition, posterior_directions
from doatrack.tracking.agreement import AgreementMean, map_agreement
from doatrack.tracking.posterior_summary import PosteriorSummary

__all__ = ["FilterJoin", "NoJoin", "OnlineJoin", "SeveralJoin", "SourcesJoin"]

_Step = Callable[[FrameEstimates], FrameEstimates]


class OnlineJoin(Protocol):
    """What follows the estimates of single frames."""

    def push(self, frames: FrameEstimates) -> FrameEstimates:
        """Return the next frames, given those before."""

    def lost(self, n_frames: int) -> FrameEstimates:
        """Return frames of which nothing was heard."""


class NoJoin:
    """Each frame as the method hears it; lost ones point nowhere.

    Parameters
    ----------
    after : callable
        What is done to all frames.
    """

    def __init__(self, after: _Step) -> None:
        self._after = after

    def push(self, frames: FrameEstimates) -> FrameEstimates:
        return self._after(frames)

    def lost(self, n_frames: int) -> FrameEstimates:
        unknown = np.full(n_frames, np.nan)
        return FrameEstimates(np.full((n_frames, 3), np.nan), unknown, unknown, unknown == 0, unknown)


class FilterJoin:
    """The filter, frame by frame; lost frames are predicted from those before.

    Parameters
    ----------
    transition : Transition
    step_s : float
        From one frame to the next in seconds.
    before, after : callable
        What is done to frames before the filter, and after.
    """

    def __init__(self, transition: Transition, step_s: float, before: _Step, after: _Step) -> None:
        self._filter, self._before, self._after = OnlineFilter(transition), before, after
        self._summary, self._agreement = PosteriorSummary(transition.grid), AgreementMean(step_s)

    def push(self, frames: FrameEstimates) -> FrameEstimates:
        heard = self._before(frames)
        likelihood = log_likelihood_of(heard, self._filter.transition.grid)
        weight = weight_of(heard)
        posterior = self._filter.heard(likelihood, weight)
        agreement = self._agreement.push(map_agreement(posterior, likelihood), weight)
        return self._after(self._placed(heard, posterior, agreement))

    def lost(self, n_frames: int) -> FrameEstimates:
        posterior = self._filter.predict(n_frames)
        unknown = np.full(len(posterior), np.nan)
        nowhere = FrameEstimates(np.zeros((len(posterior), 3)), unknown, unknown, unknown == 0, unknown)
        # nothing was heard that could agree or not: what was known before still holds
        agreement = np.tile(self._agreement.last, (len(posterior), 1))
        known = self._after(self._placed(nowhere, posterior, agreement))
        rows = np.minimum(np.arange(n_frames), len(posterior) - 1)
        return FrameEstimates(
            known.doa[rows],
            known.concentration[rows],
            known.credible_angle[rows],
            known.activity[rows],
            known.evidence[rows],
            agreement=agreement[rows],
        )

    def _placed(
        self, frames: FrameEstimates, posterior: NDArray[np.float64], agreement: NDArray[np.float64]
    ) -> FrameEstimates:
        doa, concentration, angle = self._summary(posterior)
        return dataclasses.replace(
            frames, doa=doa, concentration=concentration, credible_angle=angle, agreement=agreement
        )


class SeveralJoin:
    """Several sources in each frame as they are heard; in lost ones they are nowhere.

    Parameters
    ----------
    find : callable
        From frames to those of the sources.
    n_sources : int
    """

    def __init__(self, find: _Step, n_sources: int) -> None:
        self._find, self._n_sources = find, n_sources

    def push(self, frames: FrameEstimates) -> FrameEstimates:
        return self._find(frames)

    def lost(self, n_frames: int) -> FrameEstimates:
        unknown = np.full((n_frames, self._n_sources), np.nan)
        return lost_sources(np.repeat(unknown[..., None], 3, axis=-1), unknown)


class SourcesJoin:
    """One filter for each of several sources; lost frames are predicted from those before.

    Parameters
    ----------
    transition : Transition
    n_sources : int
    side : OneSide
    """

    def __init__(self, transition: Transition, n_sources: int, side: OneSide) -> None:
        self._sources, self._side = OnlineSources(transition, n_sources), side

    def push(self, frames: FrameEstimates) -> FrameEstimates:
        found = filtered_sources(self._side.of_maps_of_several(frames), self._sources)
        return self._side.of_directions(found)

    def lost(self, n_frames: int) -> FrameEstimates:
        posterior = self._sources.predict(n_frames)
        doa, concentration = posterior_directions(posterior, self._sources.transition.grid)
        rows = np.minimum(np.arange(n_frames), len(doa) - 1)
        return self._side.of_directions(lost_sources(doa[rows], concentration[rows]))
