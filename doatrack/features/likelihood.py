"""Deterministic maximum likelihood: how much of the power plane waves explain."""

import torch
from torch import Tensor

__all__ = ["beam_power", "explained_share", "likelihood_gain"]

_LEAST_NEW = 1e-3  # share of a wave that is not in the span of the others; below, it brings nothing but rounding
_LEAST_LEFT = 1e-6  # share of the power that always counts as noise: single precision knows no less


def beam_power(covariance: Tensor, steering: Tensor) -> Tensor:
    """Return the power of a delay-and-sum beam towards every direction, a^H R a / n_mics^2.

    Parameters
    ----------
    covariance : Tensor of shape (..., n_freq, n_mics, n_mics), complex
        Hermitian.
    steering : Tensor of shape (n_freq, n_directions, n_mics), complex
        Of magnitude 1.

    Returns
    -------
    Tensor of shape (..., n_freq, n_directions)
        The mean power of the microphones where one wave from there is all they hear.

    Notes
    -----
    The real part of the upper triangle is enough, so this is a real matrix product of all frames, per frequency:
    n_freq * n_directions * (n_frames + 1) * n_mics * (n_mics - 1) multiplications.

    Examples
    --------
    >>> wave = torch.tensor([[[1, 1j], [1, -1j]]])                # 1 frequency, 2 directions, 2 microphones
    >>> beam_power(3 * wave[:, 0, :, None] * wave[:, 0, None].conj(), wave)
    tensor([[3., 0.]])
    """
    n_mics = steering.shape[-1]
    first, second = torch.triu_indices(n_mics, n_mics, 1)
    products = torch.view_as_real(steering[..., first] * steering[..., second].conj()).flatten(-2)
    off = torch.view_as_real(covariance[..., first, second]).flatten(-2)
    cross = products @ off.reshape(-1, *off.shape[-2:]).permute(1, 2, 0)
    diagonal = torch.diagonal(covariance, dim1=-2, dim2=-1).real.sum(dim=-1)
    sums = cross.permute(2, 0, 1).reshape(*off.shape[:-1], -1)
    return (2 * sums + diagonal[..., None]) / n_mics**2


def explained_share(covariance: Tensor, steering: Tensor, others: Tensor | None = None) -> Tensor:
    """Return the share of the power that lies in the span of a wave from every direction, and of other waves.

    tr(P_A R) / tr(R), where A holds the waves of the other sources and, as the last column, the candidate's.

    Parameters
    ----------
    covariance : Tensor of shape (..., n_freq, n_mics, n_mics), complex
    steering : Tensor of shape (n_freq, n_directions, n_mics), complex
        Of magnitude 1.
    others : Tensor of shape (..., n_freq, n_mics, n_others), complex, optional
        Waves of sources that are there besides the candidate.

    Returns
    -------
    Tensor of shape (..., n_freq, n_directions)
        From 0 to 1; 0 in silence.

    Notes
    -----
    The projection on the span is updated by the part b = (I - P_others) a of the candidate that is new:
    tr(P_A R) = tr(P_others R) + b^H R b / b^H b.

    References
    ----------
    I. Ziskind and M. Wax, "Maximum likelihood localization of multiple sources by alternating projection", IEEE Trans.
    Acoust., Speech, Signal Process. 1988, equations 12-17.

    Examples
    --------
    >>> wave = torch.tensor([[[1, 1j], [1, -1j]]])
    >>> loud, soft = (wave[:, k, :, None] * wave[:, k, None].conj() for k in (0, 1))
    >>> explained_share(3 * loud + soft, wave)
    tensor([[0.7500, 0.2500]])
    """
    n_mics = steering.shape[-1]
    total = torch.diagonal(covariance, dim1=-2, dim2=-1).real.sum(dim=-1)[..., None]
    total = total.clamp_min(torch.finfo(total.dtype).tiny)
    if others is None:
        return (n_mics * beam_power(covariance, steering) / total).clamp(0, 1)
    basis = torch.linalg.qr(others).Q
    before = (basis.mH @ covariance @ basis).diagonal(dim1=-2, dim2=-1).real.sum(dim=-1)[..., None]
    rest = torch.eye(n_mics, dtype=basis.dtype) - basis @ basis.mH
    new = (n_mics * beam_power(rest, steering)).clamp_min(_LEAST_NEW)
    added = n_mics * beam_power(rest @ covariance @ rest, steering) / new
    return ((before + added) / total).clamp(0, 1)


def likelihood_gain(share: Tensor) -> Tensor:
    """Return how much more likely than noise alone the waves make the sound, in nats per snapshot and microphone.

    -log(1 - share): Gaussian noise of unknown power, the waves' amplitudes unknown too (deterministic), both put in
    at their most likely values.

    Parameters
    ----------
    share : Tensor of any shape
        Share of the power that the waves explain, 0 to 1.

    Examples
    --------
    >>> likelihood_gain(torch.tensor([0.0, 0.5, 0.9]))
    tensor([0.0000, 0.6931, 2.3026])
    """
    return torch.log(1 / (1 - share).clamp_min(_LEAST_LEFT))
