"""Decimation by three ahead of a low-pass: a short filter whose droop is known and divided out later."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Decimator", "decimation_response"]

_HALF = 8  # taps on either side of the middle; what folds back is then below 2e-6
_BLOCK = 16  # samples after decimation that one row of the matrix product makes


class Decimator:
    """Returns every third sample of a filtered signal, 8 samples of the input late.

    What folds back to below a twelfth of the input's sample rate is more than 110 dB down. The transform after it then
    needs a third of the length; `decimation_response` is divided out of it.

    Notes
    -----
    16 samples are one row of a product with a banded matrix: a few times the operations that are needed, at many times
    the speed of a convolution with one channel.

    Examples
    --------
    >>> constant = torch.cat([torch.ones(80), torch.zeros(16)])
    >>> Decimator(constant)(constant)[6:26].allclose(torch.ones(20))
    True
    """

    def __init__(self, like: torch.Tensor) -> None:
        self.before, self.here = _band_matrix().to(like).split([2 * _HALF, 3 * _BLOCK])

    def __call__(self, fine: torch.Tensor) -> torch.Tensor:
        """Return (..., n_samples / 3) of contiguous signals (..., n_samples): of a multiple of 48, the last 16 zero."""
        blocks = fine.view(-1, 3 * _BLOCK)  # all rows are one signal here
        coarse = blocks @ self.here
        coarse[1:].addmm_(blocks[:-1, -2 * _HALF :], self.before)
        return coarse.view(*fine.shape[:-1], -1)


def decimation_response(n_fft: int, oversampling: int) -> torch.Tensor:
    """Return what `Decimator` does to the bins 0..n_fft/2 of a transform of oversampling * n_fft samples.

    Parameters
    ----------
    n_fft, oversampling : int

    Returns
    -------
    Tensor (n_fft // 2 + 1,), complex64

    Examples
    --------
    >>> round(decimation_response(64, 6)[0].abs().item(), 6)
    0.333333
    """
    omega = 2 * math.pi * np.arange(n_fft // 2 + 1) / (oversampling * n_fft)
    real = np.polynomial.polynomial.polyval(np.cos(omega), np.polynomial.polynomial.polyfromroots(_zeros()))
    scale = 3 * np.prod(1 - _zeros())
    return torch.from_numpy(real / scale * np.exp(-1j * _HALF * omega)).to(torch.complex64)


def _zeros() -> NDArray[np.float64]:
    """Zeros in cos(omega) of a Chebyshev polynomial, small where frequencies fold back (1/4 to 5/12 of the rate)."""
    nodes = np.cos(np.pi * (np.arange(_HALF) + 0.5) / _HALF)
    return np.asarray(0.5 * math.cos(2 * math.pi * 5 / 12) * (1 + nodes))


def _taps() -> NDArray[np.float64]:
    taps = np.ones(1)
    for zero in _zeros():
        taps = np.convolve(taps, [1, -2 * zero, 1])
    return np.asarray(taps / taps.sum())


def _band_matrix() -> torch.Tensor:
    """Rows: 16 samples before a block and the 48 of the block; columns: the 16 samples after decimation."""
    taps = _taps()
    matrix = np.zeros((2 * _HALF + 3 * _BLOCK, _BLOCK))
    for k in range(_BLOCK):
        matrix[3 * k : 3 * k + 2 * _HALF + 1, k] = taps
    return torch.from_numpy(matrix)
