"""Operations against hand counts, and the sizes of the paper's Table 6."""

import pytest
import torch
from torch import nn

from doatrack.experiments.operations import count_macs, count_parameters
from doatrack.networks import Cross3D, NeuralSRP


def test_layers_against_hand_counts():
    layers = [
        (nn.Linear(5, 3), torch.zeros(7, 5), 7 * 5 * 3),
        (nn.Conv1d(2, 4, 3), torch.zeros(1, 2, 10), 8 * 4 * 2 * 3),
        (nn.Conv3d(1, 2, (1, 3, 3), padding=(0, 1, 1)), torch.zeros(1, 1, 4, 5, 6), 120 * 2 * 9),
        (nn.Conv1d(4, 4, 3, groups=2, padding=1), torch.zeros(1, 4, 10), 10 * 4 * 2 * 3),
        (nn.GRU(3, 2, num_layers=2, batch_first=True), torch.zeros(1, 6, 3), 6 * 3 * (2 * 3 + 2 * 2 + 2 * 2 + 2 * 2)),
    ]
    for layer, given, expected in layers:
        assert count_macs(layer, lambda layer=layer, given=given: layer(given)) == expected


def test_a_layer_counts_as_often_as_it_is_called_and_hooks_are_removed():
    layer = nn.Linear(2, 2)
    assert count_macs(layer, lambda: layer(layer(torch.zeros(1, 2)))) == 8
    assert not layer._forward_hooks


def test_the_published_sizes():
    network = NeuralSRP(activity_head=True).eval()
    assert sum(v.numel() for v in network.state_dict().values()) == 924563
    assert count_parameters(network) == 924563 - 3 * (2 * 128 + 1)  # without the statistics of the batch norms
    assert count_parameters(network, ("fnn_activity",)) / 1e6 == pytest.approx(0.89, abs=0.005)
    macs = count_macs(network, lambda: network(torch.zeros(1, 100, 1, 64), torch.zeros(1, 6)))
    assert macs / 1e6 == pytest.approx(159, abs=2)  # one pair, 20 whole windows of 5 frames
    assert count_parameters(Cross3D(32, 64)) / 1e6 == pytest.approx(5.63, abs=0.005)
