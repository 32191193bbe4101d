"""Fitted estimators as files."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from doatrack._validation import check_path, did_you_mean
from doatrack.distributions import ConeCalibration
from doatrack.estimators._base import BaseTracker
from doatrack.exceptions import InvalidInputError, ModelFileError
from doatrack.features import GCCFeatures
from doatrack.geometry import MicArray
from doatrack.persistence import read_model_file, write_model_file
from doatrack.tracking import MotionModel, SwitchingMotion

__all__ = ["load", "save_estimator"]

_OF_THE_MOMENT = ("checkpoint", "verbose")
"""Parameters of a run, not of a model: another user's folders and progress bars are none of a file's business."""
_VALUES = {cls.__name__: cls for cls in (GCCFeatures, MotionModel, SwitchingMotion)}
"""Parameters that are objects of several numbers."""


def save_estimator(estimator: BaseTracker, path: pathlib.Path) -> None:
    """Write an estimator's parameters, array and learned state to one file."""
    values, arrays = estimator._state()
    header = {
        "estimator": type(estimator).__name__,
        "params": {
            name: _encode(name, value)
            for name, value in estimator.get_params(deep=False).items()
            if name not in _OF_THE_MOMENT
        },
        "array": _encode("array_", estimator.array_),
        "calibration": {name: known.to_dict() for name, known in estimator.calibration_.items()},
        "state": values,
    }
    write_model_file(path, header, {name: np.asarray(value, order="C") for name, value in arrays.items()})


def load(path: str | os.PathLike[str]) -> Any:
    """Read a fitted estimator that `save` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        If the file is damaged, of another version, holds a pickle, names an unknown estimator, or has weights that are
        no numbers.
    InvalidInputError
        If `path` is none.

    Examples
    --------
    >>> import tempfile, numpy as np, doatrack
    >>> array = doatrack.MicArray.from_preset("nao_head_12")
    >>> fitted = doatrack.SRPPHAT(n_directions=100).fit(np.zeros((12, 8000)), array)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fitted.save(f"{folder}/srp.safetensors")
    ...     doatrack.load(f"{folder}/srp.safetensors").array_ == array
    True
    """
    header, arrays = read_model_file(check_path("path", path))
    # what several estimators have in common stands in modules of its own
    classes = {c.__name__: c for c in _subclasses(BaseTracker) if not c.__module__.split(".")[-1].startswith("_")}
    name = str(header.get("estimator"))
    if name not in classes:
        raise ModelFileError(f"{path} holds an unknown estimator, {name!r}. {did_you_mean(name, classes)}")
    broken = sorted(key for key, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all())
    if broken:
        raise ModelFileError(
            f"{path} holds numbers that are NaN or infinite, in {broken[0]!r}: its learning had failed before it was "
            "saved. Fit anew, with a lower learning_rate, or take an earlier file."
        )
    try:
        params = {key: _decode(value) for key, value in header["params"].items() if key not in _OF_THE_MOMENT}
        estimator = classes[name](**params)
        # not all of the rules: a file from a machine with a GPU is read on one without
        BaseTracker._check_parameters(estimator)
        estimator.array_ = _decode(header["array"])
        if not isinstance(estimator.array_, MicArray):
            raise TypeError(f"array must hold mic_positions, got {type(estimator.array_).__name__}")
        estimator._restore(header["state"], arrays)
        estimator.calibration_ = {k: ConeCalibration.from_dict(v) for k, v in header["calibration"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise ModelFileError(
            f"{path} does not hold a complete {name} ({reason}). If another version of doatrack wrote it: read it with "
            "that version, or fit or calibrate anew with this one."
        ) from error
    return estimator


def _subclasses(cls: type[BaseTracker]) -> list[type[BaseTracker]]:
    return [c for child in cls.__subclasses__() for c in (child, *_subclasses(child))]


def _encode(name: str, value: Any) -> Any:
    if isinstance(value, MicArray):
        return {"mic_positions": value.positions.tolist(), "name": value.name}
    if type(value).__name__ in _VALUES:
        return {"value": type(value).__name__} | {k: _encode(name, v) for k, v in dataclasses.asdict(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return str(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_encode(name, item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InvalidInputError(
        f"The parameter {name} cannot be saved: {type(value).__name__}. Use numbers, text, lists or a MicArray."
    )


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and "mic_positions" in value:
        return MicArray(value["mic_positions"], name=value.get("name", ""))
    if isinstance(value, dict) and "value" in value:
        return _VALUES[value["value"]](**{key: part for key, part in value.items() if key != "value"})
    return value
