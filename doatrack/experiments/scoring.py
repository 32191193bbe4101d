"""Errors of a tracker on the scenes of a test set, frame by frame and scene by scene."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.exceptions import ArrayMismatchWarning
from doatrack.experiments.told import told
from doatrack.geometry import MicArray
from doatrack.metrics import angular_error, paired_bootstrap, truth_at_frames

__all__ = ["TestSet", "figures", "scene_errors"]

Errors = list[list[float]]


@dataclass(frozen=True)
class TestSet:
    """Recordings with their truth, and what trackers are told about the microphones.

    Parameters
    ----------
    name, label : str
        In files, in tables.
    array : MicArray
        Of all recordings.
    signals : sequence
        As `predict` takes them, one by one.
    truths : sequence of ndarray of shape (n_rows, 5)
        time_s, x, y, z, active.
    told_arrays : sequence of MicArray, optional
        What trackers are told of each recording instead.
    fixed_features : bool
        Whether the features stay those of `array`, so that only the positions are wrong that the tracker is told.
    """

    __test__ = False  # not a class of tests

    name: str
    label: str
    array: MicArray
    signals: Sequence[Any]
    truths: Sequence[NDArray[np.floating[Any]]]
    told_arrays: Sequence[MicArray] | None = None
    fixed_features: bool = False


def scene_errors(tracker: Any, test: TestSet, smoothing: str | None = None) -> Errors:
    """Return the errors in degrees of the active frames of each scene.

    Parameters
    ----------
    tracker : fitted tracker
        Moved to the array of the set where it has another one.
    test : TestSet
    smoothing : {None, "filter", "smoother"}
        As in `predict`.
    """
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArrayMismatchWarning)  # the tables say that it was moved
        home = tracker if tracker.array_ == test.array else tracker.for_array(test.array)
        for k, (signal, truth) in enumerate(zip(test.signals, test.truths, strict=True)):
            use = home
            if test.told_arrays is not None:
                wrong = test.told_arrays[k]
                use = told(home, wrong) if test.fixed_features else home.for_array(wrong)
            doa = use.predict(signal, smoothing=smoothing)
            true, active = truth_at_frames(truth, use.frame_times(len(doa)))
            error = np.degrees(angular_error(true, doa))
            found.append(error[active & np.isfinite(error)].tolist())
    return found


def figures(errors: Errors, reference: Errors | None) -> dict[str, Any]:
    """Return mean and root-mean-square error in degrees, and the difference of means to other errors.

    Examples
    --------
    >>> row = figures([[3.0, 4.0], [5.0]], [[4.0, 5.0], [6.0]])
    >>> row["mae_deg"], row["difference_deg"]
    (4.0, -1.0)
    """
    pooled = np.concatenate([np.asarray(scene, dtype=np.float64) for scene in errors])
    row: dict[str, Any] = {"n_scenes": len(errors), "n_frames": len(pooled)}
    row["mae_deg"] = float(pooled.mean()) if len(pooled) else None
    row["rmse_deg"] = float(np.sqrt((pooled**2).mean())) if len(pooled) else None
    row["difference_deg"] = row["difference_90_deg"] = None
    if reference is not None and len(pooled):
        found = paired_bootstrap(errors, reference)
        row["difference_deg"], row["difference_90_deg"] = found.difference, [found.low, found.high]
    return row
