"""Steered response power: from correlations of pairs to a map over directions."""

import torch
from torch import Tensor

from doatrack.features.constant_product import ConstantProduct

__all__ = ["srp_map", "steered_correlation", "steering_matrix"]


def steering_matrix(tdoa_samples: Tensor, lags: Tensor) -> Tensor:
    """Return the matrix that sums each pair's correlation at the delays of each direction.

    Parameters
    ----------
    tdoa_samples : Tensor of shape (n_pairs, n_directions)
        Delays in samples (equation 9).
    lags : Tensor of shape (n_lags,)
        Equally spaced, in samples; linear interpolation between them.

    Returns
    -------
    Tensor of shape (n_pairs * n_lags, n_directions)
        Columns sum to 1: the map is the mean over pairs.

    Examples
    --------
    >>> steering_matrix(torch.tensor([[0.25]]), torch.tensor([-1.0, 0.0, 1.0])).T
    tensor([[0.0000, 0.7500, 0.2500]])
    """
    n_pairs, n_directions = tdoa_samples.shape
    position = (tdoa_samples - lags[0]) / (lags[1] - lags[0])
    low = position.floor().long().clamp(0, len(lags) - 2)
    share = (position - low).clamp(0, 1).to(torch.float32)
    matrix = torch.zeros(n_pairs, len(lags), n_directions)
    matrix.scatter_(1, low[:, None], (1 - share)[:, None])
    matrix.scatter_(1, low[:, None] + 1, share[:, None])
    return matrix.flatten(0, 1) / n_pairs


def srp_map(gcc: Tensor, steering: Tensor | ConstantProduct) -> Tensor:
    """Return the steered response power map, the mean over pairs, as one matrix product.

    Parameters
    ----------
    gcc : Tensor of shape (..., n_pairs, n_lags)
    steering : Tensor of shape (n_pairs * n_lags, n_directions), or the ConstantProduct of it

    Returns
    -------
    Tensor of shape (..., n_directions)
        1 where all pairs agree perfectly.

    References
    ----------
    J. DiBiase, PhD thesis, Brown University 2000; E. Grinstein et al., "Steered response power for sound source
    localization: a tutorial review", EURASIP JASM 2024, section II.

    Examples
    --------
    >>> steering = steering_matrix(torch.tensor([[0.0, 1.0]]), torch.tensor([-1.0, 0.0, 1.0]))
    >>> srp_map(torch.tensor([[0.0, 0.2, 0.9]]), steering)
    tensor([0.2000, 0.9000])
    """
    flat = gcc.flatten(-2)
    return steering(flat) if isinstance(steering, ConstantProduct) else flat @ steering


def steered_correlation(gcc: Tensor, lags: Tensor, tdoa_samples: Tensor) -> Tensor:
    """Return the steered response power of one direction per frame, the mean over pairs.

    Parameters
    ----------
    gcc : Tensor of shape (n_frames, n_pairs, n_lags)
    lags : Tensor of shape (n_lags,)
        Equally spaced, in samples; linear interpolation between them.
    tdoa_samples : Tensor of shape (n_frames, n_pairs)
        Delays in samples of each frame's direction.

    Returns
    -------
    Tensor of shape (n_frames,)

    Examples
    --------
    >>> gcc = torch.tensor([[[0.0, 0.2, 0.9]], [[0.0, 0.4, 0.0]]])
    >>> steered_correlation(gcc, torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([[1.0], [0.5]]))
    tensor([0.9000, 0.2000])
    """
    position = (tdoa_samples - lags[0]) / (lags[1] - lags[0])
    low = position.floor().long().clamp(0, len(lags) - 2)
    share = (position - low).clamp(0, 1).to(gcc.dtype)[..., None]
    below, above = (gcc.gather(-1, index[..., None]) for index in (low, low + 1))
    return ((1 - share) * below + share * above).mean(dim=(-2, -1))


def steered_map(correlations: Tensor, steering: Tensor | ConstantProduct) -> Tensor:
    """Return the map of correlations that may come with what their steered sum is divided by.

    Parameters
    ----------
    correlations : Tensor of shape (..., n_pairs, n_columns)
        One column per lag (`srp_map`), or two, numerators before denominators, as `WeightedGCC` gives them.
    steering : Tensor of shape (n_pairs * n_lags, n_directions), or the ConstantProduct of it

    Returns
    -------
    Tensor of shape (..., n_directions)

    Examples
    --------
    >>> steering = steering_matrix(torch.tensor([[0.0, 1.0]]), torch.tensor([-1.0, 0.0, 1.0]))
    >>> steered_map(torch.tensor([[0.0, 0.2, 0.9, 1.0, 0.5, 1.0]]), steering)
    tensor([0.4000, 0.9000])
    """
    n_rows = steering.n_in if isinstance(steering, ConstantProduct) else len(steering)
    n_lags = n_rows // correlations.shape[-2]
    if correlations.shape[-1] == n_lags:
        return srp_map(correlations, steering)
    *front, n_pairs, _ = correlations.shape
    halves = correlations.view(*front, n_pairs, 2, n_lags).movedim(-2, 0).reshape(2, *front, n_rows)
    above, below = steering(halves) if isinstance(steering, ConstantProduct) else halves @ steering
    least = 1e-4 * torch.linalg.vector_norm(halves[1], ord=torch.inf, dim=-1, keepdim=True) + 1e-9
    return above / torch.maximum(below, least)
