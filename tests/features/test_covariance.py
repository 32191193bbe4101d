"""Spatial covariances and the plane waves they are compared with."""

import numpy as np
import pytest
import torch

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.features import (
    CovarianceExtractor,
    FrameSettings,
    analysis_window,
    snapshot_spectra,
    spatial_covariance,
    steering_vectors,
)
from doatrack.geometry import tdoa_far_field

FRAMES = FrameSettings(win_length=1024, hop_length=768, window="hann")


@pytest.fixture
def waveform(rng):
    return torch.from_numpy(rng.normal(size=(4, 4000)))


def test_snapshots_are_the_spectra_of_the_sub_windows(waveform):
    spectra = snapshot_spectra(waveform, FRAMES, 256, 128)
    assert spectra.shape == (4, 129, 4, 7)
    frame, snapshot = 2, 5
    start = frame * 768 + snapshot * 128
    expected = np.fft.rfft(waveform[:, start : start + 256].numpy() * analysis_window("hann", 256).double().numpy())
    assert np.allclose(spectra[frame, :, :, snapshot].numpy(), expected.T)


def test_a_batch_is_a_stack_of_recordings(waveform):
    one = snapshot_spectra(waveform, FRAMES, 256, 128, slice(3, 40))
    both = snapshot_spectra(torch.stack([waveform, -2 * waveform]), FRAMES, 256, 128, slice(3, 40))
    assert torch.equal(both[0], one)
    assert torch.allclose(both[1], -2 * one)


def test_covariances_are_hermitian_and_positive_with_the_mean_power_as_diagonal(waveform):
    spectra = snapshot_spectra(waveform, FRAMES, 256, 128)
    covariance = spatial_covariance(spectra)
    assert torch.allclose(covariance, covariance.mH)
    assert torch.linalg.eigvalsh(covariance).min() > -1e-9
    power = spectra.abs().square().mean(dim=-1)
    assert torch.allclose(covariance.diagonal(dim1=-2, dim2=-1).real, power)


def test_the_rank_is_at_most_the_number_of_snapshots(waveform):
    covariance = spatial_covariance(snapshot_spectra(waveform, FRAMES, 512, 512))
    assert (torch.linalg.matrix_rank(covariance, tol=1e-8) == 2).all()


def test_plane_waves_have_the_phases_of_their_time_differences(rng):
    array = MicArray.from_preset("nao_head_12")
    doa = rng.normal(size=(5, 3))
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    frequencies = np.array([100.0, 2345.0])
    waves = steering_vectors(array.positions, doa, frequencies).numpy()
    assert np.allclose(np.abs(waves), 1)
    first, second = array.mic_pairs.T
    # X_i conj(X_j) has the phase -2 pi f (t_i - t_j)
    cross = waves[..., first] * waves[..., second].conj()
    tdoa = tdoa_far_field(array, doa)
    assert np.allclose(cross, np.exp(-2j * np.pi * frequencies[:, None, None] * tdoa))


def test_the_order_of_channels_changes_no_bit(waveform):
    array, order = MicArray.from_preset("tetrahedron_4"), [2, 0, 3, 1]
    one = CovarianceExtractor(array, FRAMES, 256, 128, (300, 6000))
    other = CovarianceExtractor(array.select(order), FRAMES, 256, 128, (300, 6000))
    assert one.array == other.array
    assert torch.equal(one.covariance(waveform.float()), other.covariance(waveform[order].float()))


def test_a_stream_of_blocks_is_the_whole(waveform):
    extract = CovarianceExtractor(MicArray.from_preset("tetrahedron_4"), FRAMES, 256, 128, (300, 6000))
    samples = waveform.float().numpy()
    stream = extract.stream([samples[:, :700], samples[:, 700:3000], samples[:, 3000:]])
    assert torch.allclose(torch.cat(list(stream)), extract.covariance(waveform.float()), rtol=1e-4, atol=1e-4)
    assert stream.activity().shape == (4,)


@pytest.mark.parametrize(
    ("band", "expected"), [((0, 8000), (62.5, 7937.5)), ((125, 250), (125.0, 250.0)), ((130, 240), (187.5, 187.5))]
)
def test_the_band_holds_its_borders_but_neither_0_nor_nyquist(band, expected):
    extract = CovarianceExtractor(MicArray.from_preset("tetrahedron_4"), FRAMES, 256, 128, band)
    assert (extract.frequencies[0], extract.frequencies[-1]) == expected


BAD = {
    "a band without a frequency": ({"freq_range_hz": (130, 180)}, r"at least one of .* multiples of 62.5 Hz"),
    "a band upside down": ({"freq_range_hz": (2000, 300)}, r"got 2000 to 300"),
    "a band of one number": ({"freq_range_hz": (300,)}, r"freq_range_hz must have the shape \(2\)"),
    "snapshots longer than a frame": ({"snapshot_length": 2048}, r"at most win_length, 1024 samples, got 2048"),
    "no step": ({"snapshot_hop": 0}, r"snapshot_hop must be at least 1"),
    "half samples": ({"snapshot_length": 99.5}, r"snapshot_length must be a whole number"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_work_is_refused(kind):
    change, message = BAD[kind]
    given = {"snapshot_length": 256, "snapshot_hop": 128, "freq_range_hz": (300, 6000)} | change
    with pytest.raises(InvalidInputError, match=message):
        CovarianceExtractor(MicArray.from_preset("tetrahedron_4"), FRAMES, **given)
