import numpy as np
import torch

from doatrack.simulation.diffuse import diffuse_noise


def test_any_length_is_given_odd_ones_at_the_edge_of_a_band_too():
    """An odd number of samples needs the bins of an even transform that is one sample longer."""
    mics = torch.tensor([[0.0, 0, 0], [0.1, 0, 0]])
    for n_samples in (1, 2, 254, 255, 256, 257, 3583, 9983):
        noise = diffuse_noise(1, mics, n_samples, np.random.default_rng(0), 16000, 343.0)
        assert noise.shape == (1, 2, n_samples)
