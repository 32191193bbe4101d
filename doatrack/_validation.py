"""The one place that words the checks of input.

Every message says what was checked, the rule, what came, and a way out.
"""

import difflib
import math
import numbers
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.exceptions import InvalidInputError

__all__ = [
    "check_array",
    "check_bool",
    "check_choice",
    "check_int",
    "check_path",
    "check_probability",
    "check_real",
    "check_unit_vectors",
    "check_waveform",
    "did_you_mean",
]

FloatArray = NDArray[np.floating[Any]]


def did_you_mean(value: object, options: Iterable[str]) -> str:
    """Word a suggestion for a misspelt name, or the list of names if none is near."""
    names = sorted(options)
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Choose from: {', '.join(names)}."


def check_choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`; else raise with the nearest name."""
    names = list(options)
    if isinstance(value, str) and value in names:
        return value
    raise InvalidInputError(f"{name} must be one of the known names, got {value!r}. {did_you_mean(value, names)}")


def check_bool(name: str, value: object) -> bool:
    """Return `value` if it is True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InvalidInputError(f"{name} must be True or False, got {value!r} of type {type(value).__name__}.")


def check_path(name: str, value: object) -> pathlib.Path:
    """Return `value` as a path if it names a place; an empty text would mean the current folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidInputError(f"{name} must be a path, got {value!r} of type {type(value).__name__}.")
    place = os.fspath(value)
    if not isinstance(place, str):
        raise InvalidInputError(f"{name} must be a path of text, got bytes. Decode it with os.fsdecode.")
    if not place or "\0" in place:
        raise InvalidInputError(f"{name} must name a file or folder, got {place!r}. The current folder is '.'.")
    return pathlib.Path(place)


def check_int(name: str, value: object, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return `value` as an int within [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidInputError(f"{name} must be a whole number, got {value!r} of type {type(value).__name__}.")
    number = int(value)
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise InvalidInputError(f"{name} must be {_range_words(minimum, maximum)}, got {number}.")
    return number


def check_real(
    name: str,
    value: object,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    exclusive_minimum: bool = False,
) -> float:
    """Return `value` as a finite float within [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidInputError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInputError(f"{name} must be finite, got {number}.")
    too_low = minimum is not None and (number <= minimum if exclusive_minimum else number < minimum)
    if too_low or (maximum is not None and number > maximum):
        words = _range_words(minimum, maximum, exclusive_minimum=exclusive_minimum)
        raise InvalidInputError(f"{name} must be {words}, got {number:g}.")
    return number


def check_probability(name: str, value: object) -> float:
    """Return `value` as a float strictly between 0 and 1."""
    number = check_real(name, value)
    if not 0 < number < 1:
        raise InvalidInputError(f"{name} must lie strictly between 0 and 1, got {number:g}.")
    return number


def _range_words(minimum: float | None, maximum: float | None, *, exclusive_minimum: bool = False) -> str:
    low = f"{'above' if exclusive_minimum else 'at least'} {minimum:g}" if minimum is not None else ""
    high = f"at most {maximum:g}" if maximum is not None else ""
    return " and ".join(word for word in (low, high) if word)


def check_array(name: str, value: object, shape: Sequence[int | str], *, finite: bool = True) -> FloatArray:
    """Return `value` as a float64 array whose last axes are `shape`.

    Parameters
    ----------
    name : str
        How messages call the value.
    value : array-like
        What was given; torch tensors are detached and moved to the CPU.
    shape : sequence of int or str
        A number is a required size, a string names a free one; a leading "..." allows more axes in front.
    finite : bool
        Whether NaN and infinity are refused.

    Raises
    ------
    InvalidInputError
        On another shape, on values that are not real numbers, or not finite.
    """
    try:
        given = _plain_array(name, value)
        array = np.asarray(given, dtype=np.float64) if given.dtype.kind != "c" else None
    except InvalidInputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{name} must be an array of real numbers, got {type(value).__name__}.") from error
    if array is None:
        raise InvalidInputError(f"{name} must be an array of real numbers, got complex ones. Take the real part.")
    open_front = bool(shape) and shape[0] == "..."
    wanted = list(shape[1:] if open_front else shape)
    tail = array.shape[array.ndim - len(wanted) :] if array.ndim >= len(wanted) else None
    fits = tail is not None and (open_front or array.ndim == len(wanted))
    if not fits or any(isinstance(w, int) and w != t for w, t in zip(wanted, tail or (), strict=True)):
        words = ", ".join(str(s) for s in shape)
        raise InvalidInputError(f"{name} must have the shape ({words}), got {array.shape}.")
    if finite and not np.isfinite(array).all():
        raise InvalidInputError(f"{name} must be finite, got {_count_bad(array)} in an array of shape {array.shape}.")
    return array


def _plain_array(name: str, value: object) -> NDArray[Any]:
    """Return a NumPy array; masked entries have no value, and tensors must hold values that NumPy knows."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise InvalidInputError(
                f"{name} must hold a value everywhere, got a masked array with "
                f"{int(np.ma.getmaskarray(value).sum())} masked entries. Fill or leave out these."
            )
        return np.asarray(value.data)
    if hasattr(value, "detach"):
        try:
            return np.asarray(value.detach().cpu().numpy())
        except (TypeError, RuntimeError) as error:  # bfloat16, sparse, without data (meta)
            reason = str(error).rstrip(".!")
            raise InvalidInputError(
                f"{name} must be a tensor that NumPy can hold: {reason}. Convert it with x.float().to_dense()."
            ) from error
    return np.asarray(value)


def _count_bad(array: FloatArray) -> str:
    return f"{int(np.isnan(array).sum())} NaN and {int(np.isinf(array).sum())} infinite values"


def check_unit_vectors(name: str, value: object, *, tolerance: float = 1e-3) -> FloatArray:
    """Return `value` as unit vectors `(..., 3)`; rows of NaN (unknown) pass.

    Raises
    ------
    InvalidInputError
        If the last axis is not 3 or a length differs from 1 by more than `tolerance`.
    """
    array = check_array(name, value, ("...", 3), finite=False)
    length = np.linalg.norm(array, axis=-1)
    wrong = np.abs(length - 1) > tolerance
    if np.isinf(array).any() or wrong.any():
        worst = float(length[wrong].flat[0]) if wrong.any() else math.inf
        raise InvalidInputError(
            f"{name} must hold unit vectors (x front, y left, z up), got one of length {worst:.4g}. "
            "Divide by the length, or convert angles with doatrack.geometry.azimuth_elevation_to_unit."
        )
    return array


def check_waveform(
    waveform: object, n_mics: int | None = None, *, name: str = "waveform", whole: bool = True
) -> NDArray[np.float32]:
    """Return one recording as float32 `(n_mics, n_samples)`.

    Integer samples are scaled by the range of their type, so that full scale is 1; those of 64 bits by the range of 16
    or 32 bits, whichever holds the whole recording.

    Parameters
    ----------
    waveform : array-like
        One recording, channels first.
    n_mics : int, optional
        The number of channels that the array needs; None accepts two or more.
    name : str
        How messages call the recording ("recording 3").
    whole : bool
        Whether it is a whole recording; from a part of one, the range of 64-bit integers cannot be told.

    Raises
    ------
    InvalidInputError
        On another shape, another number of channels (with a hint where the array looks transposed), NaN or
        infinite samples, complex or non-numeric samples, 64-bit integers in a part of a recording, or magnitudes beyond
        what float32 can square.
    """
    try:
        array = _plain_array(name, waveform)
    except InvalidInputError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name} must be an array of the shape (n_mics, n_samples), got {type(waveform).__name__} that is none: "
            f"{error}"
        ) from error
    if array.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"{name} must hold real samples (float or integer), got the type {array.dtype}. "
            "Convert it with numpy.asarray(x, dtype=float)."
        )
    if array.ndim != 2:
        raise InvalidInputError(f"{name} must have the shape (n_mics, n_samples), got {array.shape}.")
    _check_channels(name, array.shape, n_mics)
    if array.dtype.kind in "iu":
        array = _scale_integers(name, array, whole=whole)
    # of NaN both are NaN
    peak = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))
    if not math.isfinite(peak):
        raise InvalidInputError(
            f"{name} must hold finite samples, got {_count_bad(array)}. Repair or cut out the gap before tracking."
        )
    if peak > 1e15:
        raise InvalidInputError(
            f"{name} has samples up to {peak:.3g}, beyond what can be processed in single precision. "
            "Scale it so that full scale is 1."
        )
    # a part is copied to its place anyway, in whatever order it comes
    return np.ascontiguousarray(array, dtype=np.float32) if whole else np.asarray(array, dtype=np.float32)


def _check_channels(name: str, shape: tuple[int, ...], n_mics: int | None) -> None:
    channels, samples = shape
    if n_mics is not None and channels != n_mics:
        hint = (
            f" It looks transposed: pass it as (n_mics, n_samples), for example {name.split()[0]}.T."
            if samples == n_mics
            else " Pick the channels of the microphones, in the order of the array's positions."
        )
        raise InvalidInputError(f"{name} must have {n_mics} channels, one per microphone, got the shape {shape}.{hint}")
    if n_mics is None and channels < 2:
        raise InvalidInputError(f"{name} must have at least 2 channels, got the shape {shape}.")


def _scale_integers(name: str, array: NDArray[Any], *, whole: bool) -> NDArray[np.float32]:
    info = np.iinfo(array.dtype)
    if array.dtype.kind == "u":
        raise InvalidInputError(
            f"{name} holds unsigned integers ({array.dtype}), whose zero level is unknown. "
            "Subtract the zero level and convert to float, or to int16."
        )
    if array.dtype.itemsize > 4:
        if not whole:
            raise InvalidInputError(
                f"{name} holds 64-bit integers ({array.dtype}), whose full scale a part of a recording does not tell. "
                "Convert it to int16, int32 or float."
            )
        # ranges hold one number more below zero; abs of the most negative one is negative
        peak = max(int(array.max(initial=0)), -int(array.min(initial=0)) - 1)
        if peak > np.iinfo(np.int32).max:
            raise InvalidInputError(
                f"{name} holds integers up to {peak}, beyond the range of 32-bit audio. Convert it to float."
            )
        full_scale = float(np.iinfo(np.int32).max if peak > np.iinfo(np.int16).max else np.iinfo(np.int16).max)
    else:
        full_scale = float(info.max)
    return (array / full_scale).astype(np.float32)


def check_same_length(name: str, length: int, other: str, expected: int) -> None:
    """Raise unless two things that belong together row by row have the same number of rows."""
    if length != expected:
        raise InvalidInputError(f"{name} must have as many rows as {other}, got {length} and {expected}.")


def check_weights(name: str, value: object, n_rows: int) -> FloatArray:
    """Return `value` as non-negative weights of shape `(n_rows,)`; booleans count as 0 and 1."""
    weights = check_array(name, value, ("n_frames",))
    check_same_length(name, len(weights), "the directions", n_rows)
    if (weights < 0).any():
        raise InvalidInputError(f"{name} must be at least 0, got {float(weights.min()):g}. Use 0 for inactive frames.")
    return weights


def check_any_weight(weights: FloatArray) -> None:
    """Raise if no frame has a weight above 0."""
    if not (weights > 0).any():
        raise InvalidInputError(
            f"No frame counts: of {len(weights)} frames all are inactive, have sample_weight 0 or an unknown (NaN) "
            "truth. Pass the activity of these recordings, or leave sample_weight out to count every frame."
        )


def check_times(name: str, value: object) -> FloatArray:
    """Return `value` as finite, strictly increasing times `(n_times,)` in seconds."""
    times = check_array(name, value, ("n_times",))
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int((steps <= 0).argmax()) + 1
        raise InvalidInputError(
            f"{name} must increase from row to row, got {times[row]:g} s after {times[row - 1]:g} s in row {row} "
            "(counted from 0)."
        )
    return times


def check_frame_values(
    name: str, value: object, n_frames: int, maximum: float = math.inf, hint: str = ""
) -> FloatArray:
    """Return `value` as one number per frame `(n_frames,)`, each NaN (unknown) or within [0, maximum]."""
    values = check_array(name, value, ("n_frames",), finite=False)
    check_same_length(name, len(values), "times", n_frames)
    wrong = np.isinf(values) | (values < 0) | (values > maximum)
    if wrong.any():
        frame = int(wrong.argmax())
        limit = f" and at most {maximum:.5g}" if math.isfinite(maximum) else ""
        raise InvalidInputError(
            f"{name} must be finite, at least 0{limit}, or NaN (unknown), got {values[frame]:g} in frame {frame}.{hint}"
        )
    return values
