"""Recordings of several arrays, taken apart by array."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.audio.fresh import FreshRecordings
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._arguments import per_recording
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray

__all__ = ["Part", "parts_of"]


@dataclasses.dataclass(frozen=True)
class Part:
    """What is learned from of one array.

    Parameters
    ----------
    array : MicArray
    recordings : Recordings
    activity : list of bool array (n_frames,), optional
        As given to `fit`.
    """

    array: MicArray
    recordings: Recordings
    activity: list[NDArray[np.bool_]] | None


def parts_of(signals: Signals, arrays: Sequence[MicArray], sample_rate: int, activity: Any) -> list[Part]:
    """Return the recordings of each array, in the order in which arrays come first.

    Raises
    ------
    InvalidInputError
        If the recordings are no list with one array each.
    """
    if isinstance(signals, FreshRecordings):
        raise InvalidInputError(
            f"Recordings that are made anew in every epoch are of one array, got {len(arrays)} arrays. Give a list of "
            "recordings, or call partial_fit of for_array(array) for each array."
        )
    recordings = Recordings(signals, None, sample_rate)
    if recordings.container == "single":
        raise InvalidInputError(
            f"A list of arrays goes with a list of recordings, got {len(arrays)} arrays for one recording. Give its "
            "MicArray alone, or put the recording into a list too."
        )
    if len(recordings) != len(arrays):
        raise InvalidInputError(
            f"A list of arrays must hold one for each of a list of recordings, got {len(arrays)} arrays for "
            f"{len(recordings)} recordings. Give one MicArray if all are of the same array."
        )
    heard = per_recording("activity", activity, recordings)
    places: dict[MicArray, list[int]] = {}
    for k, array in enumerate(arrays):
        places.setdefault(array, []).append(k)
    return [
        Part(array, recordings.of_array(own, array.n_mics), None if heard is None else [heard[k] for k in own])
        for array, own in places.items()
    ]
