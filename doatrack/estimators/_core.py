"""What every tracker is made of inside: frames, tables, and the step from sound to joined frames."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from doatrack._validation import check_bool, check_choice, check_int, check_real
from doatrack.audio.recordings import Recordings, Signals
from doatrack.distributions import ConeCalibration
from doatrack.estimators._arguments import align_truth
from doatrack.estimators._claims import believed, name_of
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._frame_source import FrameHead, FrameSource
from doatrack.estimators._one_side import OneSide
from doatrack.estimators._several_sources import follow_sources, peaks_of_frames, separated_sources
from doatrack.estimators._smoothing import Smoothing, check_smoothing, join_frames, transition_of
from doatrack.exceptions import InvalidInputError
from doatrack.features import WINDOWS, FeatureStream, FrameSettings
from doatrack.geometry import DirectionGrid, MicArray, SeparatedPeaks
from doatrack.tracking import MotionModel, SourceLinker, SwitchingMotion, Transition

__all__ = ["TrackerCore"]

_T = TypeVar("_T")
_COMPUTED = ("_tables", "_computed_for", "_motion_table")
"""Attributes that follow from array and parameters: neither pickled nor copied to another array."""


class TrackerCore(BaseEstimator):
    """From sound to frames, joined by the motion model where that is wanted; nothing of it is public."""

    array: MicArray | None
    sample_rate: int
    win_length: int
    hop_length: int
    window: str
    speed_of_sound: float
    motion: MotionModel | SwitchingMotion | None
    causal: bool
    n_sources: int = 1
    calibration_: dict[str, ConeCalibration]
    _claims = True
    """Whether concentrations mean something before `calibrate`."""
    _sources_from_maps = False
    """Whether several sources are the separated peaks of the log-likelihoods that heads give."""
    array_: MicArray
    grid_: DirectionGrid
    _tables: Any

    def frame_times(self, n_frames: int) -> NDArray[np.float64]:
        """Return the centres of the first `n_frames` frames in seconds."""
        return self._frames().times(n_frames)

    @property
    def _step_s(self) -> float:
        """From one frame to the next, in seconds."""
        return self.hop_length / self.sample_rate

    def _frames(self) -> FrameSettings:
        return FrameSettings(self.sample_rate, self.win_length, self.hop_length, self.window)

    def for_array(self, array: MicArray) -> Self:
        """Return a copy for another array; `BaseTracker` does it."""
        raise NotImplementedError

    def _recordings(self, signals: Signals) -> Recordings:
        check_is_fitted(self)
        self._follow_parameters()
        return Recordings(signals, self.array_.n_mics, self.sample_rate)

    def _joined(self, recordings: Recordings, index: int, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames of one recording, joined by the motion model where that is wanted."""
        check_smoothing(smoothing)
        several = self._follows_several()
        maps = several or smoothing is not None
        frames = self._collected(recordings, index, lambda tracker: tracker._head(maps=maps, only_maps=maps))
        if not several:
            return self._believed(self._one_source(frames, smoothing), smoothing)
        side = OneSide(self.array_, self.grid_)
        frames = side.of_maps_of_several(frames)
        if smoothing is None:
            found = peaks_of_frames(frames, self.grid_, self._peaks(), SourceLinker(self.n_sources))
        else:
            found = follow_sources(frames, self._transition(own_grid=True), self.n_sources, smoothing)
        return side.of_directions(found)

    def _follows_several(self) -> bool:
        return self._sources_from_maps and self.n_sources > 1

    def _peaks(self) -> SeparatedPeaks:
        """Return what finds several sources in a frame's map."""
        return separated_sources(self.grid_, self.n_sources, refine=getattr(self, "refine", True))

    def _one_source(self, frames: FrameEstimates, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames of one source, joined where that is wanted, with the uncertainty that is claimed."""
        side = OneSide(self.array_, self.grid_)
        if smoothing is None:
            return side.of_directions(frames)
        if frames.log_likelihood is None:
            frames = self._believed(frames, None)
        frames = side.of_maps(frames)
        transition = self._transition(frames.log_likelihood is not None)
        return side.of_directions(join_frames(frames, transition, smoothing, self._step_s))

    def _believed(self, frames: FrameEstimates, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames with the uncertainty that `calibrate` found for this way of joining them."""
        return believed(frames, self.calibration_.get(name_of(smoothing)), claims=self._claims or smoothing is not None)

    def _transition(self, own_grid: bool) -> Transition:
        """Return the motion of one frame, built once for as long as grid, hop and motion stay the same."""
        grid = self.grid_ if own_grid else None
        step_s = self._step_s
        key = (None if grid is None else grid.directions.tobytes(), step_s, self.motion)
        kept = self.__dict__.get("_motion_table")
        if kept is None or kept[0] != key:
            kept = self._motion_table = (key, transition_of(self.motion, grid, step_s))
        return kept[1]

    def _too_short(self, recordings: Recordings, index: int) -> Any:
        raise InvalidInputError(
            f"{recordings.name(index)} must be at least one frame long, {self.win_length} samples "
            f"({self.win_length / self.sample_rate:.3g} s). Record longer, or choose a smaller win_length."
        )

    def _align(self, truth: Any, frames: FrameEstimates, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return align_truth(truth, self.frame_times(len(frames.doa)), frames.activity, name)

    def _check_parameters(self) -> None:
        check_int("sample_rate", self.sample_rate, 1000)
        check_int("win_length", self.win_length, 16)
        check_int("hop_length", self.hop_length, 1)
        check_choice("window", self.window, WINDOWS)
        check_real("speed_of_sound", self.speed_of_sound, 100.0, 10000.0)
        check_int("n_sources", self.n_sources, 1)
        check_bool("causal", self.causal)
        if self.motion is not None and not isinstance(self.motion, (MotionModel, SwitchingMotion)):
            raise InvalidInputError(
                "motion must be a doatrack.tracking.MotionModel, a SwitchingMotion, or None for the usual one, "
                f"got {self.motion!r}."
            )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in _COMPUTED:
            state.pop(name, None)
        return state

    def _tables_for(self, build: Callable[[Any], _T]) -> _T:
        """Return what follows from array, grid and parameters, computed once for as long as these stay the same."""
        self._follow_parameters()
        if self.__dict__.get("_tables") is None:
            self._tables = build(self)
        return self._tables

    def _follow_parameters(self) -> None:
        """Make the grid anew, and forget what was computed, where parameters or array are others than before."""
        now = repr((self.get_params(deep=False), self.array_.positions.tolist()))
        if self.__dict__.get("_computed_for") != now:
            self.grid_ = self._search_grid()
            self._tables, self._computed_for = None, now

    def _forget_tables(self) -> None:
        """Drop what is computed from array and parameters."""
        for name in _COMPUTED:
            self.__dict__.pop(name, None)

    def _search_grid(self) -> DirectionGrid:
        """Return the candidate directions that the parameters ask for."""
        raise NotImplementedError

    def _moved(self) -> None:
        """Tell what no longer holds after a move to another array."""

    def _fit(
        self, recordings: Recordings, truth: Any, array: MicArray, activity: list[NDArray[np.bool_]] | None
    ) -> None:
        raise NotImplementedError

    def _estimate(
        self, recordings: Recordings, index: int, *, evidence: bool = False, maps: bool = False
    ) -> FrameEstimates:
        """Return the frames of one recording; evidence and log-likelihood need be there where they are asked for."""
        return self._collected(recordings, index, lambda tracker: tracker._head(evidence=evidence, maps=maps))

    def _collected(self, recordings: Recordings, index: int, start: Callable[[Self], FrameHead]) -> FrameEstimates:
        """Return what heads make of the frames of one recording, read block by block."""
        tracker = self._believing(recordings, index)
        source = FrameSource(tracker._feature_stream(), lambda: start(tracker), prompt=False)
        found = [part for block in recordings.blocks(index) for part in source.push(block)] + source.finish()
        parts = [part for part in found if isinstance(part, FrameEstimates)]
        return FrameEstimates.joined(parts) if parts else self._too_short(recordings, index)

    def _believing(self, recordings: Recordings, index: int) -> Self:
        """Return the tracker, with the microphones where it takes them to be in a recording."""
        return self

    def _feature_stream(self) -> FeatureStream:
        """Return what makes features of sound as it comes."""
        raise NotImplementedError

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        """Return what makes frames of features as they come; with `only_maps`, directions may be NaN where maps are.

        An estimator without maps gives no log-likelihood, and is smoothed by its directions and concentrations.
        """
        raise NotImplementedError

    def _makes_maps(self) -> bool:
        """Return whether frames come with log-likelihoods over the estimator's own grid, where these are asked for."""
        return self._sources_from_maps

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned: JSON values and arrays."""
        return {}, {}

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Set what `_state` returned; `array_` is already there."""
