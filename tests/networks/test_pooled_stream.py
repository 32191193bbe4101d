"""Networks that pool time give the same in parts, and depend on what they say they depend on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.estimators._unpooling import Unpooling
from doatrack.networks import Cross3D, NeuralSRP
from doatrack.networks.memory import Memory
from doatrack.networks.pooled_stream import pooled_look_ahead

POSITIONS = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = NeuralSRP(8)
    network(torch.rand(2, 20, 3, 64), POSITIONS)  # some statistics for the norms
    with torch.no_grad():
        network.conv_block_list[1].activation.weight.fill_(-0.1)  # one that falls
    return network.eval()


@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_parts_give_the_whole(network, sizes):
    gcc = torch.rand(sum(sizes), 3, 64, generator=torch.Generator().manual_seed(1))
    stream = network.streamed()
    with torch.no_grad():
        parts = [stream.push(part) for part in gcc.split(sizes)] + [stream.push(gcc[:0], last=True)]
        found = network.summed_states(torch.cat(parts, dim=1)[None], POSITIONS)
        if len(gcc) == 0:
            assert found.shape[1] == 0
            return
        whole = network.summed(gcc[None], POSITIONS)
    assert found.shape == whole.shape
    assert torch.allclose(found, whole, atol=1e-5)


def test_a_pooled_answer_depends_on_as_many_later_frames_as_is_said(network):
    """Brought back to the frames, frame f changes with frame f + look-ahead at the farthest, and some do with it."""
    gcc = torch.rand(60, 3, 64, generator=torch.Generator().manual_seed(1))

    def answers(values):
        with torch.no_grad():
            pooled = network(values[None], POSITIONS)[0].double().numpy()
        unpooling = Unpooling(5)
        doa = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        parts = [unpooling.push(doa, [pooled], 60)[0], unpooling.finish(60)[0]]
        return np.concatenate(parts)

    before, reach = answers(gcc), []
    for changed in range(30, 36):
        other = gcc.clone()
        other[changed] = 2.0
        moved = np.abs(answers(other) - before).max(axis=1) > 1e-9
        reach.append(changed - int(moved.argmax()))
    assert max(reach) == network.look_ahead == pooled_look_ahead(5, 3) == 17


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_cross3d_in_parts(sizes):
    torch.manual_seed(0)
    network, memory = Cross3D(4, 8, width=4, hidden_width=8).eval(), Memory()
    maps, activity = torch.rand(1, sum(sizes), 4, 8), torch.ones(1, sum(sizes))
    with torch.no_grad():
        whole = network(maps, activity)
        parts = [network(m, a, memory) for m, a in zip(maps.split(sizes, 1), activity.split(sizes, 1), strict=True)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
