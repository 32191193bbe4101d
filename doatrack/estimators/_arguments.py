"""What fit and score are given: truth or array in either place, one value per recording."""

from collections.abc import Sequence
from typing import Any

from doatrack.audio.recordings import Recordings
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray

__all__ = ["per_recording", "sort_arguments"]


def sort_arguments(y: Any, array: Any) -> tuple[Any, MicArray | None]:
    """Return (truth, array), whichever of the two places the MicArray was given in."""
    if isinstance(y, MicArray):
        if isinstance(array, MicArray):
            raise InvalidInputError("fit got two arrays, in second and third place. Give one.")
        return array, y
    if array is not None and not isinstance(array, MicArray):
        raise InvalidInputError(
            f"array must be a MicArray, got {type(array).__name__}. Build one: MicArray(positions) in metres, or "
            "MicArray.from_preset(name)."
        )
    return y, array


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
