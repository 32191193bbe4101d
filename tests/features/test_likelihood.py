"""Deterministic maximum likelihood against its textbook formula."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.features import beam_power, explained_share, likelihood_gain, spatial_covariance


def random_case(seed, n_frames=2, n_freq=3, n_directions=9, n_mics=5, n_snapshots=7):
    rng = np.random.default_rng(seed)
    shape = (n_frames, n_freq, n_mics, n_snapshots)
    snapshots = torch.from_numpy(rng.normal(size=shape) + 1j * rng.normal(size=shape))
    waves = torch.from_numpy(np.exp(2j * np.pi * rng.random((n_freq, n_directions, n_mics))))
    return snapshots, waves


def explained(covariance, columns):
    """tr(P R) / tr(R) with the projection written out."""
    projection = columns @ torch.linalg.pinv(columns)
    return ((projection @ covariance).trace().real / covariance.trace().real).item()


def test_beam_power_is_the_quadratic_form():
    snapshots, waves = random_case(0)
    covariance = spatial_covariance(snapshots)
    expected = torch.einsum("fdm,tfmn,fdn->tfd", waves.conj(), covariance, waves).real / 25
    assert torch.allclose(beam_power(covariance, waves), expected)
    assert torch.equal(beam_power(covariance[0], waves), beam_power(covariance, waves)[0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_others=st.integers(0, 3))
def test_the_share_is_that_of_the_projection_written_out(seed, n_others):
    snapshots, waves = random_case(seed)
    covariance = spatial_covariance(snapshots)
    fixed = waves[:, :n_others].mT.expand(2, 3, 5, n_others) if n_others else None
    share = explained_share(covariance, waves, fixed)
    for frame, freq, candidate in itertools.product(range(2), range(3), range(n_others, 9)):
        columns = torch.cat([waves[freq, :n_others], waves[freq, candidate, None]]).mT
        assert share[frame, freq, candidate].item() == pytest.approx(
            explained(covariance[frame, freq], columns), abs=1e-9
        )


def test_a_candidate_that_is_there_already_adds_nothing():
    snapshots, waves = random_case(1)
    covariance = spatial_covariance(snapshots)
    fixed = waves[:, :2].mT.expand(2, 3, 5, 2)
    share = explained_share(covariance, waves, fixed)
    alone = [[explained(r, a) for r, a in zip(rows, fixed[0], strict=True)] for rows in covariance]
    alone = torch.tensor(alone, dtype=torch.float64)
    assert torch.allclose(share[..., 0], alone)
    assert torch.allclose(share[..., 1], alone)
    assert (share[..., 2:] > alone[..., None]).all()


def test_the_maximum_is_where_the_exhaustive_search_over_amplitudes_and_noise_finds_it():
    """The likelihood of Gaussian snapshots with the best amplitudes (least squares) and noise power put in."""
    snapshots, waves = random_case(3, n_frames=1, n_freq=1)
    x = snapshots[0, 0]
    n_mics, n_snapshots = x.shape
    exhaustive = []
    for a in waves[0]:
        amplitude = torch.linalg.lstsq(a[:, None], x).solution
        noise = (x - a[:, None] @ amplitude).abs().square().mean()
        residual = (x - a[:, None] @ amplitude).abs().square().sum()
        log_likelihood = -n_mics * n_snapshots * torch.log(torch.pi * noise) - residual / noise
        exhaustive.append(log_likelihood)
    silent = x.abs().square().mean()
    nothing = -n_mics * n_snapshots * torch.log(torch.pi * silent) - n_mics * n_snapshots
    gain = likelihood_gain(explained_share(spatial_covariance(snapshots), waves))[0, 0]
    assert torch.allclose(n_mics * n_snapshots * gain, torch.stack(exhaustive) - nothing)


def test_silence_is_explained_by_nothing():
    _, waves = random_case(2)
    share = explained_share(torch.zeros(2, 3, 5, 5, dtype=torch.complex64), waves.to(torch.complex64))
    assert torch.equal(share, torch.zeros(2, 3, 9))
    assert torch.equal(likelihood_gain(share), torch.zeros(2, 3, 9))


def test_the_gain_stays_finite_where_everything_is_explained():
    assert 10 < likelihood_gain(torch.tensor(1.0)).item() < 20
