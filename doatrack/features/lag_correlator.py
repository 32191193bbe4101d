"""Correlations of all pairs at a few lags, from spectra of unit magnitude, by a factored DFT."""

import itertools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["LagCorrelator", "lag_table"]

_BLOCKS = (16, 32, 64, 128, 256)
_TOLERANCE = 1e-6
"""Singular values of the kernel that are left out, relative to the largest: below the rounding of the sums."""
_BYTES_AT_ONCE = 1 << 22
"""Cross-spectra of 66 pairs take 1 MB a frame: a few frames stay near the processor, and their memory is used again.
Large blocks that come and go make the C library's heap grow with every recording read."""


class LagCorrelator:
    """Inverse DFT of cross-spectra at any few lags near 0, at a fraction of the cost of the full matrix.

    Physical delays are short, so exp(2 pi i k d / n) turns slowly over the frequencies k: within a block of
    frequencies it is a sum of few fixed functions of k. Each block is first summed up with these (its moments),
    then the moments of all blocks are turned into correlations.

    Parameters
    ----------
    lags : Tensor of shape (n_lags,)
        In samples.
    n_fft : int
        Length of the transform.
    mic_pairs : array of shape (n_pairs, 2)
    bins : slice, optional
        Frequencies that count, all alike and scaled so that a pure delay still peaks at 1; None is the whole inverse
        DFT.

    Notes
    -----
    With blocks of B frequencies and Q functions, 4 n_freq Q + 4 n_freq Q n_lags / B multiplications per frame and pair
    instead of 2 n_freq n_lags: for n_fft 4096 and 51 lags within 6 samples B = 128, Q = 6, and a seventh. Against the
    full matrix the error is below 1e-7, as large as that of the full matrix's own rounding.

    Examples
    --------
    >>> angle = torch.outer(torch.tensor([-1.0, 0.0]), torch.arange(33)) * torch.pi / 32
    >>> white = torch.polar(torch.ones(1, 2, 33), angle[None])
    >>> correlate = LagCorrelator(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 64, np.array([[0, 1]]))
    >>> int(correlate(white)[0, 0].argmax())                      # microphone 0 hears it 1 sample later
    2
    """

    def __init__(
        self, lags: Tensor, n_fft: int, mic_pairs: Tensor | NDArray[np.int64], bins: slice | None = None
    ) -> None:
        self.lags = lags
        self._bins = slice(0, n_fft // 2 + 1) if bins is None else bins
        self._root = _one_sided_weights(n_fft, bins).sqrt().float()
        self._runs = _runs(torch.as_tensor(mic_pairs))
        self._n_pairs = len(mic_pairs)
        first, n_bins = self._bins.start, self._bins.stop - self._bins.start
        self._block, self._moments, self._back = _factors(lags.double(), n_fft, first, n_bins)

    def __call__(self, white: Tensor) -> Tensor:
        """Return the correlations (n_frames, n_pairs, n_lags) of spectra (n_frames, n_mics, n_freq), complex64."""
        n_frames, n_mics, _ = white.shape
        moments, back, root = (table.to(white.device) for table in (self._moments, self._back, self._root))
        n_bins, width = len(root), self._block * (len(back) // len(moments))
        out = root.new_empty(n_frames, self._n_pairs, len(self.lags))
        at_once = max(1, min(n_frames, _BYTES_AT_ONCE // (8 * width * self._n_pairs)))
        padded = white.new_zeros(at_once, n_mics, width)
        cross = white.new_empty(at_once, self._n_pairs, width)
        for start in range(0, n_frames, at_once):
            count = min(at_once, n_frames - start)
            torch.mul(white[start : start + count, :, self._bins], root, out=padded[:count, :, :n_bins])
            self._multiply(padded[:count], cross[:count])
            blocks = torch.view_as_real(cross[:count]).view(-1, 2 * self._block)
            # this way round the product has long rows
            sums = (moments @ blocks.T).view(len(moments), count * self._n_pairs, -1)
            rows = sums.transpose(0, 1).reshape(count * self._n_pairs, -1)
            torch.mm(rows, back, out=out[start : start + count].view(-1, len(self.lags)))
        return out

    def _multiply(self, spectra: Tensor, out: Tensor) -> None:
        """Write X_i conj(X_j) of all pairs into `out`, without copies of the spectra."""
        conjugate = spectra.conj().resolve_conj()
        for rows, first, second in self._runs:
            torch.mul(spectra[:, first : first + 1], conjugate[:, second], out=out[:, rows])


def lag_table(frequency: Tensor, lags: Tensor, n_fft: int) -> Tensor:
    """Return what turns cross-spectra of few frequencies to each lag, and sums them up: one product, all frequencies.

    Parameters
    ----------
    frequency : Tensor of shape (n_frequencies,)
        In bins of the transform, also between them.
    lags : Tensor of shape (n_lags,)
        In samples.
    n_fft : int
        Length of the transform.

    Returns
    -------
    Tensor of shape (2 n_frequencies, n_lags)
        For each frequency's real part, and its imaginary part.

    Examples
    --------
    >>> lag_table(torch.tensor([1.0]), torch.tensor([-4.0, 0.0, 4.0]), 16).round(decimals=3) + 0.0
    tensor([[ 0.,  1.,  0.],
            [ 1.,  0., -1.]])
    """
    phases = _phases(frequency.double(), lags.double(), n_fft)
    return torch.stack([phases.real, -phases.imag], dim=1).flatten(0, 1).float()


def _one_sided_weights(n_fft: int, bins: slice | None) -> Tensor:
    """Return what each frequency counts in the inverse DFT."""
    if bins is not None:
        return torch.full((bins.stop - bins.start,), 1.0 / (bins.stop - bins.start), dtype=torch.float64)
    weight = torch.full((n_fft // 2 + 1,), 2.0 / n_fft, dtype=torch.float64)
    weight[0] = 1.0 / n_fft
    if n_fft % 2 == 0:
        weight[-1] = 1.0 / n_fft
    return weight


def _runs(pairs: Tensor) -> list[tuple[slice, int, Any]]:
    """Return runs of pairs with one first microphone: their rows, it, and the others (a slice where they can be)."""
    runs: list[tuple[slice, int, Any]] = []
    changes = [0, *(1 + (pairs[1:, 0] != pairs[:-1, 0]).nonzero()[:, 0]).tolist(), len(pairs)]
    for start, end in itertools.pairwise(changes):
        second = pairs[start:end, 1].tolist()
        low, high = second[0], second[0] + end - start
        neighbours = second == list(range(low, high))
        runs.append((slice(start, end), int(pairs[start, 0]), slice(low, high) if neighbours else second))
    return runs


def _factors(lags: Tensor, n_fft: float, first: float, n_bins: int) -> tuple[int, Tensor, Tensor]:
    """Return the block size, its functions (2 Q, 2 block), and what takes moments (2 Q n_blocks) to lags."""
    best: tuple[float, int, Tensor] | None = None
    for block in _BLOCKS:
        functions = _block_functions(lags, n_fft, block)
        n_blocks = -(-n_bins // block)
        cost = n_blocks * functions.shape[1] * (block + len(lags))
        if best is None or cost < best[0]:
            best = cost, block, functions
    assert best is not None
    _, block, functions = best
    centre = first + torch.arange(-(-n_bins // block), dtype=torch.float64) * block + (block - 1) / 2
    within = _phases(torch.arange(block, dtype=torch.float64) - (block - 1) / 2, lags, n_fft)
    kernel = (functions.T.to(within) @ within)[:, None] * _phases(centre, lags, n_fft)
    back = torch.stack([kernel.real, -kernel.imag], dim=1)  # (Q, re and im, n_blocks, n_lags)
    moments = torch.einsum("bq,cd->qcbd", functions, torch.eye(2, dtype=torch.float64))
    return block, moments.reshape(-1, 2 * block).float(), back.reshape(-1, len(lags)).float()


def _block_functions(lags: Tensor, n_fft: float, block: int) -> Tensor:
    """Return the functions (block, Q) of which the kernel within a block is made, whatever the lag."""
    within = _phases(torch.arange(block, dtype=torch.float64) - (block - 1) / 2, lags, n_fft)
    left, values, _ = torch.linalg.svd(torch.view_as_real(within).flatten(1), full_matrices=False)
    return left[:, values > _TOLERANCE * values[0]]


def _phases(frequency: Tensor, lags: Tensor, n_fft: float) -> Tensor:
    """Return exp(2 pi i k d / n_fft), shape (n_frequencies, n_lags)."""
    angle = 2 * math.pi / n_fft * frequency[:, None] * lags
    return torch.polar(torch.ones_like(angle), angle)
