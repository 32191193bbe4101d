"""Writing a fitted tracker as an ONNX file."""

import contextlib
import logging
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted

from doatrack._files import atomic_write_bytes
from doatrack._validation import check_path
from doatrack.export.graphs import ExportGraph, graph_of
from doatrack.export.metadata import model_metadata

__all__ = ["OPSET", "export_onnx", "need_onnx"]

OPSET = 18
"""Version of ONNX's operators; onnxruntime knows it since 1.14."""

_EXAMPLE = (2, 11)  # recordings and frames: neither 0 nor 1, which would be taken for fixed sizes
_EXPORTER_LOG = "torch.onnx._internal.exporter._registration"


def export_onnx(estimator: Any, path: str | os.PathLike[str]) -> pathlib.Path:
    """Write a fitted tracker as an ONNX file that takes any number of recordings and frames.

    The graph starts from correlations, (n_recordings, n_frames, n_pairs, n_columns), and gives directions
    (n_recordings, n_frames, 3), with what the tracker knows besides: concentration, map, posterior. How correlations
    are computed from samples is written out in NumPy in examples/track_onnx.py; all that it needs to know is
    stored in the file's metadata (docs/onnx.md).

    Parameters
    ----------
    estimator : fitted SRPPHAT, PhysicsVAETracker, NeuralSRPTracker or Cross3DTracker
        Of one source.
    path : path-like
        File to write; what is there is replaced once the new file is complete.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    sklearn.exceptions.NotFittedError
    InvalidInputError
        If the estimator has no graph.
    ImportError
        If onnx or onnxscript is missing.
    OSError
        If the file cannot be written.

    Notes
    -----
    Operators of version 18 only, no custom ones. onnxruntime agrees with torch to 1e-4, frame by frame, without filter
    or smoother.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from doatrack import SRPPHAT, MicArray
    >>> fitted = SRPPHAT(n_directions=100).fit(np.zeros((4, 8000)), MicArray.from_preset("tetrahedron_4"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(fitted, f"{folder}/srp.onnx").stat().st_size > 1000
    True
    """
    target = check_path("path", path)
    check_is_fitted(estimator)
    need_onnx("onnx", "onnxscript")
    graph = graph_of(estimator)
    program = _traced(graph)
    program.model.metadata_props.update(model_metadata(estimator, graph))
    program.model.producer_name = "doatrack"
    atomic_write_bytes(target, program.model_proto.SerializeToString())
    return target


def need_onnx(*modules: str) -> None:
    """Raise ImportError with what to install where one of the modules is missing.

    Examples
    --------
    >>> need_onnx("onnx")
    """
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            raise ImportError(f"ONNX files need {module}: pip install 'doatrack[onnx]'.") from error


def _traced(graph: ExportGraph) -> Any:
    axes = {0: torch.export.Dim("n_recordings"), 1: torch.export.Dim("n_frames")}
    n_pairs, n_columns = len(graph.extractor.mic_pairs), graph.extractor.n_columns
    shapes = {"correlations": (*_EXAMPLE, n_pairs, n_columns), "activity": _EXAMPLE}
    examples = tuple(torch.rand(shapes[name]) for name in graph.inputs)
    with torch.no_grad(), _quiet():
        return torch.onnx.export(
            graph,
            examples,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=dict.fromkeys(graph.inputs, axes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says about its own insides."""
    log = logging.getLogger(_EXPORTER_LOG)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            # the axes of both inputs have the same names, as they should
            warnings.filterwarnings("ignore", message=".*axis name.*will not be used", category=UserWarning)
            yield
    finally:
        log.setLevel(level)
