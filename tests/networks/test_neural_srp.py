"""Neural-SRP: the published size and names, and what its answer may and may not depend on."""

import pytest
import torch

from doatrack.networks import NEURAL_SRP_LAGS, NeuralSRP

PUBLISHED_VALUES = 924_563


def n_values(network):
    return sum(tensor.numel() for tensor in network.state_dict().values())


@pytest.fixture
def network(seeded):
    return NeuralSRP(width=8).eval()


@pytest.fixture
def gcc(generator):
    return torch.rand(2, 20, 6, 64, generator=generator)


@pytest.fixture
def positions(generator):
    return 5 * torch.randn(6, 6, generator=generator)


def answer(network, gcc, positions):
    with torch.no_grad():
        return network(gcc, positions)


def test_size_and_lags_are_the_published_ones(seeded):
    assert n_values(NeuralSRP(activity_head=True)) == PUBLISHED_VALUES
    assert sum(p.numel() for p in NeuralSRP().parameters()) == 890_508
    assert NEURAL_SRP_LAGS.tolist() == list(range(-32, 32))


def test_names_and_shapes_of_a_published_checkpoint(seeded):
    shapes = {name: tuple(tensor.shape) for name, tensor in NeuralSRP(activity_head=True).state_dict().items()}
    block = {"conv.weight", "conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}
    block |= {"bn.num_batches_tracked", "activation.weight"}
    recurrent = {f"gru.{part}_{side}_l{k}" for part in ("weight", "bias") for side in ("ih", "hh") for k in (0, 1)}
    linear = {"fnn_pairwise": (0, 1), "fnn_doa": (0, 1), "fnn_activity": (0, 1, 2)}
    expected = {f"conv_block_list.{k}.{part}" for k in range(3) for part in block} | recurrent
    expected |= {f"{n}.blocks.{k}.0.{part}" for n, ks in linear.items() for k in ks for part in ("weight", "bias")}
    expected |= {f"fnn_pairwise.blocks.{k}.1.weight" for k in (0, 1)} | {"fnn_doa.blocks.0.1.weight"}
    expected |= {f"fnn_activity.blocks.{k}.1.weight" for k in (0, 1)}
    assert set(shapes) == expected
    assert shapes["conv_block_list.0.conv.weight"] == (128, 1, 3, 3)
    assert shapes["conv_block_list.2.activation.weight"] == (1,)
    assert shapes["gru.weight_ih_l0"] == (384, 1024)
    assert shapes["fnn_pairwise.blocks.0.0.weight"] == (128, 134)
    assert shapes["fnn_doa.blocks.1.0.weight"] == (6, 128)
    assert shapes["fnn_activity.blocks.2.0.weight"] == (2, 128)


@pytest.mark.parametrize(("n_frames", "n_pooled"), [(1, 1), (5, 1), (6, 2), (20, 4)])
def test_five_frames_become_one_and_the_last_window_is_filled_with_the_last_frame(
    network, gcc, positions, n_frames, n_pooled
):
    short = gcc[:, :n_frames]
    filled = torch.cat([short, short[:, -1:].expand(-1, -n_frames % 5, -1, -1)], dim=1)
    assert answer(network, short, positions).shape == (2, n_pooled, 3)
    assert torch.equal(answer(network, short, positions), answer(network, filled, positions))


def test_written_out_layer_by_layer(network, gcc, positions, generator):
    """The whole network as the paper describes it, with plain functions, one pair after another."""
    with torch.no_grad():
        for k, block in enumerate(network.conv_block_list):
            block.activation.weight.fill_(-0.3 if k == 1 else 0.2)
            block.bn.running_mean.normal_(generator=generator)
            block.bn.running_var.uniform_(0.5, 2.0, generator=generator)
    functional, total = torch.nn.functional, 0.0
    with torch.no_grad():
        for pair in range(6):
            x = gcc[:1, :, pair][:, None]
            for block, pool in zip(network.conv_block_list, ((5, 2), (1, 2), (1, 2)), strict=True):
                x = functional.conv2d(x, block.conv.weight, block.conv.bias, padding=1)
                bn = block.bn
                x = functional.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)
                slope = float(block.activation.weight)
                x = functional.max_pool2d(torch.where(x > 0, x, slope * x), pool)
            frames = [x[0, :, t, :].reshape(-1) for t in range(x.shape[2])]  # channel-major
            hidden = torch.tanh(network.gru(torch.stack(frames)[None])[0][0])
            joined = torch.cat([hidden, positions[pair].expand(len(hidden), -1)], dim=1)
            total = total + network.fnn_pairwise(joined)
        both = torch.tanh(network.fnn_doa(total)).view(-1, 3, 2)
    assert torch.allclose(answer(network, gcc[:1], positions)[0], both[..., 0], atol=1e-5)


