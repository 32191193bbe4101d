"""What snapshots tell of the noise: how it is made equal from all directions, and its power after that."""

import dataclasses
from typing import Any, Self

import torch
from torch import Tensor

from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.noise_statistics import (
    lower_quantile,
    quiet_covariance,
    quietest,
    rise_above,
    snapshot_power,
    times,
    whitening_matrix,
)
from doatrack.features.parts import dots, products, real_parts

__all__ = ["NoiseModel", "learn_noise", "whitened_power"]

_MOST_FOR_FLOOR = 80  # snapshots: a quantile of these is known well enough; with two alike frequencies of 40
_AT_ONCE = 1 << 17
"""Snapshots of so many frequencies together are learned from at a time: of a long recording what is computed on the way
stays small; in a stream all frequencies are one part."""


@dataclasses.dataclass(frozen=True)
class NoiseModel:
    """What was learned of the noise.

    Parameters
    ----------
    whitening : Tensor of shape (n_freq, n_mics, n_mics), complex
        Of each frequency, or of each few neighbouring ones.
    floor : Tensor of shape (n_freq,)
        Power of the whitened noise.
    real_whitening : Tensor of shape (n_freq, 2 n_mics, 2 n_mics)
        What takes `real_parts` of spectra x to those of Q x, Q the whitening; it follows from this.

    Examples
    --------
    >>> NoiseModel.of(torch.eye(4)[None], torch.ones(1)).floor
    tensor([1.])
    """

    whitening: Tensor
    floor: Tensor
    real_whitening: Tensor

    @classmethod
    def of(cls, whitening: Tensor, floor: Tensor) -> Self:
        """Return a model with what follows from its whitening."""
        return cls(whitening, floor, real_product(whitening))


def learn_noise(
    spectra: Tensor,
    settings: GCCFeatures,
    diffuse: Tensor,
    power: Tensor | None = None,
    every: int = 1,
    alike: int = 1,
) -> NoiseModel:
    """Return the noise model of snapshots, in any order.

    Parameters
    ----------
    spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
    settings : GCCFeatures
        With the weighting "snr" or "whitened".
    diffuse : Tensor of shape (n_freq / alike, n_mics, n_mics)
        Coherence of sound from everywhere.
    power : Tensor of shape (n_freq, n_snapshots), optional
        `snapshot_power` of them, where it is known already.
    every : int
        How many snapshots each of these stands for.
    alike : int
        So many neighbouring frequencies have the same noise, and the model one row for them. A divisor of n_freq.

    Examples
    --------
    >>> quiet = torch.randn(2, 400, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> learn_noise(quiet, GCCFeatures(), torch.eye(3).expand(2, -1, -1)).whitening.shape
    torch.Size([2, 3, 3])
    """
    n_freq, n_snapshots, _ = spectra.shape
    at_once = alike * max(1, _AT_ONCE // (alike * n_snapshots))
    if power is None:
        power = torch.cat([snapshot_power(part) for part in spectra.split(at_once)])
    # gaps of digital silence were not recorded, and tell nothing of the noise between them
    heard = power.amax(dim=0) > 0
    if heard.any() and not heard.all():
        spectra, power = spectra[:, heard], power[:, heard]
    if at_once >= n_freq:
        return _learned(spectra, settings, diffuse, power, every, alike)
    groups = spectra.split(at_once), power.split(at_once), diffuse.split(at_once // alike)
    parts = [_learned(some, settings, field, level, every, alike) for some, level, field in zip(*groups, strict=True)]
    columns: Any = zip(*((part.whitening, part.floor, part.real_whitening) for part in parts), strict=True)
    return NoiseModel(*(torch.cat(column) for column in columns))


def _learned(
    spectra: Tensor, settings: GCCFeatures, diffuse: Tensor, power: Tensor, every: int, alike: int
) -> NoiseModel:
    n_rows, n_snapshots = len(spectra) // alike, alike * spectra.shape[1]
    power = power.reshape(n_rows, n_snapshots)
    if settings.weighting == "whitened":
        quiet = quietest(power, settings.noise_quantile)
        covariance = quiet_covariance(spectra, power, quiet, every, alike)
        if settings.diffuse_factor > 0:
            # what rises above the noise comes back from everywhere
            level = settings.diffuse_factor * rise_above(power, quiet)
            covariance = times(covariance, 1 / (1 + level))
            share = (level / (1 + level))[:, None, None]
            torch.view_as_real(covariance)[..., 0].addcmul_(diffuse.to(level.device), share)
        whitening = whitening_matrix(covariance, settings.loading)
        some = spectra[:, :: -(-n_snapshots // (_MOST_FOR_FLOOR // alike))].reshape(n_rows, -1, spectra.shape[2])
        heard, real_whitening = real_parts(some.contiguous()), real_product(whitening)
        power = whitened_power(heard, products(heard, real_whitening))
    else:
        unit = torch.eye(spectra.shape[2], dtype=spectra.dtype, device=spectra.device)
        whitening = unit.expand(n_rows, -1, -1)
        real_whitening = real_product(whitening)
    return NoiseModel(whitening, lower_quantile(power, settings.floor_quantile), real_whitening)


def real_product(matrices: Tensor) -> Tensor:
    """Return what takes `real_parts` of x to those of A x, (n_freq, 2 n, 2 n), for A (n_freq, n, n)."""
    rows = matrices.mT
    return real_parts(torch.stack([rows, 1j * rows], dim=2)).flatten(1, 2)


def whitened_power(spectra: Tensor, white: Tensor) -> Tensor:
    """Return x^H Q x (n_freq, n_snapshots), of `real_parts` of x and Q x; never quite 0, as it is divided by."""
    return dots(spectra, white).clamp_min_(1e-30)
