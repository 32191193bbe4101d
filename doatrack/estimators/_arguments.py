"""What fit and score are given: truth or array in either place, one value per recording."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_array, check_unit_vectors
from doatrack.audio.recordings import Recordings
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray
from doatrack.metrics import truth_at_frames

__all__ = ["align_truth", "per_recording", "sort_arguments"]


def sort_arguments(y: Any, array: Any) -> tuple[Any, MicArray | list[MicArray] | None]:
    """Return (truth, array or arrays), whichever of the two places these were given in."""
    if _are_arrays(y):
        if _are_arrays(array):
            raise InvalidInputError("fit got two arrays, in second and third place. Give one.")
        y, array = array, y
    if array is None or isinstance(array, MicArray):
        return y, array
    if not _are_arrays(array):
        raise InvalidInputError(
            f"array must be a MicArray, got {type(array).__name__}. Build one: MicArray(positions) in metres, or "
            "MicArray.from_preset(name)."
        )
    for k, each in enumerate(array):
        if not isinstance(each, MicArray):
            raise InvalidInputError(f"A list of arrays must hold a MicArray per recording, got {each!r} at place {k}.")
    return y, list(array)


def _are_arrays(value: Any) -> bool:
    """Return whether a value is an array, or meant as a list of them."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim:
        value = value.ravel().tolist()
    if isinstance(value, (list, tuple)):
        return any(isinstance(each, MicArray) for each in value)
    return isinstance(value, MicArray)


def per_recording(name: str, values: Any, recordings: Recordings) -> list[Any] | None:
    """Return one value per recording, whatever container they came in."""
    if values is None:
        return None
    if recordings.container == "single" and not isinstance(values, (list, tuple)):
        return [values]
    try:
        items: Sequence[Any] = list(values)
    except TypeError as error:
        raise InvalidInputError(
            f"{name} must hold one entry per recording, {len(recordings)}, got {type(values).__name__}."
        ) from error
    if recordings.container == "single" and len(items) != 1:
        items = [values]
    if len(items) != len(recordings):
        raise InvalidInputError(f"{name} must hold one entry per recording, {len(recordings)}, got {len(items)}.")
    return list(items)


def says_activity(truth: Any) -> bool:
    """Return whether truth is rows `time_s, x, y, z, active`, which say when there is sound."""
    shape = np.shape(truth)
    return len(shape) == 2 and shape[1] == 5


def align_truth(
    truth: Any, times: NDArray[np.float64], activity: NDArray[np.bool_], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true directions (n_frames, 3), NaN where unknown, and the weights of frames, 1 where active.

    Rows `time_s, x, y, z, active` say themselves where there is sound; with unit vectors it is `activity`.
    """
    table = check_array(f"The truth of {name}", truth, ("...",), finite=False)
    if says_activity(table):
        doa, active = truth_at_frames(table, times)
        # between two rows lies a chord, shorter than 1
        length = np.linalg.norm(doa, axis=1, keepdims=True)
        return np.asarray(doa / length, dtype=np.float64), active.astype(np.float64)
    if table.shape != (len(times), 3):
        raise InvalidInputError(
            f"The truth of {name} must be one unit vector per frame, {(len(times), 3)}, or rows of time_s, x, y, "
            f"z, active, got the shape {table.shape}."
        )
    check_unit_vectors(f"The truth of {name}", table)
    return np.asarray(table, dtype=np.float64), activity.astype(np.float64)
