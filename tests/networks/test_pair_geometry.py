"""What networks are told of an array agrees with the geometry package."""

import dataclasses

import numpy as np
import torch

from doatrack.features import srp_map
from doatrack.geometry import tdoa_far_field


def test_delays_are_the_far_field_delays_in_samples(geometry, extractor):
    expected = tdoa_far_field(extractor.array, geometry.directions.double().numpy(), 343.0).T * 16000
    assert np.allclose(geometry.delays.numpy(), expected, atol=1e-4)


def test_baselines_give_the_same_delays(geometry):
    assert torch.allclose(geometry.baselines @ geometry.directions.T, geometry.delays, atol=1e-4)


def test_positions_are_relative_to_the_centre_and_belong_to_the_pairs(geometry, extractor):
    place = extractor.array.positions - extractor.array.positions.mean(axis=0)
    for row, (i, j) in zip(geometry.positions.numpy(), extractor.mic_pairs, strict=True):
        assert np.allclose(row, np.concatenate([place[i], place[j]]), atol=1e-6)


def test_select_takes_the_rows_of_those_pairs_and_leaves_the_rest(geometry):
    chosen = torch.tensor([4, 1])
    part = geometry.select(chosen)
    for name in ("delays", "baselines", "positions"):
        assert torch.equal(getattr(part, name), getattr(geometry, name)[[4, 1]])
    assert torch.equal(part.lags, geometry.lags)
    assert torch.equal(part.directions, geometry.directions)


def test_the_steering_of_selected_pairs_is_the_mean_over_them(geometry, generator):
    gcc = torch.rand(3, 6, len(geometry.lags), generator=generator)
    alone = [srp_map(gcc[:, [k]], geometry.select(torch.tensor([k])).steering()) for k in (0, 3)]
    both = srp_map(gcc[:, [0, 3]], geometry.select(torch.tensor([0, 3])).steering())
    assert torch.allclose(both, (alone[0] + alone[1]) / 2, atol=1e-5)


def test_moving_to_a_device_keeps_everything(geometry):
    moved = geometry.to("cpu")
    for field in dataclasses.fields(geometry):
        kept, was = getattr(moved, field.name), getattr(geometry, field.name)
        assert torch.equal(kept, was) if isinstance(was, torch.Tensor) else kept == was
