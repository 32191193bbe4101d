"""The physics decoder: from a direction to the distribution of each pair's delay."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PhysicsDecoder", "delay_target"]


def delay_target(gcc: Tensor, gamma: float) -> Tensor:
    """Return the input's own distribution over delays (equations 17 to 20).

    Parameters
    ----------
    gcc : Tensor of shape (..., n_lags)
    gamma : float
        Sharpness: 0 is uniform, large is the highest peak alone.

    Returns
    -------
    Tensor of shape (..., n_lags)
        Sums to 1. Constant correlations (silence) give the uniform distribution.

    Examples
    --------
    >>> delay_target(torch.tensor([0.0, 1.0, 0.0]), 2.0)
    tensor([0.0140, 0.9721, 0.0140])
    """
    centred = gcc - gcc.mean(dim=-1, keepdim=True)
    spread = centred.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-6)
    return torch.softmax(gamma * centred / spread, dim=-1)


class PhysicsDecoder(nn.Module):
    """Far-field delays of a direction, blurred by one trainable width (equations 9 to 11).

    It is the only teacher of the encoder, and nothing in it is learned but the width sigma.

    Parameters
    ----------
    sigma : float
        Initial standard deviation in samples.

    Examples
    --------
    >>> decoder = PhysicsDecoder(sigma=1.0)
    >>> lags = torch.linspace(-6, 6, 25)
    >>> log_p = decoder(torch.tensor([1.0, 0, 0]), torch.tensor([[3.0, 0, 0]]), lags)
    >>> float(lags[log_p[0].argmax()])
    3.0
    """

    def __init__(self, sigma: float = 1.0) -> None:
        super().__init__()
        self.raw_sigma = nn.Parameter(torch.tensor(math.log(math.expm1(sigma))))

    @property
    def sigma(self) -> Tensor:
        """The width in samples, positive through softplus."""
        return F.softplus(self.raw_sigma)

    def forward(self, doa: Tensor, baselines: Tensor, lags: Tensor, blur: float = 1.0) -> Tensor:
        """Return log p_ij(d | z).

        Parameters
        ----------
        doa : Tensor of shape (..., 3)
        baselines : Tensor of shape (n_pairs, 3)
            fs / c (r_j - r_i).
        lags : Tensor of shape (n_lags,)
        blur : float
            Factor on sigma, above 1 early in training.

        Returns
        -------
        Tensor of shape (..., n_pairs, n_lags)
        """
        return self.of_delays(doa @ baselines.T, lags, blur)

    def of_delays(self, delays: Tensor, lags: Tensor, blur: float = 1.0) -> Tensor:
        """Return log p (..., n_lags) for delays (...,) in samples (equations 10 and 11)."""
        logits = -(lags - delays[..., None]).square() / (2 * (blur * self.sigma).square())
        return torch.log_softmax(logits, dim=-1)
