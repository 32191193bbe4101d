"""Steered correlations of bands are the power of the matrices that they come from, in the direction steered to."""

import numpy as np
import pytest
import torch

from doatrack.features import FrameSettings, GCCExtractor
from doatrack.features.band_correlator import BandCorrelator
from doatrack.features.parts import real_parts, upper_products
from doatrack.geometry import MicArray

RATE, N_FFT = 16000, 512


@pytest.mark.parametrize("n_mics", [2, 3, 5])
def test_their_mean_over_pairs_at_the_delays_is_the_power_in_that_direction(n_mics, rng):
    array = MicArray(0.1 * rng.normal(size=(n_mics, 3)))
    direction = np.array([0.6, 0.0, 0.8])
    extract = GCCExtractor(array, FrameSettings(), lag_step=1.0, canonical=False)
    delays = extract.tdoa_samples(direction[None])[:, 0]
    frequency, bands = torch.tensor([10.0, 11.0, 40.0]), [slice(0, 2), slice(2, 3)]
    spectra = torch.view_as_complex(torch.as_tensor(rng.normal(size=(3, 4, n_mics, 2)), dtype=torch.float32))
    parts, pairs = real_parts(spectra), array.mic_pairs
    # each pair's own delay as one of the lags
    correlate = BandCorrelator(pairs, n_mics, frequency, bands, delays, N_FFT)
    out = correlate(upper_products(parts, parts), torch.empty(len(pairs), 2 * len(delays)), scale=0.5)
    steered = torch.stack([block.diagonal().mean() for block in out.chunk(2, dim=1)])
    # a wave from there arrives at microphone m by r_m.u / c earlier than at the origin
    advance = torch.as_tensor(array.positions @ direction / 343.0 * RATE)
    waves = torch.exp(2j * torch.pi / N_FFT * frequency.double()[:, None] * advance)
    power = (spectra @ waves.conj().to(spectra.dtype)[..., None]).abs().square().sum(dim=(1, 2))
    expected = 0.5 * torch.stack([power[band].sum() for band in bands])
    assert torch.allclose(steered, expected, rtol=1e-4)


def test_many_lags_are_the_same_numbers(rng):
    lags, bands = torch.linspace(-200, 200, 4001), [slice(0, 40)]
    pairs, parts = np.array([[0, 1], [0, 2], [1, 2]]), torch.as_tensor(rng.normal(size=(40, 6, 6)), dtype=torch.float32)
    sums = upper_products(parts, parts)
    wide = BandCorrelator(pairs, 3, torch.arange(40.0), bands, lags, N_FFT)
    few = BandCorrelator(pairs, 3, torch.arange(40.0), bands, lags[:10], N_FFT)
    found = wide(sums, torch.empty(3, len(lags)))
    assert torch.allclose(found[:, :10], few(sums, torch.empty(3, 10)), rtol=1e-4, atol=1e-3)
