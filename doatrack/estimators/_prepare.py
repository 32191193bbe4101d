"""What learning reads: recordings once to features on disk, and the targets that follow from them."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_array
from doatrack.audio.recordings import Recordings
from doatrack.estimators._progress import progress_over
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.features import FeatureStore, FeatureStream, GCCExtractor
from doatrack.features.shards import FeatureShards

__all__ = ["Activity", "Preparation", "Prepared", "check_teaches", "correlations"]

Activity = NDArray[np.bool_]


class Truth(Protocol):
    """Directions (n_frames, 3) of a recording, NaN in frames that do not count."""

    def __call__(self, recordings: Recordings, index: int, activity: Activity) -> NDArray[np.float64]:
        """Return them at the frames of `activity`."""


class Targets(Protocol):
    """Distributions to be learned, computed from the features of whole recordings."""

    @property
    def n_directions(self) -> int:
        """The number of candidate directions."""

    def write(self, store: FeatureStore, targets: FeatureStore) -> None:
        """Write those of every recording of a store, (n_frames, 1, n_directions)."""


def correlations(gcc: Tensor) -> Tensor:
    """Return correlations as they are: the features of the unsupervised tracker."""
    return gcc


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Features, and targets where there are any, of some recordings."""

    store: FeatureStore
    targets: FeatureStore | None


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How recordings become features on disk, for any process that is given some of them.

    Parameters
    ----------
    extractor : GCCExtractor
    shape : (int, int)
        Of a frame's features.
    features : callable
        From correlations (n_frames, n_pairs, n_lags) to what is kept, (n_frames, *shape).
    activity : list of bool array (n_frames,), optional
        As given to `fit`.
    truth : Truth, optional
    targets : Targets, optional
    """

    extractor: GCCExtractor
    shape: tuple[int, int]
    features: Callable[[Tensor], Tensor] = correlations
    activity: list[Activity] | None = None
    truth: Truth | None = None
    targets: Targets | None = None

    def __call__(self, recordings: Recordings, indices: Sequence[int], folder: pathlib.Path, verbose: int) -> Prepared:
        """Read recordings once and keep their features in a folder.

        Raises
        ------
        InvalidInputError
            If a recording is shorter than a frame, or a given activity has another length.
        """
        store = FeatureStore(folder / "features.f16", *self.shape)
        with progress_over(indices, "reading recordings", verbose) as steps:
            for k in steps:
                stream = self.extractor.stream(recordings.blocks(k))
                for gcc in stream:
                    store.write(self.features(gcc))
                heard = _activity_of(recordings, k, stream, self.activity, self.extractor.frames.win_length)
                store.close_recording(heard, None if self.truth is None else self.truth(recordings, k, heard))
        if self.targets is None:
            return Prepared(store, None)
        targets = FeatureStore(folder / "targets.f16", 1, self.targets.n_directions)
        self.targets.write(store, targets)
        return Prepared(store, targets)


def check_teaches(stores: Sequence[FeatureStore | FeatureShards]) -> None:
    """Raise unless something can be learned from one of them.

    Raises
    ------
    NoActivityError
        If no recording has an active frame, or none has one with known truth.
    """
    if not any(heard.any() for store in stores for heard in store.activities):
        raise NoActivityError(
            "No frame of the recordings is active: they hold only silence or steady noise, from which no direction can "
            "be learned. Record with sound, or pass activity= if you know that there is some."
        )
    if not any(store.teaches(k) for store in stores for k in range(len(store))):
        raise NoActivityError(
            "No frame of the recordings has both sound and a known direction, so nothing can be learned. Check the "
            "times, the activity and the NaN of the truth."
        )


def _activity_of(
    recordings: Recordings, index: int, stream: FeatureStream, activity: list[Activity] | None, win_length: int
) -> Activity:
    name = recordings.name(index)
    if stream.n_frames == 0:
        raise InvalidInputError(
            f"{name} must be at least one frame long, {win_length} samples. "
            "Leave it out, or choose a smaller win_length."
        )
    heard = stream.activity() if activity is None else _given_activity(name, activity[index])
    if heard.shape != (stream.n_frames,):
        raise InvalidInputError(
            f"The activity of {name} must have one value per frame, ({stream.n_frames},), got "
            f"the shape {heard.shape}. frame_times(n_frames) gives their times."
        )
    return heard.astype(bool)


def _given_activity(name: str, value: object) -> Activity:
    """Return booleans, or 0 and 1, as booleans; what is unknown must not count as sound."""
    given = check_array(f"The activity of {name}", value, ("...",))
    if not np.isin(given, (0, 1)).all():
        wrong = float(given[~np.isin(given, (0, 1))].flat[0])
        raise InvalidInputError(f"The activity of {name} must hold booleans, or 0 and 1, got {wrong:g}.")
    return given.astype(np.bool_)
