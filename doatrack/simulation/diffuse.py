"""Diffuse reverberation: decaying noise with the coherence of sound from everywhere."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from doatrack.features.diffuse_field import diffuse_coherence
from doatrack.simulation.fft_length import fast_fft_length
from doatrack.simulation.image_sources import low_pass_weights

__all__ = ["diffuse_tails"]

_BANDS = 128  # frequency bands that share one mixing matrix


def diffuse_tails(
    n_tails: int,
    mic_positions: torch.Tensor,
    n_taps: int,
    *,
    start: int,
    rt60: float,
    power: float,
    fade: int,
    generator: np.random.Generator,
    sample_rate: float,
    speed_of_sound: float,
) -> torch.Tensor:
    """Return reverberant tails that take over from the image sources at `start`.

    Parameters
    ----------
    n_tails, n_taps, start, fade : int
        How many; length, time at which the images end, and length of the cross-fade before it, in samples.
    mic_positions : Tensor (n_mics, 3)
        In metres.
    rt60 : float
        In seconds.
    power : float
        Energy per sample of one response at `start`.
    generator : numpy.random.Generator
    sample_rate, speed_of_sound : float
        In Hz and m/s.

    Returns
    -------
    Tensor (n_tails, n_mics, n_taps), float32
        Zero before `start - fade`.

    Notes
    -----
    Independent spectra are mixed, band by band, by the symmetric root of the coherence matrix.
    """
    first = max(0, start - fade)
    tails = mic_positions.new_zeros(n_tails, len(mic_positions), n_taps)
    if first >= n_taps:
        return tails
    time = torch.arange(first - start, n_taps - start, device=tails.device) / sample_rate
    envelope = math.sqrt(power) * torch.exp(-3 * math.log(10) / rt60 * time)
    envelope[: start - first] *= fade_out(start - first, tails.device).flip(0)
    noises = _noises(n_tails, mic_positions, n_taps - first, generator, sample_rate, speed_of_sound)
    for tail, noise in zip(tails[..., first:], noises, strict=True):
        torch.mul(noise, envelope, out=tail)
    return tails


def fade_out(length: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return a cosine fade from near 1 to near 0 whose squares and mirrored squares add to 1."""
    return torch.cos(0.5 * math.pi * (torch.arange(length, device=device) + 0.5) / max(1, length))


def _noises(
    n_noises: int,
    mic_positions: torch.Tensor,
    n_samples: int,
    generator: np.random.Generator,
    sample_rate: float,
    speed_of_sound: float,
) -> Iterator[torch.Tensor]:
    """Yield noises (n_mics, n_samples) one at a time, which then stay in the cache; all are drawn with the first."""
    n_mics, device = len(mic_positions), mic_positions.device
    n_fft = 2 * _BANDS * fast_fft_length(math.ceil(n_samples / (2 * _BANDS)))
    n_bins = n_fft // 2  # nothing is left at the Nyquist frequency
    draws = generator.standard_normal((_BANDS, n_noises * (n_bins // _BANDS), n_mics, 2), dtype=np.float32)
    white = torch.view_as_complex(torch.from_numpy(draws).to(device))
    centres = (torch.arange(_BANDS, device=device) + 0.5) * sample_rate / (2 * _BANDS)
    mics = mic_positions.double()
    distance = torch.cdist(mics, mics, compute_mode="donot_use_mm_for_euclid_dist")
    values, vectors = torch.linalg.eigh(diffuse_coherence(distance / speed_of_sound, centres.double()))
    root = (vectors * values.clamp(min=0).sqrt()[:, None]) @ vectors.transpose(1, 2)
    # the root is symmetric: from the left it gives each microphone's bins next to each other
    mixed = (root.to(white.dtype) @ white.transpose(1, 2)).view(_BANDS, n_mics, n_noises, -1)
    weights = low_pass_weights(n_fft, device=device)[:n_bins].view(_BANDS, -1) * math.sqrt(n_fft / 2)
    spectrum = white.new_zeros(n_mics, n_bins + 1)
    bands = spectrum[:, :-1].unflatten(1, (_BANDS, -1))
    for k in range(n_noises):
        torch.mul(mixed[:, :, k].transpose(0, 1), weights, out=bands)
        yield torch.fft.irfft(spectrum, n_fft)[:, :n_samples]
