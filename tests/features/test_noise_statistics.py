import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features.noise_statistics import (
    lower_quantile,
    quiet_covariance,
    quietest,
    reliability,
    root_weights,
    snapshot_power,
    whitening_matrix,
)


def complex_normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def noise_covariance(spectra: torch.Tensor, quantile: float) -> torch.Tensor:
    power = snapshot_power(spectra)
    return quiet_covariance(spectra, power, quietest(power, quantile))


def test_the_covariance_is_that_of_the_noise_and_not_of_the_louder_bursts():
    """A talker in half of the snapshots, 20 dB above an interferer that never stops."""
    interferer, talker = complex_normal(5, 3, seed=1), complex_normal(5, 3, seed=2)
    spectra = complex_normal(5, 4000, 1, seed=3) * interferer[:, None]
    spectra[:, ::2] += 10 * complex_normal(5, 2000, 1, seed=4) * talker[:, None]
    found = noise_covariance(spectra, 0.3)
    expected = interferer[:, :, None] * interferer[:, None].conj()
    expected = 3 * expected / expected.diagonal(dim1=1, dim2=2).real.sum(dim=1)[:, None, None]
    assert (found - expected).abs().max() < 0.15
    assert (noise_covariance(spectra, 1.0) - expected).abs().max() > 1.0


@pytest.mark.parametrize("quantile", [0.1, 0.5, 1.0])
def test_the_covariance_is_hermitian_positive_and_of_trace_n_mics(quantile):
    covariance = noise_covariance(complex_normal(7, 40, 4) * torch.tensor([1.0, 2.0, 3.0, 0.1]), quantile)
    assert torch.allclose(covariance, covariance.mH, atol=1e-6)
    assert torch.allclose(covariance.diagonal(dim1=1, dim2=2).real.sum(dim=1), torch.full((7,), 4.0), atol=1e-5)
    assert torch.linalg.eigvalsh(covariance).min() > 0


@given(st.integers(2, 60), st.floats(0.05, 1.0), st.integers(0, 3))
def test_the_quietest_snapshots_are_as_many_as_asked_for_even_among_equal_ones(n, quantile, seed):
    loud = torch.randint(1, 4, (6, n, 1), generator=torch.Generator().manual_seed(seed))
    spectra = loud * torch.ones(6, n, 3, dtype=torch.complex64)
    count = 1 + math.floor(quantile * (n - 1))
    # all are one direction: the less each, the more of them are taken for noise beside the white one
    share = count / (count + 8.0)
    expected = share * torch.ones(3, 3) + (1 - share) * torch.eye(3)
    assert torch.allclose(noise_covariance(spectra, quantile).real, expected.expand(6, -1, -1), atol=1e-5)


def test_the_level_of_the_recording_does_not_count():
    spectra = complex_normal(3, 50, 4)
    reference = noise_covariance(spectra, 0.3)
    assert torch.allclose(noise_covariance(spectra * 1e-4, 0.3), reference, atol=1e-5)
    assert torch.allclose(noise_covariance(spectra * 1e4, 0.3), reference, atol=1e-5)


def test_silence_is_white():
    assert torch.equal(noise_covariance(torch.zeros(2, 9, 3, dtype=torch.complex64), 0.3)[0], torch.eye(3) + 0j)


def test_one_snapshot_is_not_taken_for_the_truth():
    """It counts one ninth: the source itself must not be nulled by its only snapshot."""
    spectra = complex_normal(1, 1, 3)
    found = noise_covariance(spectra, 1.0)[0]
    sample = spectra[0, 0, :, None] * spectra[0, 0].conj()
    expected = sample * (3 / sample.diagonal().real.sum()) / 9 + 8 / 9 * torch.eye(3)
    assert torch.allclose(found, expected, atol=1e-5)


@given(st.floats(1e-3, 10.0), st.integers(2, 6))
def test_whitening_has_the_trace_of_the_unit_matrix_and_inverts(loading, n_mics):
    spectra = complex_normal(2, 30, n_mics, seed=n_mics)
    covariance = noise_covariance(spectra, 0.5)
    whitening = whitening_matrix(covariance, loading)
    assert torch.allclose(whitening.diagonal(dim1=1, dim2=2).real.sum(dim=1), torch.tensor(float(n_mics)), rtol=1e-4)
    product = whitening @ (covariance + loading * torch.eye(n_mics))
    scale = product.diagonal(dim1=1, dim2=2).real.mean(dim=1)[:, None, None]
    assert torch.allclose(product / scale, (torch.eye(n_mics) + 0j).expand(2, -1, -1), atol=1e-3)


