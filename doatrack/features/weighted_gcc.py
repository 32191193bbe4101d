"""Correlations of weighted, noise-whitened snapshots: what is steered, and what it is divided by."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.constant_product import ConstantProduct
from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.gcc_phat import lag_transform
from doatrack.features.noise_statistics import (
    lower_quantile,
    noise_covariance,
    reliability,
    reverberation,
    snapshot_power,
    whitening_matrix,
)
from doatrack.features.stft import analysis_window, band_bins

__all__ = ["NoiseModel", "WeightedGCC"]

_LOWEST_HZ = 60.0
_HIGHEST_SHARE = 0.494  # of the sample rate: anti-aliasing filters leave little above
_LEAST_WEIGHT = 1e-3
_SNAPSHOTS_AT_ONCE = 256
_FREQUENCIES_AT_ONCE = 64
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


class WeightedGCC:
    """Correlations of frames from snapshots and a noise model.

    Parameters
    ----------
    settings : GCCFeatures
        With a weighting other than "phat".
    frames : FrameSettings
    lags : Tensor of shape (n_lags,)
        In samples.
    mic_pairs : ndarray of shape (n_pairs, 2)

    Notes
    -----
    Its correlations (n_frames, n_pairs, 2 n_lags) hold, side by side, the numerator and the denominator of the steered
    share; `steered_map` divides their steered sums. The power of the single microphones, the same for all
    directions, is spread over the pairs.

    Examples
    --------
    >>> from doatrack.features import FrameSettings
    >>> pairs = np.array([[0, 1], [0, 2], [1, 2]])
    >>> weighted = WeightedGCC(GCCFeatures(), FrameSettings(), torch.arange(-3.0, 4.0), pairs)
    >>> noise = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    >>> spectra = weighted.spectra(noise)
    >>> weighted(spectra, weighted.learn(spectra), n_frames=4).shape
    torch.Size([4, 3, 14])
    """

    def __init__(self, settings: GCCFeatures, frames: Any, lags: Tensor, mic_pairs: NDArray[np.int64]) -> None:
        self.settings, self.frames = settings, frames
        self.length = settings.snapshot_length or max(16, frames.win_length // 4)
        self.length = min(self.length, frames.win_length)
        self.hop = max(1, self.length // 4)
        self._pairs = torch.as_tensor(mic_pairs)
        self._window = analysis_window("hann", self.length)
        rate = frames.sample_rate
        band = settings.freq_range_hz or (_LOWEST_HZ, _HIGHEST_SHARE * rate)
        self._bins = band_bins(band, self.length, rate)
        rows = lag_transform(lags, self.length).unflatten(0, (-1, 2))[self._bins]
        # a mean over the chosen frequencies, whatever their number
        rows = rows * (self.length / 2 / len(rows))
        self._cosines, self._sines = rows[:, 0].contiguous(), -rows[:, 1].contiguous()
        self._transform = ConstantProduct(rows.flatten(0, 1))
        self._steered: tuple[Tensor, Tensor] | None = None
        step = self.hop / rate
        self._delay = max(1, round(settings.reverberation_delay_s / step))
        self._decay = math.exp(-step / settings.reverberation_decay_s)

    def n_snapshots(self, n_samples: int) -> int:
        """Return the number of whole snapshots in so many samples."""
        return max(0, 1 + (n_samples - self.length) // self.hop)

    def spectra(self, waveform: Tensor) -> Tensor:
        """Return the snapshots' spectra (n_freq, n_snapshots, n_mics) of a waveform (n_mics, n_samples)."""
        window = self._window.to(waveform.dtype)
        n_mics, n_snapshots = len(waveform), self.n_snapshots(waveform.shape[-1])
        n_freq = self._bins.stop - self._bins.start
        if not n_snapshots:
            return torch.empty(n_freq, 0, n_mics, dtype=window.dtype.to_complex(), device=waveform.device)
        cuts = waveform.unfold(-1, self.length, self.hop).transpose(0, 1)
        parts = [self._spectra(cut, window.to(cut.device)) for cut in cuts.split(_SNAPSHOTS_AT_ONCE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _spectra(self, cuts: Tensor, window: Tensor) -> Tensor:
        """Return the spectra (n_freq, n, n_mics) of a few snapshots (n, n_mics, length)."""
        found = torch.fft.rfft((cuts * window).contiguous()).flatten(0, 1)
        # the plain transpose of a whole matrix is much faster than of a part
        turned = found.new_empty(found.shape[::-1]).copy_(found.T)
        return turned[self._bins].unflatten(1, cuts.shape[:2])

    def learn(self, spectra: Tensor) -> NoiseModel:
        """Return the noise model of snapshots (n_freq, n_snapshots, n_mics)."""
        # gaps of digital silence were not recorded, and tell nothing of the noise between them
        power = torch.cat([snapshot_power(part) for part in spectra.split(_FREQUENCIES_AT_ONCE)])
        heard = (power > 0).any(dim=0)
        if heard.any() and not heard.all():
            spectra, power = spectra[:, heard], power[:, heard]
        groups = zip(spectra.split(_FREQUENCIES_AT_ONCE), power.split(_FREQUENCIES_AT_ONCE), strict=True)
        parts = [self._learn(*group) for group in groups]
        return NoiseModel(torch.cat([p.whitening for p in parts]), torch.cat([p.floor for p in parts]))

    def _learn(self, spectra: Tensor, power: Tensor) -> NoiseModel:
        n_freq, _, n_mics = spectra.shape
        if self.settings.weighting == "whitened":
            covariance = noise_covariance(spectra, self.settings.noise_quantile, power)
            whitening = whitening_matrix(covariance, self.settings.loading)
            power = _whitened_power(spectra, _whitened(spectra, whitening))
        else:
            whitening = torch.eye(n_mics, dtype=spectra.dtype, device=spectra.device).expand(n_freq, -1, -1)
        return NoiseModel(whitening, lower_quantile(power, self.settings.floor_quantile))

    def __call__(self, spectra: Tensor, noise: NoiseModel, n_frames: int, skip: int = 0) -> Tensor:
        """Return the correlations (n_frames, n_pairs, 2 n_lags) of frames.

        Parameters
        ----------
        spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
        noise : NoiseModel
        n_frames : int
        skip : int
            Samples from the first snapshot's start to the first frame's: what came before, for its reverberation.
        """
        # part of a longer history: in order in memory all that follows is faster
        spectra = spectra.contiguous()
        white = _whitened(spectra, noise.whitening)
        power = _whitened_power(spectra, white).T
        settings = self.settings
        expected = settings.reverberation_factor * reverberation(power, self._delay, self._decay)
        weight = reliability(power, settings.floor_factor * noise.floor, expected)
        first, last = self._frame_ranges(n_frames, skip, spectra.shape[1])
        above = self._numerators(white, (weight / power.clamp_min(1e-30)).T, first, last)
        # frames without weight keep a denominator
        share = _range_mean(weight, first, last) + _LEAST_WEIGHT
        below = (share / share.mean(dim=1, keepdim=True)) @ self._whitening_steered(noise.whitening)
        return torch.cat([above, below.view_as(above)], dim=-1)

    def _numerators(self, white: Tensor, scale: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Return correlations whose steered sum is a^H C a of the frames' mean C of s y y^H."""
        n_freq, _, n_mics = white.shape
        # s conj(y), by real numbers
        turn = torch.tensor([1.0, -1.0], device=white.device).repeat(n_mics)
        rows = (torch.view_as_real(white).flatten(-2) * scale[..., None]).mul_(turn)
        scaled = torch.view_as_complex(rows.unflatten(-1, (-1, 2)))
        cross = white.new_empty(len(first), len(self._pairs), n_freq)
        own = _range_mean((snapshot_power(white) * scale).T, first, last).mean(dim=1)
        table = white.new_empty(n_mics * n_mics, n_freq)
        places = (self._pairs[:, 0] * n_mics + self._pairs[:, 1]).to(white.device)
        for frame, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            covariance = white[:, start:end].mT @ scaled[:, start:end]
            table.copy_(covariance.flatten(1).T)
            torch.index_select(table, 0, places, out=cross[frame])
        count = (last - first).to(own)[:, None, None]
        both = self._transform(torch.view_as_real(cross).flatten(-2)) * (2 * len(self._pairs) / count)
        return (own[:, None, None] + both) / n_mics

    def _whitening_steered(self, whitening: Tensor) -> Tensor:
        """Return the matrix (n_freq, n_pairs * n_lags) that steers a^H Q a of weighted frequencies."""
        if self._steered is None or self._steered[0] is not whitening:
            n_freq, n_mics = whitening.shape[:2]
            pairs = whitening[:, self._pairs[:, 0], self._pairs[:, 1], None]
            # both ways, and the diagonal, the same in all directions, spread over the pairs
            both = pairs.real * self._cosines[:, None] - pairs.imag * self._sines[:, None]
            own = whitening.diagonal(dim1=-2, dim2=-1).real.sum(dim=-1) / n_freq
            table = (2 * len(self._pairs) * both + own[:, None, None]) / n_mics
            self._steered = whitening, table.flatten(1)
        return self._steered[1]

    def _frame_ranges(self, n_frames: int, skip: int, n_snapshots: int) -> tuple[Tensor, Tensor]:
        start = skip + torch.arange(n_frames) * self.frames.hop_length
        first = -(-start // self.hop)
        last = (start + self.frames.win_length - self.length) // self.hop
        last = last.clamp(max=n_snapshots - 1)
        first = first.clamp(max=n_snapshots - 1)
        return first, torch.maximum(last, first) + 1


def _whitened(spectra: Tensor, whitening: Tensor) -> Tensor:
    """Return Q x (n_freq, n_snapshots, n_mics)."""
    # a real product of real and imaginary parts side by side: twice as fast as the complex one
    turned = whitening.mT
    table = torch.view_as_real(torch.stack([turned, 1j * turned], dim=-2)).flatten(-2).flatten(1, 2)
    rows = torch.bmm(torch.view_as_real(spectra).flatten(-2), table)
    return torch.view_as_complex(rows.unflatten(-1, (-1, 2)))


def _whitened_power(spectra: Tensor, white: Tensor) -> Tensor:
    """Return x^H Q x (n_freq, n_snapshots)."""
    parts = (torch.view_as_real(values).flatten(-2) for values in (spectra, white))
    return torch.einsum("ftm,ftm->ft", *parts).clamp_min(0.0)


def _range_mean(values: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return the means of values (n, ...) over ranges of the first axis."""
    total = torch.cat([torch.zeros_like(values[:1]), values.cumsum(dim=0)])
    count = (last - first).to(total.real.dtype).reshape(-1, *[1] * (values.dim() - 1))
    return (total[last] - total[first]) / count
