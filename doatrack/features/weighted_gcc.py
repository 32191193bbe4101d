"""Correlations of weighted, noise-whitened snapshots: what is steered, and what it is divided by."""

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from doatrack.features.band_correlator import BandCorrelator
from doatrack.features.diffuse_field import diffuse_coherence
from doatrack.features.gcc_features import GCCFeatures
from doatrack.features.noise_model import NoiseModel, learn_noise, whitened_power
from doatrack.features.noise_statistics import root_weights
from doatrack.features.parts import products, real_parts, upper_products
from doatrack.features.reverberation import Echo
from doatrack.features.stft import analysis_window, band_bins
from doatrack.geometry import SPEED_OF_SOUND, MicArray

__all__ = ["WeightedGCC"]

_LOWEST_HZ = 60.0
_HIGHEST_SHARE = 0.494  # of the sample rate: anti-aliasing filters leave little above
_SNAPSHOTS_AT_ONCE = 13
_MOST_TOGETHER = 4
_MOST_TURNED = 0.06
"""Cross-spectra of so many neighbouring frequencies are summed before they are turned to the lags, as their middle, if
that turns none by more radians too much or too little at the longest lag."""
_WIDENING = 1.5
"""Bands end at this power of equal steps."""
_ALIKE = 2
"""So many neighbouring frequencies have one causal noise model, with half the work to learn it. With the Hann window
two tell nearly the same; four are too far apart for the reverberation of an interferer."""


