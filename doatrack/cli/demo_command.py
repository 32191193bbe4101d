"""The options of `doatrack demo`; what it does is in `doatrack.cli.demo`."""

import pathlib
from typing import Annotated

import typer

from doatrack.cli._run import running

__all__ = ["run_demo_command"]


def run_demo_command(
    out: Annotated[
        pathlib.Path, typer.Option(metavar="DIR", help="Folder for the track, the picture and the figures.")
    ] = pathlib.Path("demo_out"),
    speech: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="DIR", help="Dry speech (WAV, FLAC, OGG) instead of the synthetic talker."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="One seed, the same rooms and the same tracker.")] = 0,
    array: Annotated[
        str | None,
        typer.Option(metavar="PRESET_OR_JSON", help="Another array than the demo's own six microphones."),
    ] = None,
    n_scenes: Annotated[int, typer.Option(min=1, metavar="N", help="Simulated recordings to learn from.")] = 100,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Passes over them.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")] = False,
) -> None:
    """Simulate rooms, fit a tracker without labels, follow an unseen talker, and compare with SRP-PHAT (minutes)."""
    with running(lambda: f"What was written so far is in {out}."):
        from doatrack.cli.demo import DEMO_ARRAY, run_demo

        run_demo(out, speech, seed, DEMO_ARRAY if array is None else array, n_scenes, epochs, quiet)
