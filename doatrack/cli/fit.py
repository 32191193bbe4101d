"""`doatrack fit`: learn from recordings without labels."""

import contextlib
import pathlib
import shutil
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doatrack.cli._arguments import (
    ArrayOption,
    AzimuthOption,
    ChannelsOption,
    ElevationOption,
    array_beside,
    audio_files,
    missing_array,
    note_ambiguity,
    resolve_array,
)
from doatrack.cli._run import Failures, running, say
from doatrack.exceptions import (
    ArrayMismatchWarning,
    AudioFileError,
    InvalidInputError,
    ModelFileError,
    OutputExistsError,
)

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.geometry import MicArray

__all__ = ["run_fit"]

_CHECKPOINT_FILE = "checkpoint.safetensors"
_SCRATCH = "doatrack-*"

Region = tuple[float, float] | None


def run_fit(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(metavar="FOLDER", help="Folders of WAV, FLAC or OGG files of one array, or single files."),
    ],
    out: Annotated[pathlib.Path, typer.Option(metavar="MODEL", help="The file to write, such as my.safetensors.")],
    array: ArrayOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL_OR_NAME",
            help="Go on from a model file, or from a tracker that comes with doatrack (nao_head_12), moved to your "
            "array.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace MODEL if it exists.")] = False,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Passes over the recordings: 4 (map) or 300 (paper); 1 with --start."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights and random crops; not with --start.")] = 0,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="map (small and quick, moves to other arrays; the default) or paper (its full network).",
        ),
    ] = None,
    channels: ChannelsOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda or cuda:0.")] = "cpu",
) -> None:
    """Fit a tracker to recordings without labels and write it to one file.

    After every epoch the run is kept in MODEL.checkpoint; interrupted at any moment, the same command with --resume
    ends with the same model. A recording that cannot be read is named and left out, and the exit code is 1.
    With --start, partial_fit goes on from learned weights, and nothing is kept before the end.
    """
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    with running(lambda: _kept(checkpoint) if start is None else "Nothing was written.") as failures:
        if start is None:
            tracker = _tracker(encoder or "map", epochs, seed, device)
        else:
            _check_start(encoder, resume)
            tracker = _started(start, device)
        _set_region(tracker, azimuth, elevation)
        _check_target(out)
        _check_finished(out, checkpoint, resume=resume, overwrite=overwrite)
        _check_checkpoint(checkpoint, resume)
        recordings = audio_files(paths, channels)
        chosen = _one_array(recordings, array)
        if (tracker.azimuth_range_deg, tracker.elevation_range_deg) == (None, None):
            note_ambiguity(chosen)
        say(f"Reading {len(recordings)} recordings.")
        readable = _readable(recordings, chosen.n_mics, tracker, failures)
        if start is None:
            say(f"Learning for {tracker.n_epochs} epochs in all.")
            _fit(tracker, readable, chosen, out, checkpoint)
            n_epochs = tracker.n_epochs
        else:
            n_epochs = epochs or 1
            _go_on(tracker, readable, chosen, n_epochs).save(out)
        left_out = f", {failures.count} left out" if failures.count else ""
        typer.echo(
            f"Fitted to {len(readable)} recordings{left_out}, {n_epochs} epoch{'s' * (n_epochs > 1)}. Written: {out}."
        )


def _tracker(encoder: str, epochs: int | None, seed: int, device: str) -> Any:
    from doatrack._validation import check_choice
    from doatrack.estimators import PhysicsVAETracker

    check_choice("--encoder", encoder, ("map", "paper"))
    _check_device(device)
    tracker = PhysicsVAETracker() if encoder == "map" else PhysicsVAETracker.paper()
    tracker.set_params(random_state=seed, device=device, verbose=2)
    return tracker if epochs is None else tracker.set_params(n_epochs=epochs)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInputError(f"--device {device} cannot be used here: {reason}") from error


def _check_start(encoder: str | None, resume: bool) -> None:
    if encoder is not None:
        raise InvalidInputError("--start goes on with the encoder of its model: leave --encoder out.")
    if resume:
        raise InvalidInputError("--start keeps no run to go on with: leave --resume out, or leave --start out.")


