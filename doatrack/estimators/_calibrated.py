"""How far a tracker's concentrations can be believed: learned from recordings of known directions."""

import copy
import warnings
from collections.abc import Sequence, Sized
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from doatrack.audio.recordings import Recordings, Signals
from doatrack.distributions import ConeCalibration
from doatrack.estimators._arguments import per_recording
from doatrack.estimators._calibration import fit_cone_calibration
from doatrack.estimators._claims import SMOOTHINGS, name_of
from doatrack.estimators._core import TrackerCore
from doatrack.estimators._smoothing import Smoothing, check_smoothing
from doatrack.exceptions import ArrayMismatchWarning, InvalidInputError, NoActivityError
from doatrack.geometry import MicArray
from doatrack.metrics import angular_error
from doatrack.tracking import Track

__all__ = ["CalibratedTracker"]

_Claims = dict[Smoothing, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]
"""Errors in radians, claimed concentrations and agreements of active frames, by the way of joining them."""


class CalibratedTracker(TrackerCore):
    """A tracker whose claimed uncertainty can be made to cover what it says."""

    def calibrate(self, X: Signals, y: Any, arrays: Sequence[MicArray] | None = None) -> Self:
        """Find, from recordings with known directions, how far claimed concentrations can be believed.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            Recordings that the tracker was not fitted on.
        y : truth per recording
            As in `score`.
        arrays : sequence of MicArray, optional
            The array of each recording, for a tracker that will be moved to others by `for_array`; `X` is then a list.
            None: all are of the fitted array.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            Without truth, for several sources, or if `arrays` does not fit the recordings.
        NoActivityError
            If no active frame has a known direction.

        Notes
        -----
        Directions do not change, only their claimed uncertainty: frame by frame, with the filter and with the smoother,
        `calibration_` holds a `ConeCalibration`. With filter and smoother it also asks how well single frames agree
        with the joined answer, from 500 active frames on. Labels are needed, and may come from a simulation. SRPPHAT
        knows nothing of the uncertainty of single frames; that of its filter and smoother can be calibrated.
        """
        check_is_fitted(self)
        if y is None:
            raise InvalidInputError("calibrate needs the truth of its recordings, calibrate(signals, y); got None.")
        if self.n_sources > 1:
            raise InvalidInputError(
                f"calibrate takes one source, got n_sources={self.n_sources}. Set it to 1 for this."
            )
        claiming = copy.copy(self)
        claiming.calibration_ = {}
        claims = claiming._claims_of_arrays(X, y, arrays, SMOOTHINGS)
        if self._claims is False:
            # the filter and smoother of a method without maps build on what its frames are believed
            claiming.calibration_ = {"frame": fit_cone_calibration(*claims[None])}
            claims |= claiming._claims_of_arrays(X, y, arrays, SMOOTHINGS[1:])
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
        angle = known.of_believed().credible_angle(track.concentration, level)
        return np.asarray(angle, dtype=np.float64)

    def _claims_of_arrays(
        self, signals: Signals, y: Any, arrays: Sequence[MicArray] | None, smoothings: tuple[Smoothing, ...]
    ) -> _Claims:
        """Return `_claims_and_errors` of recordings that may each be another array's."""
        if arrays is None:
            recordings = self._recordings(signals)
            parts = [self._claims_and_errors(recordings, per_recording("y", y, recordings) or [], smoothings)]
        else:
            _check_as_many(signals, y, arrays)
            parts = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ArrayMismatchWarning)  # other arrays are what is asked for
                for signal, rows, array in zip(signals, y, arrays, strict=True):
                    moved = self.for_array(array)
                    recordings = moved._recordings([signal])
                    parts.append(moved._claims_and_errors(recordings, [rows], smoothings))
        joined = {s: tuple(map(np.concatenate, zip(*(part[s] for part in parts), strict=True))) for s in smoothings}
        if not len(joined[smoothings[0]][0]):
            raise NoActivityError("calibrate found no active frame with known truth. Give recordings with sound.")
        return joined  # type: ignore[return-value]

    def _claims_and_errors(
        self, recordings: Recordings, truth: list[Any], smoothings: tuple[Smoothing, ...]
    ) -> _Claims:
        """Return errors, claimed concentrations and agreements of active frames of known direction, by smoothing."""
        found: dict[Smoothing, list[Any]] = {smoothing: [] for smoothing in smoothings}
        for k in range(len(recordings)):
            heard = self._estimate(recordings, k, maps=True)
            doa, weight = self._align(truth[k], heard, recordings.name(k))
            keep = (weight > 0) & np.isfinite(doa).all(axis=1)
            for smoothing in smoothings:
                frames = self._one_source(heard, smoothing)
                agreement = np.zeros((len(doa), 0)) if frames.agreement is None else frames.agreement
                columns = angular_error(doa, frames.doa), frames.concentration, agreement
                found[smoothing].append([column[keep] for column in columns])
        return {s: tuple(map(np.concatenate, zip(*found[s], strict=True))) for s in smoothings}  # type: ignore[misc]


def _check_as_many(signals: Any, y: Any, arrays: Any) -> None:
    """Raise unless there is a truth and an array for each of a list of recordings."""
    counts = [len(each) if isinstance(each, Sized) else type(each).__name__ for each in (signals, y, arrays)]
    if not isinstance(signals, list) or counts[1:] != [counts[0]] * 2:
        kind = "" if isinstance(signals, list) else f" (recordings in a {type(signals).__name__})"
        raise InvalidInputError(
            "calibrate with arrays needs lists of as many recordings, truths and arrays, got "
            f"{counts[0]}, {counts[1]} and {counts[2]}{kind}. Give one MicArray per recording."
        )
