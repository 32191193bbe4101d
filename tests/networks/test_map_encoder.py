"""The small encoder starts as SRP-PHAT and looks only into a bounded past."""

import dataclasses

import numpy as np
import pytest
import torch

from doatrack.estimators._inference import MAP_TEMPERATURE, MapHead
from doatrack.features import srp_map
from doatrack.geometry import DirectionGrid
from doatrack.networks import MapEncoder, PairGeometry, PhysicsDecoder


def correlations(geometry, n_frames, generator, n_recordings=1):
    shape = (n_recordings, n_frames, 6, len(geometry.lags))
    return 0.3 * torch.randn(shape, generator=generator)


@pytest.fixture
def trained(seeded, generator):
    """An encoder whose correction is far from zero."""
    encoder = MapEncoder(width=8)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return encoder.eval()


@pytest.mark.parametrize("width", [4, 16])
def test_untrained_it_ranks_directions_as_srp_phat(geometry, generator, seeded, width):
    gcc = correlations(geometry, 9, generator, 2)
    posterior = MapEncoder(width)(gcc, geometry)
    power = srp_map(gcc, geometry.steering())
    assert torch.equal(posterior.logits.argmax(dim=-1), power.argmax(dim=-1))
    # log probabilities are the power, scaled by one positive factor, up to a constant per frame
    logits = posterior.logits - posterior.logits.mean(dim=-1, keepdim=True)
    centred = power - power.mean(dim=-1, keepdim=True)
    factor = (logits * centred).sum() / centred.square().sum()
    assert factor > 1
    assert torch.allclose(logits, factor * centred, atol=1e-3)


def test_the_future_changes_nothing_before(geometry, generator, trained):
    gcc = correlations(geometry, 30, generator)
    other = gcc.clone()
    other[:, 17:] = correlations(geometry, 13, generator)
    with torch.no_grad():
        a, b = trained(gcc, geometry).logits[0], trained(other, geometry).logits[0]
    assert torch.equal(a[:17], b[:17])
    assert ((a[17:] - b[17:]).abs().amax(dim=-1) > 1e-3).all()


def test_a_frame_depends_on_exactly_as_many_earlier_frames_as_it_says(geometry, generator, trained):
    context = trained.context
    assert context == 9
    gcc = correlations(geometry, 25, generator)
    other = gcc.clone()
    other[:, 5] += 1.0
    with torch.no_grad():
        change = (trained(gcc, geometry).logits - trained(other, geometry).logits)[0].abs().amax(dim=-1)
    assert change[5 + context] > 1e-4
    assert (change[5 + context + 1 :] < 1e-5).all()
    assert (change[:5] == 0).all()


@pytest.mark.parametrize("n_layers", [1, 2])
def test_context_follows_the_number_of_layers(geometry, generator, seeded, n_layers):
    encoder = MapEncoder(width=4, n_layers=n_layers)
    torch.nn.init.normal_(encoder.correction.weight, generator=generator)
    gcc = correlations(geometry, 16, generator).requires_grad_()
    encoder(gcc, geometry).logits[0, 15, 0].backward()
    reached = gcc.grad[0].abs().amax(dim=(1, 2)).nonzero()[:, 0]
    assert 15 - int(reached.min()) == encoder.context == 3 * n_layers


@pytest.mark.parametrize("sizes", [[1] * 150, [2, 148], [63, 87], [100, 50]])
def test_blocks_give_the_answer_of_the_whole(geometry, generator, trained, sizes):
    gcc = correlations(geometry, 150, generator)
    with torch.no_grad():
        whole = trained(gcc, geometry)
        head = MapHead(trained, PhysicsDecoder(), geometry, geometry.fine_steering())
        frames = [part for rows in gcc[0].split(sizes) for part in head.push(rows, np.ones(len(rows), dtype=bool))]
    doa, concentration = (np.concatenate([getattr(f, name) for f in frames]) for name in ("doa", "concentration"))
    assert np.allclose(doa, whole.mean_direction[0].numpy(), atol=1e-4)
    claimed = whole.tempered(MAP_TEMPERATURE).concentration[0]
    assert np.allclose(concentration, claimed.numpy(), rtol=1e-3)


def test_neither_length_nor_neighbours_matter(geometry, generator, trained):
    gcc = correlations(geometry, 20, generator, 3)
    with torch.no_grad():
        together = trained(gcc, geometry).logits
        alone = trained(gcc[1:2, :12], geometry).logits
    assert torch.allclose(together[1, :12], alone[0], atol=1e-4)


def test_order_of_pairs_changes_nothing(geometry, generator, trained):
    gcc = correlations(geometry, 12, generator)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        a = trained(gcc, geometry).logits
        b = trained(gcc[:, :, order], geometry.select(order)).logits
    assert torch.allclose(a, b, atol=1e-4)


def test_it_knows_neither_positions_nor_directions(extractor, geometry, generator, trained):
    """The correction of correlations is the same whatever the array: that is why it can be moved."""
    gcc = correlations(geometry, 12, generator)
    moved = dataclasses.replace(geometry, positions=geometry.positions + 1, delays=0 * geometry.delays)
    finer = PairGeometry.of(extractor, DirectionGrid.quasi_uniform(500))
    with torch.no_grad():
        same = [trained.correction_of(gcc, g.lags) for g in (geometry, moved)]
        assert torch.equal(*same)
        assert trained(gcc, finer).logits.shape == (1, 12, 500)


# Adding one number to all correlations adds one number to the map, which a softmax does not see.
WITHOUT_EFFECT = {"correction.bias"}  # it does not learn


def test_every_parameter_learns_from_the_second_step_on(geometry, generator, seeded):
    encoder = MapEncoder(width=8)
    gcc = correlations(geometry, 15, generator, 2)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        encoder(gcc, geometry).logits[..., 7].sum().neg().backward()
        gradients = {n: float(p.grad.abs().max()) for n, p in encoder.named_parameters() if p.requires_grad}
        optimizer.step()
    assert {name for name, p in encoder.named_parameters() if not p.requires_grad} == WITHOUT_EFFECT
    assert all(size > 1e-3 for size in gradients.values()), gradients
