"""A tracker that believes its microphones to be where they are not, while its features stay as they were."""

import copy
import dataclasses
import warnings
from typing import Any

from doatrack.estimators import NeuralSRPTracker
from doatrack.estimators.neural_srp import pair_positions
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.geometry import MicArray
from doatrack.networks import PairGeometry

__all__ = ["told"]


def told(tracker: Any, array: MicArray) -> Any:
    """Return a copy of a fitted tracker that is told other positions of its microphones.

    As in the paper's Table 5, where positions are corrupted that are fed to a model: correlations, their lags and the
    order of the pairs stay those of the array that the tracker was fitted for. `for_array` computes them anew, which
    for the paper's encoder would also stretch the axis of lags. Trackers that steer by delays are simply moved.

    Parameters
    ----------
    tracker : fitted tracker
    array : MicArray
        With as many microphones.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import SRPPHAT
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> tracker = SRPPHAT(n_directions=100).fit(np.zeros((4, 8192)), array)
    >>> told(tracker, array).predict(np.ones((4, 8192))).shape
    (2, 3)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArrayMismatchWarning)
        misled = tracker.for_array(array)
    heard, tables = tracker._runtime(), misled._runtime()
    believing = copy.copy(heard.extractor)
    believing.array = array.select(heard.extractor._order)
    if getattr(tracker, "encoder", None) == "paper":
        geometry = PairGeometry.of(believing, misled.grid_)
        tables.geometry = dataclasses.replace(geometry, lags=heard.geometry.lags)
        tables.extractor = heard.extractor
    elif isinstance(tracker, NeuralSRPTracker):
        tables.positions = pair_positions(believing)
        tables.extractor = heard.extractor
    return misled  # others steer by the positions that they are told: lags with a fixed step, pairs in any order
