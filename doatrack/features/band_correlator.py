"""From products of microphones' spectra, few frequencies of them, to the correlations of pairs, band by band."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.lag_correlator import lag_table
from doatrack.features.parts import are_small, is_plain

__all__ = ["BandCorrelator"]


class BandCorrelator:
    """Write correlations whose steered mean over pairs is a^H S a for a plane wave a, S summed over each band.

    The matrices S (n_mics, n_mics) of frequencies come as what `real_parts` make of them: `upper_products`
    (2 n_mics, 2 n_mics). The power of single microphones, the same for all directions, is spread over the pairs.

    Parameters
    ----------
    mic_pairs : ndarray of shape (n_pairs, 2)
        The lower microphone first.
    n_mics : int
    frequency : Tensor of shape (n_freq,)
        In bins of the transform, also between them.
    bands : list of slice
        The frequencies of each.
    lags : Tensor of shape (n_lags,)
        In samples.
    n_fft : int
        Length of the transform.

    Examples
    --------
    >>> from doatrack.features.parts import upper_products
    >>> correlate = BandCorrelator([[0, 1]], 2, torch.tensor([1.0]), [slice(0, 1)], torch.tensor([-4.0, 0.0, 4.0]), 16)
    >>> x = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])  # 1 and i
    >>> correlate(upper_products(x, x), out=torch.empty(1, 3)).round(decimals=3) + 0.0
    tensor([[0., 2., 4.]])
    """

    def __init__(
        self, mic_pairs: NDArray[Any], n_mics: int, frequency: Tensor, bands: list[slice], lags: Tensor, n_fft: int
    ) -> None:
        first, second = torch.as_tensor(mic_pairs).unbind(dim=1)
        self._n_pairs, self._bands = len(first), bands
        # what is steered is the mean over pairs, and has each of them twice
        self._turns = [2 * self._n_pairs * lag_table(frequency[band], lags, n_fft) for band in bands]
        self._in_band = torch.block_diag(*(torch.ones(band.stop - band.start, 1) for band in bands))
        self._places, self._signs = _places_of_pairs(first, second, n_mics)
        self._arrays = [turns.numpy() for turns in self._turns]
        self._few = all(are_small(self._n_pairs, *turns.shape) for turns in self._turns)

    def __call__(self, sums: Tensor, out: Tensor, scale: float = 1.0) -> Tensor:
        """Return `out` (n_pairs, n_bands n_lags), written from `scale` times sums (n_freq, 2 n_mics, 2 n_mics)."""
        flat, device = sums.flatten(1), sums.device
        chosen = flat.index_select(1, self._places.to(device))
        half = chosen.shape[1] // 2
        rows = torch.addcmul(chosen[:, :half], chosen[:, half:], self._signs.to(device)).view(-1, self._n_pairs)
        powers = (flat[:, :: sums.shape[2] + 1].sum(dim=1) @ self._in_band.to(device)).tolist()
        if self._few and is_plain(rows):
            # so few numbers take NumPy half of torch's time
            self._write(rows.numpy(), self._arrays, powers, scale, out.numpy())
        else:
            self._write(rows, [turns.to(device) for turns in self._turns], powers, scale, out)
        return out

    def _write(self, rows: Any, tables: list[Any], powers: list[float], scale: float, out: Any) -> None:
        n_lags = tables[0].shape[1]
        for k, (band, table, power) in enumerate(zip(self._bands, tables, powers, strict=True)):
            found = rows[2 * band.start : 2 * band.stop].T @ table
            found += power
            found *= scale
            out[:, k * n_lags : (k + 1) * n_lags] = found


def _places_of_pairs(first: Tensor, second: Tensor, n_mics: int) -> tuple[Tensor, Tensor]:
    """Return where real and imaginary parts of x_i conj(x_j) are found in products of parts (2 n_mics, 2 n_mics).

    Each is a sum or difference of two: places of all first ones, then all second ones, and the latters' signs.
    """
    i, j, size = 2 * first, 2 * second, 2 * n_mics
    places = torch.cat([i * size + j, (i + 1) * size + j, (i + 1) * size + j + 1, i * size + j + 1])
    return places, torch.tensor([1.0, -1.0]).repeat_interleave(len(first))
