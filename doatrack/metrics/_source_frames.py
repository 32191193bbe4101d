"""Recordings with several true and several estimated sources, checked for the metrics that match them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import (
    FloatArray,
    check_any_weight,
    check_array,
    check_same_length,
    check_times,
    check_unit_vectors,
    check_weights,
)
from doatrack.exceptions import InvalidInputError
from doatrack.metrics._frames import split_recordings
from doatrack.metrics.alignment import truth_at_frames
from doatrack.metrics.angular import angular_error

__all__ = ["SourceFrames", "source_recordings"]


class SourceFrames(NamedTuple):
    """One recording: which sources are there (n_frames, n), and the angles between them in radians."""

    active_true: NDArray[np.bool_]
    active_pred: NDArray[np.bool_]
    angles: FloatArray
    """(n_frames, n_true, n_pred), infinite where one of the two is not there."""
    weight: FloatArray


def source_recordings(
    y_true: Any, y_pred: Any, active_true: Any, active_pred: Any, sample_weight: Any, frame_times: Any
) -> list[SourceFrames]:
    """Check recordings one by one and compare every estimated with every true source."""
    truths, predictions = split_recordings("y_true", y_true, 3), split_recordings("y_pred", y_pred, 3)
    if len(truths) != len(predictions):
        raise InvalidInputError(
            f"y_true and y_pred must hold the same number of recordings, got {len(truths)} and {len(predictions)}."
        )
    extras = [
        _aligned(name, value, n_axes, len(truths))
        for name, value, n_axes in (
            ("active_true", active_true, 2),
            ("active_pred", active_pred, 2),
            ("sample_weight", sample_weight, 1),
            ("frame_times", frame_times, 1),
        )
    ]
    recordings = [
        _one_recording("" if len(truths) == 1 else f" of recording {k}", *row)
        for k, row in enumerate(zip(truths, predictions, *extras, strict=True))
    ]
    check_any_weight(np.concatenate([recording.weight for recording in recordings]))
    return recordings


def _aligned(name: str, value: Any, n_axes: int, n_recordings: int) -> list[Any]:
    if value is None:
        return [None] * n_recordings
    parts = split_recordings(name, value, n_axes)
    if len(parts) != n_recordings:
        raise InvalidInputError(
            f"{name} must hold one entry per recording of y_pred, got {len(parts)} for {n_recordings} recordings."
        )
    return parts


def _one_recording(
    label: str, truth: Any, predicted: Any, active_true: Any, active_pred: Any, weight: Any, times: Any
) -> SourceFrames:
    doa_pred = _directions(f"y_pred{label}", predicted)
    n_frames = len(doa_pred)
    doa_true, known = _truth(label, truth, times, n_frames)
    here_true = known & _present(f"active_true{label}", active_true, doa_true)
    here_pred = _present(f"active_pred{label}", active_pred, doa_pred)
    weights = np.ones(n_frames) if weight is None else check_weights(f"sample_weight{label}", weight, n_frames)
    angles = angular_error(doa_true[:, :, None], doa_pred[:, None, :])
    angles = np.where(here_true[:, :, None] & here_pred[:, None, :], angles, np.inf)
    return SourceFrames(here_true, here_pred, angles, weights)


def _directions(name: str, value: Any) -> FloatArray:
    return check_unit_vectors(name, check_array(name, value, ("n_frames", "n_sources", 3), finite=False))


def _truth(label: str, truth: Any, times: Any, n_frames: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    if np.shape(truth)[-1:] != (5,):
        doa = _directions(f"y_true{label}", truth)
        check_same_length(f"y_true{label}", len(doa), f"y_pred{label}", n_frames)
        return doa, _known(doa)
    if times is None:
        raise InvalidInputError(
            f"y_true{label} holds truth rows (time_s, x, y, z, active): pass frame_times, the seconds of the rows "
            "of y_pred, for example estimator.frame_times(len(y_pred))."
        )
    times = check_times(f"frame_times{label}", times)
    check_same_length(f"frame_times{label}", len(times), f"y_pred{label}", n_frames)
    doa, active = truth_at_frames(truth, times)
    return doa, active & _known(doa)


def _known(doa: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(doa).all(axis=-1))


def _present(name: str, active: Any, doa: FloatArray) -> NDArray[np.bool_]:
    """Return which sources are there (n_frames, n): those that are called active and have a direction."""
    known = _known(doa)
    if active is None:
        return known
    table = check_array(name, active, doa.shape[:2])
    if not np.isin(table, (0, 1)).all():
        wrong = float(table[~np.isin(table, (0, 1))][0])
        raise InvalidInputError(f"{name} must hold booleans, or 0 and 1, got {wrong:g}.")
    missing = (table > 0) & ~known
    if missing.any():
        frame, source = np.argwhere(missing)[0]
        raise InvalidInputError(
            f"{name} calls source {source} active in frame {frame}, where its direction is NaN. "
            "Set it to 0 there, or give the direction."
        )
    return np.asarray(table > 0)
