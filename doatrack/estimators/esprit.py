"""ESPRIT: directions from rotational invariance, without a grid."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack._validation import check_real
from doatrack.audio.recordings import Recordings
from doatrack.estimators._base import BaseTracker
from doatrack.estimators._frame_source import FrameHead, HeardFrames
from doatrack.estimators._search import search_grid
from doatrack.exceptions import InvalidInputError
from doatrack.features import CovarianceExtractor, FeatureStream, robust_projection, shift_operator, shift_phase_rates
from doatrack.geometry import SPEED_OF_SOUND, DirectionGrid, MicArray, find_shifts, in_region
from doatrack.tracking import MotionModel

__all__ = ["ESPRIT"]

_FLAT = 0.02  # share of the largest extent of the shifts below which an axis counts as none
_REGION_DIRECTIONS = 2048


class ESPRIT(BaseTracker):
    """ESPRIT (estimation of signal parameters via rotational invariance techniques) for one source per frame.

    Where a part of the array is a shifted copy of another part, a plane wave differs between the two by one phase
    factor per frequency, which follows from the signal subspace. The phases of all such shifts and frequencies give
    the direction by robust least squares: no grid, no training. It assumes one far source, exact positions and
    microphones that are alike, and an array with shift structure: lines with equal steps, rectangles, regular
    hexagons, or a centre of symmetry. Only shifts shorter than half a wavelength are unambiguous, so large
    displacements are used at low frequencies only.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    tolerance : float
        How far two displacements may be apart to count as one, in metres.
    freq_range_hz : (float, float)
        Lowest and highest frequency that counts, in Hz.
    snapshot_length, snapshot_hop : int
        Sub-windows of a frame in samples. Short against the frame, long against the array's longest delay.
    azimuth_range_deg, elevation_range_deg : (float, float), optional
        Search region in degrees: from, to, counter-clockwise from front; lowest, highest. Of the two mirror images of
        a planar array the one inside is taken; an answer outside is replaced by the region's nearest direction.
    sample_rate : int
        In Hz; files are resampled to it.
    win_length, hop_length : int
        Of a frame, in samples.
    window : {"hann", "rectangular"}
        Of the snapshots.
    speed_of_sound : float
        In m/s.
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
        Directions of the search region; the answers lie between them.

    Raises
    ------
    InvalidInputError
        By `fit`, for an array without shift structure (use `MUSIC`, `DML` or `SRPPHAT`), or one whose shifts are
        longer than half a wavelength at all frequencies.

    Notes
    -----
    Shifts in three independent directions give the direction, in two its projection on their plane, in one that on
    their line. What is missing follows from the length 1 and a rule: of two mirror images the upper one, or where the
    plane is vertical the front one (else the left one); of the cone around a line the direction with the largest share
    of front (else of left).

    References
    ----------
    R. Roy and T. Kailath, "ESPRIT: estimation of signal parameters via rotational invariance techniques", IEEE Trans.
    Acoust., Speech, Signal Process. 1989; section 2.1 of the paper.

    Examples
    --------
    >>> from doatrack import ESPRIT, MicArray
    >>> array = MicArray.from_preset("respeaker_usb_4")
    >>> signals = np.random.default_rng(0).normal(size=(4, 8192))
    >>> ESPRIT().fit(signals, array).predict(signals).shape
    (2, 3)
    >>> ESPRIT().fit(signals, MicArray.from_preset("tetrahedron_4"))
    Traceback (most recent call last):
    doatrack.exceptions.InvalidInputError: ESPRIT needs ...
    """

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        tolerance: float = 1e-3,
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
        motion: MotionModel | None = None,
        causal: bool = False,
    ) -> None:
        self.array = array
        self.tolerance = tolerance
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
        self.motion = motion
        self.causal = causal

    def _fit(
        self, recordings: Recordings, truth: Any, array: MicArray, activity: list[NDArray[np.bool_]] | None
    ) -> None:
        check_real("tolerance", self.tolerance, 0.0, exclusive_minimum=True)
        grid = self._search_grid()
        _Tables(self, array)
        recordings.check()
        self._forget_tables()
        self.array_ = array
        self.grid_ = grid

    def _moved(self) -> None:
        _Tables(self, self.array_)

    def _search_grid(self) -> DirectionGrid:
        return search_grid("quasi_uniform", _REGION_DIRECTIONS, self.azimuth_range_deg, self.elevation_range_deg)

    def _feature_stream(self) -> FeatureStream:
        return self._runtime().extractor.stream()

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        return _Located(self)

    def _runtime(self) -> "_Tables":
        return self._tables_for(lambda estimator: _Tables(estimator, estimator.array_))

    def _in_region(self, images: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return of each frame's images (n_images, n_frames, 3) the first one inside, else the region's nearest."""
        inside = in_region(images, self.azimuth_range_deg, self.elevation_range_deg)
        chosen = np.take_along_axis(images, inside.argmax(axis=0)[None, :, None], axis=0)[0]
        outside = ~inside.any(axis=0)
        if outside.any():
            chosen[outside] = self.grid_.directions[self.grid_.nearest(chosen[outside])]
        return chosen

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.grid_ = self._search_grid()


