"""The echo is its recursion, in one part or many, and never looks ahead."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features.reverberation import Echo


def powers(n_snapshots: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, n_snapshots, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 150), st.integers(1, 20), st.floats(0.05, 0.97))
def test_it_is_the_recursion(n_snapshots, delay, decay):
    power = powers(n_snapshots, n_snapshots)
    expected, state = np.zeros((3, n_snapshots)), np.zeros(3)
    for k in range(n_snapshots):
        new = power[:, k - delay].numpy() if k >= delay else 0.0
        state = decay * state + (1 - decay) * new
        expected[:, k] = state
    found, _ = Echo.silence(power, delay, decay).then(power)
    np.testing.assert_allclose(found.numpy(), expected, atol=3e-6)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 9))
def test_parts_give_what_the_whole_gives(sizes, delay):
    power = powers(sum(sizes))
    whole, _ = Echo.silence(power, delay, 0.8).then(power)
    echo, parts = Echo.silence(power, delay, 0.8), []
    for part in power.split(sizes, dim=1):
        expected, echo = echo.then(part)
        parts.append(expected)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-6)


@pytest.mark.parametrize("keep", [0, 1, 7, 10])
def test_snapshots_can_be_given_again(keep):
    """The echo before a snapshot goes on with that snapshot."""
    power = powers(30)
    whole, _ = Echo.silence(power, 2, 0.8).then(power)
    _, echo = Echo.silence(power, 2, 0.8).then(power[:, :10], keep)
    again, _ = echo.then(power[:, keep:])
    assert torch.allclose(again, whole[:, keep:], atol=1e-6)


def test_it_never_looks_ahead():
    power = powers(40)
    later = power.clone()
    later[:, 20:] = 100.0
    one, two = (Echo.silence(values, 3, 0.8).then(values)[0] for values in (power, later))
    assert torch.allclose(one[:, :23], two[:, :23], atol=1e-6)
    assert not torch.allclose(one[:, 23], two[:, 23], atol=1.0)


def test_a_steady_sound_expects_itself():
    power = torch.full((1, 400), 2.0)
    found, _ = Echo.silence(power, 2, math.exp(-0.2)).then(power)
    assert found[0, -1].item() == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize(("dtype", "device"), [(torch.float64, "cpu"), (torch.float32, "meta")])
def test_it_stays_with_its_powers(dtype, device):
    power = powers(30).to(dtype).to(device)
    expected, after = Echo.silence(power, 2, 0.8).then(power, 7)
    for values in (expected, after.level, after.waiting):
        assert values.dtype == dtype
        assert values.device.type == device
