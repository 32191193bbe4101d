"""What `doatrack fit` checks before it learns, and what it keeps and removes."""

import contextlib
import pathlib
import shutil
from typing import TYPE_CHECKING, Any

from doatrack.cli._arguments import array_beside, missing_array, resolve_array
from doatrack.cli._run import Failures, say
from doatrack.exceptions import AudioFileError, InvalidInputError, ModelFileError, OutputExistsError

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.geometry import MicArray

__all__ = [
    "check_checkpoint",
    "check_finished",
    "check_target",
    "kept",
    "one_array",
    "readable",
    "remove_checkpoint",
]

CHECKPOINT_FILE = "checkpoint.safetensors"
_SCRATCH = "doatrack-*"


def check_target(out: pathlib.Path) -> None:
    from doatrack.persistence import read_model_file

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        raise InvalidInputError(f"--out {out} must be a file, but it is a folder. Name one: {out}/my.safetensors.")
    if not (out.exists() or out.is_symlink()):
        return
    try:
        read_model_file(out)
    except ModelFileError as error:
        raise OutputExistsError(f"{out} exists and is not a model of doatrack, so it is not written over.") from error


def check_finished(out: pathlib.Path, checkpoint: pathlib.Path, *, resume: bool, overwrite: bool) -> None:
    """Raise where a finished model would be replaced and nobody asked for it."""
    if not out.exists() or overwrite or (checkpoint / CHECKPOINT_FILE).exists():
        return
    if resume:
        raise OutputExistsError(f"{out} is finished: there is no run to go on with. Nothing was done.")
    raise OutputExistsError(f"{out} exists and is not written over. Choose another name, or replace it: --overwrite.")


def check_checkpoint(folder: pathlib.Path, resume: bool) -> None:
    begun = (folder / CHECKPOINT_FILE).exists()
    if begun and not resume:
        raise OutputExistsError(
            f"{folder} keeps a run that was interrupted. Go on with --resume, or delete the folder to start anew."
        )
    if resume and not begun:
        say(f"There is no run to go on with in {folder}: starting anew.")


def one_array(recordings: "list[AudioFile]", given: str | None) -> "MicArray":
    if given is not None:
        return resolve_array(given)
    found = {folder: array_beside(folder / "any") for folder in {recording.path.parent for recording in recordings}}
    arrays = {array for array in found.values() if array is not None}
    if not arrays or None in found.values():
        raise missing_array("Fitting")
    if len(arrays) > 1:
        raise InvalidInputError(
            f"The folders {', '.join(sorted(map(str, found)))} hold recordings of different arrays. Fit one tracker to "
            "each array."
        )
    return arrays.pop()


def readable(recordings: "list[AudioFile]", n_mics: int, tracker: Any, failures: Failures) -> "list[AudioFile]":
    """Return the recordings that can be read to their end and are long enough; name the others."""
    from doatrack.audio import Recordings
    from doatrack.estimators._progress import progress_over

    view = Recordings(recordings, n_mics, tracker.sample_rate)
    good = []
    with progress_over(range(len(recordings)), "checking recordings", 1) as indices:
        for k in indices:
            with failures.tolerate(recordings[k]):
                length = sum(block.shape[1] for block in view.blocks(k))
                if length < tracker.win_length:
                    needed = tracker.win_length / tracker.sample_rate
                    raise AudioFileError(
                        f"{recordings[k]} is too short: {length / tracker.sample_rate:.3f} s instead of {needed:.3f}."
                    )
                good.append(recordings[k])
    if not good:
        raise AudioFileError(f"None of the {len(recordings)} recordings can be used: nothing was fitted.")
    return good


def kept(folder: pathlib.Path) -> str:
    if (folder / CHECKPOINT_FILE).exists():
        return f"The last complete epoch is kept in {folder}: the same command with --resume goes on from there."
    return "No epoch was complete, so nothing is kept."


def remove_checkpoint(folder: pathlib.Path) -> None:
    """Remove what the run kept, and what killed ones left; the model is written."""
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    for left in folder.glob(_SCRATCH):
        shutil.rmtree(left, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
