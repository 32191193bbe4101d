"""Steered response power with phase transform: the classical baseline."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_array, check_bool, check_real
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._base import BaseTracker
from doatrack.estimators._frame_source import FrameHead, HeardFrames, unit_rows
from doatrack.estimators._map_scale import map_scale_of
from doatrack.estimators._search import search_grid
from doatrack.exceptions import InvalidInputError
from doatrack.features import FeatureStream, GCCExtractor, GCCFeatures, steering_matrix
from doatrack.features.constant_product import ConstantProduct
from doatrack.features.frames import gather_frames
from doatrack.features.srp_map import SteeredMap
from doatrack.geometry import SPEED_OF_SOUND, DirectionGrid, MicArray, PeakFinder
from doatrack.tracking import MotionModel

__all__ = ["SRPPHAT"]

_FRAMES_AT_ONCE = 64


class SRPPHAT(BaseTracker):
    """Steered response power with GCC-PHAT (SRP-PHAT) over a grid of directions.

    For each frame, the correlations of all pairs are summed at the delays of every candidate direction; the highest
    sum wins. It needs no training: `fit` only takes the geometry. It assumes one far source per frame and
    degrades with reverberation and noise; it knows no uncertainty, so the concentration of its tracks is NaN.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    grid : {"quasi_uniform", "rectangular"}
        A Fibonacci spiral, or the paper's equal steps of azimuth and elevation (section 5.2: 64 x 32).
    n_directions : int
        Size of the grid; a rectangular one is the nearest 2 n x n.
    pairs : "all" or sequence of (int, int)
        Which microphone pairs are summed, counted from 0.
    refine : bool
        Whether to look for the maximum between grid directions, by a parabola.
    n_sources : int
        Sources at a time: the highest separated peaks of the map, at least 20 degrees apart.
    azimuth_range_deg, elevation_range_deg : (float, float), optional
        Search region in degrees: from, to, counter-clockwise from front; lowest, highest.
    sample_rate : int
        In Hz; files are resampled to it.
    win_length, hop_length : int
        In samples.
    window : {"rectangular", "hann"}
        Of the frames, with features "phat", for which the rectangular one is the more accurate (docs/benchmarks.md);
        the short snapshots of other features are always Hann windows.
    lag_step : float
        Distance in samples of the lags at which correlations are computed, between which they are interpolated.
    speed_of_sound : float
        In m/s.
    features : {"phat", "snr", "whitened"} or GCCFeatures
        How correlations are weighted: "phat" is the classical method; "whitened" learns where noise comes from and
        survives an interferer (docs/features.md).
    map_scale : float, optional
        Log-likelihood in nats of a steered response power of 1, for filter and smoother (docs/motion.md); None is 200
        for "phat", 800 for the others.
    motion : MotionModel, optional
        How sources move, for filter and smoother; None is the usual motion.
    causal : bool
        Whether noise and activity are learned from earlier sound only, so that a frame's answer waits for nothing that
        comes later (docs/streaming.md). It can be set after fitting, `set_params(causal=True)`.

    Attributes
    ----------
    array_ : MicArray
        The fitted array.
    grid_ : DirectionGrid
        The directions searched.

    References
    ----------
    J. DiBiase, PhD thesis, Brown University 2000; E. Grinstein et al., "Steered response power for sound source
    localization: a tutorial review", EURASIP JASM 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import MicArray, SRPPHAT
    >>> array = MicArray.from_preset("nao_head_12")
    >>> noise = np.random.default_rng(0).normal(size=8192)
    >>> signals = np.stack([noise] * 12)                       # no delay anywhere: no direction fits
    >>> SRPPHAT(n_directions=500).fit(signals, array).predict(signals).shape
    (2, 3)
    """

    _sources_from_maps = True

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        grid: Literal["quasi_uniform", "rectangular"] = "quasi_uniform",
        n_directions: int = 2048,
        pairs: Literal["all"] | Sequence[tuple[int, int]] = "all",
        refine: bool = True,
        n_sources: int = 1,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
        sample_rate: int = 16000,
        win_length: int = 4096,
        hop_length: int = 3072,
        window: Literal["rectangular", "hann"] = "rectangular",
        lag_step: float = 0.25,
        speed_of_sound: float = SPEED_OF_SOUND,
        features: Literal["phat", "snr", "whitened"] | GCCFeatures = "phat",
        map_scale: float | None = None,
        motion: MotionModel | None = None,
        causal: bool = False,
    ) -> None:
        self.array = array
        self.grid = grid
        self.n_directions = n_directions
        self.pairs = pairs
        self.refine = refine
        self.n_sources = n_sources
        self.azimuth_range_deg = azimuth_range_deg
        self.elevation_range_deg = elevation_range_deg
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.lag_step = lag_step
        self.speed_of_sound = speed_of_sound
        self.features = features
        self.map_scale = map_scale
        self.motion = motion
        self.causal = causal

    def predict_map(self, X: Signals) -> Any:
        """Return the steered response power itself.

        Parameters
        ----------
        X : array, list of arrays, path or list of paths
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_frames, n_directions), or a batch or list of them
            Mean over pairs of GCC-PHAT, at most 1, over `grid_.directions`.
        """
        recordings = self._recordings(X)
        maps = []
        for k in range(len(recordings)):
            stream = self._runtime().extractor.stream(recordings.blocks(k))
            parts = [self._runtime().map(gcc) for gcc in gather_frames(stream, _FRAMES_AT_ONCE)]
            maps.append(torch.cat(parts).double().numpy() if parts else self._too_short(recordings, k))
        return recordings.mirror(maps)

    def _fit(
        self, recordings: Recordings, truth: Any, array: MicArray, activity: list[NDArray[np.bool_]] | None
    ) -> None:
        check_bool("refine", self.refine)
        check_real("lag_step", self.lag_step, 0.0, 1.0, exclusive_minimum=True)
        if self.map_scale is not None:
            check_real("map_scale", self.map_scale, 0.0, exclusive_minimum=True)
        GCCFeatures.of(self.features)
        grid = self._search_grid()
        _pair_rows(self.pairs, array)
        recordings.check()
        self._forget_tables()
        self.array_ = array
        self.grid_ = grid

    def _search_grid(self) -> DirectionGrid:
        return search_grid(self.grid, self.n_directions, self.azimuth_range_deg, self.elevation_range_deg)

    def _feature_stream(self) -> FeatureStream:
        return self._runtime().extractor.stream()

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        return _Highest(self, maps=maps, only_maps=only_maps)

    def _runtime(self) -> "_Tables":
        return self._tables_for(_Tables)

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.grid_ = self._search_grid()


class _Highest:
    """The highest direction of each frame's map."""

    at_once, look_ahead = _FRAMES_AT_ONCE, 0

    def __init__(self, estimator: SRPPHAT, *, maps: bool, only_maps: bool) -> None:
        self._tables, self._refine = estimator._runtime(), estimator.refine
        self._maps, self._only_maps = maps, maps and only_maps

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        values = self._tables.map(features)
        shown = (self._tables.map_scale * values).double().numpy() if self._maps else None
        unknown = np.full(len(values), np.nan)
        return [HeardFrames(self._directions(values), unknown, values.amax(dim=-1).double().numpy(), shown)]

    def _directions(self, values: Tensor) -> NDArray[np.float64]:
        if self._only_maps:
            return np.full((len(values), 3), np.nan)
        tables = self._tables
        found = tables.finder(values) if self._refine else tables.directions[values.argmax(dim=-1)]
        return unit_rows(found.double().numpy())

    def finish(self) -> list[HeardFrames]:
        return []