class WeightedGCC:
    """Correlations of frames from snapshots and a noise model.

    Parameters
    ----------
    settings : GCCFeatures
        With a weighting other than "phat".
    frames : FrameSettings
    lags : Tensor of shape (n_lags,)
        In samples.
    array : MicArray
        Its microphones are the channels, in this order.
    speed_of_sound : float
        In m/s.

    Notes
    -----
    Its correlations (n_frames, n_pairs, 2 n_bands n_lags) hold, side by side, the numerators of the steered share, band
    by band, and the denominators; `steered_map` divides their steered sums. The power of the single microphones, the
    same for all directions, is spread over the pairs.

    Examples
    --------
    >>> from doatrack.features import FrameSettings
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> weighted = WeightedGCC(GCCFeatures(n_bands=3), FrameSettings(), torch.arange(-3.0, 4.0), array)
    >>> noise = torch.randn(4, 4096, generator=torch.Generator().manual_seed(0))
    >>> spectra = weighted.spectra(noise)
    >>> weighted(spectra, weighted.learn(spectra), [(0, 13)])[0].shape
    torch.Size([1, 6, 42])
    """

    def __init__(
        self,
        settings: GCCFeatures,
        frames: Any,
        lags: Tensor,
        array: MicArray,
        speed_of_sound: float = SPEED_OF_SOUND,
    ) -> None:
        self.settings, self.frames = settings.for_microphones(array.n_mics), frames
        self.length = settings.snapshot_length or max(16, frames.win_length // 4)
        self.length = min(self.length, frames.win_length)
        self.hop = max(1, self.length // 4)
        self._window = analysis_window("hann", self.length)
        rate = frames.sample_rate
        band = settings.freq_range_hz or (_LOWEST_HZ, _HIGHEST_SHARE * rate)
        bins = band_bins(band, self.length, rate)
        self._together = _together(lags, self.length, bins.stop - bins.start)
        self._bins = slice(bins.start, bins.stop - (bins.stop - bins.start) % self._together)
        n_sums = (self._bins.stop - self._bins.start) // self._together
        # without whitening all denominators are alike
        n_bands, factor = self.settings.n_bands, self.settings.reverberation_factor
        assert n_bands is not None
        assert factor is not None
        self._bands = _bands(n_sums, n_bands if settings.weighting == "whitened" else 1)
        self._reverberation, self._boost = factor, max(1.0, factor) ** 2
        self.n_columns = 2 * len(self._bands) * len(lags)
        middles = self._bins.start + (self._together - 1) / 2 + self._together * torch.arange(n_sums)
        self._n_mics, self._n_pairs, self._n_sums = array.n_mics, len(array.mic_pairs), n_sums
        self._correlate = BandCorrelator(array.mic_pairs, array.n_mics, middles, self._bands, lags, self.length)
        positions = torch.as_tensor(array.positions)
        self._alike = _alike(settings, self._together)
        frequency = torch.arange(self._bins.start, self._bins.stop, dtype=torch.float64) * rate / self.length
        frequency = frequency.view(-1, self._alike).mean(dim=1)
        self._diffuse = diffuse_coherence(torch.cdist(positions, positions) / speed_of_sound, frequency).float()
        self._known: tuple[NoiseModel, Tensor, Tensor] | None = None  # the last noise model's denominators and floor
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
        places = found.view(n_freq, -1)
        cuts = waveform.unfold(-1, self.length, self.hop).transpose(0, 1)
        # few at a time: they are turned while they are near the processor
        for start in range(0, n_snapshots, _SNAPSHOTS_AT_ONCE):
            cut = cuts[start : start + _SNAPSHOTS_AT_ONCE]
            # in order in memory the transform is several times as fast
            frames = torch.mul(cut, window, out=cut.new_empty(cut.shape))
            turned = torch.fft.rfft(frames).flatten(0, 1)[:, self._bins].T
            places[:, n_mics * start : n_mics * start + turned.shape[1]] = turned
        return found

    def frame_range(self, start: int) -> tuple[int, int]:
        """Return the first snapshot within a frame and the one after its last, for the frame's first sample."""
        end = self.n_snapshots(start + self.frames.win_length)
        return min(-(-start // self.hop), end - 1), end

    def learn(self, spectra: Tensor, power: Tensor | None = None, every: int = 1) -> NoiseModel:
        """Return the noise model of snapshots (n_freq, n_snapshots, n_mics): `learn_noise` for these settings."""
        return learn_noise(spectra, self.settings, self._diffuse, power, every, self._alike)

    def __call__(
        self, spectra: Tensor, noise: NoiseModel, frames: list[tuple[int, int]], echo: Echo | None = None, keep: int = 0
    ) -> tuple[Tensor, Echo]:
        """Return the correlations (n_frames, n_pairs, n_columns) of frames, and what goes on to sound after them.

        Parameters
        ----------
        spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
        noise : NoiseModel
            Of each frequency, or of each few neighbouring ones.
        frames : list of (int, int)
            The first snapshot of each frame, and the one after its last.
        echo : Echo, optional
            Of the snapshots before these; None: there was nothing before.
        keep : int
            The snapshot before which the echo that is returned ends.
        """
        n_freq, n_snapshots, _ = spectra.shape
        heard = real_parts(spectra).reshape(len(noise.floor), -1, 2 * self._n_mics)
        white = products(heard, noise.real_whitening)
        power = whitened_power(heard, white).view(n_freq, n_snapshots)
        before = Echo.silence(power, self._delay, self._decay) if echo is None else echo
        expected, after = before.then(power, keep)
        denominators, floor = self._of_noise(noise)
        white = white.view(n_freq, n_snapshots, -1)
        # in both factors of a product
        white *= root_weights(power, floor, self._reverberation * expected, self._boost)[..., None]
        found = white.new_empty(len(frames), self._n_pairs, self.n_columns)
        half = self.n_columns // 2
        found[..., half:] = denominators
        for row, (a, b) in zip(found, frames, strict=True):
            self._numerators(white[:, a:b], out=row[:, :half])
        return found, after

    def _numerators(self, white: Tensor, out: Tensor) -> None:
        """Write what steers to a^H C a of a frame's mean C of y y^H, band by band, (n_pairs, n_bands n_lags)."""
        n_freq, n_snapshots, n_parts = white.shape
        # some frequencies at a time
        rows = white.reshape(-1, self._together * n_snapshots, n_parts)
        self._correlate(upper_products(rows, rows), out, 1 / (n_freq * n_snapshots * self._n_mics))

    def _of_noise(self, noise: NoiseModel) -> tuple[Tensor, Tensor]:
        """Return what steers to the mean of a^H Q a in each band (n_pairs, n_bands n_lags), and the floor."""
        if self._known is None or self._known[0] is not noise:
            sums = noise.real_whitening.unflatten(0, (self._n_sums, -1)).mean(dim=1)
            found = sums.new_empty(self._n_pairs, self.n_columns // 2)
            # each entry of Q stands there twice
            self._correlate(sums, found, 1 / (2 * self._n_mics))
            for column, band in zip(found.chunk(len(self._bands), dim=1), self._bands, strict=True):
                column /= band.stop - band.start
            floor = noise.floor.repeat_interleave(self._together * self._n_sums // len(noise.floor))
            self._known = noise, found, self.settings.floor_factor * floor[:, None]
        return self._known[1:]


def _together(lags: Tensor, n_fft: int, n_freq: int) -> int:
    """Return how many neighbouring frequencies can be turned as one."""
    half = n_fft * _MOST_TURNED / (2 * math.pi * float(lags.abs().max().clamp_min(1e-9)))
    return max(1, min(_MOST_TOGETHER, n_freq, math.floor(2 * half + 1)))


def _alike(settings: GCCFeatures, together: int) -> int:
    """Return how many neighbouring frequencies have one noise model."""
    shared = settings.causal and settings.weighting == "whitened" and together % _ALIKE == 0
    return _ALIKE if shared else 1


def _bands(n_sums: int, n_bands: int) -> list[slice]:
    """Return so many runs, or fewer if there are not enough for them: wider ones at higher frequencies."""
    edges = sorted({0, *(round(n_sums * (k / n_bands) ** _WIDENING) for k in range(1, n_bands + 1))})
    return [slice(low, high) for low, high in itertools.pairwise(edges)]
