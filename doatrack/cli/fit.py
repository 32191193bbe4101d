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
    note_ambiguity,
)
from doatrack.cli._fit_recordings import from_files, from_simulation
from doatrack.cli._fit_start import new_tracker, set_hardware, set_region, started
from doatrack.cli._fit_steps import check_checkpoint, check_finished, check_target, in_options, kept, remove_checkpoint
from doatrack.cli._run import running, say
from doatrack.exceptions import ArrayMismatchWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doatrack.geometry import MicArray

__all__ = ["run_fit"]

_OutOption = Annotated[pathlib.Path, typer.Option(metavar="MODEL", help="The file to write, such as my.safetensors.")]
_PathsArgument = Annotated[
    list[pathlib.Path] | None,
    typer.Argument(metavar="FOLDER", help="Folders of WAV, FLAC or OGG files of one array, or single files."),
]
_StartOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL_OR_NAME",
        help="Go on from a model file, or from a tracker that comes with doatrack (nao_head_12), moved to your array.",
    ),
]
_ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")]
_OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace MODEL if it exists.")]
_EpochsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Passes over the recordings: 4 (map) or 300 (paper); 1 with --start."),
]
_SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Of initial weights and random crops; not with --start.")
]
_EncoderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="map (small and quick, moves to other arrays; the default) or paper (its full network).",
    ),
]
_DeviceOption = Annotated[str, typer.Option(help="Where to compute: cpu, cuda or cuda:0.")]
_DevicesOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Processes that learn together, each on a device of its own.")
]
_NodesOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Machines, with this command started on each by torchrun.")
]
_PrecisionOption = Annotated[
    str, typer.Option(metavar="NAME", help="32-true, or bf16-mixed: networks in half precision, faster on a GPU.")
]
_SimulateOption = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Learn from N simulated scenes, new ones in every epoch, instead of recordings."
    ),
]
_NoiseOption = Annotated[
    str, typer.Option(metavar="KIND", help="Of simulated scenes: sensor, directional, diffuse, none or mixed.")
]
_DurationOption = Annotated[float, typer.Option(metavar="S", help="Length of a simulated scene in seconds.")]
_SpeechOption = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="DIR", help="Dry speech for simulated scenes. Without it, a synthetic talker."),
]


def run_fit(
    out: _OutOption,
    paths: _PathsArgument = None,
    array: ArrayOption = None,
    start: _StartOption = None,
    resume: _ResumeOption = False,
    overwrite: _OverwriteOption = False,
    epochs: _EpochsOption = None,
    seed: _SeedOption = 0,
    encoder: _EncoderOption = None,
    channels: ChannelsOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    device: _DeviceOption = "cpu",
    devices: _DevicesOption = 1,
    nodes: _NodesOption = 1,
    precision: _PrecisionOption = "32-true",
    simulate: _SimulateOption = None,
    noise: _NoiseOption = "sensor",
    duration: _DurationOption = 20.0,
    speech: _SpeechOption = None,
) -> None:
    """Fit a tracker to recordings without labels and write it to one file.

    After every epoch the run is kept in MODEL.checkpoint; interrupted at any moment, the same command with --resume
    ends with the same model. A recording that cannot be read is named and left out, and the exit code is 1.
    With --start, partial_fit goes on from learned weights, and nothing is kept before the end.
    With --devices, several processes learn together, each from batches of the usual size (needs doatrack[scale]).
    """
    checkpoint = out.parent / f"{out.name}.checkpoint"
    with (
        _one_voice(),
        running(lambda: kept(checkpoint) if start is None else "Nothing was written.") as failures,
    ):
        if start is None:
            tracker = new_tracker(encoder or "map", epochs, seed, device)
        else:
            tracker = started(start, encoder, resume, device)
        set_hardware(tracker, devices, nodes, precision)
        set_region(tracker, azimuth, elevation)
        check_target(out)
        check_finished(out, checkpoint, resume=resume, overwrite=overwrite)
        check_checkpoint(checkpoint, resume)
        recordings: Any
        if simulate is None:
            recordings, chosen = from_files(paths, channels, array, tracker, failures)
            told = f"{len(recordings)} recordings"
        else:
            recordings, chosen = from_simulation(paths, array, simulate, seed, noise, duration, speech, device)
            told = f"{simulate} simulated scenes in each epoch"
        if (tracker.azimuth_range_deg, tracker.elevation_range_deg) == (None, None):
            note_ambiguity(chosen)
        if start is None:
            n_epochs = _fit(tracker, recordings, chosen, out, checkpoint)
        else:
            n_epochs = _go_on(tracker, recordings, chosen, out, epochs or 1)
        left_out = f", {failures.count} left out" if failures.count else ""
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


def _fit(tracker: Any, recordings: Any, array: "MicArray", out: pathlib.Path, checkpoint: pathlib.Path) -> int:
    """Fit with a checkpoint, write the model, which knows nothing of where it was fitted, and return its epochs."""
    say(f"Learning for {tracker.n_epochs} epochs in all.")
    try:
        with in_options():
            tracker.set_params(checkpoint=checkpoint).fit(recordings, array)
        if not _is_first():
            return int(tracker.n_epochs)
        # a model that is fitted again elsewhere must not find this run
        tracker.set_params(checkpoint=None, devices=1, num_nodes=1).save(out)
    finally:
        with contextlib.suppress(OSError):
            checkpoint.rmdir()  # if it is empty
    remove_checkpoint(checkpoint)
    return int(tracker.n_epochs)


def _go_on(tracker: Any, recordings: Any, array: "MicArray", out: pathlib.Path, n_epochs: int) -> int:
    """Learn in more passes, for another array if need be, write the model and return the number of passes."""
    if tracker.array_ != array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # it learns with the new array now
            tracker = tracker.for_array(array)
        say(f"Going on with another array: {array}.")
    for epoch in range(n_epochs):
        say(f"Pass {epoch + 1} of {n_epochs}:")
        tracker.partial_fit(recordings)
    tracker.set_params(devices=1, num_nodes=1)
    if _is_first():
        tracker.save(out)
    return n_epochs
