"""What `doatrack fit` checks before it learns, and what it keeps and removes."""

import contextlib
import pathlib
import re
import shutil
from collections.abc import Iterator

from doatrack._files import check_folder
from doatrack.cli._run import say
from doatrack.exceptions import InvalidInputError, ModelFileError, OutputExistsError

__all__ = [
    "check_checkpoint",
    "check_finished",
    "check_target",
    "in_options",
    "kept",
    "remove_checkpoint",
]

CHECKPOINT_FILE = "checkpoint.safetensors"
_SCRATCH = "doatrack-*"
_OPTIONS = {
    "azimuth_range_deg": "--azimuth",
    "elevation_range_deg": "--elevation",
    "encoder": "--encoder",
    "n_epochs": "--epochs",
    "precision": "--precision",
    "random_state": "--seed",
}


def check_target(out: pathlib.Path) -> None:
    from doatrack.persistence import read_model_file

    check_folder("The folder of --out,", out.parent).mkdir(parents=True, exist_ok=True)
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


@contextlib.contextmanager
def in_options() -> Iterator[None]:
    """Tell what differs from the run that is to go on in options of the command line, where there are any."""
    try:
        yield
    except ModelFileError as error:
        told = re.sub(rf"\b({'|'.join(_OPTIONS)}): ", lambda match: f"{_OPTIONS[match[1]]}: ", str(error))
        way_out = "or another folder to start anew"
        raise ModelFileError(told.replace(way_out, "or another --out, or delete that folder, to start anew")) from error


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
