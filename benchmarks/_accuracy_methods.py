"""The methods that `accuracy.py` compares."""

import dataclasses
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from doatrack import DML, ESPRIT, MUSIC, SRPPHAT, MicArray, PhysicsVAETracker, load
from doatrack.exceptions import ArrayMismatchWarning, ModelFileError
from doatrack.geometry import find_shifts

SHIPPED = "nao_head_12"


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of the table: how to get the tracker for an array, and whether it is a baseline."""

    label: str
    for_array: Callable[[MicArray], Any]
    is_baseline: bool

    def can_use(self, array: MicArray) -> bool:
        """Return whether the array has what the method needs: ESPRIT needs shifted copies of a part of it."""
        return not self.label.startswith("ESPRIT") or bool(find_shifts(array))


def baselines() -> list[Method]:
    """Return SRPPHAT with each window, on each grid."""
    rows = []
    for window in ("rectangular", "hann"):
        rows += [
            _baseline(f"SRPPHAT, {window}, refined", window=window),
            _baseline(f"SRPPHAT, {window}, grid only", window=window, refine=False),
            _baseline(f"SRPPHAT, {window}, 64 x 32 grid only", window=window, refine=False, grid="rectangular"),
        ]
    return rows


def classical() -> list[Method]:
    """Return the classical methods."""
    return [
        _untrained("SRPPHAT", SRPPHAT()),
        _untrained("MUSIC, normalised", MUSIC()),
        _untrained("MUSIC, plain", MUSIC(normalised=False)),
        _untrained("DML, noise per frequency", DML()),
        _untrained("DML, common noise", DML(noise="common")),
        _untrained("ESPRIT", ESPRIT()),
    ]


def _baseline(label: str, **parameters: Any) -> Method:
    return _untrained(label, SRPPHAT(n_directions=2048, **parameters))


def _untrained(label: str, tracker: Any) -> Method:
    """Return a method that learns nothing of the sound: silence is enough to fit it."""

    def for_array(array: MicArray) -> Any:
        return clone(tracker).fit(np.zeros((array.n_mics, 4096), np.float32), array)

    return Method(label, for_array, is_baseline=isinstance(tracker, SRPPHAT))


def models(files: Sequence[str], *, shipped: bool) -> list[Method]:
    """Return the shipped tracker, if wanted, and those of model files, [LABEL=]FILE."""
    found = []
    if shipped:
        try:
            found.append(_model("PhysicsVAETracker, shipped", PhysicsVAETracker.from_pretrained(SHIPPED)))
        except ModelFileError as error:
            print(f"The shipped tracker is left out: {error}", file=sys.stderr)
    for given in files:
        label, _, path = given.rpartition("=")
        found.append(_model(label or pathlib.Path(path).stem, load(path)))
    return found


def _model(label: str, tracker: Any) -> Method:
    def for_array(array: MicArray) -> Any:
        if tracker.array_ == array:
            return tracker
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # the label says that it was moved
            return tracker.for_array(array)

    return Method(label, for_array, is_baseline=isinstance(tracker, SRPPHAT))
