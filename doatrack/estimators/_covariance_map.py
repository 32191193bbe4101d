"""What the methods share that compare spatial covariances with plane waves over a grid of directions."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_bool, check_int, check_real
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._base import BaseTracker
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._search import search_grid
from doatrack.features import CovarianceExtractor
from doatrack.geometry import DirectionGrid, MicArray, PeakFinder

__all__ = ["CovarianceMapTracker", "CovarianceTables"]

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
            parts = [self._map(covariance, tables) for covariance in _grouped(stream)]
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
        return CovarianceExtractor(array, self._frames(), self.snapshot_length, self.snapshot_hop, self.freq_range_hz)

    def _estimate(
        self, recordings: Recordings, index: int, *, evidence: bool = False, maps: bool = False
    ) -> FrameEstimates:
        return self._located(recordings, index, self._highest, maps=maps)

    def _located(self, recordings: Recordings, index: int, locate: Locate, *, maps: bool) -> FrameEstimates:
        """Return the frames of one recording, with the directions that `locate` reads off maps and covariances."""
        tables = self._runtime()
        stream = tables.extractor.stream(recordings.blocks(index))
        doa, heard, logs = [], [], []
        for covariance in _grouped(stream):
            values = self._map(covariance, tables)
            heard.append(values.amax(dim=-1))
            doa.append(locate(values, covariance, tables))
            if maps:
                logs.append(self.map_scale * self._log_map(values))
        if not doa:
            self._too_short(recordings, index)
        unknown = np.full(stream.n_frames, np.nan)
        directions = torch.cat(doa).double().numpy()
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        log_likelihood = torch.cat(logs).double().numpy() if maps else None
        evidence = torch.cat(heard).double().numpy()
        return FrameEstimates(directions, unknown, unknown, stream.activity(), evidence, log_likelihood)

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


def _grouped(stream: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the features of successive blocks, several of them at once."""
    waiting: list[Tensor] = []
    for features in stream:
        waiting.append(features)
        if sum(map(len, waiting)) >= _GROUP:
            yield torch.cat(waiting)
            waiting = []
    if waiting:
        yield torch.cat(waiting)


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
