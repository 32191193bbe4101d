"""The mixture decoder: several directions to the distribution of each pair's delay."""

import math

import torch
from torch import Tensor

from doatrack.networks.physics_decoder import PhysicsDecoder

__all__ = ["mixture_log_prob", "source_log_probs"]


def source_log_probs(
    decoder: PhysicsDecoder, doa: Tensor, baselines: Tensor, lags: Tensor, blur: float = 1.0
) -> Tensor:
    """Return log p_ij(d | z_n) for each of several sources (equations 10 and 11).

    Parameters
    ----------
    decoder : PhysicsDecoder
    doa : Tensor of shape (..., n_sources, 3)
    baselines : Tensor of shape (n_pairs, 3)
        fs / c (r_j - r_i), in samples.
    lags : Tensor of shape (n_lags,)
        In samples.
    blur : float
        Factor on the decoder's width.

    Returns
    -------
    Tensor of shape (..., n_sources, n_pairs, n_lags)

    Examples
    --------
    >>> lags = torch.linspace(-6, 6, 25)
    >>> source_log_probs(PhysicsDecoder(), torch.eye(3)[:2], 3 * torch.eye(3), lags).shape
    torch.Size([2, 3, 25])
    """
    return decoder(doa, baselines, lags, blur)


def mixture_log_prob(log_probs: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return the mixture of the sources' delays, log sum_n w_n p_ij(d | z_n) (equation 27).

    Parameters
    ----------
    log_probs : Tensor of shape (..., n_sources, n_pairs, n_lags)
        From `source_log_probs`.
    log_weights : Tensor of shape (..., n_sources), optional
        ln w_n; None means equal weights.

    Returns
    -------
    Tensor of shape (..., n_pairs, n_lags)
        Sums to 1 over lags, as the sources' do.

    Examples
    --------
    >>> lags = torch.linspace(-6, 6, 25)
    >>> each = source_log_probs(PhysicsDecoder(0.5), torch.eye(3)[:2], 3 * torch.eye(3)[:1], lags)
    >>> mixture = mixture_log_prob(each)[0].exp()                # the pair hears one source at 3 samples, one at 0
    >>> round(float(mixture.detach().sum()), 4), lags[mixture.topk(2).indices].sort().values.tolist()
    (1.0, [0.0, 3.0])
    """
    if log_weights is None:
        return torch.logsumexp(log_probs, dim=-3) - math.log(log_probs.shape[-3])
    return torch.logsumexp(log_weights[..., None, None] + log_probs, dim=-3)
