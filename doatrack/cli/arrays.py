"""`doatrack arrays`: the presets, or one array in detail."""

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from doatrack.cli._arguments import resolve_array
from doatrack.cli._run import running, table_console
from doatrack.exceptions import OutputExistsError

if TYPE_CHECKING:
    from doatrack.geometry import MicArray

__all__ = ["run_arrays"]


def run_arrays(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A preset, or a JSON file with mic_positions in metres.")
    ] = None,
    json: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Write the array to a new file, a start for your own, read with --array."
        ),
    ] = None,
) -> None:
    """List the microphone arrays that doatrack knows, or show one: positions and what it cannot tell apart."""
    with running():
        if name is None:
            if json is not None:
                raise typer.BadParameter("name the array that is to be written.", param_hint="--json")
            _list()
            return
        array = resolve_array(name)
        if json is not None:
            _write(array, json)
        _show(array)


def _list() -> None:
    from rich.table import Table

    from doatrack.geometry import MicArray, get_preset, preset_names

    table = Table("name", "mics", "kind", "aperture (m)", "device and channels")
    for name in preset_names():
        array = MicArray.from_preset(name)
        table.add_row(name, str(array.n_mics), array.kind, f"{array.aperture:.3f}", get_preset(name).description)
    table_console().print(table, markup=False)


def _show(array: "MicArray") -> None:
    from doatrack.geometry import get_preset, preset_names

    typer.echo(f"{array.name}: {array.n_mics} microphones, {array.kind}, aperture {array.aperture:.4g} m")
    if array.name in preset_names() and get_preset(array.name).positions.tolist() == array.positions.tolist():
        preset = get_preset(array.name)
        typer.echo(f"device: {preset.description}\naxes: {preset.axes}\nsource: {preset.source}")
    typer.echo(f"pairs: {array.n_pairs}; longest delay {array.longest_delay * 1e3:.3f} ms")
    typer.echo(f"ambiguity: {array.ambiguity or 'none'}")
    typer.echo("channel (from 1)        x        y        z  (metres: x front, y left, z up)")
    for channel, (x, y, z) in enumerate(array.positions, start=1):
        typer.echo(f"{channel:16d} {x:8.4f} {y:8.4f} {z:8.4f}")


def _write(array: "MicArray", path: pathlib.Path) -> None:
    if path.exists():
        raise OutputExistsError(f"{path} exists and is not written over. Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    array.to_json(path)