def test_white_noise_is_not_changed_by_whitening():
    white = (torch.eye(4) + 0j).expand(3, -1, -1)
    assert torch.allclose(whitening_matrix(white, 0.1), white, atol=1e-6)


def test_the_smaller_the_loading_the_deeper_the_null():
    wave = complex_normal(1, 4).abs() + 0j
    covariance = noise_covariance(complex_normal(1, 4000, 1) * wave, 0.5)
    kept = [float((whitening_matrix(covariance, loading)[0] @ wave[0]).norm()) for loading in (1.0, 0.1, 0.01)]
    assert kept[0] > 3 * kept[1] > 9 * kept[2] > 0


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))
def test_reliability_is_a_share(power, floor, expected):
    weight = reliability(torch.tensor([power]), torch.tensor([floor]), torch.tensor([expected]))
    assert 0 <= weight.item() <= 1
    if power > 1e-6:
        assert weight.item() == pytest.approx(max(0.0, 1 - (floor + expected) / power), abs=1e-5)


def test_what_is_below_the_floor_weighs_nothing_and_silence_is_finite():
    assert reliability(torch.tensor([0.5, 0.0]), torch.tensor(1.0), torch.tensor(0.0)).tolist() == [0.0, 0.0]
    # no noise at all: everything is new sound
    assert reliability(torch.tensor([0.0, 2.0]), torch.tensor(0.0), torch.tensor(0.0)).tolist() == [1.0, 1.0]


@given(st.integers(1, 200), st.floats(0.0, 1.0), st.integers(0, 3))
def test_the_selected_quantile_is_that_of_sorted_values(n, quantile, seed):
    values = torch.rand(5, n, generator=torch.Generator().manual_seed(seed)).round(decimals=2)  # with ties
    expected = torch.quantile(values, quantile, dim=1)
    assert torch.allclose(lower_quantile(values, quantile), expected, atol=1e-6)


def test_the_power_of_a_snapshot_is_the_sum_over_microphones():
    spectra = complex_normal(3, 7, 4)
    assert torch.allclose(snapshot_power(spectra), spectra.abs().square().sum(dim=-1), rtol=1e-5)


def test_root_weights_are_the_roots_of_reliability_over_power():
    power = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)) + 0.1
    floor, expected = 0.3 * power[:, :1], 0.2 * power.flip(1)
    weight = 3 * reliability(power, floor, expected) / power
    found = root_weights(power, floor, expected, boost=3.0)
    assert torch.allclose(found.square(), weight, atol=1e-6)
    assert (found > 0).all()


@pytest.mark.parametrize("n_snapshots", [20, 50])
def test_frequencies_that_are_alike_have_the_covariance_of_one_of_them(n_snapshots):
    """Two copies of a frequency tell no more than one, and the assumed white noise counts as much."""
    spectra = complex_normal(3, n_snapshots, 4)
    both = spectra.repeat_interleave(2, dim=0)
    power = snapshot_power(both).view(3, -1)
    found = quiet_covariance(both, power, quietest(power, 1.0), alike=2)
    assert torch.allclose(found, noise_covariance(spectra, 1.0), atol=1e-5)


def test_of_many_quiet_snapshots_of_alike_frequencies_alternate_ones_are_taken():
    spectra = complex_normal(4, 64, 3)
    power = snapshot_power(spectra).view(2, -1)
    found = quiet_covariance(spectra, power, quietest(power, 1.0), alike=2)
    few = spectra[:, ::2]
    power = snapshot_power(few).view(2, -1)
    assert torch.allclose(found, quiet_covariance(few, power, quietest(power, 1.0), alike=2), atol=1e-5)
    assert not torch.allclose(found, noise_covariance(spectra, 1.0)[::2], atol=1e-3)


def test_quiet_snapshots_are_found_in_a_part_of_a_longer_table():
    table = complex_normal(4, 40, 3)
    part = table[:, :25]
    power = snapshot_power(part).view(2, -1)
    places = quietest(power, 0.4)
    found = quiet_covariance(part, power, places, alike=2)
    assert torch.allclose(found, quiet_covariance(part.clone(), power, places, alike=2), atol=1e-6)
