import math

import numpy as np
import pytest
import torch

from doatrack.features.diffuse_field import diffuse_coherence
from doatrack.simulation.diffuse import diffuse_tails

SAMPLE_RATE = 16000


def lasting_tails(n_tails, mics, n_taps):
    """Return tails from the beginning on that do not decay: stationary noise of unit variance."""
    shape = {"start": 0, "rt60": math.inf, "power": 1.0, "fade": 0}
    generator = np.random.default_rng(0)
    return diffuse_tails(
        n_tails, mics, n_taps, **shape, generator=generator, sample_rate=SAMPLE_RATE, speed_of_sound=343.0
    )


def test_any_length_is_given_odd_ones_at_the_edge_of_a_band_too():
    """An odd number of samples needs the bins of an even transform that is one sample longer."""
    mics = torch.tensor([[0.0, 0, 0], [0.1, 0, 0]])
    for n_samples in (1, 2, 253, 254, 255, 256, 257, 3583, 4351, 9983):
        noise = lasting_tails(1, mics, n_samples)
        assert noise.shape == (1, 2, n_samples)
        assert torch.isfinite(noise).all()


def test_it_has_the_coherence_of_a_diffuse_field():
    mics = torch.tensor([[0.0, 0, 0], [0.08, 0, 0], [0.0, 0.15, 0]])
    noise = lasting_tails(60, mics, 2048)
    spectrum = torch.fft.rfft(noise * torch.hann_window(2048))[..., 20:890]
    cross = torch.einsum("nif,njf->fij", spectrum, spectrum.conj()).real
    power = cross.diagonal(dim1=1, dim2=2).sqrt()
    coherence = cross / power[:, :, None] / power[:, None, :]
    wanted = diffuse_coherence(torch.cdist(mics, mics) / 343.0, torch.arange(20, 890) * SAMPLE_RATE / 2048)
    assert (coherence - wanted).square().mean().sqrt() < 0.15
    assert (coherence - wanted).mean().abs() < 0.01
    assert noise.std().item() == pytest.approx(math.sqrt(0.94), rel=0.05)
