"""The command `doatrack`."""

from typing import Annotated

import typer

from doatrack import __version__
from doatrack.cli.arrays import run_arrays
from doatrack.cli.check import run_check
from doatrack.cli.demo_command import run_demo_command
from doatrack.cli.evaluate import run_evaluate
from doatrack.cli.export import run_export
from doatrack.cli.fit import run_fit
from doatrack.cli.live import run_live
from doatrack.cli.reproduce import run_reproduce
from doatrack.cli.simulate import run_simulate
from doatrack.cli.track import run_track

__all__ = ["app", "main"]

app = typer.Typer(
    name="doatrack",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done, 1 some inputs failed, 2 wrong use, 130 interrupted.",
)
app.command("demo", epilog="Example: doatrack demo --out demo_out")(run_demo_command)
app.command("track", epilog="Example: doatrack track meeting.wav --array respeaker_usb_4 --channels 2-5 --out tracks")(
    run_track
)
app.command("live", epilog="Example: doatrack live --array respeaker_usb_4 --channels 2-5 --serve")(run_live)
app.command("fit", epilog="Example: doatrack fit recordings/ --array my_array.json --out my.safetensors")(run_fit)
app.command("evaluate", epilog="Example: doatrack evaluate my_set --method srp-phat --json figures.json")(run_evaluate)
app.command(
    "simulate",
    epilog="Example: doatrack simulate my_set --array tetrahedron_4 --n-scenes 20 --noise mixed --duration 8",
)(run_simulate)
app.command("check", epilog="Example: doatrack check kitchen.wav --array respeaker_usb_4 --channels 2-5")(run_check)
app.command("export", epilog="Example: doatrack export nao_head_12 --out nao.onnx --int8")(run_export)
app.command("arrays", epilog="Example: doatrack arrays tetrahedron_4 --json my_array.json")(run_arrays)

app.command(
    "reproduce",
    epilog="Example: doatrack reproduce exp1 table5 --out reproduced --speech speech/ --rooms measured_rooms/",
)(run_reproduce)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"doatrack {__version__}")
        raise typer.Exit


@app.callback()
def _doatrack(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Find and follow the direction of sound with a microphone array, and learn to do so without labels."""


def main() -> None:
    """Run the command line."""
    app(prog_name="doatrack")
