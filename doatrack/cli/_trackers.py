"""The tracker that a command line asks for, for each array that it meets."""

import pathlib
from typing import Any

import numpy as np

from doatrack._validation import check_choice
from doatrack.cli._arguments import missing_array, note_ambiguity
from doatrack.estimators import DML, ESPRIT, MUSIC, SRPPHAT, Cross3DTracker, NeuralSRPTracker, PhysicsVAETracker, load
from doatrack.exceptions import InvalidInputError
from doatrack.features.gcc_features import WEIGHTINGS
from doatrack.geometry import MicArray
from doatrack.persistence import PRETRAINED

__all__ = ["METHODS", "Trackers", "named_tracker"]

METHODS = {
    "srp-phat": SRPPHAT,
    "music": MUSIC,
    "norm-music": MUSIC,
    "dml": DML,
    "esprit": ESPRIT,
    "physics-vae": PhysicsVAETracker,
    "neural-srp": NeuralSRPTracker,
    "cross3d": Cross3DTracker,
}
_PARAMETERS: dict[str, dict[str, Any]] = {"music": {"normalised": False}, "norm-music": {"normalised": True}}
_ONLY_FITTED = ("neural-srp", "cross3d")
_WITH_FEATURES = ("srp-phat",)

_SHIPPED = "nao_head_12"

Region = tuple[float, float] | None


def named_tracker(name: str) -> Any:
    """Return the fitted tracker that comes with doatrack under a name, or that a model file holds."""
    return PhysicsVAETracker.from_pretrained(name) if name in PRETRAINED else load(name)


class Trackers:
    """Fitted trackers of one method, made once per array.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    model : path, optional
        A model file; None is the shipped tracker, or for the classical methods none. The supervised methods need one.
    azimuth, elevation : (float, float), optional
        Search region in degrees.
    features : str, optional
        How correlations are weighted, for methods that learn nothing from them; None is the method's or file's own.

    Raises
    ------
    InvalidInputError
        If the method is unknown or needs a model file, the file holds another one, or the method takes no features.
    ModelFileError
        If the model file cannot be read.
    """

    def __init__(
        self,
        method: str,
        model: pathlib.Path | None,
        azimuth: Region,
        elevation: Region,
        features: str | None = None,
    ) -> None:
        self.method = check_choice("--method", method, METHODS)
        self._features = None if features is None else self._check_features(features)
        self._model = model
        self._region = (azimuth, elevation)
        self._learned = self._load()
        self._made: dict[MicArray, Any] = {}

    def for_array(self, array: MicArray | None, recording: pathlib.Path | None = None) -> Any:
        """Return the fitted tracker for an array; None is the array of the model file.

        Parameters
        ----------
        array : MicArray, optional
        recording : path, optional
            What it is for, for a message where there is no array.

        Warns
        -----
        ArrayMismatchWarning
            If it learned with another array.
        """
        if array is None:
            if self._model is None:
                raise missing_array("Tracking", *([] if recording is None else [recording]))
            array = self._learned.array_
        if array not in self._made:
            self._made[array] = self._make(array)
        return self._made[array]

    def of_several(self, tracker: Any, n_sources: int) -> Any:
        """Return a fitted tracker set to several sources.

        Raises
        ------
        InvalidInputError
            If it follows one only.
        """
        if n_sources == 1:
            return tracker
        if "n_sources" not in tracker.get_params(deep=False):
            raise InvalidInputError(
                f"{n_sources} sources need a method that follows several, got {self.method}. Take physics-vae with "
                "maps or srp-phat, or --sources 1."
            )
        return tracker.set_params(n_sources=n_sources)

    def _check_features(self, features: str) -> str:
        if self.method not in _WITH_FEATURES:
            raise InvalidInputError(
                f"--features goes with --method {' or '.join(_WITH_FEATURES)}, got --method {self.method}. A learned "
                "tracker keeps the features that it learned with."
            )
        return check_choice("--features", features, WEIGHTINGS)

    def _load(self) -> Any:
        if self._model is not None:
            loaded = load(self._model)
            if not _is(loaded, self.method):
                fitting = [f" Use --method {name}." for name in METHODS if _is(loaded, name)]
                raise InvalidInputError(
                    f"{self._model} holds a {type(loaded).__name__}, which is not what --method {self.method} names."
                    + "".join(fitting)
                )
            return loaded
        if self.method in _ONLY_FITTED:
            raise InvalidInputError(
                f"--method {self.method} needs --model FILE: it learns from known directions, in Python by "
                f"{METHODS[self.method].__name__}().fit(signals, array, doa).save(FILE)."
            )
        return named_tracker(_SHIPPED) if self.method == "physics-vae" else None

    def _make(self, array: MicArray) -> Any:
        if self._learned is None:
            tracker = METHODS[self.method](**_PARAMETERS.get(self.method, {}))
            # nothing is learned from the sound: only the geometry counts
            tracker.fit(np.zeros((array.n_mics, tracker.win_length), dtype=np.float32), array)
        else:
            tracker = self._learned if self._learned.array_ == array else self._learned.for_array(array)
        if self._features is not None:
            tracker.set_params(features=self._features)
        if self._region != (None, None):
            return tracker.with_search_region(*self._region)
        region = tuple(getattr(tracker, name, None) for name in ("azimuth_range_deg", "elevation_range_deg"))
        if region == (None, None):
            note_ambiguity(array)
        return tracker


def _is(tracker: Any, method: str) -> bool:
    """Return whether a tracker is what a method's name stands for."""
    wanted = _PARAMETERS.get(method, {})
    return isinstance(tracker, METHODS[method]) and all(getattr(tracker, name) == wanted[name] for name in wanted)
