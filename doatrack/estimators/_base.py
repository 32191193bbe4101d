"""What all trackers share: arguments, containers, frames, scores."""

import copy
import os
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from doatrack._validation import check_path, check_weights
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._arguments import per_recording, says_activity, sort_arguments
from doatrack.estimators._calibrated import CalibratedTracker
from doatrack.estimators._many import each_recording
from doatrack.estimators._one_side import OneSide, what_is_ambiguous
from doatrack.estimators._several_sources import score_sources, track_of
from doatrack.estimators._smoothing import Smoothing
from doatrack.estimators._streamed import StreamedTracker
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.geometry import MicArray
from doatrack.metrics import mean_angular_error_deg

__all__ = ["BaseTracker"]


class BaseTracker(StreamedTracker, CalibratedTracker):
    """Estimator of a direction per frame.

    A subclass stores its parameters in `__init__`, and gives `_fit` (learn from recordings), `_feature_stream` and
    `_head` (from sound to features, and to frames), `_search_grid`, `_state` and `_restore` (what a file keeps).
    """

    def fit(
        self, X: Signals, y: Any = None, array: MicArray | Sequence[MicArray] | None = None, activity: Any = None
    ) -> Self:
        """Fit to recordings of one array, or of several where the tracker can learn from them.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            One recording (n_mics, n_samples), a batch (n_recordings, n_mics, n_samples), a list of recordings of any
            lengths, or paths of audio files.
        y : MicArray or truth, optional
            A `MicArray` here, or a list of them, is taken as `array`, so that `fit(signals, array)` and
            `fit(signals, array, doa)` work.
            Truth is ignored by estimators that learn without labels.
        array : MicArray or list of MicArray, optional
            The array; None takes the constructor's. `PhysicsVAETracker` also takes the array of each recording, X then
            being a list: it learns from all of them together, and is then one for the first array (`array_`;
            `for_array` gives it for the others).
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
        if isinstance(given, list):
            self._check_parameters()
            self._fit_arrays(X, given, activity)
            self.calibration_ = {}
            return self
        chosen = given if given is not None else self.array
        if not isinstance(chosen, MicArray):
            raise InvalidInputError(
                f"{type(self).__name__} needs the geometry: call fit(signals, array) with a MicArray, or give it to "
                f"the constructor, {type(self).__name__}(array=...); got {chosen!r}{_no_array(truth)}."
            )
        self._check_parameters()
        recordings = Recordings(X, chosen.n_mics, self.sample_rate)
        self._fit(recordings, truth, chosen, per_recording("activity", activity, recordings))
        self.calibration_ = {}
        return self

    def _fit_arrays(self, signals: Signals, arrays: list[MicArray], activity: Any) -> None:
        """Learn from recordings that may each be another array's."""
        raise InvalidInputError(
            f"{type(self).__name__} is fitted to recordings of one array, got a list of {len(arrays)}. Give one "
            "MicArray; PhysicsVAETracker learns from several."
        )

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
        return recordings.mirror(each_recording(partial(self._doa_of, smoothing), recordings))

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

        Notes
        -----
        `track` and `predict` of many recordings follow `joblib.parallel_config(n_jobs=...)`, with the same answers.
        """
        recordings = self._recordings(X)
        return recordings.mirror(each_recording(partial(self._track_of, smoothing), recordings))

    def score(self, X: Signals, y: Any = None, sample_weight: Any = None) -> float:
        """Return the negative mean angular error in degrees, or without truth the mean evidence; larger is better.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
        y : truth per recording, optional
            Unit vectors (n_frames, 3), or rows `time_s, x, y, z, active` at any rate. Frames whose truth is NaN or
            inactive do not count; with unit vectors, activity is estimated from the signals.
        sample_weight : array (n_frames,) per recording, optional
            Weights of frames, in place of the estimated activity; frames that rows call inactive count for nothing.

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
            frames = OneSide(self.array_, self.grid_).of_directions(
                self._estimate(recordings, k, evidence=truth is None)
            )
            doa, weight = frames.doa, frames.activity.astype(float)
            if truth is not None:
                doa, weight = self._align(truth[k], frames, recordings.name(k))
            if weights is not None:
                given = check_weights(f"sample_weight of {recordings.name(k)}", weights[k], len(doa))
                weight = given * weight if truth is not None and says_activity(truth[k]) else given
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
        >>> import numpy as np
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
        InvalidInputError
            If `path` is none.
        OSError
            If the file cannot be written.
        """
        from doatrack.estimators._files import save_estimator

        check_is_fitted(self)
        save_estimator(self, check_path("path", path))

    def _doa_of(self, smoothing: Smoothing, recordings: Recordings, index: int) -> NDArray[np.float64]:
        return self._joined(recordings, index, smoothing).doa

    def _track_of(self, smoothing: Smoothing, recordings: Recordings, index: int) -> Any:
        frames = self._joined(recordings, index, smoothing)
        return track_of(self.frame_times(len(frames.doa)), frames, what_is_ambiguous(self.array_, self.grid_))


def _no_array(truth: Any) -> str:
    """Say in words what stands where an array is often put, and is none."""
    return "" if truth is None else f", and as y a {type(truth).__name__}, which is no array"