class _Tables:
    """What follows from array and parameters, computed once."""

    def __init__(self, estimator: SRPPHAT) -> None:
        frames = estimator._frames()
        self.extractor = GCCExtractor(
            estimator.array_,
            frames,
            lag_step=estimator.lag_step,
            features=GCCFeatures.of(estimator.features),
            speed_of_sound=estimator.speed_of_sound,
            causal=estimator.causal,
        )
        self.map_scale = map_scale_of(estimator.map_scale, self.extractor.features)
        delays = self.extractor.tdoa_samples(estimator.grid_.directions)
        chosen = _pair_rows(estimator.pairs, estimator.array_)
        self.rows = None if chosen is None else self.extractor.rows_of_pairs(chosen)
        wanted = delays if self.rows is None else delays[self.rows]
        self.steering = ConstantProduct(steering_matrix(wanted, self.extractor.lags))
        self._steered = SteeredMap(self.steering)
        self.finder = PeakFinder(estimator.grid_)
        self.directions = torch.tensor(estimator.grid_.directions, dtype=torch.float32)

    def map(self, gcc: Tensor) -> Tensor:
        """Return the map (n_frames, n_directions) of correlations."""
        return self._steered(gcc[:, self.rows] if self.rows is not None else gcc)


def _pair_rows(pairs: object, array: MicArray) -> NDArray[np.int64] | None:
    """Return the chosen pairs (n_pairs, 2), or None for all."""
    if isinstance(pairs, str):
        if pairs == "all":
            return None
        raise InvalidInputError(f"pairs must be 'all' or a list of (i, j), got {pairs!r}.")
    table = check_array("pairs", pairs, ("n_pairs", 2))
    chosen = np.sort(table.astype(np.int64), axis=1)
    if len(chosen) == 0 or (table != np.rint(table)).any() or chosen.min() < 0 or chosen.max() >= array.n_mics:
        raise InvalidInputError(
            f"pairs must be microphone numbers from 0 to {array.n_mics - 1}, at least one pair, got {pairs!r}."
        )
    if (chosen[:, 0] == chosen[:, 1]).any():
        raise InvalidInputError(f"pairs must join two different microphones, got {pairs!r}.")
    return np.unique(chosen, axis=0)
