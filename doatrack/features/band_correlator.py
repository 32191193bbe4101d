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
        self._places, self._signs = _places_of_pairs(first, second, n_mics)
        self._few = all(are_small(self._n_pairs, *turns.shape) for turns in self._turns)

    def __call__(self, sums: Tensor, out: Tensor) -> Tensor:
        """Return `out` (n_pairs, n_bands n_lags), written from sums of products (n_freq, 2 n_mics, 2 n_mics)."""
        flat, device = sums.flatten(1), sums.device
        chosen = flat.index_select(1, self._places.to(device)).unflatten(1, (2, -1))
        rows: Any = torch.addcmul(chosen[:, 0], chosen[:, 1], self._signs.to(device)).view(-1, self._n_pairs)
        by_band: Any = out.unflatten(1, (len(self._bands), -1))
        own: Any = flat[:, :: sums.shape[2] + 1].sum(dim=1)
        tables: list[Any] = [turns.to(device) for turns in self._turns]
        if self._few and is_plain(rows):
            # views and products of so few numbers take NumPy half of torch's time
            rows, by_band, own, *tables = (values.numpy() for values in (rows, by_band, own, *tables))
        for k, (band, table) in enumerate(zip(self._bands, tables, strict=True)):
            by_band[:, k] = rows[2 * band.start : 2 * band.stop].T @ table + own[band].sum()
        return out


def _places_of_pairs(first: Tensor, second: Tensor, n_mics: int) -> tuple[Tensor, Tensor]:
    """Return where real and imaginary parts of x_i conj(x_j) are found in products of parts (2 n_mics, 2 n_mics).

    Each is a sum or difference of two: places of all first ones, then all second ones, and the latters' signs.
    """
    i, j, size = 2 * first, 2 * second, 2 * n_mics
    places = torch.cat([i * size + j, (i + 1) * size + j, (i + 1) * size + j + 1, i * size + j + 1])
    return places, torch.tensor([1.0, -1.0]).repeat_interleave(len(first))