def test_pairs_may_be_summed_in_any_order_and_in_parts(network, gcc, positions):
    whole = answer(network, gcc, positions)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(answer(network, gcc[:, :, order], positions[order]), whole, atol=1e-5)
    with torch.no_grad():
        parts = [network.summed(g, p) for g, p in zip(gcc.split(4, dim=2), positions.split(4), strict=True)]
        assert torch.allclose(network.directions(sum(parts)), whole, atol=1e-5)


def test_positions_belong_to_their_pairs_and_their_order_counts(network, gcc, positions):
    before = answer(network, gcc, positions)
    swapped = torch.cat([positions[:, 3:], positions[:, :3]], dim=1)
    for other in (positions.roll(1, dims=0), swapped, 1.5 * positions):
        assert (answer(network, gcc, other) - before).abs().max() > 1e-5


def test_recordings_of_a_batch_do_not_mix_at_inference(network, gcc, positions):
    alone = torch.cat([answer(network, one[None], positions) for one in gcc])
    assert torch.allclose(answer(network, gcc, positions), alone, atol=1e-5)


def test_components_stay_between_minus_one_and_one(network, gcc, positions):
    assert (answer(network, 1e3 * gcc, 1e3 * positions).abs() <= 1).all()


def test_a_falling_slope_is_followed_before_the_pooling(network, gcc, positions):
    """With a negative slope the order of pooling and PReLU matters; with others it does not."""
    block = network.conv_block_list[0]
    x = torch.randn(2, 1, 10, 16, generator=torch.Generator().manual_seed(0))
    for slope in (-0.5, 0.0, 0.3):
        with torch.no_grad():
            block.activation.weight.fill_(slope)
            normed = block.bn(block.conv(x))
            torch.testing.assert_close(block(x), block.pool(block.activation(normed)), atol=1e-5, rtol=1e-5)


def test_every_parameter_gets_a_gradient(network, gcc, positions, generator):
    network.train()
    (network(gcc, positions) * torch.randn(2, 4, 3, generator=generator)).sum().backward()
    small = {name for name, p in network.named_parameters() if p.grad.abs().max() < 1e-7}
    # batch norm takes the mean away
    assert small <= {f"conv_block_list.{k}.conv.bias" for k in range(3)}
    unused = network.fnn_doa.blocks[1][0].weight.grad[1::2]
    assert (unused == 0).all(), "the second source's outputs are not used"


def test_a_state_dict_goes_round(network, gcc, positions):
    other = NeuralSRP(width=8).eval()
    assert not torch.equal(answer(other, gcc, positions), answer(network, gcc, positions))
    other.load_state_dict(network.state_dict())
    assert torch.equal(answer(other, gcc, positions), answer(network, gcc, positions))


def test_a_long_recording_goes_in_parts_without_seams(network, positions, generator, monkeypatch):
    long = torch.rand(1, 118, 6, 64, generator=generator)
    whole = answer(network, long, positions)
    for windows in (1, 5, 7, 23, 24):
        monkeypatch.setattr("doatrack.networks.neural_srp._WINDOWS_AT_ONCE", windows)
        assert torch.allclose(answer(network, long, positions), whole, atol=1e-5)
