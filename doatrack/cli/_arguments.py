"""Arguments that several commands share, and what their text means."""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from doatrack._validation import check_choice
from doatrack.cli._run import say
from doatrack.exceptions import AudioFileError, DoatrackError, InvalidInputError

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.estimators._smoothing import Smoothing
    from doatrack.geometry import MicArray

__all__ = [
    "ARRAY_FILE",
    "ArrayOption",
    "AzimuthOption",
    "ChannelsOption",
    "ElevationOption",
    "FeaturesOption",
    "JobsOption",
    "MethodOption",
    "ModelOption",
    "SmoothingOption",
    "array_beside",
    "array_for",
    "audio_files",
    "check_jobs",
    "chosen_channels",
    "given_array",
    "missing_array",
    "note_ambiguity",
    "parse_range",
    "parse_smoothing",
    "resolve_array",
]

ARRAY_FILE = "array.json"

_UPWARDS = 0.9  # z of a normal that counts as up
_JOBS_PER_CORE, _FEW_JOBS = 4, 64  # more processes only fill the memory
_NUMBER = r"-?\d+(?:\.\d*)?|-?\.\d+"

ArrayOption = Annotated[
    str | None,
    typer.Option(
        "--array",
        metavar="PRESET_OR_JSON",
        help="The microphone array: a preset (see 'doatrack arrays') or a JSON file with mic_positions in metres. "
        "Without it, array.json beside the recordings is read.",
    ),
]
ChannelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Which channels are the microphones, counted from 1, in the order of the array: 1-4 or 2,3,5-6. All by "
        "default.",
    ),
]
MethodOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="srp-phat, music, norm-music, dml and esprit (classical, need no model), physics-vae (learned without "
        "labels; knows its uncertainty), or neural-srp and cross3d (learned from known directions; need --model).",
    ),
]
ModelOption = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="FILE",
        help="A model that 'doatrack fit' wrote. Without it, physics-vae is the tracker that comes with doatrack, "
        "fitted for nao_head_12 and moved to your array.",
    ),
]
AzimuthOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="FROM TO",
        help="Search region in degrees, counter-clockwise from front: -60 60 looks ahead, 150 -150 to the back.",
    ),
]
ElevationOption = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Search region in degrees: 0 90 is the upper hemisphere."),
]
SmoothingOption = Annotated[
    str,
    typer.Option(
        metavar="WAY",
        help="How frames are joined: smoother (each given the whole recording), filter (given earlier ones only, as "
        "live) or none.",
    ),
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of srp-phat: phat (by default), snr (moments above noise and reverberation count) or whitened (moreover "
        "a steady noise source is nulled).",
    ),
]

JobsOption = Annotated[int, typer.Option(metavar="J", help="Processes at a time; -1 is one per core.")]


def resolve_array(text: str) -> "MicArray":
    """Return the array that a preset's name, a JSON file, or a folder with array.json stands for.

    Raises
    ------
    InvalidInputError
        If the preset is unknown (with the nearest name), or the file is no array.
    """
    from doatrack.geometry import MicArray

    path = pathlib.Path(text)
    if path.is_dir():
        return MicArray.from_json(path / ARRAY_FILE)
    if path.suffix.lower() == ".json" or path.exists() or path.name != text:
        return MicArray.from_json(path)
    try:
        return MicArray.from_preset(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{error} A JSON file with mic_positions in metres is taken too.") from error


def array_beside(recording: pathlib.Path) -> "MicArray | None":
    """Return the array of array.json in the folder of a recording, if there is one."""
    from doatrack.geometry import MicArray

    file = recording.parent / ARRAY_FILE
    return MicArray.from_json(file) if file.is_file() else None


def given_array(text: str | None) -> "MicArray | None":
    """Return the array of `--array`, if it is given; see `resolve_array`."""
    return None if text is None else resolve_array(text)


def array_for(recording: pathlib.Path, given: "MicArray | None") -> "MicArray | None":
    """Return the array that is given, or else that beside a recording, if there is one."""
    return array_beside(recording) if given is None else given


def missing_array(what: str, *recordings: pathlib.Path) -> DoatrackError:
    """Word that a geometry is needed, and how to give it; or that a recording is not there, and so not its folder."""
    for recording in recordings:
        if not recording.exists():
            return AudioFileError(f"{recording} does not exist.")
    return InvalidInputError(
        f"{what} needs the geometry of the microphones: name a preset ('doatrack arrays' lists them) or a JSON file "
        f"with --array, or put {ARRAY_FILE} beside the recordings."
    )


def note_ambiguity(array: "MicArray") -> None:
    """Say what an array cannot tell apart, and which option helps; silent for a 3-D array."""
    if not array.ambiguity:
        return
    lies_flat = array.kind == "planar" and array.normal is not None and array.normal[2] > _UPWARDS
    advice = (
        "Give --elevation 0 90 if sources are above it."
        if lies_flat
        else "Give --azimuth or --elevation with the side that sources are on, such as --azimuth -90 90 for the front."
    )
    say(f"Note: this array is {array.kind}: {array.ambiguity}. {advice}")


def audio_files(paths: Sequence[pathlib.Path], channels: str | None) -> list["AudioFile"]:
    """Return the recordings in files and folders, each with the channels of `--channels`."""
    from doatrack.audio import AudioFile
    from doatrack.datasets import find_recordings

    chosen = chosen_channels(channels)
    return [AudioFile(path, chosen) for path in find_recordings(paths)]


def chosen_channels(text: str | None) -> tuple[int, ...] | None:
    """Return the channels of `--channels`, counted from 0; None is all."""
    from doatrack.audio import parse_channels

    return None if text is None else parse_channels(text)


def check_jobs(jobs: int) -> None:
    """Raise unless it is a number of processes, or -1.

    Raises
    ------
    InvalidInputError
    """
    most = max(_FEW_JOBS, _JOBS_PER_CORE * (os.cpu_count() or 1))
    if jobs == 0 or jobs < -1 or jobs > most:
        raise InvalidInputError(f"--jobs must be at least 1 and at most {most}, or -1 for one per core, got {jobs}.")


def parse_smoothing(text: str) -> "Smoothing":
    """Turn "none", "filter" or "smoother" into what `predict` and `track` take.

    Raises
    ------
    InvalidInputError
        On anything else.

    Examples
    --------
    >>> parse_smoothing("none"), parse_smoothing("filter")
    (None, 'filter')
    """
    check_choice("--smoothing", text, ("none", "filter", "smoother"))
    return None if text == "none" else text  # type: ignore[return-value]


def parse_range(name: str, text: str) -> tuple[float, float]:
    """Turn "5-30", "-5-10" or "0.4" into (low, high).

    Raises
    ------
    InvalidInputError
        On anything else, or if low is above high.

    Examples
    --------
    >>> parse_range("--snr", "-5-30"), parse_range("--rt60", "0.4")
    ((-5.0, 30.0), (0.4, 0.4))
    """
    match = re.fullmatch(rf"\s*({_NUMBER})\s*(?:-\s*({_NUMBER})\s*)?", text, flags=re.ASCII)
    low, high = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
    if low > high:
        raise InvalidInputError(f"{name} must be a number or a range from low to high, such as 0.2-1.0, got {text!r}.")
    return low, high
