"""`doatrack fit`: learn from recordings without labels."""

import contextlib
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doatrack.cli._arguments import (
    ArrayOption,
    AzimuthOption,
    ChannelsOption,
    ElevationOption,
    audio_files,
    missing_array,
    note_ambiguity,
    resolve_array,
)
from doatrack.cli._fit_steps import (
    check_checkpoint,
    check_finished,
    check_target,
    kept,
    one_array,
    readable,
    remove_checkpoint,
)
from doatrack.cli._run import Failures, running, say
from doatrack.exceptions import ArrayMismatchWarning, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doatrack.geometry import MicArray

__all__ = ["run_fit"]

Region = tuple[float, float] | None


def run_fit(
    out: Annotated[pathlib.Path, typer.Option(metavar="MODEL", help="The file to write, such as my.safetensors.")],
    paths: Annotated[
        list[pathlib.Path] | None,
        typer.Argument(metavar="FOLDER", help="Folders of WAV, FLAC or OGG files of one array, or single files."),
    ] = None,
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
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that learn together, each on a device of its own.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Machines, with this command started on each by torchrun.")
    ] = 1,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="32-true, or bf16-mixed: networks in half precision, faster on a GPU.")
    ] = "32-true",
    simulate: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Learn from N simulated scenes, new ones in every epoch, instead of recordings."
        ),
    ] = None,
    noise: Annotated[
        str, typer.Option(metavar="KIND", help="Of simulated scenes: sensor, directional, diffuse, none or mixed.")
    ] = "sensor",
    duration: Annotated[float, typer.Option(metavar="S", help="Length of a simulated scene in seconds.")] = 20.0,
    speech: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="DIR", help="Dry speech for simulated scenes. Without it, a synthetic talker."),
    ] = None,
) -> None:
    """Fit a tracker to recordings without labels and write it to one file.

    After every epoch the run is kept in MODEL.checkpoint; interrupted at any moment, the same command with --resume
    ends with the same model. A recording that cannot be read is named and left out, and the exit code is 1.
    With --start, partial_fit goes on from learned weights, and nothing is kept before the end.
    With --devices, several processes learn together, each from batches of the usual size (needs doatrack[scale]).
    """
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    with (
        _one_voice(),
        running(lambda: kept(checkpoint) if start is None else "Nothing was written.") as failures,
    ):
        if start is None:
            tracker = _tracker(encoder or "map", epochs, seed, device)
        else:
            _check_start(encoder, resume)
            tracker = _started(start, device)
        tracker.set_params(devices=devices, num_nodes=nodes, precision=precision)
        tracker._hardware().check()
        _set_region(tracker, azimuth, elevation)
        check_target(out)
        check_finished(out, checkpoint, resume=resume, overwrite=overwrite)
        check_checkpoint(checkpoint, resume)
        recordings: Any
        if simulate is None:
            recordings, chosen = _from_files(paths, channels, array, tracker, failures)
        else:
            recordings, chosen = _from_simulation(paths, array, simulate, seed, noise, duration, speech, device)
        if (tracker.azimuth_range_deg, tracker.elevation_range_deg) == (None, None):
            note_ambiguity(chosen)
        if start is None:
            say(f"Learning for {tracker.n_epochs} epochs in all.")
            _fit(tracker, recordings, chosen, out, checkpoint)
            n_epochs = tracker.n_epochs
        else:
            n_epochs = epochs or 1
            tracker = _go_on(tracker, recordings, chosen, n_epochs)
            if _is_first():
                tracker.save(out)
        left_out = f", {failures.count} left out" if failures.count else ""
        told = f"{len(recordings)} recordings" if simulate is None else f"{simulate} simulated scenes in each epoch"
        typer.echo(f"Fitted to {told}{left_out}, {n_epochs} epoch{'s' * (n_epochs > 1)}. Written: {out}.")


def _is_first() -> bool:
    """Return whether this process speaks and writes: the only one, or the first of those that torchrun started."""
    from doatrack.training.launch import started_outside

    return not started_outside() or os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _one_voice() -> "Iterator[None]":
    """Keep what all processes would say to the first one."""
    if _is_first():
        yield
        return
    with (
        pathlib.Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _from_files(
    paths: list[pathlib.Path] | None, channels: str | None, array: str | None, tracker: Any, failures: Failures
) -> "tuple[list[Any], MicArray]":
    """Return the recordings that can be used, and their array."""
    if not paths:
        raise InvalidInputError("Give folders of recordings, or --simulate N to learn from simulated scenes.")
    recordings = audio_files(paths, channels)
    chosen = one_array(recordings, array)
    say(f"Reading {len(recordings)} recordings.")
    return readable(recordings, chosen.n_mics, tracker, failures), chosen


def _from_simulation(
    paths: list[pathlib.Path] | None,
    array: str | None,
    n_scenes: int,
    seed: int,
    noise: str,
    duration: float,
    speech: pathlib.Path | None,
    device: str,
) -> "tuple[Any, MicArray]":
    """Return scenes that are others in every epoch, and their array."""
    from doatrack.datasets import SimulatedScenes, SpeechFolder
    from doatrack.simulation import SceneSettings

    if paths:
        raise InvalidInputError(
            f"--simulate {n_scenes} learns from simulated scenes alone: leave {paths[0]} out. To learn from both, "
            "write scenes with 'doatrack simulate' and give both folders."
        )
    if array is None:
        raise missing_array("Simulating")
    chosen = resolve_array(array)
    talkers = None if speech is None else SpeechFolder(speech)
    settings = SceneSettings(duration_s=duration, noise=noise)
    return SimulatedScenes(chosen, settings, n_scenes, seed, talkers, device=device), chosen


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


def _fit(tracker: Any, recordings: Any, array: "MicArray", out: pathlib.Path, checkpoint: pathlib.Path) -> None:
    """Fit with a checkpoint and write the model, which then knows nothing of where it was fitted."""
    try:
        tracker.set_params(checkpoint=checkpoint).fit(recordings, array)
        if not _is_first():
            return
        # a model that is fitted again elsewhere must not find this run
        tracker.set_params(checkpoint=None, devices=1, num_nodes=1).save(out)
    finally:
        with contextlib.suppress(OSError):
            checkpoint.rmdir()  # if it is empty
    remove_checkpoint(checkpoint)


def _go_on(tracker: Any, recordings: Any, array: "MicArray", n_epochs: int) -> Any:
    """Return the tracker after more passes, for another array if need be."""
    if tracker.array_ != array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # it learns with the new array now
            tracker = tracker.for_array(array)
        say(f"Going on with another array: {array}.")
    for epoch in range(n_epochs):
        say(f"Pass {epoch + 1} of {n_epochs}:")
        tracker.partial_fit(recordings)
    return tracker.set_params(devices=1, num_nodes=1)


def _set_region(tracker: Any, azimuth: Region, elevation: Region) -> None:
    """Set the search region, or raise where there is none to look in."""
    from doatrack.estimators._search import search_grid

    if (azimuth, elevation) == (None, None):
        return
    if tracker.encoder == "paper":
        raise InvalidInputError("--azimuth and --elevation need --encoder map: the paper's encoder points anywhere.")
    search_grid("quasi_uniform", tracker.n_directions, azimuth, elevation)
    tracker.set_params(azimuth_range_deg=azimuth, elevation_range_deg=elevation)
