"""How far a tracker's concentrations can be believed: learned from recordings of known directions."""

import copy
import dataclasses
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
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.metrics import angular_error
from doatrack.tracking import Track

__all__ = ["CalibratedTracker"]


class CalibratedTracker(TrackerCore):
    """A tracker whose claimed uncertainty can be made to cover what it says."""

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
