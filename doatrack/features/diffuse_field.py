"""Sound that comes from everywhere at once: what microphones have in common of it."""

import torch
from torch import Tensor

__all__ = ["diffuse_coherence"]


def diffuse_coherence(distance_s: Tensor, frequency_hz: Tensor) -> Tensor:
    """Return the coherence of microphones in a diffuse field, sin(x) / x of x = 2 pi f d / c.

    Parameters
    ----------
    distance_s : Tensor of shape (n_mics, n_mics)
        How long sound takes from one microphone to the other.
    frequency_hz : Tensor of shape (n_freq,)

    Returns
    -------
    Tensor of shape (n_freq, n_mics, n_mics)
        From 1 (together, or at low frequencies) to about 0.

    References
    ----------
    R. K. Cook et al., "Measurement of correlation coefficients in reverberant sound fields", JASA 1955.

    Examples
    --------
    >>> apart = torch.tensor([[0.0, 0.5e-3], [0.5e-3, 0.0]])
    >>> diffuse_coherence(apart, torch.tensor([0.0, 500.0, 1500.0]))[:, 0, 1].round(decimals=2)
    tensor([ 1.0000,  0.6400, -0.2100])
    """
    return torch.special.sinc(2 * frequency_hz[:, None, None] * distance_s)
