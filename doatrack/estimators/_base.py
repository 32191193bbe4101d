"""What all trackers share: arguments, containers, frames, scores."""

import copy
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from doatrack._validation import (
    check_choice,
    check_int,
    check_real,
    check_weights,
)
from doatrack.audio.recordings import Recordings, Signals
from doatrack.distributions import ConeCalibration
from doatrack.estimators._arguments import align_truth, per_recording, sort_arguments
from doatrack.estimators._calibration import fit_cone_calibration
from doatrack.estimators._claims import SMOOTHINGS, believed, name_of
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._one_side import one_side, one_side_of_map, what_is_ambiguous
from doatrack.estimators._several_sources import follow_sources, peaks_of_frames, score_sources, track_of
from doatrack.estimators._smoothing import Smoothing, check_smoothing, join_frames, transition_of
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.features import WINDOWS, FrameSettings
from doatrack.geometry import DirectionGrid, MicArray
from doatrack.metrics import angular_error, mean_angular_error_deg
from doatrack.streaming import Stream
from doatrack.tracking import MotionModel, SwitchingMotion, Track, Transition

__all__ = ["BaseTracker"]


_T = TypeVar("_T")


class BaseTracker(BaseEstimator):
    """Estimator of a direction per frame.

    A subclass stores its parameters in `__init__`, and gives `_fit` (learn from recordings), `_estimate` (the
    frames of one recording), `_search_grid`, `_state` and `_restore` (what a file keeps).
    """

    array: MicArray | None
    sample_rate: int
    win_length: int
    hop_length: int
    window: str
    speed_of_sound: float
    motion: MotionModel | SwitchingMotion | None
    n_sources: int = 1
    calibration_: dict[str, ConeCalibration]
    _claims = True
    """Whether concentrations mean something before `calibrate`."""
    _sources_from_maps = False
    """Whether several sources are the separated peaks of the log-likelihoods that `_estimate` gives."""
    array_: MicArray
    grid_: DirectionGrid

    def fit(self, X: Signals, y: Any = None, array: MicArray | None = None, activity: Any = None) -> Self:
        """Fit to recordings of one array.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            One recording (n_mics, n_samples), a batch (n_recordings, n_mics, n_samples), a list of recordings of any
            lengths, or paths of audio files.
        y : MicArray or truth, optional
            A `MicArray` here is taken as `array`, so that `fit(signals, array)` and `fit(signals, array, doa)` work.
            Truth is ignored by estimators that learn without labels.
        array : MicArray, optional
            The array; None takes the constructor's.
        activity : bool array (n_frames,) or list of them, optional
            Which frames hold sound; None estimates it from the signals.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            On signals that do not fit the array, or if no array is known.
        """
        truth, given = sort_arguments(y, array)
        chosen = given if given is not None else self.array
        if not isinstance(chosen, MicArray):
            raise InvalidInputError(
                f"{type(self).__name__} needs the geometry: call fit(signals, array) with a MicArray, or give it to "
                f"the constructor, {type(self).__name__}(array=...); got {chosen!r}."
            )
        self._check_parameters()
        recordings = Recordings(X, chosen.n_mics, self.sample_rate)
        self._fit(recordings, truth, chosen, per_recording("activity", activity, recordings))
        self.calibration_ = {}
        return self

    def predict(self, X: Signals, smoothing: Smoothing = None) -> Any:
        """Return the direction of every frame.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            As in `fit`, with the channels of the fitted array.
        smoothing : {None, "filter", "smoother"}
            None: each frame as the method hears it. "filter": given all earlier frames too, by the motion model, for
            live use. "smoother": given the whole recording.

        Returns
        -------
        ndarray of shape (n_frames, 3), or a batch or list of them; (n_frames, n_sources, 3) for several sources
            Unit vectors in the array's coordinates (x front, y left, z up), in the container of `X`. Frames
            without sound have a row too, of no meaning. A source keeps its place on the axis of sources.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called.
        InvalidInputError
            On signals that do not fit the array, or an unknown smoothing.
        """
        recordings = self._recordings(X)
        return recordings.mirror([self._joined(recordings, k, smoothing).doa for k in range(len(recordings))])

    def track(self, X: Signals, smoothing: Smoothing = "smoother") -> Any:
        """Return a `Track` per recording: times, directions, uncertainty and activity; for several a `MultiTrack`.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            As in `predict`.
        smoothing : {"smoother", "filter", None}
            As in `predict`; here the smoother unless told otherwise.

        Returns
        -------
        Track or list of Track; MultiTrack or list of MultiTrack for several sources
        """
        recordings = self._recordings(X)
        tracks = []
        for k in range(len(recordings)):
            frames = self._joined(recordings, k, smoothing)
            times = self.frame_times(len(frames.doa))
            tracks.append(track_of(times, frames, what_is_ambiguous(self.array_, self.grid_)))
        return recordings.mirror(tracks)

    def stream(self, smoothing: Literal["filter"] | None = "filter") -> Stream:
        """Return a stream that takes sound as it comes, and gives what `track` with this smoothing would give.

        Parameters
        ----------
        smoothing : {"filter", None}
        """
        check_is_fitted(self)
        return Stream(lambda samples: self.track(samples, smoothing), self._frames(), self.array_.n_mics)

    def score(self, X: Signals, y: Any = None, sample_weight: Any = None) -> float:
        """Return the negative mean angular error in degrees, or without truth the mean evidence; larger is better.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
        y : truth per recording, optional
            Unit vectors (n_frames, 3), or rows `time_s, x, y, z, active` at any rate. Frames whose truth is NaN or
            inactive do not count; with unit vectors, activity is estimated from the signals.
        sample_weight : array (n_frames,) per recording, optional
            Weights of frames instead of the activity.

        Returns
        -------
        float

        Notes
        -----
        With several sources it is the negative mean OSPA distance (`doatrack.metrics.ospa_deg`), which counts what is
        missed or invented as 30 degrees; truth is rows (n_sources, n_rows, 5), or (n_frames, n_true, 3) where NaN
        means that a source is silent.
        """
        recordings = self._recordings(X)
        truth = per_recording("y", y, recordings)
        weights = per_recording("sample_weight", sample_weight, recordings)
        if self._sources_from_maps and self.n_sources > 1 and truth is not None:
            parts = [self._joined(recordings, k, None) for k in range(len(recordings))]
            times = [self.frame_times(len(part.doa)) for part in parts]
            return score_sources(truth, [p.doa for p in parts], [p.activity for p in parts], times, weights)
        rows = []
        for k in range(len(recordings)):
            frames = one_side(self._estimate(recordings, k, evidence=truth is None), self.array_, self.grid_)
            doa, weight = frames.doa, frames.activity.astype(float)
            if truth is not None:
                doa, weight = self._align(truth[k], frames, recordings.name(k))
            if weights is not None:
                weight = check_weights(f"sample_weight of {recordings.name(k)}", weights[k], len(doa))
            rows.append((doa, frames, weight))
        if y is None:
            total = sum(float(w.sum()) for _, _, w in rows)
            if total <= 0:
                raise NoActivityError(
                    "score without truth needs active frames, and the recordings hold only silence or steady noise. "
                    "Score recordings with sound, or give sample_weight."
                )
            return sum(float((f.evidence * w).sum()) for _, f, w in rows) / total
        return -mean_angular_error_deg([d for d, _, _ in rows], [f.doa for _, f, _ in rows], [w for _, _, w in rows])

    def calibrate(self, X: Signals, y: Any) -> Self:
        """Find, from recordings with known directions, how far claimed concentrations can be believed.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            Recordings that the tracker was not fitted on.
        y : truth per recording
            As in `score`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            Without truth, or for several sources.
        NoActivityError
            If no active frame has a known direction.

        Notes
        -----
        Directions do not change, only their claimed uncertainty: frame by frame, with the filter and with the smoother,
        `calibration_` holds a `ConeCalibration`. Labels are needed, and may come from a simulation. SRPPHAT
        knows nothing of the uncertainty of single frames; that of its filter and smoother can be calibrated.
        """
        recordings = self._recordings(X)
        truth = per_recording("y", y, recordings)
        if truth is None:
            raise InvalidInputError("calibrate needs the truth of its recordings, calibrate(signals, y); got None.")
        if self.n_sources > 1:
            raise InvalidInputError(
                f"calibrate takes one source, got n_sources={self.n_sources}. Set it to 1 for this."
            )
        claiming = copy.copy(self)
        claiming.calibration_ = {}
        claims = claiming._claims_and_errors(recordings, truth, SMOOTHINGS)
        if self._claims is False:
            # the filter and smoother of a method without maps build on what its frames are believed
            claiming.calibration_ = {"frame": fit_cone_calibration(*claims[None])}
            claims |= claiming._claims_and_errors(recordings, truth, SMOOTHINGS[1:])
        self.calibration_ = {
            name_of(smoothing): fit_cone_calibration(*found)
            for smoothing, found in claims.items()
            if np.isfinite(found[1]).all()
        }
        return self

    def credible_angle(
        self, track: Track, level: float = 0.9, smoothing: Smoothing = "smoother"
    ) -> NDArray[np.float64]:
        """Return the half-angle of the cones around a track's directions at any level.

        Parameters
        ----------
        track : Track
            Of this tracker.
        level : float
            Probability that the cone holds the source, strictly between 0 and 1.
        smoothing : {"smoother", "filter", None}
            As the track was made.

        Returns
        -------
        ndarray of shape (n_frames,)
            In radians; NaN where the concentration is unknown.
        """
        check_is_fitted(self)
        check_smoothing(smoothing)
        known = self.calibration_.get(name_of(smoothing), ConeCalibration())
        # a track's concentrations are believed already
        angle = dataclasses.replace(known, scale=1.0, power=1.0).credible_angle(track.concentration, level)
        return np.asarray(angle, dtype=np.float64)

    def _claims_and_errors(
        self, recordings: Recordings, truth: list[Any], smoothings: tuple[Smoothing, ...]
    ) -> dict[Smoothing, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return errors in radians and claimed concentrations of active frames of known direction, by smoothing."""
        errors: dict[Smoothing, list[Any]] = {smoothing: [] for smoothing in smoothings}
        concentration: dict[Smoothing, list[Any]] = {smoothing: [] for smoothing in smoothings}
        for k in range(len(recordings)):
            heard = self._estimate(recordings, k, maps=True)
            doa, weight = self._align(truth[k], heard, recordings.name(k))
            keep = (weight > 0) & np.isfinite(doa).all(axis=1)
            for smoothing in smoothings:
                frames = self._one_source(heard, smoothing)
                errors[smoothing].append(angular_error(doa[keep], frames.doa[keep]))
                concentration[smoothing].append(frames.concentration[keep])
        if not sum(map(len, errors[smoothings[0]])):
            raise NoActivityError("calibrate found no active frame with known truth. Give recordings with sound.")
        return {s: (np.concatenate(errors[s]), np.concatenate(concentration[s])) for s in smoothings}

    def frame_times(self, n_frames: int) -> NDArray[np.float64]:
        """Return the centres of the first `n_frames` frames in seconds."""
        return self._frames().times(n_frames)

    def for_array(self, array: MicArray) -> Self:
        """Return a copy of this fitted estimator for another array.

        Parameters
        ----------
        array : MicArray

        Warns
        -----
        ArrayMismatchWarning
            If something that was learned need not hold for the other array; the message says what.
        """
        check_is_fitted(self)
        if not isinstance(array, MicArray):
            raise InvalidInputError(f"array must be a MicArray, got {type(array).__name__}.")
        other = copy.deepcopy(self)
        other._forget_tables()
        other.array_ = array
        other._moved()
        return other

    def with_search_region(
        self,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
    ) -> Self:
        """Return a copy of this fitted estimator that looks for sources in a part of the sphere only.

        Nothing is learned anew: the candidates for a direction become fewer. It replaces the region that the
        constructor was given; without arguments all directions are searched.

        Parameters
        ----------
        azimuth_range_deg : (float, float), optional
            From, to, in degrees counter-clockwise from front; (150, -150) crosses the back. None is all around.
        elevation_range_deg : (float, float), optional
            Lowest and highest in degrees; (0, 90) is the upper hemisphere. None is from pole to pole.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        InvalidInputError
            If no direction is left, or the estimator does not search a grid (encoder "paper").

        Examples
        --------
        >>> from doatrack import SRPPHAT
        >>> fitted = SRPPHAT(n_directions=500).fit(np.zeros((4, 8000)), MicArray.from_preset("tetrahedron_4"))
        >>> fitted.with_search_region(elevation_range_deg=(0, 90)).grid_.n_directions
        250
        """
        check_is_fitted(self)
        other = copy.deepcopy(self)
        other.set_params(azimuth_range_deg=azimuth_range_deg, elevation_range_deg=elevation_range_deg)
        other._forget_tables()
        other.grid_ = other._search_grid()
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one safetensors file, which `doatrack.load` reads.

        Nothing in the file can run code. It is written beside and moved, so an older file survives a full disk.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        OSError
            If the file cannot be written.
        """
        from doatrack.estimators._files import save_estimator

        check_is_fitted(self)
        save_estimator(self, pathlib.Path(path))

    def _frames(self) -> FrameSettings:
        return FrameSettings(self.sample_rate, self.win_length, self.hop_length, self.window)

    def _recordings(self, signals: Signals) -> Recordings:
        check_is_fitted(self)
        return Recordings(signals, self.array_.n_mics, self.sample_rate)

    def _joined(self, recordings: Recordings, index: int, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames of one recording, joined by the motion model where that is wanted."""
        check_smoothing(smoothing)
        several = self._sources_from_maps and self.n_sources > 1
        frames = self._estimate(recordings, index, maps=several or smoothing is not None)
        if not several:
            return self._believed(self._one_source(frames, smoothing), smoothing)
        if smoothing is None:
            return peaks_of_frames(frames, self.grid_, self.n_sources, refine=getattr(self, "refine", True))
        return follow_sources(frames, self._transition(own_grid=True), self.n_sources, smoothing)

    def _one_source(self, frames: FrameEstimates, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames of one source, joined where that is wanted, with the uncertainty that is claimed."""
        if smoothing is None:
            return one_side(frames, self.array_, self.grid_)
        if frames.log_likelihood is None:
            frames = self._believed(frames, None)
        frames = one_side_of_map(frames, self.array_, self.grid_)
        joined = join_frames(frames, self._transition(frames.log_likelihood is not None), smoothing)
        return one_side(joined, self.array_, self.grid_)

    def _believed(self, frames: FrameEstimates, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames with the uncertainty that `calibrate` found for this way of joining them."""
        return believed(frames, self.calibration_.get(name_of(smoothing)), claims=self._claims or smoothing is not None)

    def _transition(self, own_grid: bool) -> Transition:
        """Return the motion of one frame, built once for as long as grid, hop and motion stay the same."""
        grid = self.grid_ if own_grid else None
        step_s = self.hop_length / self.sample_rate
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
        if self.motion is not None and not isinstance(self.motion, (MotionModel, SwitchingMotion)):
            raise InvalidInputError(
                "motion must be a doatrack.tracking.MotionModel, a SwitchingMotion, or None for the usual one, "
                f"got {self.motion!r}."
            )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_tables", None)
        state.pop("_motion_table", None)
        return state

    def _tables_for(self, build: Callable[[Any], _T]) -> _T:
        """Return what follows from array, grid and parameters, computed once for as long as these stay the same."""
        key = repr((self.get_params(deep=False), self.array_.positions.tolist()))
        kept = self.__dict__.get("_tables")
        if kept is None or kept[0] != key:
            self.grid_ = self._search_grid()
            kept = self._tables = (key, build(self))
        return kept[1]

    def _forget_tables(self) -> None:
        """Drop what is computed from array and parameters."""
        self.__dict__.pop("_tables", None)
        self.__dict__.pop("_motion_table", None)

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
        """Return the frames of one recording; evidence and log-likelihood need be there where they are asked for.

        An estimator without maps gives no log-likelihood, and is smoothed by its directions and concentrations.
        """
        raise NotImplementedError

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned: JSON values and arrays."""
        return {}, {}

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Set what `_state` returned; `array_` is already there."""