def _started(start: str, device: str) -> Any:
    """Return the fitted tracker that a name or a model file stands for."""
    from doatrack.estimators import PhysicsVAETracker, load
    from doatrack.persistence import PRETRAINED

    _check_device(device)
    if start not in PRETRAINED and not pathlib.Path(start).exists():
        raise InvalidInputError(
            f"--start {start} is neither a file nor a tracker that comes with doatrack ({', '.join(PRETRAINED)})."
        )
    tracker = PhysicsVAETracker.from_pretrained(start) if start in PRETRAINED else load(start)
    if not isinstance(tracker, PhysicsVAETracker):
        raise InvalidInputError(f"--start {start} holds a {type(tracker).__name__}, which learns nothing.")
    return tracker.set_params(device=device, verbose=2, checkpoint=None)


def _fit(
    tracker: Any, recordings: "list[AudioFile]", array: "MicArray", out: pathlib.Path, checkpoint: pathlib.Path
) -> None:
    """Fit with a checkpoint and write the model."""
    try:
        tracker.set_params(checkpoint=checkpoint).fit(recordings, array)
        # a model that is fitted again elsewhere must not find this run
        tracker.set_params(checkpoint=None).save(out)
    finally:
        with contextlib.suppress(OSError):
            checkpoint.rmdir()  # if it is empty
    _remove_checkpoint(checkpoint)


def _go_on(tracker: Any, recordings: "list[AudioFile]", array: "MicArray", n_epochs: int) -> Any:
    """Return the tracker after more passes, for another array if need be."""
    if tracker.array_ != array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # it learns with the new array now
            tracker = tracker.for_array(array)
        say(f"Going on with another array: {array}.")
    for epoch in range(n_epochs):
        say(f"Pass {epoch + 1} of {n_epochs}:")
        tracker.partial_fit(recordings)
    return tracker


def _set_region(tracker: Any, azimuth: Region, elevation: Region) -> None:
    """Set the search region, or raise where there is none to look in."""
    from doatrack.estimators._search import search_grid

    if (azimuth, elevation) == (None, None):
        return
    if tracker.encoder == "paper":
        raise InvalidInputError("--azimuth and --elevation need --encoder map: the paper's encoder points anywhere.")
    search_grid("quasi_uniform", tracker.n_directions, azimuth, elevation)
    tracker.set_params(azimuth_range_deg=azimuth, elevation_range_deg=elevation)


def _check_target(out: pathlib.Path) -> None:
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


def _check_finished(out: pathlib.Path, checkpoint: pathlib.Path, *, resume: bool, overwrite: bool) -> None:
    """Raise where a finished model would be replaced and nobody asked for it."""
    if not out.exists() or overwrite or (checkpoint / _CHECKPOINT_FILE).exists():
        return
    if resume:
        raise OutputExistsError(f"{out} is finished: there is no run to go on with. Nothing was done.")
    raise OutputExistsError(f"{out} exists and is not written over. Choose another name, or replace it: --overwrite.")


def _check_checkpoint(folder: pathlib.Path, resume: bool) -> None:
    begun = (folder / _CHECKPOINT_FILE).exists()
    if begun and not resume:
        raise OutputExistsError(
            f"{folder} keeps a run that was interrupted. Go on with --resume, or delete the folder to start anew."
        )
    if resume and not begun:
        say(f"There is no run to go on with in {folder}: starting anew.")


def _one_array(recordings: "list[AudioFile]", given: str | None) -> "MicArray":
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


def _readable(recordings: "list[AudioFile]", n_mics: int, tracker: Any, failures: Failures) -> "list[AudioFile]":
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


def _kept(folder: pathlib.Path) -> str:
    if (folder / _CHECKPOINT_FILE).exists():
        return f"The last complete epoch is kept in {folder}: the same command with --resume goes on from there."
    return "No epoch was complete, so nothing is kept."


def _remove_checkpoint(folder: pathlib.Path) -> None:
    """Remove what the run kept, and what killed ones left; the model is written."""
    (folder / _CHECKPOINT_FILE).unlink(missing_ok=True)
    for left in folder.glob(_SCRATCH):
        shutil.rmtree(left, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
