"""What the methods share that compare spatial covariances with plane waves over a grid of directions."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_bool, check_int, check_real
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._base import BaseTracker
from doatrack.estimators._frame_source import FrameHead, HeardFrames, unit_rows
from doatrack.estimators._search import search_grid
from doatrack.features import CovarianceExtractor, FeatureStream
from doatrack.features.frames import gather_frames
from doatrack.geometry import DirectionGrid, MicArray, PeakFinder

__all__ = ["CovarianceMapTracker", "CovarianceTables", "MapMaximum"]

Locate = Callable[[Tensor, Tensor, "CovarianceTables"], Tensor]

_GROUP = 16  # frames at least that are worth the tables of directions which are made for them
_BLOCK = 2**20  # numbers in one table of directions and frequencies: what the processor keeps near


class CovarianceMapTracker(BaseTracker):
    """Estimator by a map over a grid, a sum over frequencies of what covariances say of each direction.

    A subclass gives `_map`, and `_log_map` where its map is not a log-likelihood already.
    """

    grid: str
    n_directions: int
    n_sources: int
    refine: bool
    freq_range_hz: tuple[float, float]
    snapshot_length: int
    snapshot_hop: int
    azimuth_range_deg: tuple[float, float] | None
    elevation_range_deg: tuple[float, float] | None
    map_scale: float
    _sources_from_maps = True

    def predict_map(self, X: Signals) -> Any:
        """Return the map over directions that the answer is read off.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_frames, n_directions), or a batch or list of them
            Over `grid_.directions`; what its values mean, the class says.
        """
        recordings = self._recordings(X)
        tables = self._runtime()
        maps = []
        for k in range(len(recordings)):
            stream = tables.extractor.stream(recordings.blocks(k))
            parts = [self._map(covariance, tables) for covariance in gather_frames(stream, _GROUP)]
            maps.append(torch.cat(parts).double().numpy() if parts else self._too_short(recordings, k))
        return recordings.mirror(maps)

    def _fit(
        self, recordings: Recordings, truth: Any, array: MicArray, activity: list[NDArray[np.bool_]] | None
    ) -> None:
        check_bool("refine", self.refine)
        check_int("n_sources", self.n_sources, 1, array.n_mics - 1)
        check_real("map_scale", self.map_scale, 0.0, exclusive_minimum=True)
        self._extractor(array)
        grid = self._search_grid()
        recordings.check()
        self._forget_tables()
        self.array_ = array
        self.grid_ = grid

    def _search_grid(self) -> DirectionGrid:
        return search_grid(self.grid, self.n_directions, self.azimuth_range_deg, self.elevation_range_deg)

    def _extractor(self, array: MicArray) -> CovarianceExtractor:
        return CovarianceExtractor(
            array,
            self._frames(),
            self.snapshot_length,
            self.snapshot_hop,
            self.freq_range_hz,
            causal=self.causal,
        )

    def _feature_stream(self) -> FeatureStream:
        return self._runtime().extractor.stream()

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        return MapMaximum(self, self._highest, maps)

    def _map(self, covariance: Tensor, tables: "CovarianceTables") -> Tensor:
        """Return the map (n_frames, n_directions) of covariances (n_frames, n_freq, n_mics, n_mics)."""
        raise NotImplementedError

    def _log_map(self, values: Tensor) -> Tensor:
        """Return what `map_scale` makes a log-likelihood of."""
        return values

    def _highest(self, values: Tensor, covariance: Tensor, tables: "CovarianceTables") -> Tensor:
        """Return where maps (n_frames, n_directions) are highest, unit vectors (n_frames, 3)."""
        return tables.refined(self._log_map(values), values.argmax(dim=-1))

    def _runtime(self) -> "CovarianceTables":
        return self._tables_for(CovarianceTables)

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.grid_ = self._search_grid()


class MapMaximum:
    """The directions that `locate` reads off each frame's map and covariances."""

    at_once, look_ahead = _GROUP, 0

    def __init__(self, estimator: CovarianceMapTracker, locate: Locate, maps: bool) -> None:
        self._estimator, self._locate, self._maps = estimator, locate, maps
        self._tables = estimator._runtime()

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        estimator = self._estimator
        values = estimator._map(features, self._tables)
        found = self._locate(values, features, self._tables)
        shown = (estimator.map_scale * estimator._log_map(values)).double().numpy() if self._maps else None
        unknown = np.full(len(values), np.nan)
        return [HeardFrames(unit_rows(found.double().numpy()), unknown, values.amax(dim=-1).double().numpy(), shown)]

    def finish(self) -> list[HeardFrames]:
        return []


class CovarianceTables:
    """What follows from array and parameters, computed once.

    Parameters
    ----------
    estimator : CovarianceMapTracker
        Fitted.
    """

    def __init__(self, estimator: CovarianceMapTracker) -> None:
        self.extractor = estimator._extractor(estimator.array_)
        self.steering = self.extractor.steering(estimator.grid_.directions, estimator.speed_of_sound)
        self.directions = torch.tensor(estimator.grid_.directions, dtype=torch.float32)
        self._finder = PeakFinder(estimator.grid_) if estimator.refine else None

    @property
    def n_freq(self) -> int:
        """The number of frequencies that are summed."""
        return len(self.steering)

    def refined(self, maps: Tensor, indices: Tensor) -> Tensor:
        """Return the unit vectors (..., 3) of the maxima with these indices (...) of maps (..., n_directions)."""
        return self.directions[indices] if self._finder is None else self._finder.refine(maps, indices)

    def frequency_blocks(self, n_frames: int) -> Iterator[slice]:
        """Yield the frequencies in groups whose tables stay small, whatever the array and the grid."""
        _, n_directions, n_mics = self.steering.shape
        size = max(1, _BLOCK // (n_directions * max(n_frames, n_mics * (n_mics - 1))))
        for start in range(0, self.n_freq, size):
            yield slice(start, start + size)
