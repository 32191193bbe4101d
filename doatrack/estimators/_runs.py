"""What a run of learning begins with: its seed, and a place for its features."""

import numbers
import os
import pathlib
import shutil
from typing import Any

from sklearn.utils import check_random_state

from doatrack._files import check_folder
from doatrack.exceptions import InvalidInputError
from doatrack.training import Checkpoint

__all__ = ["SCRATCH", "clear_scratch", "draw_seed", "kept_random_state", "scratch_folder"]

SCRATCH = "doatrack-features-"


def draw_seed(random_state: Any, checkpoint: str | os.PathLike[str] | None) -> int:
    """Draw the seed; a run that is resumed without a given one goes on with its own."""
    if random_state is None and checkpoint is not None:
        kept = Checkpoint(pathlib.Path(checkpoint), {}).stored("seed")
        if kept is not None:
            return int(kept)
    try:
        generator = check_random_state(random_state)
    except ValueError as error:
        raise InvalidInputError(
            "random_state must be None, a whole number from 0 to 4294967295 or a numpy RandomState, "
            f"got {random_state!r}."
        ) from error
    return int(generator.randint(2**31 - 1))


def kept_random_state(random_state: Any, checkpoint: str | os.PathLike[str] | None) -> Any:
    """Return what a checkpoint says of the seed's origin; a run that is resumed without a given one keeps its own."""
    if random_state is None and checkpoint is not None:
        return Checkpoint(pathlib.Path(checkpoint), {}).stored("random_state")
    return int(random_state) if isinstance(random_state, numbers.Integral) else random_state


def scratch_folder(checkpoint: str | os.PathLike[str] | None) -> pathlib.Path | None:
    """Return where features are kept while learning: beside the checkpoint, whose disk was chosen for this."""
    if checkpoint is None:
        return None
    folder = check_folder("checkpoint", checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear_scratch(checkpoint: str | os.PathLike[str] | None) -> None:
    """Remove the features that a killed run could not; before new ones are written, of which there may be several."""
    if checkpoint is not None:
        for left in pathlib.Path(checkpoint).glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
