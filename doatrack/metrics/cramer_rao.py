"""Cramer-Rao bound: how accurate any method can be with an array, in white noise."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ellipe

from doatrack._validation import FloatArray, check_array, check_choice, check_real, check_unit_vectors
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import SPEED_OF_SOUND, MicArray

__all__ = ["DirectionBound", "cramer_rao_bound"]

_SINGULAR = 1e-12  # share of the larger eigenvalue
_STEPS = 512


@dataclasses.dataclass(frozen=True)
class DirectionBound:
    """The least covariance of unbiased estimates of directions.

    Parameters
    ----------
    covariance : ndarray of shape (..., 2, 2)
        In rad^2, in the tangent plane at the direction: towards rising azimuth (along the circle, so already multiplied
        by the cosine of the elevation) and towards rising elevation. Infinite where delays do not change.
    information : ndarray of shape (..., 2, 2)
        Its inverse, the Fisher information in 1 / rad^2.

    Examples
    --------
    >>> bound = cramer_rao_bound(MicArray.from_preset("nao_head_12"), [1.0, 0, 0], snr_db=10, duration_s=0.256)
    >>> round(float(bound.rmse_deg), 3)
    0.042
    """

    covariance: FloatArray
    information: FloatArray

    @property
    def rmse_deg(self) -> FloatArray:
        """Least root mean square of the angle between truth and estimate, in degrees (...)."""
        return np.asarray(np.degrees(np.sqrt(self.covariance[..., 0, 0] + self.covariance[..., 1, 1])))

    @property
    def mean_angular_error_deg(self) -> FloatArray:
        """Mean angle in degrees (...) of Gaussian errors with this covariance, small beside the sphere."""
        known = np.asarray(np.isfinite(self.covariance).all(axis=(-2, -1)))
        small, large = np.moveaxis(np.linalg.eigvalsh(np.where(known[..., None, None], self.covariance, 0.0)), -1, 0)
        share = np.divide(np.maximum(small, 0.0), large, out=np.ones_like(large), where=large > 0)
        mean = np.sqrt(2 / np.pi * np.maximum(large, 0.0)) * ellipe(1 - share)
        return np.asarray(np.where(known, np.degrees(mean), np.inf))


def cramer_rao_bound(
    array: MicArray,
    doa: ArrayLike,
    snr_db: float,
    duration_s: float,
    *,
    freq_range_hz: tuple[float, float] = (0.0, 8000.0),
    spectrum: ArrayLike | None = None,
    signal: str = "stochastic",
    speed_of_sound: float = SPEED_OF_SOUND,
) -> DirectionBound:
    """Return the Cramer-Rao bound of the direction of one far source that stands still.

    No unbiased method has a smaller covariance, if the noise is white, Gaussian and independent at each microphone and
    there are no echoes. Below a threshold of the SNR, where side lobes win, errors are far larger than the bound; a
    method that knows more (where the source was before) may be below it.

    Parameters
    ----------
    array : MicArray
        The microphones.
    doa : array-like of shape (..., 3)
        Unit vectors towards the source.
    snr_db : float
        Power of the source over that of the noise at one microphone, both within `freq_range_hz`, in dB.
    duration_s : float
        Seconds of signal that are used; a frame, or more.
    freq_range_hz : (float, float)
        Lowest and highest frequency of source and noise in Hz.
    spectrum : array-like of shape (n_frequencies,), optional
        Power of the source at equal steps over `freq_range_hz`, on any scale; None is flat. The noise is flat.
    signal : {"stochastic", "unknown"}
        "stochastic": the source is Gaussian noise with this spectrum; "unknown": any waveform, estimated together
        with the direction; the same at a high SNR. Of a known waveform the direction is known no better, unless its
        time of arrival is known too.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    DirectionBound

    Raises
    ------
    InvalidInputError
        On directions of another length than 1, or values out of range.

    Notes
    -----
    With q(f) the ratio of source and noise at one microphone, M microphones at r_m and the tangent plane's basis E,
    J = 2 T sum over df of w(f) (2 pi f / c)^2 E' [sum_m (r_m - mean)(r_m - mean)'] E, where w = q for an unknown and
    w = M q^2 / (1 + M q) for a stochastic signal. One frequency per 1 / T counts once.

    References
    ----------
    P. Stoica, A. Nehorai, "Performance study of conditional and unconditional direction-of-arrival estimation", IEEE
    TASSP 1990, equations 2.13 and 3.9 (for one source, summed over frequency).

    Examples
    --------
    >>> array = MicArray.from_preset("nao_head_12")
    >>> one, four = (cramer_rao_bound(array, [0, 0, 1.0], 20, seconds) for seconds in (0.25, 1.0))
    >>> float((one.rmse_deg / four.rmse_deg).round(6))
    2.0
    >>> flat = MicArray.from_preset("respeaker_usb_4")
    >>> bool(np.isinf(cramer_rao_bound(flat, [1.0, 0, 0], 20, 1.0).rmse_deg))  # in its plane: elevation unknown
    True
    """
    directions = check_unit_vectors("doa", doa)
    low, high = check_array("freq_range_hz", freq_range_hz, (2,))
    if not 0 <= low < high:
        raise InvalidInputError(f"freq_range_hz must go from low to high, at least 0, got ({low:g}, {high:g}).")
    check_choice("signal", signal, ("stochastic", "unknown"))
    duration = check_real("duration_s", duration_s, 0.0, exclusive_minimum=True)
    speed = check_real("speed_of_sound", speed_of_sound, 0.0, exclusive_minimum=True)
    shape = _shape(spectrum)
    ratio = 10 ** (check_real("snr_db", snr_db) / 10) * shape / np.trapezoid(shape, dx=1 / (len(shape) - 1))
    weight = ratio if signal == "unknown" else array.n_mics * ratio**2 / (1 + array.n_mics * ratio)
    frequency = np.linspace(low, high, len(shape))
    per_area = 2 * duration * np.trapezoid(weight * (2 * np.pi * frequency / speed) ** 2, frequency)
    centred = array.positions - array.positions.mean(axis=0)
    tangents = _tangents(directions)
    information = per_area * np.swapaxes(tangents, -1, -2) @ (centred.T @ centred) @ tangents
    return DirectionBound(_inverse(information), information)


def _shape(spectrum: ArrayLike | None) -> FloatArray:
    """Return the source's power over frequency, finely sampled."""
    if spectrum is None:
        return np.ones(_STEPS + 1)
    given = check_array("spectrum", spectrum, ("n_frequencies",))
    if len(given) < 2 or (given < 0).any() or not given.any():
        raise InvalidInputError(
            "spectrum must hold at least 2 powers, none negative and not all 0, got "
            f"{len(given)} from {given.min(initial=0.0):g} to {given.max(initial=0.0):g}."
        )
    if len(given) > _STEPS:
        return given
    return np.asarray(np.interp(np.linspace(0, 1, _STEPS + 1), np.linspace(0, 1, len(given)), given))


def _tangents(doa: FloatArray) -> FloatArray:
    """Return unit vectors towards rising azimuth and rising elevation, (..., 3, 2); any at the poles."""
    east = np.stack([-doa[..., 1], doa[..., 0], np.zeros_like(doa[..., 0])], axis=-1)
    length = np.linalg.norm(east, axis=-1, keepdims=True)
    east = np.where(length > 1e-9, east / np.maximum(length, 1e-9), np.array([0.0, 1.0, 0.0]))
    return np.stack([east, np.cross(doa, east)], axis=-1)


def _inverse(information: FloatArray) -> FloatArray:
    """Return the inverse, infinite along directions without information."""
    values, vectors = np.linalg.eigh(information)
    none = values <= _SINGULAR * np.maximum(values[..., -1:], 1e-300)
    inverse = np.where(none, np.inf, 1 / np.where(none, 1.0, values))
    products = vectors[..., :, None, :] * vectors[..., None, :, :]
    share = np.where(np.abs(products) < _SINGULAR**0.5, 0.0, products)
    with np.errstate(invalid="ignore"):
        terms = np.where(share == 0, 0.0, share * inverse[..., None, None, :])
        return np.asarray(terms.sum(axis=-1))
