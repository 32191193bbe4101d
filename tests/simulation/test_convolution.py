"""Convolution that stands still or moves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import convolve, convolve_moving


def slow_moving_convolution(sound, responses):
    """Sum every emitted sample through the two responses around it."""
    n_points, n_mics, n_taps = responses.shape
    out = np.zeros((n_mics, len(sound) + n_taps))
    for n, value in enumerate(sound):
        at = n * (n_points - 1) / (len(sound) - 1)
        low = min(int(at), n_points - 2)
        out[:, n : n + n_taps] += value * ((low + 1 - at) * responses[low] + (at - low) * responses[low + 1])
    return out[:, : len(sound)]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(10, 60), st.integers(1, 20), st.integers(0, 999))
def test_moving_convolution_is_a_cross_fade_at_the_source(n_points, n_samples, n_taps, seed):
    rng = np.random.default_rng(seed)
    sound, responses = rng.normal(size=n_samples), rng.normal(size=(n_points, 2, n_taps))
    got = convolve_moving(torch.tensor(sound), torch.tensor(responses)).numpy()
    np.testing.assert_allclose(got, slow_moving_convolution(sound, responses), atol=1e-9)


def test_equal_responses_are_a_plain_convolution():
    rng = np.random.default_rng(0)
    sound, response = torch.tensor(rng.normal(size=1000)), torch.tensor(rng.normal(size=(2, 50)))
    got = convolve_moving(sound, response.expand(7, 2, 50))
    torch.testing.assert_close(got, convolve(sound, response))
    torch.testing.assert_close(got[0], torch.tensor(np.convolve(sound, response[0])[:1000]))
    torch.testing.assert_close(convolve_moving(sound, response[None]), convolve(sound, response))


def test_more_points_than_samples_are_refused():
    with pytest.raises(InvalidInputError, match="got 5 for 3 samples"):
        convolve_moving(torch.ones(3), torch.ones(5, 1, 2))
