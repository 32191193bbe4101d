"""Multiple signal classification: directions by the noise subspace."""

from typing import Literal

from torch import Tensor

from doatrack._validation import check_bool
from doatrack.estimators._covariance_map import CovarianceMapTracker, CovarianceTables
from doatrack.features import music_spectrum, normalise_spectrum, signal_subspace
from doatrack.geometry import SPEED_OF_SOUND, MicArray
from doatrack.tracking import MotionModel

__all__ = ["MUSIC"]


class MUSIC(CovarianceMapTracker):
    """Wide-band MUSIC (multiple signal classification), plain or normalised, over a grid of directions.

    Each frame is cut into short snapshots, whose covariance is split at every frequency into signal and noise
    subspace; a direction counts by 1 / sin^2 of the angle between its plane wave and the signal subspace, averaged
    over frequencies. It needs no training: `fit` only takes the geometry. It assumes that the number of sources is
    known and smaller than that of microphones, that their sounds are not copies of each other (echoes are), and that
    positions are exact: its peaks are as sharp as the model is right.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    normalised : bool
        Whether each frequency's spectrum is divided by its maximum first (NormMUSIC), so that all frequencies have
        the same say. Plain MUSIC follows the few frequencies with the sharpest peaks, right or wrong.
    n_sources : int
        Sources at a time: dimension of the signal subspace, and how many of the map's highest peaks, at least 20
        degrees apart, are answered.
    grid : {"quasi_uniform", "rectangular"}
        A Fibonacci spiral, or equal steps of azimuth and elevation.
    n_directions : int
        Size of the grid; a rectangular one is the nearest 2 n x n.
    refine : bool
        Whether to look for the maximum between grid directions, by a parabola through the map's logarithm.
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
        Log-likelihood in nats that a map e times as high is worth, for filter and smoother (docs/motion.md).
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
    `predict_map` gives the mean over frequencies of 1 / sin^2: at least 1, unbounded (plain), or at most 1
    (normalised). pyroomacoustics' MUSIC is the plain map divided by the number of microphones, its NormMUSIC the
    normalised one.

    References
    ----------
    R. O. Schmidt, "Multiple emitter location and signal parameter estimation", IEEE Trans. Antennas Propag. 1986;
    D. Salvati, C. Drioli and G. L. Foresti, IEEE Signal Processing Letters 2014 (normalised); section 2.1 of the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import MUSIC, MicArray
    >>> array = MicArray.from_preset("nao_head_12")
    >>> signals = np.random.default_rng(0).normal(size=(12, 8192))
    >>> MUSIC(n_directions=500).fit(signals, array).predict(signals).shape
    (2, 3)
    >>> MUSIC(n_directions=500, n_sources=2).fit(signals, array).predict(signals).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        normalised: bool = True,
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
        map_scale: float = 20.0,
        motion: MotionModel | None = None,
        causal: bool = False,
    ) -> None:
        self.array = array
        self.normalised = normalised
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
        check_bool("normalised", self.normalised)

    def _map(self, covariance: Tensor, tables: CovarianceTables) -> Tensor:
        subspace = signal_subspace(covariance, self.n_sources)
        total = covariance.real.new_zeros(len(covariance), tables.steering.shape[1])
        for block in tables.frequency_blocks(len(covariance)):
            spectrum = music_spectrum(subspace[:, block], tables.steering[block])
            total += (normalise_spectrum(spectrum) if self.normalised else spectrum).sum(dim=-2)
        return total / tables.n_freq

    def _log_map(self, values: Tensor) -> Tensor:
        return values.log()
