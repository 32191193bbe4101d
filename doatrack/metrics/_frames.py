"""Recordings of different lengths pooled into the frames that a metric counts."""

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

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
from doatrack.metrics.alignment import truth_at_frames

__all__ = ["CountedFrames", "Directions", "FrameValues", "pool_frames"]

# One recording (an array, or nested lists) or several (a list, or an array with one more axis in front).
Directions = Any
FrameValues = Any


class CountedFrames(NamedTuple):
    """The frames that count, of all recordings: directions (n, 3), weights above 0 (n,), and a value or NaN (n,)."""

    doa_true: FloatArray
    doa_pred: FloatArray
    weight: FloatArray
    value: FloatArray


def pool_frames(
    y_true: Directions,
    y_pred: Directions,
    sample_weight: FrameValues = None,
    frame_times: FrameValues = None,
    values: FrameValues = None,
    values_name: str = "credible_angle",
) -> CountedFrames:
    """Check recordings one by one and put the frames with known truth and a weight above 0 behind each other.

    `values` is one more number per frame, which messages call `values_name`.
    """
    predicted = split_recordings("y_pred", y_pred, 2)
    truths = split_recordings("y_true", y_true, 2)
    if len(truths) != len(predicted):
        raise InvalidInputError(
            f"y_true and y_pred must hold the same number of recordings, got {len(truths)} and {len(predicted)}."
        )
    weights, times, extras = (
        _aligned(name, given, len(predicted))
        for name, given in (("sample_weight", sample_weight), ("frame_times", frame_times), (values_name, values))
    )
    single = len(predicted) == 1
    parts = [
        _one_recording("" if single else f" of recording {i}", values_name, *row)
        for i, row in enumerate(zip(truths, predicted, weights, times, extras, strict=True))
    ]
    pooled = [np.concatenate(column) for column in zip(*parts, strict=True)]
    check_any_weight(pooled[2])
    counted = pooled[2] > 0
    frames = CountedFrames(*(column[counted] for column in pooled))
    if not np.isfinite(frames.doa_pred).all():
        n_bad = int((~np.isfinite(frames.doa_pred).all(axis=1)).sum())
        raise InvalidInputError(
            f"y_pred must be known in every counted frame, got NaN in {n_bad} of {len(frames.weight)}. "
            "Give these frames sample_weight 0 if abstaining is meant."
        )
    return frames


def split_recordings(name: str, value: Any, n_axes: int) -> list[Any]:
    """Return a list of recordings of `n_axes` axes each from one recording, a batch or a list."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        axes = value.ndim
    elif isinstance(value, Sequence | np.ndarray) and len(value):
        axes = 1 + max(_n_axes(name, item) for item in value)
    else:
        raise InvalidInputError(f"{name} must hold one recording or a list of recordings, got {_words(value)}.")
    if axes == n_axes:
        return [value]
    if axes == n_axes + 1 and len(value):
        return list(value)
    raise InvalidInputError(
        f"{name} must have {n_axes} axes per recording, or be a list of such recordings, got {axes} axes."
    )


def _n_axes(name: str, item: Any) -> int:
    try:
        return np.ndim(item)
    except ValueError as error:
        raise InvalidInputError(f"{name} must hold recordings whose rows have the same length each.") from error


def _words(value: object) -> str:
    return "an empty list" if isinstance(value, Sequence | np.ndarray) else f"{type(value).__name__}"


def _aligned(name: str, value: Any, n_recordings: int) -> list[Any]:
    if value is None or isinstance(value, numbers.Real):
        return [value] * n_recordings
    parts = split_recordings(name, value, 1)
    if len(parts) != n_recordings:
        raise InvalidInputError(
            f"{name} must hold one entry per recording of y_pred, got {len(parts)} for {n_recordings} recordings."
        )
    return parts


def _one_recording(
    label: str, name: str, truth: Any, predicted: Any, weight: Any, times: Any, value: Any
) -> CountedFrames:
    doa_pred = check_unit_vectors(
        f"y_pred{label}", check_array(f"y_pred{label}", predicted, ("n_frames", 3), finite=False)
    )
    n_frames = len(doa_pred)
    doa_true, active = _truth(label, truth, times, n_frames)
    weights = np.ones(n_frames) if weight is None else check_weights(f"sample_weight{label}", weight, n_frames)
    known = np.isfinite(doa_true).all(axis=1)
    return CountedFrames(
        doa_true, doa_pred, weights * active * known, _values(f"{name}{label}", label, value, n_frames)
    )


def _truth(label: str, truth: Any, times: Any, n_frames: int) -> tuple[FloatArray, FloatArray]:
    if times is not None:
        times = check_times(f"frame_times{label}", times)
        check_same_length(f"frame_times{label}", len(times), f"y_pred{label}", n_frames)
    if np.ndim(truth) == 2 and np.shape(truth)[1] == 5:
        if times is None:
            raise InvalidInputError(
                f"y_true{label} holds truth rows (time_s, x, y, z, active): pass frame_times, the seconds of the rows "
                "of y_pred, for example estimator.frame_times(len(y_pred))."
            )
        doa, active = truth_at_frames(truth, times)
        return doa, active.astype(np.float64)
    doa = check_unit_vectors(f"y_true{label}", check_array(f"y_true{label}", truth, ("n_frames", 3), finite=False))
    check_same_length(f"y_true{label}", len(doa), f"y_pred{label}", n_frames)
    return doa, np.ones(n_frames)


def _values(name: str, label: str, value: Any, n_frames: int) -> FloatArray:
    if value is None or isinstance(value, numbers.Real):
        return np.full(n_frames, np.nan if value is None else float(value))
    table = check_array(name, value, ("n_frames",), finite=False)
    check_same_length(name, len(table), f"y_pred{label}", n_frames)
    return table