class _Located:
    """The direction that the phases of the shifts agree on, frame by frame."""

    at_once, look_ahead = 1, 0

    def __init__(self, estimator: ESPRIT) -> None:
        self._estimator, self._tables = estimator, estimator._runtime()

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        projection, agreement = (part.numpy() for part in self._tables.locate(features))
        doa = self._estimator._in_region(self._tables.complete(projection))
        return [HeardFrames(doa, np.full(len(doa), np.nan), agreement)]

    def finish(self) -> list[HeardFrames]:
        return []


class _Tables:
    """What follows from array and parameters, computed once."""

    def __init__(self, estimator: ESPRIT, array: MicArray) -> None:
        self.extractor = CovarianceExtractor(
            array,
            estimator._frames(),
            estimator.snapshot_length,
            estimator.snapshot_hop,
            estimator.freq_range_hz,
            causal=estimator.causal,
        )
        shifts = find_shifts(self.extractor.array, estimator.tolerance)
        if not shifts:
            raise InvalidInputError(_no_structure(array, estimator.tolerance))
        frequencies = self.extractor.frequencies
        rates, self._usable = shift_phase_rates(shifts, frequencies, estimator.speed_of_sound)
        if not self._usable.any():
            shortest = min(shift.length for shift in shifts)
            raise InvalidInputError(
                f"ESPRIT needs a shift shorter than half a wavelength, got {shortest:.3g} m as the shortest one and "
                f"{frequencies[0]:g} Hz as the lowest frequency. Lower freq_range_hz below "
                f"{estimator.speed_of_sound / 2 / shortest:.0f} Hz, or use MUSIC, DML or SRPPHAT, which need no shifts."
            )
        self._shifts = shifts
        self._weights = self._usable * torch.tensor([float(shift.n_doublets) for shift in shifts])
        used = self._usable.any(dim=0).numpy()
        self._axes, self._missing = _axes([s.displacement for s, kept in zip(shifts, used, strict=True) if kept])
        self._rates = (rates @ torch.from_numpy(self._axes.T.copy())).flatten(0, 1)

    def locate(self, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the direction's projection (n_frames, n_axes) on the axes of the shifts, and how well phases agree."""
        values, vectors = torch.linalg.eigh(covariance)
        subspace = vectors[..., -1:]
        operators = [shift_operator(subspace, shift.first, shift.second)[..., 0, 0] for shift in self._shifts]
        phases = torch.stack(operators, dim=-1).angle().double()
        weights = _dominance(values).double()[..., None] * self._weights
        return robust_projection(phases.flatten(-2), weights.flatten(-2), self._rates)

    def complete(self, projection: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unit vectors with these projections, (n_images, n_frames, 3), the one by the rule first."""
        flat = projection @ self._axes
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        if self._missing is None:
            return (np.where(length > 0, flat, [1.0, 0, 0]) / np.where(length > 0, length, 1.0))[None]
        flat = flat / np.maximum(length, 1.0)
        height = np.sqrt(np.maximum(0.0, 1 - (flat**2).sum(axis=1, keepdims=True)))
        return np.stack([flat + height * self._missing, flat - height * self._missing])


def _dominance(eigenvalues: Tensor) -> Tensor:
    """Return by how much the largest eigenvalue is above what noise alone would have, 0 to 1; 0 in silence."""
    n_mics = eigenvalues.shape[-1]
    total = eigenvalues.sum(dim=-1).clamp_min(torch.finfo(eigenvalues.dtype).tiny)
    return ((eigenvalues[..., -1] / total - 1 / n_mics) * n_mics / (n_mics - 1)).clamp(0, 1)


def _axes(displacements: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return orthonormal rows that span the displacements, and the direction of what they do not tell."""
    _, extent, rows = np.linalg.svd(np.array(displacements))
    rank = int((extent > _FLAT * extent[0]).sum())
    if rank == 3:
        return rows, None
    # upper for a lying plane; for a standing one, and for a line, front or else left
    preferred = ([0, 0, 1], [1, 0, 0], [0, 1, 0]) if rank == 2 else ([1, 0, 0], [0, 1, 0])
    rest = rows[rank:]
    for axis in np.array(preferred, dtype=float):
        part = axis @ rest.T @ rest
        if np.linalg.norm(part) > _FLAT:
            break
    return rows[:rank], part / np.linalg.norm(part)


def _no_structure(array: MicArray, tolerance: float) -> str:
    return (
        f"ESPRIT needs two microphones or more whose copies, shifted by one and the same displacement, are microphones "
        f"of the array too (equal steps, rectangles, regular hexagons, a centre of symmetry), got {array!r}, where no "
        f"two displacements agree within {tolerance:g} m. Use MUSIC, DML or SRPPHAT, which work with any array."
    )
