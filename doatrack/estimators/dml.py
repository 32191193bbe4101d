"""Deterministic maximum likelihood over a grid of directions."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from doatrack._validation import check_choice
from doatrack.audio.recordings import Recordings
from doatrack.estimators._covariance_map import CovarianceMapTracker, CovarianceTables, MapMaximum
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._frame_source import FrameHead
from doatrack.estimators._one_side import OneSide
from doatrack.estimators._online_join import OnlineJoin, SeveralJoin
from doatrack.estimators._several_sources import sources_at
from doatrack.estimators._smoothing import Smoothing
from doatrack.features import explained_share, likelihood_gain
from doatrack.geometry import SPEED_OF_SOUND, MicArray
from doatrack.tracking import MotionModel, SourceLinker

__all__ = ["DML"]

_SEPARATION = math.radians(10)
_N_ROUNDS = 5  # of alternating projection; it stops as soon as no direction changes


class DML(CovarianceMapTracker):
    """Deterministic maximum likelihood (DML) over a grid of directions.

    Sources are plane waves of unknown spectra in white Gaussian noise of unknown power; at every frequency, the
    share of the power that plane waves from a direction explain gives the likelihood of that direction. It needs no
    training: `fit` only takes the geometry. Unlike MUSIC it does not need sources to differ (echoes do not break it),
    and unlike the phase transform it weighs what is heard by how well it fits. Noise that is alike at all microphones
    (a second sound) breaks its assumption. Several sources are found by alternating projection: one direction after
    the other is improved while the rest stays.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    noise : {"per_frequency", "common"}
        Whether every frequency has a noise power of its own, so that all count alike, or all have the same, so that
        loud frequencies decide.
    n_sources : int
        Sources at a time. Frame by frame they are the likeliest set of directions at least 10 degrees apart; filter
        and smoother follow peaks of the map of one source.
    grid : {"quasi_uniform", "rectangular"}
        A Fibonacci spiral, or equal steps of azimuth and elevation.
    n_directions : int
        Size of the grid; a rectangular one is the nearest 2 n x n.
    refine : bool
        Whether to look for the maximum between grid directions, by a parabola.
    freq_range_hz : (float, float)
        Lowest and highest frequency that counts, in Hz.
    snapshot_length, snapshot_hop : int
        Sub-windows of a frame in samples. Short against the frame, long against the array's longest delay.
    azimuth_range_deg, elevation_range_deg : (float, float), optional
        Search region in degrees: from, to, counter-clockwise from front; lowest, highest.
    sample_rate : int
        In Hz; files are resampled to it.
    win_length, hop_length : int
        Of a frame, in samples.
    window : {"hann", "rectangular"}
        Of the snapshots.
    speed_of_sound : float
        In m/s.
    map_scale : float
        How many independent observations a frame's map counts for, in filter and smoother (docs/motion.md).
    motion : MotionModel, optional
        How sources move, for filter and smoother; None is the usual motion.
    causal : bool
        Whether the activity is learned from earlier sound only, so that a frame's answer waits for nothing that comes
        later (docs/streaming.md). It can be set after fitting, `set_params(causal=True)`.

    Attributes
    ----------
    array_ : MicArray
        The fitted array.
    grid_ : DirectionGrid
        The directions searched.

    Notes
    -----
    `predict_map` gives the log-likelihood of one source in each direction over that of noise alone, in nats per
    snapshot and microphone, averaged over frequencies: -log(1 - a^H R a / (n_mics tr R)). With several sources it is
    where the search begins.

    References
    ----------
    J. F. Böhme, "Estimation of spectral parameters of correlated signals in wavefields", Signal Processing 1986;
    I. Ziskind and M. Wax, IEEE Trans. Acoust., Speech, Signal Process. 1988 (alternating projection); section 2.1 of
    the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import DML, MicArray
    >>> array = MicArray.from_preset("nao_head_12")
    >>> signals = np.random.default_rng(0).normal(size=(12, 8192))
    >>> DML(n_directions=500).fit(signals, array).predict(signals).shape
    (2, 3)
    """

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        noise: Literal["per_frequency", "common"] = "per_frequency",
        n_sources: int = 1,
        grid: Literal["quasi_uniform", "rectangular"] = "quasi_uniform",
        n_directions: int = 2048,
        refine: bool = True,
        freq_range_hz: tuple[float, float] = (300.0, 6000.0),
        snapshot_length: int = 512,
        snapshot_hop: int = 256,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
        sample_rate: int = 16000,
        win_length: int = 4096,
        hop_length: int = 3072,
        window: Literal["rectangular", "hann"] = "hann",
        speed_of_sound: float = SPEED_OF_SOUND,
        map_scale: float = 60.0,
        motion: MotionModel | None = None,
        causal: bool = False,
    ) -> None:
        self.array = array
        self.noise = noise
        self.n_sources = n_sources
        self.grid = grid
        self.n_directions = n_directions
        self.refine = refine
        self.freq_range_hz = freq_range_hz
        self.snapshot_length = snapshot_length
        self.snapshot_hop = snapshot_hop
        self.azimuth_range_deg = azimuth_range_deg
        self.elevation_range_deg = elevation_range_deg
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.speed_of_sound = speed_of_sound
        self.map_scale = map_scale
        self.motion = motion
        self.causal = causal

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("noise", self.noise, ("per_frequency", "common"))

    def _map(self, covariance: Tensor, tables: CovarianceTables, others: Tensor | None = None) -> Tensor:
        """Return the map of one more source besides others, grid directions (n_frames, n_others)."""
        power = torch.diagonal(covariance, dim1=-2, dim2=-1).real.sum(dim=-1, keepdim=True)
        loudness = power / power.sum(dim=1, keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)
        total = power.new_zeros(len(covariance), tables.steering.shape[1])
        for block in tables.frequency_blocks(len(covariance)):
            waves = tables.steering[block]
            # (n_freq, n_frames, n_others, n_mics) to one matrix of columns per frame and frequency
            fixed = None if others is None else waves[:, others].permute(1, 0, 3, 2)
            share = explained_share(covariance[:, block], waves, fixed)
            if self.noise == "common":
                total += (loudness[:, block] * share).sum(dim=-2)
            else:
                total += likelihood_gain(share).sum(dim=-2) / tables.n_freq
        return likelihood_gain(total) if self.noise == "common" else total

    def _joined(self, recordings: Recordings, index: int, smoothing: Smoothing) -> FrameEstimates:
        if smoothing is not None or self.n_sources == 1:
            return super()._joined(recordings, index, smoothing)
        frames = self._collected(recordings, index, lambda tracker: tracker._head_for(None))
        return self._linked(frames, SourceLinker(self.n_sources))

    def _linked(self, frames: FrameEstimates, link: SourceLinker) -> FrameEstimates:
        """Return the sources that were found together, as those of frame after frame."""
        nearest = torch.from_numpy(self.grid_.nearest(frames.doa))
        found = np.ones(nearest.shape, dtype=bool)
        several = sources_at(frames, self.grid_, frames.doa, link, found=found, index=nearest)
        return OneSide(self.array_, self.grid_).of_directions(several)

    def _head_for(self, smoothing: Literal["filter"] | None) -> FrameHead:
        if smoothing is not None or self.n_sources == 1:
            return super()._head_for(smoothing)
        return MapMaximum(self, self._likeliest_set, maps=True)

    def _join(self, smoothing: Literal["filter"] | None) -> OnlineJoin:
        if smoothing is not None or self.n_sources == 1:
            return super()._join(smoothing)
        link = SourceLinker(self.n_sources)
        return SeveralJoin(lambda frames: self._linked(frames, link), self.n_sources)

    def _likeliest_set(self, values: Tensor, covariance: Tensor, tables: CovarianceTables) -> Tensor:
        """Return the directions (n_frames, n_sources, 3) of the highest likelihood, by alternating projection."""
        found = values.argmax(dim=-1, keepdim=True)
        while found.shape[1] < self.n_sources:
            found = torch.cat([found, self._best_beside(found, covariance, tables)[1]], dim=1)
        for _ in range(_N_ROUNDS):
            before, maps = found.clone(), []
            for k in range(self.n_sources):
                rest = torch.cat([found[:, :k], found[:, k + 1 :]], dim=1)
                one_more, found[:, k : k + 1] = self._best_beside(rest, covariance, tables)
                maps.append(one_more)
            if torch.equal(found, before):
                break
        return tables.refined(torch.stack(maps, dim=1), found)

    def _best_beside(self, others: Tensor, covariance: Tensor, tables: CovarianceTables) -> tuple[Tensor, Tensor]:
        """Return the map of one more source, and where it is highest at some distance from the others."""
        values = self._map(covariance, tables, others)
        near = (tables.directions[others] @ tables.directions.T > math.cos(_SEPARATION)).any(dim=1)
        return values, values.masked_fill(near, -torch.inf).argmax(dim=-1, keepdim=True)
