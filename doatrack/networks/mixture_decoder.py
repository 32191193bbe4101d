"""The mixture decoder: several directions to the distribution of each pair's delay."""

import math

import torch
from torch import Tensor

__all__ = ["mixture_log_prob"]


def mixture_log_prob(log_probs: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return the mixture of the sources' delays, log sum_n w_n p_ij(d | z_n) (equation 27).

    Parameters
    ----------
    log_probs : Tensor of shape (..., n_sources, n_pairs, n_lags)
        From `PhysicsDecoder`, of directions (..., n_sources, 3).
    log_weights : Tensor of shape (..., n_sources), optional
        ln w_n; None means equal weights.

    Returns
    -------
    Tensor of shape (..., n_pairs, n_lags)
        Sums to 1 over lags, as the sources' do.

    Examples
    --------
    >>> lags = torch.linspace(-6, 6, 25)
    >>> from doatrack.networks import PhysicsDecoder
    >>> each = PhysicsDecoder(0.5)(torch.eye(3)[:2], 3 * torch.eye(3)[:1], lags)
    >>> mixture = mixture_log_prob(each)[0].exp()                # the pair hears one source at 3 samples, one at 0
    >>> round(float(mixture.detach().sum()), 4), lags[mixture.topk(2).indices].sort().values.tolist()
    (1.0, [0.0, 3.0])
    """
    if log_weights is None:
        return torch.logsumexp(log_probs, dim=-3) - math.log(log_probs.shape[-3])
    return torch.logsumexp(log_weights[..., None, None] + log_probs, dim=-3)
