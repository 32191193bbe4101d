"""Model files: tensors and a JSON header in one safetensors file, nothing in it that could run."""

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from doatrack._files import atomic_write_bytes, is_device_or_pipe
from doatrack.exceptions import InvalidInputError, ModelFileError

__all__ = ["FORMAT_VERSION", "read_model_file", "write_model_file"]

FORMAT_VERSION = 1
"""The version of the layout of the header that this library writes and reads."""

_KEY = "doatrack"
_DIGEST = "sha256"  # in the header: safetensors writes several metadata entries in any order
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header, little-endian
_LONGEST_HEADER = 100_000_000  # as in the safetensors format


def write_model_file(
    path: str | os.PathLike[str], header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write a model file; an old file survives any failure.

    Parameters
    ----------
    path : path-like
        Where the file shall be.
    header : mapping
        Configuration that JSON can hold (text, numbers, lists, dictionaries with text keys); tuples come back as
        lists.
    tensors : mapping of str to ndarray
        Named arrays of numbers or booleans, of any shape.

    Raises
    ------
    InvalidInputError
        If the header or an array cannot be stored.
    OSError
        If writing fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_model_file(f"{folder}/m.safetensors", {"estimator": "A"}, {"weight": np.ones(2)})
    ...     header, tensors = read_model_file(f"{folder}/m.safetensors")
    >>> header, tensors["weight"].tolist()
    ({'estimator': 'A', 'format_version': 1}, [1.0, 1.0])
    """
    try:
        text = json.dumps({**header, "format_version": FORMAT_VERSION}, sort_keys=True)
        document = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The header of the model file {path} must be plain JSON: {error}.") from error
    plain = {name: _storable(path, name, array) for name, array in tensors.items()}
    signed = json.dumps({**document, _DIGEST: _digest(text, plain)}, sort_keys=True)
    atomic_write_bytes(path, save(plain, metadata={_KEY: signed}))


def _digest(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of header and tensors: one flipped bit in a weight would otherwise load as another model."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _storable(path: str | os.PathLike[str], name: str, value: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InvalidInputError(
            f"The array {name!r} for the model file {path} must hold real numbers or booleans of at most 64 bits, "
            f"got {array.dtype}. Convert it first."
        )
    return array.astype(array.dtype.newbyteorder("="), order="C")


def read_model_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a model file that `write_model_file` wrote; never runs anything from it.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    header : dict
        As written, with `format_version`.
    tensors : dict of str to ndarray
        The arrays, bit for bit, free to be changed.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, of another format version, holds a pickle, or was not written by doatrack.

    References
    ----------
    .. [1] The safetensors format, https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"not a model") or file.flush()
    ...     read_model_file(file.name)
    Traceback (most recent call last):
    doatrack.exceptions.ModelFileError: ... is not a model file of doatrack...
    """
    data = _read(path)
    header = _model_header(path, _safetensors_metadata(path, data))
    given = header.pop(_DIGEST, None)
    try:
        loaded = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(f"The model file {path} is damaged: {error}. Copy or save it again.") from error
    if given != _digest(json.dumps(header, sort_keys=True), loaded):
        raise ModelFileError(
            f"The model file {path} is damaged: its checksum does not fit its content. Copy or save it again."
        )
    return header, {name: array.copy() for name, array in loaded.items()}


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        if is_device_or_pipe(path):
            raise ModelFileError(f"{path} is a device or a pipe, not a model file. Name a file.")
        return pathlib.Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"The model file {path} does not exist.") from error
    except OSError as error:
        raise ModelFileError(f"The model file {path} cannot be read: {error.strerror}.") from error


def _safetensors_metadata(path: str | os.PathLike[str], data: bytes) -> dict[str, Any]:
    """Return the metadata of a safetensors file, or say what the file is instead."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    start_of_tensors = _LENGTH_BYTES + length
    if data[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{" or length > _LONGEST_HEADER:
        raise ModelFileError(f"{path} {_what_it_is(data)}")
    if start_of_tensors > len(data):
        raise ModelFileError(
            f"The model file {path} is damaged: it breaks off within its header ({len(data)} bytes are left of at "
            f"least {start_of_tensors}). Copy or save it again."
        )
    try:
        content = json.loads(data[_LENGTH_BYTES:start_of_tensors])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"The model file {path} is damaged: its header is not JSON: {error}.") from error
    metadata = content.get("__metadata__") if isinstance(content, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _what_it_is(data: bytes) -> str:
    if data[:4] == b"PK\x03\x04":
        return (
            "is a zip archive, such as torch.save writes: it holds a pickle, which can run code, and is not opened. "
            "Ask for a file written by tracker.save."
        )
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a pickle, which can run code, and is not opened. Ask for a file written by tracker.save."
    if not data:
        return "is empty: it is not a model file of doatrack, or a damaged one."
    return "is not a model file of doatrack, or a damaged one: it does not begin like a safetensors file."


def _model_header(path: str | os.PathLike[str], metadata: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(metadata.get(_KEY), str):
        raise ModelFileError(
            f"{path} is a safetensors file, but not a model file of doatrack: its metadata has no {_KEY!r}."
        )
    try:
        header = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"The model file {path} is damaged: its {_KEY!r} header is not JSON: {error}.") from error
    version = header.get("format_version") if isinstance(header, dict) else None
    if type(version) is not int:
        raise ModelFileError(f"The model file {path} is damaged: its {_KEY!r} header has no format_version.")
    if version != FORMAT_VERSION:
        older = "read it with the doatrack that wrote it, or fit anew with this one"
        way_out = "install a newer doatrack" if version > FORMAT_VERSION else older
        raise ModelFileError(
            f"The model file {path} has the format version {version}, this doatrack reads version {FORMAT_VERSION}: "
            f"{way_out}."
        )
    return dict(header)
