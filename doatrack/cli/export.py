"""`doatrack export`: a tracker as an ONNX file."""

import pathlib
import tempfile
from typing import Annotated, Any

import typer

from doatrack.cli._arguments import FeaturesOption, given_array
from doatrack.cli._run import running
from doatrack.exceptions import InvalidInputError, OutputExistsError

__all__ = ["run_export"]

_CLASSICAL = "srp-phat"


def run_export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model file of 'doatrack fit' or 'save', the tracker that comes with doatrack (nao_head_12), or "
            "srp-phat with --array.",
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(metavar="FILE", help="The ONNX file to write.")],
    array: Annotated[
        str | None,
        typer.Option(metavar="PRESET_OR_JSON", help="Move the tracker to this array first; srp-phat needs one."),
    ] = None,
    features: FeaturesOption = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights and steering sums with eight bits: a quarter of the size.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a tracker as an ONNX file, for machines without Python or torch (docs/onnx.md).

    The file takes correlations of microphone pairs, for any number of recordings and frames, and gives directions,
    concentrations and maps; its metadata holds what else is needed. examples/track_onnx.py tracks a file with it.
    """
    with running():
        _check_installed()
        if out.exists() and not overwrite:
            raise OutputExistsError(f"{out} exists and is not written over. Choose another name, or give --overwrite.")
        if not out.parent.is_dir():
            raise InvalidInputError(f"--out {out} must lie in a folder that exists. Make {out.parent} first.")
        tracker = _tracker(model, array, features)
        _write(tracker, out, int8)
        size = out.stat().st_size / 1e6
        typer.echo(f"{out}: {type(tracker).__name__} for {tracker.array_.name or 'the array'}, {size:.1f} MB.")


def _check_installed() -> None:
    from doatrack.export.onnx_file import need_onnx

    try:
        need_onnx("onnx", "onnxscript", "onnxruntime")
    except ImportError as error:
        raise InvalidInputError(str(error)) from error


def _tracker(model: str, array: str | None, features: str | None) -> Any:
    """Return the fitted tracker that the arguments name."""
    from doatrack.cli._trackers import Trackers, named_tracker

    given = given_array(array)
    if model == _CLASSICAL:
        if given is None:
            raise InvalidInputError(f"{_CLASSICAL} needs the geometry of the microphones: give --array.")
        return Trackers(_CLASSICAL, None, None, None, features).for_array(given)
    if features is not None:
        raise InvalidInputError(
            f"--features goes with {_CLASSICAL}: a learned tracker keeps those that it learned with."
        )
    tracker = named_tracker(model)
    return tracker if given is None or given == tracker.array_ else tracker.for_array(given)


def _write(tracker: Any, out: pathlib.Path, int8: bool) -> None:
    from doatrack.export import export_onnx, quantize_int8

    if not int8:
        export_onnx(tracker, out)
        return
    with tempfile.TemporaryDirectory() as folder:
        quantize_int8(export_onnx(tracker, pathlib.Path(folder) / "whole.onnx"), out)
