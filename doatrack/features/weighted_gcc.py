"""Correlations of weighted, noise-whitened snapshots: what is steered, and what it is divided by."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.gcc_phat import lag_transform
from doatrack.features.noise_statistics import noise_covariance, reliability, reverberation, whitening_matrix
from doatrack.features.stft import analysis_window, band_bins

__all__ = ["NoiseModel", "WeightedGCC"]

_LOWEST_HZ = 60.0
_HIGHEST_SHARE = 0.494  # of the sample rate: anti-aliasing filters leave little above
_LEAST_WEIGHT = 1e-3
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
        self._transform = (rows * (self.length / 2 / len(rows))).flatten(0, 1)
        step = self.hop / rate
        self._delay = max(1, round(settings.reverberation_delay_s / step))
        self._decay = math.exp(-step / settings.reverberation_decay_s)

    def n_snapshots(self, n_samples: int) -> int:
        """Return the number of whole snapshots in so many samples."""
        return max(0, 1 + (n_samples - self.length) // self.hop)

    def spectra(self, waveform: Tensor) -> Tensor:
        """Return the snapshots' spectra (n_freq, n_snapshots, n_mics) of a waveform (n_mics, n_samples)."""
        window = self._window.to(waveform.dtype)
        n_freq, n_snapshots = self._bins.stop - self._bins.start, self.n_snapshots(waveform.shape[-1])
        spectra = torch.empty(n_freq, n_snapshots, len(waveform), dtype=window.dtype.to_complex())
        for k, channel in enumerate(waveform):
            # one microphone at a time: a long recording takes no second copy
            cut = channel.unfold(-1, self.length, self.hop) * window
            spectra[..., k] = torch.fft.rfft(cut)[:, self._bins].T
        return spectra

    def learn(self, spectra: Tensor) -> NoiseModel:
        """Return the noise model of snapshots (n_freq, n_snapshots, n_mics)."""
        # gaps of digital silence were not recorded, and tell nothing of the noise between them
        heard = (spectra != 0).any(dim=-1).any(dim=0)
        if heard.any() and not heard.all():
            spectra = spectra[:, heard]
        parts = [self._learn(part) for part in spectra.split(_FREQUENCIES_AT_ONCE)]
        return NoiseModel(torch.cat([p.whitening for p in parts]), torch.cat([p.floor for p in parts]))

    def _learn(self, spectra: Tensor) -> NoiseModel:
        n_freq, _, n_mics = spectra.shape
        if self.settings.weighting == "whitened":
            covariance = noise_covariance(spectra, self.settings.noise_quantile)
            whitening = whitening_matrix(covariance, self.settings.loading)
        else:
            whitening = torch.eye(n_mics, dtype=spectra.dtype).expand(n_freq, -1, -1)
        power = _whitened_power(spectra, spectra @ whitening.mT)
        return NoiseModel(whitening, torch.quantile(power, self.settings.floor_quantile, dim=1))

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
        white = spectra @ noise.whitening.mT
        power = _whitened_power(spectra, white).T
        settings = self.settings
        expected = settings.reverberation_factor * reverberation(power, self._delay, self._decay)
        weight = reliability(power, settings.floor_factor * noise.floor, expected)
        scale = (weight / power.clamp_min(1e-30)).sqrt().T[..., None]
        first, last = self._frame_ranges(n_frames, skip, spectra.shape[1])
        covariance = _range_covariance(white * scale, first, last)
        weights = _range_mean(weight, first, last)
        # frames without weight keep a denominator
        share = weights + _LEAST_WEIGHT
        share = share / share.mean(dim=1, keepdim=True)
        return torch.cat([self._steered(covariance), self._steered(share[..., None, None] * noise.whitening)], dim=-1)

    def _steered(self, quadratic: Tensor) -> Tensor:
        """Return correlations (n_frames, n_pairs, n_lags) whose steered sum is a^H C a of matrices C per frequency.

        The diagonal, the same in all directions, is spread over the pairs, which count both ways.
        """
        n_mics, n_pairs = quadratic.shape[-1], len(self._pairs)
        own = quadratic.diagonal(dim1=-2, dim2=-1).real.sum(dim=-1).mean(dim=1)
        cross = quadratic[..., self._pairs[:, 0], self._pairs[:, 1]].transpose(1, 2).contiguous()
        both = 2 * n_pairs * (torch.view_as_real(cross).flatten(-2) @ self._transform)
        return (own[:, None, None] + both) / n_mics

    def _frame_ranges(self, n_frames: int, skip: int, n_snapshots: int) -> tuple[Tensor, Tensor]:
        start = skip + torch.arange(n_frames) * self.frames.hop_length
        first = -(-start // self.hop)
        last = (start + self.frames.win_length - self.length) // self.hop
        last = last.clamp(max=n_snapshots - 1)
        first = first.clamp(max=n_snapshots - 1)
        return first, torch.maximum(last, first) + 1


def _whitened_power(spectra: Tensor, white: Tensor) -> Tensor:
    """Return x^H Q x (n_freq, n_snapshots)."""
    return (spectra.conj() * white).sum(dim=-1).real.clamp_min(0.0)


def _range_covariance(white: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return the mean of y y^H (n_frames, n_freq, n_mics, n_mics) of y (n_freq, n_snapshots, n_mics) over ranges."""
    parts = []
    for start, end in zip(first.tolist(), last.tolist(), strict=True):
        snapshots = white[:, start:end]
        parts.append(snapshots.mT @ snapshots.conj() / (end - start))
    return torch.stack(parts)


def _range_mean(values: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return the means of values (n, ...) over ranges of the first axis."""
    total = torch.cat([torch.zeros_like(values[:1]), values.cumsum(dim=0)])
    count = (last - first).to(total.real.dtype).reshape(-1, *[1] * (values.dim() - 1))
    return (total[last] - total[first]) / count
