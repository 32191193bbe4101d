"""Signal subspaces and the MUSIC spectrum."""

import numpy as np
import pytest
import torch

from doatrack import DirectionGrid, MicArray
from doatrack.features import (
    FrameSettings,
    music_spectrum,
    normalise_spectrum,
    signal_subspace,
    snapshot_spectra,
    spatial_covariance,
    steering_vectors,
)

GRID = DirectionGrid.quasi_uniform(300)
ARRAY = MicArray.from_preset("nao_head_12")
FREQUENCIES = np.array([500.0, 1500.0, 3000.0])


@pytest.fixture
def waves():
    return steering_vectors(ARRAY.positions, GRID.directions, FREQUENCIES)


def sources(waves, chosen, powers, noise):
    """Covariances (n_freq, n_mics, n_mics) of independent sources from grid directions in white noise."""
    mixed = waves[:, chosen].mT * torch.tensor(powers, dtype=torch.float64).sqrt()
    return mixed @ mixed.mH + noise * torch.eye(waves.shape[-1])


def random_covariances(rng, *shape):
    snapshots = torch.from_numpy(rng.normal(size=(*shape, 20)) + 1j * rng.normal(size=(*shape, 20)))
    return spatial_covariance(snapshots)


def test_sources_lie_in_the_signal_subspace_and_are_orthogonal_to_the_noise_subspace(waves):
    chosen = [10, 200]
    covariance = sources(waves, chosen, [1.0, 0.3], 0.05)
    subspace = signal_subspace(covariance, 2)
    assert torch.allclose(subspace.mH @ subspace, torch.eye(2, dtype=torch.complex128).expand(3, 2, 2))
    noise = torch.linalg.eigh(covariance).eigenvectors[..., :-2]
    assert (noise.mH @ waves[:, chosen].mT).abs().max() < 1e-10
    outside = waves[:, chosen].mT - subspace @ (subspace.mH @ waves[:, chosen].mT)
    assert outside.abs().max() < 1e-10


@pytest.mark.parametrize("chosen", [[10], [10, 200], [10, 200, 100]])
def test_the_spectrum_is_highest_at_the_sources(waves, chosen):
    spectrum = music_spectrum(signal_subspace(sources(waves, chosen, [1.0] * len(chosen), 0.1), len(chosen)), waves)
    assert spectrum.topk(len(chosen), dim=-1).indices.sort(dim=-1).values.tolist() == [sorted(chosen)] * 3
    assert spectrum[:, chosen].min() > 1e9


def test_it_is_the_textbooks_formula_frame_by_frame(waves, rng):
    covariance = random_covariances(rng, 4, 3, 12)
    spectrum = music_spectrum(signal_subspace(covariance, 2), waves)
    assert spectrum.shape == (4, 3, 300)
    noise = np.linalg.eigh(covariance.numpy())[1][..., :-2]
    for frame, freq, direction in [(0, 0, 0), (3, 2, 299), (1, 1, 77)]:
        a, part = waves[freq, direction].numpy(), noise[frame, freq]
        expected = 12 / (a.conj() @ part @ part.conj().T @ a).real
        assert spectrum[frame, freq, direction].item() == pytest.approx(expected, rel=1e-9)


def test_it_is_at_least_1_and_knows_neither_level_nor_phase(waves, rng):
    covariance = random_covariances(rng, 3, 12)
    spectrum = music_spectrum(signal_subspace(covariance), waves)
    assert spectrum.min() >= 1
    louder = music_spectrum(
        signal_subspace(1e4 * covariance), waves * torch.polar(torch.tensor(1.0), torch.tensor(0.7))
    )
    assert torch.allclose(louder, spectrum)


def test_single_precision_stays_finite_at_the_source_itself(waves):
    single = sources(waves, [10], [1.0], 0.0).to(torch.complex64)
    spectrum = music_spectrum(signal_subspace(single), waves.to(torch.complex64))
    assert torch.isfinite(spectrum).all()
    assert spectrum.argmax(dim=-1).tolist() == [10] * 3


def test_normalised_spectra_have_the_maximum_1_at_the_same_place(waves, rng):
    spectrum = music_spectrum(signal_subspace(random_covariances(rng, 2, 3, 12)), waves)
    normalised = normalise_spectrum(spectrum)
    assert torch.equal(normalised.amax(dim=-1), torch.ones(2, 3, dtype=torch.float64))
    assert torch.equal(normalised.argmax(dim=-1), spectrum.argmax(dim=-1))


@pytest.mark.parametrize("n_sources", [1, 2])
@pytest.mark.parametrize("name", ["MUSIC", "NormMUSIC"])
def test_pyroomacoustics_gives_the_same_spectrum_on_the_same_frames_and_grid(name, n_sources, rng):
    """Theirs is 1 / (a^H P a) without the number of microphones; normalising removes that."""
    doa = pytest.importorskip("pyroomacoustics.doa")
    waveform = torch.from_numpy(rng.normal(size=(12, 2048)))
    waveform[1:] += waveform[:-1].roll(2, dims=-1)
    azimuth, colatitude = np.linspace(-np.pi, np.pi, 24, endpoint=False), np.linspace(0.1, 3.0, 9)
    theirs = getattr(doa, name)(
        ARRAY.positions.T, 16000, 256, c=343.0, num_src=n_sources, dim=3, azimuth=azimuth, colatitude=colatitude
    )
    spectra = snapshot_spectra(waveform, FrameSettings(win_length=2048, hop_length=2048), 256, 128)[0]
    theirs.locate_sources(spectra.permute(1, 0, 2).numpy(), freq_range=[500.0, 4000.0])

    bins = theirs.freq_bins
    directions = theirs.grid.cartesian.T
    waves = steering_vectors(ARRAY.positions, directions, bins * 16000 / 256)
    ours = music_spectrum(signal_subspace(spatial_covariance(spectra[bins]), n_sources), waves)
    map_ = (normalise_spectrum(ours) if name == "NormMUSIC" else ours / 12).mean(dim=0)
    assert np.allclose(map_.numpy(), theirs.grid.values, rtol=1e-9)
    assert map_.argmax().item() == theirs.grid.values.argmax()
