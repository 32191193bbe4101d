"""Generalised cross-correlation with phase transform, at fractional lags."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.exceptions import InvalidInputError

__all__ = ["gcc_phat", "lag_axis", "lag_transform", "whiten"]

_FRAMES_AT_ONCE = 2
"""Cross-spectra of 66 pairs take 1 MB a frame: a small block stays in the cache, and its memory is used again. Large
blocks that come and go make the C library's heap grow with every recording read."""


def lag_axis(
    longest_delay_samples: float, *, step: float | None = None, n_lags: int | None = None, margin: float = 0.5
) -> Tensor:
    """Return lags in samples, symmetric about 0, that reach the longest physical delay plus a margin.

    Parameters
    ----------
    longest_delay_samples : float
        The longest pair's delay (equation 3) in samples.
    step : float, optional
        Distance of neighbouring lags in samples; the number of lags follows.
    n_lags : int, optional
        The number of lags; their distance follows. Give exactly one of `step` and `n_lags`.
    margin : float
        How far the axis goes beyond the longest delay, in samples.

    Returns
    -------
    Tensor of shape (n_lags,)

    Examples
    --------
    >>> lag_axis(1.2, step=0.5)
    tensor([-2.0000, -1.5000, -1.0000, -0.5000,  0.0000,  0.5000,  1.0000,  1.5000,
             2.0000])
    """
    if (step is None) == (n_lags is None):
        raise InvalidInputError("lag_axis takes exactly one of step and n_lags.")
    reach = longest_delay_samples + margin
    if step is not None:
        half = math.ceil(round(reach / step, 9))
        return torch.arange(-half, half + 1, dtype=torch.float32) * step
    return torch.linspace(-reach, reach, int(n_lags or 0), dtype=torch.float32)


def lag_transform(lags: Tensor, n_fft: int) -> Tensor:
    """Return the matrix that takes a one-sided cross-spectrum to its correlation at any lags.

    Rows alternate real and imaginary part, so that a complex spectrum enters through `view_as_real`. Scaled so
    that a pure delay has a peak of 1.

    Parameters
    ----------
    lags : Tensor of shape (n_lags,)
        In samples.
    n_fft : int
        Length of the transform.

    Returns
    -------
    Tensor of shape (2 * (n_fft // 2 + 1), n_lags)

    Examples
    --------
    >>> lag_transform(torch.tensor([-1.0, 0.0, 1.0]), 8).shape
    torch.Size([10, 3])
    """
    k = torch.arange(n_fft // 2 + 1, dtype=torch.float64)
    weight = torch.full_like(k, 2.0 / n_fft)
    weight[0] = 1.0 / n_fft
    if n_fft % 2 == 0:
        weight[-1] = 1.0 / n_fft
    angle = 2 * math.pi * k[:, None] * lags.double()[None, :] / n_fft
    rows = torch.stack([weight[:, None] * angle.cos(), -weight[:, None] * angle.sin()], dim=1)
    return rows.reshape(2 * len(k), len(lags)).float()


def whiten(spectra: Tensor) -> Tensor:
    """Return the spectra with their magnitude removed; empty bins stay 0.

    The floor is relative to each frame's own level, so that a quiet recording keeps its phases while the
    rounding noise of a filtered-out band is not blown up to full scale.

    Examples
    --------
    >>> whiten(torch.tensor([3 + 4j, 0, 2j]))
    tensor([0.6000+0.8000j, 0.0000+0.0000j, 0.0000+1.0000j])
    """
    # by real numbers, scaled so that no square leaves the range of floats: several times as fast as `abs`
    parts = torch.view_as_real(spectra)
    level = parts.abs().amax(dim=(-2, -1), keepdim=True)
    scaled = parts * torch.where(level > 1e-30, 1 / level.clamp_min(1e-30), torch.zeros_like(level))
    real, imag = scaled.unbind(dim=-1)
    power = torch.addcmul(real * real, imag, imag)
    floor = 1e-12 * power.amax(dim=-1, keepdim=True) + 1e-30
    return torch.view_as_complex(scaled) * torch.maximum(power, floor).rsqrt_()


def gcc_phat(spectra: Tensor, mic_pairs: Tensor | NDArray[np.int64], transform: Tensor) -> Tensor:
    """Return GCC-PHAT of microphone pairs (equation 2).

    R_ij(d) = IDFT[X_i conj(X_j) / |X_i conj(X_j)|](d): a source whose wave reaches j before i has its peak at
    d = +tau_ij = t_i - t_j.

    Parameters
    ----------
    spectra : Tensor of shape (..., n_frames, n_mics, n_freq), complex
    mic_pairs : array of shape (n_pairs, 2)
    transform : Tensor of shape (2 * n_freq, n_lags)
        From `lag_transform`.

    Returns
    -------
    Tensor of shape (..., n_frames, n_pairs, n_lags)
        Between -1 and 1; silence gives 0.

    Notes
    -----
    One matrix product of 2 n_freq x n_lags per frame and pair.

    Examples
    --------
    >>> from doatrack.features.stft import analysis_window, stft
    >>> noise = torch.randn(8192, generator=torch.Generator().manual_seed(0))
    >>> pair = torch.stack([noise.roll(3), noise])               # microphone 0 hears it 3 samples later
    >>> spectra = stft(pair, analysis_window("hann", 4096), 2048)
    >>> lags = lag_axis(5.0, step=1.0)
    >>> float(lags[gcc_phat(spectra, np.array([[0, 1]]), lag_transform(lags, 4096))[0, 0].argmax()])
    3.0
    """
    flat = whiten(spectra).flatten(0, -3)
    pairs = torch.as_tensor(mic_pairs)
    first, second = pairs[:, 0], pairs[:, 1]
    out = flat.real.new_empty(len(flat), len(pairs), transform.shape[1])
    cross = flat.new_empty(_FRAMES_AT_ONCE, len(pairs), flat.shape[-1])
    for start in range(0, len(flat), _FRAMES_AT_ONCE):
        block = flat[start : start + _FRAMES_AT_ONCE]
        product = torch.mul(block[:, first], block[:, second].conj(), out=cross[: len(block)])
        torch.matmul(torch.view_as_real(product).flatten(-2), transform, out=out[start : start + len(block)])
    return out.view(*spectra.shape[:-2], *out.shape[1:])
