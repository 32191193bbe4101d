import numpy as np
import pytest
import torch

from doatrack.features import gcc_phat, lag_axis, lag_transform, whiten
from doatrack.features.lag_correlator import LagCorrelator, lag_table

PAIRS = np.array([(i, j) for i in range(5) for j in range(i + 1, 5)])


def spectra(n_fft: int, n_frames: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.fft.rfft(torch.randn(n_frames, 5, n_fft, generator=torch.Generator().manual_seed(seed)))


def exact(values: torch.Tensor, lags: torch.Tensor, n_fft: int, pairs: np.ndarray = PAIRS) -> torch.Tensor:
    """The inverse DFT of X_i conj(X_j) / |X_i conj(X_j)| written out, in double precision."""
    k = np.arange(n_fft // 2 + 1)
    weight = np.where((k == 0) | (2 * k == n_fft), 1, 2) / n_fft
    unit = values.to(torch.complex128).numpy()
    unit = unit / np.abs(unit)
    cross = unit[:, pairs[:, 0]] * unit[:, pairs[:, 1]].conj() * weight
    return torch.tensor((cross @ np.exp(2j * np.pi / n_fft * k[:, None] * lags.double().numpy())).real)


@pytest.mark.parametrize(
    ("n_fft", "lags"),
    [
        (4096, lag_axis(5.64, step=0.25)),  # SRPPHAT
        (4096, lag_axis(5.64, n_lags=64)),  # the paper
        (4096, torch.arange(-32.0, 32.0)),  # Neural-SRP
        (512, lag_axis(5.64, step=0.25)),
        (1023, lag_axis(100.0, step=0.5)),
        (64, torch.tensor([0.0])),
        (256, lag_axis(300.0, step=1.0)),  # beyond the length: periodic
    ],
)
def test_it_is_the_inverse_transform_to_rounding(n_fft, lags):
    values = spectra(n_fft)
    expected = exact(values, lags, n_fft)
    found = LagCorrelator(lags, n_fft, PAIRS)(whiten(values))
    assert (found.double() - expected).abs().max() < 5e-7
    full = gcc_phat(values, PAIRS, lag_transform(lags, n_fft))
    assert (found - full).abs().max() < 1e-6


@pytest.mark.parametrize("pairs", [[(2, 0), (0, 1), (0, 3), (0, 4)], [(1, 4)], [(3, 1), (3, 2), (1, 2), (1, 0)]])
def test_any_pairs_in_any_order(pairs):
    lags, table = lag_axis(4.0, step=0.5), np.array(pairs)
    values = spectra(512)
    found = LagCorrelator(lags, 512, table)(whiten(values))
    assert (found.double() - exact(values, lags, 512, table)).abs().max() < 5e-7


def test_a_band_counts_alone_and_a_delay_still_peaks_at_one():
    values = spectra(512, n_frames=1)
    values[:, 1] = values[:, 0] * torch.polar(torch.ones(257), 2 * torch.pi / 512 * 1.5 * torch.arange(257))
    correlate = LagCorrelator(torch.tensor([-1.5, 0.0, 1.5]), 512, PAIRS, slice(20, 133))
    found = correlate(whiten(values))
    # microphone 1 hears it earlier
    assert found[0, 0, 2] == pytest.approx(1.0, abs=1e-5)
    outside = values.clone()
    outside[..., :20] = 7
    outside[..., 133:] = 7
    assert torch.allclose(correlate(whiten(outside)), found, atol=1e-6)


def test_many_frames_are_the_single_ones():
    correlate = LagCorrelator(lag_axis(5.0, step=0.5), 4096, PAIRS)
    white = whiten(spectra(4096, n_frames=60))
    assert torch.allclose(correlate(white), torch.cat([correlate(frame[None]) for frame in white]), atol=1e-6)
    assert correlate(white[:0]).shape == (0, 10, 23)


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1.0, 1e15])
def test_magnitudes_are_removed_at_any_level(scale):
    values = spectra(512)
    white = whiten(values * scale)
    assert torch.allclose(white.abs(), torch.ones(3, 5, 257), atol=1e-5)
    assert torch.allclose(white, values / values.abs(), atol=1e-5)


def test_empty_bins_stay_empty_and_rounding_noise_is_not_blown_up():
    values = spectra(512)
    values[..., :100] = 0
    values[..., 100:110] *= 1e-9
    white = whiten(values)
    assert white[..., :100].abs().max() == 0
    assert white[..., 100:110].abs().max() < 0.1
    assert whiten(0 * values).abs().max() == 0


@pytest.mark.parametrize("bins", [slice(5, 6), slice(1, 33), slice(2, 250)])
@pytest.mark.parametrize("lags", [torch.tensor([-1.0, 0.0, 1.0]), torch.arange(-60.0, 61.0) * 0.1])
def test_the_table_turns_cross_spectra_and_sums_them_up(lags, bins):
    n_freq = bins.stop - bins.start
    cross = torch.randn(n_freq, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    turn = torch.exp(2j * torch.pi / 512 * torch.arange(bins.start, bins.stop)[:, None].double() * lags.double())
    expected = (cross[:, :, None] * turn[:, None]).real.sum(dim=0)
    rows = torch.view_as_real(cross).transpose(1, 2).flatten(0, 1)
    found = rows.T @ lag_table(torch.arange(bins.start, bins.stop), lags, 512)
    assert (found - expected).abs().max() < 1e-5 * n_freq
