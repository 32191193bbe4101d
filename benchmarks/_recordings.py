"""Real recordings whose ground truth is one direction per file."""

import csv
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack import DirectionGrid, MicArray, Track
from doatrack.distributions import VonMisesFisher

_GRID = DirectionGrid.quasi_uniform(8192)


def summed_map_azimuths(folder: pathlib.Path, for_array: Callable[[MicArray], Any]) -> list[dict[str, Any]]:
    """Return, per recording with one talker, the azimuth of the map summed over active frames and its error.

    Parameters
    ----------
    folder : path
        With array.json, ground_truth.csv (file, n_sources, azimuth_deg) and the sound files.
    for_array : callable
        Returns a fitted tracker for the array.
    """
    with (folder / "ground_truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["n_sources"] == "1"]
    tracker = for_array(MicArray.from_json(folder / "array.json"))
    results = []
    for row in rows:
        x, y, z = _summed_map_direction(tracker, folder / row["file"])
        azimuth = float(np.degrees(np.arctan2(y, x)))
        error = (azimuth - float(row["azimuth_deg"]) + 180) % 360 - 180
        name = pathlib.Path(row["file"]).stem.removeprefix("a180e20__").replace("__", " ")
        elevation = float(np.degrees(np.arcsin(abs(z))))
        results.append({"name": name, "azimuth_deg": azimuth % 360, "elevation_deg": elevation})
        results[-1]["azimuth_error_deg"] = error
    return results


def _summed_map_direction(tracker: Any, path: pathlib.Path) -> NDArray[np.float64]:
    track: Track = tracker.track(path, smoothing=None)
    if hasattr(tracker, "predict_map"):
        total = tracker.predict_map(path)[track.activity].sum(axis=0)
        return tracker.grid_.directions[total.argmax()]
    means = torch.from_numpy(track.doa[track.activity].copy())
    # ESPRIT has neither a map nor a concentration
    concentrations = torch.from_numpy(np.nan_to_num(track.concentration[track.activity], nan=50.0))
    directions = torch.from_numpy(_GRID.directions)
    density = VonMisesFisher(means, concentrations).log_prob(directions[:, None]).exp()
    return _GRID.directions[int(density.sum(dim=1).argmax())]
