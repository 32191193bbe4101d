"""The short filter ahead of the low-pass: what it leaves is the transform of what went in."""

import pytest
import torch

from doatrack.simulation.decimation import Decimator, decimation_response


@pytest.mark.parametrize("n_fft", [144, 160, 1920, 2048])
def test_the_lowest_sixth_of_the_spectrum_is_kept(n_fft):
    generator = torch.Generator().manual_seed(0)
    fine = torch.randn(2, 3, 6 * n_fft, generator=generator, dtype=torch.float64)
    fine[..., -64:] = 0
    padded = torch.nn.functional.pad(fine, (0, 48))  # rows keep apart
    coarse = Decimator(padded)(padded)[..., : 2 * n_fft]
    n_bins = n_fft // 2 + 1
    got = torch.fft.rfft(coarse)[..., :n_bins] / decimation_response(n_fft, 6)
    wanted = torch.fft.rfft(fine)[..., :n_bins]
    assert (got - wanted).norm() < 4e-6 * wanted.norm()
