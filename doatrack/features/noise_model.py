"""What snapshots tell of the noise: how it is made equal from all directions, and its power after that."""

import dataclasses
import functools

import numpy as np
import torch
from torch import Tensor

from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.noise_statistics import (
    is_plain,
    lower_quantile,
    noise_covariance,
    quietest,
    real_parts,
    rise_above,
    snapshot_power,
    times,
    whitening_matrix,
)

__all__ = ["NoiseModel", "learn_noise", "whitened_power"]

_MOST_FOR_FLOOR = 80  # snapshots: a quantile of these is known well enough
_FREQUENCIES_AT_ONCE = 128
"""Statistics of a long recording are learned a few frequencies at a time: what is computed on the way stays small."""


@dataclasses.dataclass(frozen=True)
class NoiseModel:
    """What was learned of the noise.

    Parameters
    ----------
    whitening : Tensor of shape (n_freq, n_mics, n_mics), complex
    floor : Tensor of shape (n_freq,)
        Power of the whitened noise.

    Examples
    --------
    >>> NoiseModel(torch.eye(4)[None], torch.ones(1)).floor
    tensor([1.])
    """

    whitening: Tensor
    floor: Tensor

    @functools.cached_property
    def real_whitening(self) -> Tensor:
        """What takes `real_parts` of spectra to those of Q x, (n_freq, 2 n_mics, 2 n_mics)."""
        return real_product(self.whitening)


def learn_noise(
    spectra: Tensor, settings: GCCFeatures, diffuse: Tensor, power: Tensor | None = None, every: int = 1
) -> NoiseModel:
    """Return the noise model of snapshots, in any order.

    Parameters
    ----------
    spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
    settings : GCCFeatures
        With the weighting "snr" or "whitened".
    diffuse : Tensor of shape (n_freq, n_mics, n_mics)
        Coherence of sound from everywhere.
    power : Tensor of shape (n_freq, n_snapshots), optional
        `snapshot_power` of them, where it is known already.
    every : int
        How many snapshots each of these stands for.

    Examples
    --------
    >>> quiet = torch.randn(2, 400, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> learn_noise(quiet, GCCFeatures(), torch.eye(3).expand(2, -1, -1)).whitening.shape
    torch.Size([2, 3, 3])
    """
    if power is None:
        power = torch.cat([snapshot_power(part) for part in spectra.split(_FREQUENCIES_AT_ONCE)])
    # gaps of digital silence were not recorded, and tell nothing of the noise between them
    heard = (power > 0).any(dim=0)
    if heard.any() and not heard.all():
        spectra, power = spectra[:, heard], power[:, heard]
    groups = (part.split(_FREQUENCIES_AT_ONCE) for part in (spectra, power, diffuse))
    parts = [_learned(some, settings, field, level, every) for some, level, field in zip(*groups, strict=True)]
    return NoiseModel(torch.cat([p.whitening for p in parts]), torch.cat([p.floor for p in parts]))


def _learned(spectra: Tensor, settings: GCCFeatures, diffuse: Tensor, power: Tensor, every: int) -> NoiseModel:
    if settings.weighting == "whitened":
        quiet = quietest(power, settings.noise_quantile)
        covariance = noise_covariance(spectra, settings.noise_quantile, power, every, quiet)
        if settings.diffuse_factor > 0:
            # what rises above the noise comes back from everywhere
            level = settings.diffuse_factor * rise_above(power, quiet)
            covariance = times(covariance, 1 / (1 + level))
            share = (level / (1 + level))[:, None, None]
            torch.view_as_real(covariance)[..., 0].addcmul_(diffuse.to(level.device), share)
        whitening = whitening_matrix(covariance, settings.loading)
        some = spectra[:, :: -(-spectra.shape[1] // _MOST_FOR_FLOOR)].contiguous()
        heard = real_parts(some)
        power = whitened_power(heard, torch.bmm(heard, real_product(whitening)))
    else:
        unit = torch.eye(spectra.shape[2], dtype=spectra.dtype, device=spectra.device)
        whitening = unit.expand(len(spectra), -1, -1)
    return NoiseModel(whitening, lower_quantile(power, settings.floor_quantile))


def real_product(matrices: Tensor) -> Tensor:
    """Return what takes `real_parts` of x to those of A x, (n_freq, 2 n, 2 n), for A (n_freq, n, n)."""
    rows = matrices.mT
    return real_parts(torch.stack([rows, 1j * rows], dim=2)).flatten(1, 2)


def whitened_power(spectra: Tensor, white: Tensor) -> Tensor:
    """Return x^H Q x (n_freq, n_snapshots), of `real_parts` of x and Q x."""
    if is_plain(spectra):
        # one pass, nothing written on the way
        products = torch.from_numpy(np.einsum("fts,fts->ft", spectra.numpy(), white.numpy()))
    else:
        products = torch.linalg.vecdot(spectra, white)
    return products.clamp_min_(0.0)
