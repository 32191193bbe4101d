"""Steering between lags that are far apart: exact enough at the highest frequencies, and fast."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.parts import is_plain

__all__ = ["FineSteering"]

_STEPS = 16
"""From one lag to the next. With quarters, 0.05 samples at most, measured rooms lost 0.1 degrees: between microphones a
few samples apart that is not little."""
_TAPS = 4
_AT_ONCE = 32  # vectors: the table of more of them leaves the processor's cache
_PIECE = 4 * _STEPS  # places interpolated together: they ask for few of the lags


class FineSteering:
    """Sums of correlations at the delays of each direction, which are rounded to a sixteenth of the lags' distance.

    Between lags a cubic is laid through the four nearest ones. There are only a few such places, whatever the
    directions: on a CPU all pairs are interpolated at all of them first, in a few small matrix products, and each
    direction then picks one value per pair. Where a gradient is wanted, on other devices and while a program is
    traced, the same is a product with `matrix`.

    Parameters
    ----------
    tdoa_samples : Tensor of shape (n_pairs, n_directions)
        Delays in samples (equation 9).
    lags : Tensor of shape (n_lags,)
        Equally spaced, in samples; beyond their ends the last one counts.

    Notes
    -----
    For 66 pairs, 35 lags and 2048 directions 135 000 values are added up, after eight small products, where the whole
    matrix has 4.7 million entries. Lines between the same lags would take 16 per cent off the highest
    frequencies half-way between two of them, the cubic 4.

    Examples
    --------
    >>> steer = FineSteering(torch.tensor([[0.5, 1.0]]), torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    >>> steer.matrix.T + 0.0
    tensor([[-0.0625,  0.5625,  0.5625, -0.0625],
            [ 0.0000,  0.0000,  1.0000,  0.0000]])
    >>> steer(torch.tensor([[0.0, 0.2, 0.9, 0.3]]))
    tensor([[0.6000, 0.9000]])
    """

    def __init__(self, tdoa_samples: Tensor, lags: Tensor) -> None:
        self.n_pairs, self.n_out = tdoa_samples.shape
        self._n_lags = len(lags)
        self.n_in = self.n_pairs * self._n_lags
        position = ((tdoa_samples - lags[0]) / (lags[1] - lags[0])).clamp(0, len(lags) - 1)
        self._places = (_STEPS * position).round().long()
        fine = torch.arange(_STEPS * (len(lags) - 1) + 1, device=tdoa_samples.device) / _STEPS
        self._between = _interpolation(fine, len(lags)) / self.n_pairs

    @functools.cached_property
    def matrix(self) -> Tensor:
        """The matrix (n_pairs * n_lags, n_directions); columns sum to 1."""
        return self._between[:, self._places].transpose(0, 1).reshape(self.n_in, self.n_out)

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product (..., n_directions) of values (..., n_pairs * n_lags) with `matrix`."""
        if self.is_fast_for(values):
            return torch.from_numpy(self.of_arrays(values.numpy().reshape(*values.shape[:-1], -1, self._n_lags)))
        return values @ self.matrix.to(values)

    def is_fast_for(self, values: Tensor) -> bool:
        """Return whether `of_arrays` takes these values."""
        plain = is_plain(values) and values.dtype == torch.float32 and values.numel() > 0
        return plain and not torch.compiler.is_compiling()

    def of_arrays(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same of an array (..., n_pairs, n_lags), in whatever order it lies in memory.

        Examples
        --------
        >>> steer = FineSteering(torch.tensor([[0.5, 1.0]]), torch.tensor([-1.0, 0.0, 1.0, 2.0]))
        >>> steer.of_arrays(np.array([[[0.0, 0.2, 0.9, 0.3]]], np.float32)).round(3).tolist()
        [[0.6000000238418579, 0.8999999761581421]]
        """
        vectors = values.reshape(-1, self.n_pairs, self._n_lags)
        sums = np.empty((len(vectors), self.n_out), np.float32)
        for k in range(0, len(vectors), _AT_ONCE):
            table = self._interpolated(vectors[k : k + _AT_ONCE])
            starts, picked = self._bags
            # sums of chosen rows: what embeddings of bags of words are
            sums[k : k + _AT_ONCE] = F.embedding_bag(picked, torch.from_numpy(table), starts, mode="sum").numpy().T
        return sums.reshape(*values.shape[:-2], self.n_out)

    def _interpolated(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the table (n_places * n_pairs, n) of vectors (n, n_pairs, n_lags)."""
        # products of all pairs and vectors, not of each pair: so small that NumPy multiplies faster than torch
        lags = vectors.transpose(2, 1, 0).reshape(self._n_lags, -1)
        table = np.empty((self._pieces[-1][0].stop, lags.shape[1]), np.float32)
        for places, used, between in self._pieces:
            np.matmul(between, lags[used], out=table[places])
        return table.reshape(-1, len(vectors))

    @functools.cached_property
    def _pieces(self) -> list[tuple[slice, slice, NDArray[np.float32]]]:
        """Runs of the places that are used: the lags around each, and what takes them there."""
        between = self._between[:, int(self._places.min()) : int(self._places.max()) + 1]
        pieces = []
        for start in range(0, between.shape[1], _PIECE):
            piece = between[:, start : start + _PIECE]
            used = (piece != 0).any(dim=1).nonzero()[:, 0].tolist()
            lags = slice(used[0], used[-1] + 1)
            pieces.append((slice(start, start + piece.shape[1]), lags, piece[lags].T.contiguous().numpy()))
        return pieces

    @functools.cached_property
    def _bags(self) -> tuple[Tensor, Tensor]:
        """Where the rows of each direction begin, and the rows (n_directions * n_pairs,) of the table of all pairs."""
        rows = (self._places - self._places.min()) * self.n_pairs + torch.arange(self.n_pairs)[:, None]
        return self.n_pairs * torch.arange(self.n_out, dtype=torch.int32), rows.T.flatten().int()


def _interpolation(position: Tensor, n_lags: int) -> Tensor:
    """Return the matrix (n_lags, n_positions) that lays polynomials through the lags around each position."""
    n_taps = min(_TAPS, n_lags)
    first = (position.floor().long() - (n_taps // 2 - 1)).clamp(0, n_lags - n_taps)
    within = position - first
    matrix = torch.zeros(n_lags, len(position), device=position.device)
    places = torch.arange(len(position), device=position.device)
    for tap in range(n_taps):
        weight = torch.ones_like(position)
        for other in range(n_taps):
            if other != tap:
                weight = weight * ((within - other) / (tap - other))
        matrix[first + tap, places] = weight
    return matrix
