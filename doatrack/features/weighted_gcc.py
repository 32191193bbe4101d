"""Correlations of weighted, noise-whitened snapshots: what is steered, and what it is divided by."""

import dataclasses
import functools
import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.lag_correlator import BlockLagSums
from doatrack.features.noise_statistics import (
    lower_quantile,
    noise_covariance,
    reliability,
    snapshot_power,
    whitening_matrix,
)
from doatrack.features.reverberation import Echo
from doatrack.features.stft import analysis_window, band_bins

__all__ = ["NoiseModel", "WeightedGCC"]

_LOWEST_HZ = 60.0
_HIGHEST_SHARE = 0.494  # of the sample rate: anti-aliasing filters leave little above
_LEAST_WEIGHT = 1e-3
_SNAPSHOTS_AT_ONCE = 13
_MOST_FOR_FLOOR = 80  # snapshots: a quantile of these is known well enough
_MOST_TOGETHER = 4
_MOST_TURNED = 0.06
"""Cross-spectra of so many neighbouring frequencies are summed before they are turned to the lags, as their middle, if
that turns none by more radians too much or too little at the longest lag."""
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
    >>> import numpy as np
    >>> from doatrack.features import FrameSettings
    >>> pairs = np.array([[0, 1], [0, 2], [1, 2]])
    >>> weighted = WeightedGCC(GCCFeatures(), FrameSettings(), torch.arange(-3.0, 4.0), pairs)
    >>> noise = torch.randn(3, 4096, generator=torch.Generator().manual_seed(0))
    >>> spectra = weighted.spectra(noise)
    >>> weighted(spectra, weighted.learn(spectra), [(0, 13)])[0].shape
    torch.Size([1, 3, 14])
    """

    def __init__(self, settings: GCCFeatures, frames: Any, lags: Tensor, mic_pairs: NDArray[Any]) -> None:
        self.settings, self.frames = settings, frames
        self.length = settings.snapshot_length or max(16, frames.win_length // 4)
        self.length = min(self.length, frames.win_length)
        self.hop = max(1, self.length // 4)
        self._window = analysis_window("hann", self.length)
        rate = frames.sample_rate
        band = settings.freq_range_hz or (_LOWEST_HZ, _HIGHEST_SHARE * rate)
        bins = band_bins(band, self.length, rate)
        self._together = _together(lags, self.length, bins.stop - bins.start)
        self._bins = slice(bins.start, bins.stop - (bins.stop - bins.start) % self._together)
        self._lag_sums = BlockLagSums(lags, self.length, self._bins, self._together)
        first, second = torch.as_tensor(mic_pairs).unbind(dim=1)
        self._n_mics = int(second.max()) + 1
        # where a pair's real and imaginary part stand among those of all products of two microphones
        self._places, self._turned = (_parts(a * self._n_mics + b) for a, b in ((first, second), (second, first)))
        self._known: tuple[Tensor, Tensor, Tensor] | None = None  # the last noise model's
        step = self.hop / rate
        self._delay = max(1, round(settings.reverberation_delay_s / step))
        self._decay = math.exp(-step / settings.reverberation_decay_s)

    def n_snapshots(self, n_samples: int) -> int:
        """Return the number of whole snapshots in so many samples."""
        return max(0, 1 + (n_samples - self.length) // self.hop)

    def spectra(self, waveform: Tensor) -> Tensor:
        """Return the snapshots' spectra (n_freq, n_snapshots, n_mics) of a waveform (n_mics, n_samples)."""
        window = self._window.to(waveform.dtype).to(waveform.device)
        n_mics, n_snapshots = len(waveform), self.n_snapshots(waveform.shape[-1])
        n_freq = self._bins.stop - self._bins.start
        found = torch.empty(n_freq, n_snapshots, n_mics, dtype=window.dtype.to_complex(), device=waveform.device)
        if not n_snapshots:
            return found
        places = found.view(n_freq, -1).split(_SNAPSHOTS_AT_ONCE * n_mics, 1)
        cuts = waveform.unfold(-1, self.length, self.hop).transpose(0, 1)
        # few at a time: they are turned while they are near the processor
        for cut, place in zip(cuts.split(_SNAPSHOTS_AT_ONCE), places, strict=True):
            # in order in memory the transform is several times as fast
            frames = torch.mul(cut, window, out=cut.new_empty(cut.shape))
            place.copy_(torch.fft.rfft(frames).flatten(0, 1)[:, self._bins].T)
        return found

    def frame_range(self, start: int) -> tuple[int, int]:
        """Return the first snapshot within a frame and the one after its last, for the frame's first sample."""
        end = self.n_snapshots(start + self.frames.win_length)
        return min(-(-start // self.hop), end - 1), end

    def learn(self, spectra: Tensor, power: Tensor | None = None, every: int = 1) -> NoiseModel:
        """Return the noise model of snapshots (n_freq, n_snapshots, n_mics), in any order.

        Parameters
        ----------
        spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
        power : Tensor of shape (n_freq, n_snapshots), optional
            `snapshot_power` of them, where it is known already.
        every : int
            How many snapshots each of these stands for.
        """
        if power is None:
            power = torch.cat([snapshot_power(part) for part in spectra.split(_FREQUENCIES_AT_ONCE)])
        # gaps of digital silence were not recorded, and tell nothing of the noise between them
        heard = (power > 0).any(dim=0)
        if heard.any() and not heard.all():
            spectra, power = spectra[:, heard], power[:, heard]
        groups = zip(spectra.split(_FREQUENCIES_AT_ONCE), power.split(_FREQUENCIES_AT_ONCE), strict=True)
        parts = [self._learn(*group, every) for group in groups]
        return NoiseModel(torch.cat([p.whitening for p in parts]), torch.cat([p.floor for p in parts]))

    def _learn(self, spectra: Tensor, power: Tensor, every: int) -> NoiseModel:
        n_freq, _, n_mics = spectra.shape
        if self.settings.weighting == "whitened":
            covariance = noise_covariance(spectra, self.settings.noise_quantile, power, every)
            whitening = whitening_matrix(covariance, self.settings.loading)
            some = spectra[:, :: -(-spectra.shape[1] // _MOST_FOR_FLOOR)]
            power = _whitened_power(some, _whitened(some, whitening))
        else:
            whitening = torch.eye(n_mics, dtype=spectra.dtype, device=spectra.device).expand(n_freq, -1, -1)
        return NoiseModel(whitening, lower_quantile(power, self.settings.floor_quantile))

    def __call__(
        self, spectra: Tensor, noise: NoiseModel, frames: list[tuple[int, int]], echo: Echo | None = None, keep: int = 0
    ) -> tuple[Tensor, Echo]:
        """Return the correlations (n_frames, n_pairs, 2 n_lags) of frames, and what goes on to sound after them.

        Parameters
        ----------
        spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
        noise : NoiseModel
        frames : list of (int, int)
            The first snapshot of each frame, and the one after its last.
        echo : Echo, optional
            Of the snapshots before these; None: there was nothing before.
        keep : int
            The snapshot before which the echo that is returned ends.
        """
        white = _whitened(spectra, noise.whitening)
        power = _whitened_power(spectra, white)
        before = Echo.silence(power, self._delay, self._decay) if echo is None else echo
        expected, after = before.then(power, keep)
        settings = self.settings
        floor = settings.floor_factor * noise.floor[:, None]
        weight = reliability(power, floor, settings.reverberation_factor * expected)
        scale = weight / power.clamp_min(1e-30)
        found = white.real.new_empty(len(frames), len(self._places) // 2, 2 * self._lag_sums.n_lags)
        for row, (a, b) in zip(found, frames, strict=True):
            of_frame = white[:, a:b].contiguous()
            scaled = _conjugate(of_frame, scale[:, a:b])
            self._correlate(of_frame, scaled, weight[:, a:b].mean(dim=1), noise.whitening, out=row)
        return found, after

    def _correlate(self, white: Tensor, scaled: Tensor, weight: Tensor, whitening: Tensor, out: Tensor) -> None:
        """Write the correlations (n_pairs, 2 n_lags) of one frame.

        The steered sum of the first half is a^H C a of the mean C of s y y^H, that of the second a^H Q a of
        frequencies as weighted.
        """
        n_freq, n_snapshots, n_mics = white.shape
        n_pairs, n_lags, n_together = len(self._places) // 2, self._lag_sums.n_lags, self._together
        # the transpose of C, of some frequencies at a time
        rows = (-1, n_together * n_snapshots, n_mics)
        sums = torch.bmm(scaled.view(rows).mT, white.view(rows))
        traces = torch.view_as_real(sums).flatten(1)[:, :: 2 * (n_mics + 1)]
        # frames without weight keep a denominator
        share = weight + _LEAST_WEIGHT
        share = share / share.mean()
        pairs, trace = self._parts_of(whitening)
        below = torch.bmm(share.view(-1, 1, n_together), pairs.view(-1, n_together, 2 * n_pairs))
        halves = [half.view(-1, 2, n_pairs) for half in (_chosen(sums, self._turned), below)]
        above, below = self._lag_sums(torch.cat(halves, dim=2).flatten(1)).chunk(2)
        count = n_snapshots * n_mics
        torch.add(traces.sum() / (n_freq * count), above, alpha=2 * n_pairs / count, out=out[:, :n_lags])
        own = torch.dot(share, trace) / (n_freq * n_mics)
        torch.add(own, below, alpha=2 * n_pairs / n_mics, out=out[:, n_lags:])

    def _parts_of(self, whitening: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parts of pairs (n_freq, 2 n_pairs) and the traces (n_freq,) of a noise model's matrices."""
        if self._known is None or self._known[0] is not whitening:
            traces = whitening.diagonal(dim1=-2, dim2=-1).real.sum(dim=-1)
            self._known = whitening, _chosen(whitening.contiguous(), self._places), traces
        return self._known[1:]


def _together(lags: Tensor, n_fft: int, n_freq: int) -> int:
    """Return how many neighbouring frequencies can be turned as one."""
    half = n_fft * _MOST_TURNED / (2 * math.pi * float(lags.abs().max().clamp_min(1e-9)))
    return max(1, min(_MOST_TOGETHER, n_freq, math.floor(2 * half + 1)))


def _parts(places: Tensor) -> Tensor:
    return torch.cat([2 * places, 2 * places + 1])


def _chosen(matrices: Tensor, places: Tensor) -> Tensor:
    """Return parts of matrices (n_freq, n_mics, n_mics), shape (n_freq, n_places)."""
    return torch.view_as_real(matrices).flatten(1).index_select(1, places.to(matrices.device))


def _conjugate(white: Tensor, scale: Tensor) -> Tensor:
    """Return conj(y) (n_freq, n_snapshots, n_mics) times a real factor: here for nothing, in a product by a copy."""
    parts = torch.view_as_real(white)
    product = (parts.flatten(-2) * scale[..., None]).mul_(_signs(white.shape[-1]).to(white.device))
    return torch.view_as_complex(product.view(parts.shape))


@functools.lru_cache(maxsize=64)
def _signs(n_mics: int) -> Tensor:
    return torch.tensor([1.0, -1.0]).repeat(n_mics)


def _whitened(spectra: Tensor, whitening: Tensor) -> Tensor:
    """Return Q x (n_freq, n_snapshots, n_mics)."""
    return torch.bmm(spectra, whitening.mT)


def _whitened_power(spectra: Tensor, white: Tensor) -> Tensor:
    """Return x^H Q x (n_freq, n_snapshots)."""
    first, second = (torch.view_as_real(values).flatten(-2) for values in (spectra, white))
    # rows are short: their sums are faster as a product with ones
    products = (first * second).flatten(0, 1)
    return torch.mv(products, products.new_ones(products.shape[1])).view(white.shape[:2]).clamp_min(0.0)
