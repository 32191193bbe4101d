"""The block in use gives what the block in training order gives."""

import pytest
import torch
from torch import nn

from doatrack.networks.folded_block import can_be_folded, folded_block


def modules(pool=(5, 2), bias=True):
    generator = torch.Generator().manual_seed(0)
    convolution, norm, activation = nn.Conv2d(3, 6, 3, padding=1, bias=bias), nn.BatchNorm2d(6), nn.PReLU()
    with torch.no_grad():
        norm.weight.copy_(torch.randn(6, generator=generator))  # of both signs
        norm.bias.copy_(torch.randn(6, generator=generator))
        norm.running_mean.copy_(torch.randn(6, generator=generator))
        norm.running_var.copy_(torch.rand(6, generator=generator) + 0.5)
    return convolution, norm.eval(), activation, nn.MaxPool2d(pool)


@pytest.mark.parametrize("n_rows", [1, 8, 19])
@pytest.mark.parametrize("pool", [(5, 2), (1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_order_of_operations_does_not_matter(n_rows, pool, bias):
    convolution, norm, activation, pooling = modules(pool, bias)
    x, shift = torch.randn(n_rows, 3, 10, 8), torch.randn(n_rows, 6)
    expected = pooling(activation(norm(convolution(x) + shift[..., None, None])))
    found = folded_block(x, convolution, norm, activation, pooling, shift)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_no_folding_in_training_or_where_the_activation_falls():
    _, norm, activation, _ = modules()
    assert can_be_folded(norm, activation)
    assert not can_be_folded(norm.train(), activation)
    with torch.no_grad():
        activation.weight.fill_(-0.1)
    assert not can_be_folded(norm.eval(), activation)


def test_gradients_pass():
    convolution, norm, activation, pooling = modules()
    folded_block(torch.randn(2, 3, 10, 8), convolution, norm, activation, pooling).square().sum().backward()
    assert convolution.weight.grad.abs().sum() > 0
    assert activation.weight.grad.abs().sum() > 0
