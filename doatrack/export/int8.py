"""Eight-bit variants of exported files."""

import contextlib
import logging
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from doatrack._files import atomic_write_bytes
from doatrack._validation import check_path
from doatrack.exceptions import InvalidInputError
from doatrack.export.onnx_file import need_onnx

__all__ = ["quantize_int8"]

_LARGE = 1024  # values of a weight that is worth it
_LEAST_SUMMANDS = 16  # of a product: fewer do not average the rounding out (three, where directions are multiplied)
_CHANNEL_AXIS = {"Conv": 0, "GRU": 1}
"""Operators whose weights are stored with eight bits while they compute in floating point, and the axis of outputs."""
_WEIGHTS = {"Conv": (1,), "GRU": (1, 2)}


def quantize_int8(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> pathlib.Path:
    """Write an eight-bit variant of a file that `export_onnx` wrote.

    The steering sums and other large matrix products multiply integers, inputs of eight bits by weights of seven:
    processors that have AVX2 but no VNNI instructions overflow with eight. The weights' scales are those of each
    column, the inputs' follow from each call's input. Large weights of convolutions and recurrent layers are stored
    with eight bits, and computed with in floating point. Inputs, outputs and metadata stay the same.

    Parameters
    ----------
    source : path-like
        The ONNX file.
    path : path-like
        File to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InvalidInputError
        If `source` is no ONNX file.
    ImportError
        If onnx or onnxruntime is missing.
    OSError
        If a file cannot be read or written.

    Notes
    -----
    What it costs is measured by benchmarks/onnx_int8.py (docs/onnx.md): little in degrees, for a quarter of the size.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from doatrack import SRPPHAT, MicArray
    >>> from doatrack.export import export_onnx
    >>> fitted = SRPPHAT(n_directions=500).fit(np.zeros((4, 8000)), MicArray.from_preset("tetrahedron_4"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     whole = export_onnx(fitted, f"{folder}/srp.onnx").stat().st_size
    ...     quantize_int8(f"{folder}/srp.onnx", f"{folder}/srp8.onnx").stat().st_size < 0.6 * whole
    True
    """
    target, origin = check_path("path", path), check_path("source", source)
    need_onnx("onnx", "onnxruntime")
    import onnx

    model = _read(origin)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "int8.onnx"
        _quantize_products(model, made)
        model = _read(made)
    _store_small(model)
    onnx.helper.set_model_props(model, stored)  # the quantizer adds its own
    atomic_write_bytes(target, model.SerializeToString())
    return target


def _read(path: pathlib.Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise InvalidInputError(
            f"{path} is no complete ONNX file ({type(error).__name__}). Write one with 'doatrack export'."
        ) from error
    return model


def _quantize_products(model: Any, path: pathlib.Path) -> None:
    """Write the model with its large matrix products in integers."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    sizes = {w.name: min(w.dims) for w in model.graph.initializer if w.name in _large_weights(model)}
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    chosen = [node.name for node in products if sizes.get(node.input[1], 0) >= _LEAST_SUMMANDS]
    with _quiet():
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=chosen or ["none of them"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            # processors with AVX2 only add pairs of products in sixteen bits: eight-bit weights overflow them
            reduce_range=True,
        )


def _store_small(model: Any) -> None:
    """Replace large weights of convolutions and recurrent layers by eight bits and their scales, in place."""
    import onnx

    weights, large = {w.name: w for w in model.graph.initializer}, _large_weights(model)
    for node in list(model.graph.node):
        for place in _WEIGHTS.get(node.op_type, ()):
            name = node.input[place]
            if name not in large or name not in weights:
                continue
            axis = _CHANNEL_AXIS[node.op_type]
            small, scale = _rounded(onnx.numpy_helper.to_array(weights[name]), axis)
            model.graph.initializer.remove(weights.pop(name))
            parts = {f"{name}_int8": small, f"{name}_scale": scale}
            model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in parts.items())
            model.graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", list(parts), [name], axis=axis))


def _rounded(weight: Any, axis: int) -> tuple[Any, Any]:
    """Return integers from -127 to 127, and the step of each channel."""
    others = tuple(k for k in range(weight.ndim) if k != axis)
    scale = np.maximum(np.abs(weight).max(axis=others), 1e-12) / 127
    shape = [-1 if k == axis else 1 for k in range(weight.ndim)]
    return np.rint(weight / scale.reshape(shape)).astype(np.int8), scale.astype(np.float32)


def _large_weights(model: Any) -> set[str]:
    return {w.name for w in model.graph.initializer if w.data_type == 1 and np.prod(w.dims) >= _LARGE}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the advice to simplify the graph first: the exporter has done it."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
