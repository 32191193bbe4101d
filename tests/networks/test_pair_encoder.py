"""The paper's encoder: its size, and what its answer may and may not depend on."""

import dataclasses

import pytest
import torch

from doatrack import MicArray
from doatrack.distributions import VonMisesFisher
from doatrack.features import FrameSettings, GCCExtractor
from doatrack.geometry import DirectionGrid
from doatrack.networks import PairEncoder, PairGeometry, fill_pooling_windows
from doatrack.training import to_time_axis


@pytest.fixture
def encoder(seeded):
    """Weights three times as large as at the start, so that what matters shows."""
    encoder = PairEncoder(n_lags=16, width=8, recurrent_width=8).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(3)
    return encoder


@pytest.fixture
def gcc(generator):
    return 0.3 * torch.randn(2, 20, 6, 16, generator=generator)


def answer(encoder, gcc, geometry):
    with torch.no_grad():
        posterior = encoder(gcc, geometry)
    return posterior.mean_direction * (1 + posterior.concentration[..., None])


def test_the_paper_size_has_089_million_parameters(seeded):
    encoder = PairEncoder()
    assert 0.885e6 <= sum(p.numel() for p in encoder.parameters()) < 0.895e6
    assert encoder.time_pooling == 5
    extractor = GCCExtractor(MicArray([[0.1, 0, 0], [0, 0, 0]]), FrameSettings(), n_lags=64)
    geometry = PairGeometry.of(extractor, DirectionGrid.quasi_uniform(50))
    assert encoder(torch.zeros(1, 103, 1, 64), geometry).batch_shape == (1, 21)


def test_it_returns_a_von_mises_fisher_per_pooled_frame(encoder, gcc, paper_geometry):
    posterior = encoder(gcc, paper_geometry)
    assert isinstance(posterior, VonMisesFisher)
    assert posterior.batch_shape == (2, 4)
    assert torch.allclose(posterior.mean_direction.norm(dim=-1), torch.ones(2, 4), atol=1e-5)
    assert (posterior.concentration > 0).all()


def test_order_of_pairs_changes_nothing(encoder, gcc, paper_geometry):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = answer(encoder, gcc[:, :, order], paper_geometry.select(order))
    assert torch.allclose(answer(encoder, gcc, paper_geometry), turned, atol=1e-4)


def test_positions_must_stay_with_their_pairs(encoder, gcc, paper_geometry):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    swapped = answer(encoder, gcc[:, :, order], paper_geometry)
    assert (answer(encoder, gcc, paper_geometry) - swapped).abs().max() > 1e-3


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_metadata_of_every_block_has_an_effect(encoder, gcc, paper_geometry, layer):
    before = answer(encoder, gcc, paper_geometry)
    with torch.no_grad():
        encoder.blocks[layer].metadata.weight.zero_()
        encoder.blocks[layer].metadata.bias.zero_()
    assert (answer(encoder, gcc, paper_geometry) - before).abs().max() > 1e-4


def test_other_positions_give_another_answer(encoder, gcc, paper_geometry):
    moved = dataclasses.replace(paper_geometry, positions=1.5 * paper_geometry.positions)
    assert (answer(encoder, gcc, moved) - answer(encoder, gcc, paper_geometry)).abs().max() > 1e-4


def test_grid_and_lags_of_the_geometry_do_not_matter(encoder, gcc, paper_geometry):
    """It sees positions and correlations only: the search grid is the other encoder's."""
    other = dataclasses.replace(paper_geometry, directions=paper_geometry.directions[:5], lags=2 * paper_geometry.lags)
    assert torch.equal(answer(encoder, gcc, other), answer(encoder, gcc, paper_geometry))


@pytest.mark.parametrize("n_frames", [1, 4, 5, 6, 11])
def test_the_last_pooling_window_is_filled_with_the_last_frame(encoder, gcc, paper_geometry, n_frames):
    short = gcc[:, :n_frames]
    missing = -n_frames % 5
    filled = torch.cat([short, short[:, -1:].expand(-1, missing, -1, -1)], dim=1)
    assert answer(encoder, short, paper_geometry).shape == (2, -(-n_frames // 5), 3)
    assert torch.equal(answer(encoder, short, paper_geometry), answer(encoder, filled, paper_geometry))


def test_recordings_of_a_batch_do_not_mix_at_inference(encoder, gcc, paper_geometry):
    together = answer(encoder, gcc, paper_geometry)
    alone = torch.cat([answer(encoder, one[None], paper_geometry) for one in gcc])
    assert torch.allclose(together, alone, atol=1e-4)


def test_whole_windows_before_a_change_stay(encoder, gcc, paper_geometry):
    """Convolutions look one (pooled) frame ahead in each of three blocks, and no further."""
    other = gcc.clone()
    other[:, 19] += 1.0
    change = (answer(encoder, gcc, paper_geometry) - answer(encoder, other, paper_geometry)).abs().amax(dim=(0, 2))
    assert change[3] > 1e-4
    assert change[0] == 0


def test_every_parameter_gets_a_gradient(encoder, gcc, paper_geometry, generator):
    encoder.train()
    posterior = encoder(gcc, paper_geometry)
    weight = torch.randn(2, 4, 3, generator=generator)
    ((posterior.mean_direction * weight).sum() + posterior.concentration.square().sum()).backward()
    small = {name for name, p in encoder.named_parameters() if p.grad.abs().max() < 1e-4}
    # batch norm takes the mean away, and with it whatever is constant over the batch
    assert small == {f"blocks.{k}.{part}.bias" for k in range(3) for part in ("convolution", "metadata")}


def test_targets_of_a_crop_stay_under_their_pooled_frames():
    """103 frames are 21 windows of 5, the last one filled up: frame 5 k + 2 is the middle of window k."""
    frames = torch.arange(103.0)[None]
    pooled = to_time_axis(fill_pooling_windows(frames, 5), 21)[0]
    assert torch.allclose(pooled[:20], torch.arange(20.0) * 5 + 2, atol=1e-4)
    assert fill_pooling_windows(frames, 5)[0, 100:].tolist() == [100.0, 101.0, 102.0, 102.0, 102.0]
