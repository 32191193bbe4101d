"""PyTorch state dicts that others published, read without running anything in them."""

import os
import pathlib
import pickle
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from doatrack._validation import check_path
from doatrack.exceptions import ModelFileError

__all__ = ["read_state_dict"]

_WRAPPERS = ("model", "state_dict", "model_state_dict", "net")
_PARALLEL = "module."
_NAMED = 4  # names that a message tells


def read_state_dict(path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read a state dict and check that it is the expected network's.

    It may be wrapped under "model", "state_dict", "model_state_dict" or "net", and its names may begin with "module."
    (data-parallel training).

    Parameters
    ----------
    path : path-like
        What `torch.save` wrote.
    shapes : mapping of str to tuple of int
        Names and shapes of the network's tensors.

    Returns
    -------
    dict of str to Tensor
        Exactly these names, on the CPU.

    Raises
    ------
    ModelFileError
        If the file is missing, is no state dict, holds a pickle with code, or a name or shape is another.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"module.weight": torch.ones(2)}, f"{folder}/net.bin")
    ...     read_state_dict(f"{folder}/net.bin", {"weight": (2,)})
    {'weight': tensor([1., 1.])}
    """
    tensors = _unwrapped(path, _load(check_path("path", path)))
    missing = [name for name in shapes if name not in tensors]
    unexpected = [name for name in tensors if name not in shapes]
    if missing or unexpected:
        lacks = f"it lacks {_listed(missing)}" if missing else ""
        more = f"it has {_listed(unexpected)} besides" if unexpected else ""
        raise ModelFileError(
            f"The checkpoint {path} is of another network: {' and '.join(part for part in (lacks, more) if part)}."
        )
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != tuple(shape):
            raise ModelFileError(
                f"The checkpoint {path} is of a network of another size: {name} must have the shape {tuple(shape)}, "
                f"got {tuple(tensors[name].shape)}."
            )
        if not torch.isfinite(tensors[name]).all():
            raise ModelFileError(f"The checkpoint {path} holds values in {name} that are not finite.")
    return tensors


def _load(path: pathlib.Path) -> Any:
    try:
        with warnings.catch_warnings():
            # of formats that it may not be able to read: then it says so by an error
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelFileError(f"The checkpoint {path} does not exist.") from error
    except OSError as error:
        raise ModelFileError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"The checkpoint {path} holds more than tensors, which could run code, or is damaged; it is not loaded. "
            "Save it again as torch.save(network.state_dict(), path)."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelFileError(
            f"The checkpoint {path} is not a file that torch.save wrote, or is damaged: {reason}."
        ) from error


def _unwrapped(path: str | os.PathLike[str], content: Any) -> dict[str, Tensor]:
    for name in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise ModelFileError(
            f"The checkpoint {path} must hold a state dict, names with their tensors, got {type(content).__name__}."
        )
    return {key.removeprefix(_PARALLEL): value for key, value in content.items()}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
