"""Steered response power: from correlations of pairs to a map over directions."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from doatrack.features.constant_product import ConstantProduct
from doatrack.features.fine_steering import FineSteering

__all__ = ["SteeredMap", "explained", "numerators", "srp_map", "steered_correlation", "steered_map", "steering_matrix"]


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


def srp_map(gcc: Tensor, steering: Tensor | ConstantProduct | FineSteering) -> Tensor:
    """Return the steered response power map, the mean over pairs, as one matrix product.

    Parameters
    ----------
    gcc : Tensor of shape (..., n_pairs, n_lags)
    steering : Tensor of shape (n_pairs * n_lags, n_directions), or a product with it: `ConstantProduct`, `FineSteering`

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
    return flat @ steering if isinstance(steering, Tensor) else steering(flat)


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


def steered_map(correlations: Tensor, steering: Tensor | ConstantProduct | FineSteering) -> Tensor:
    """Return the map of correlations that may come with what their steered sum is divided by.

    Parameters
    ----------
    correlations : Tensor of shape (..., n_pairs, n_columns)
        One column per lag (`srp_map`), or two for each band of frequencies: the numerators of all bands, then their
        denominators, as `WeightedGCC` gives them.
    steering : Tensor of shape (n_pairs * n_lags, n_directions), or a product with it: `ConstantProduct`, `FineSteering`

    Returns
    -------
    Tensor of shape (..., n_directions)
        The sum over bands of what each one's division gives.

    Examples
    --------
    >>> steering = steering_matrix(torch.tensor([[0.0, 1.0]]), torch.tensor([-1.0, 0.0, 1.0]))
    >>> steered_map(torch.tensor([[0.0, 0.2, 0.9, 1.0, 0.5, 1.0]]), steering)
    tensor([0.4000, 0.9000])
    """
    n_rows = len(steering) if isinstance(steering, Tensor) else steering.n_in
    *front, n_pairs, n_columns = correlations.shape
    n_lags = n_rows // n_pairs
    if n_columns == n_lags:
        return srp_map(correlations, steering)
    parts = correlations.unflatten(-1, (2, -1, n_lags)).movedim(-4, -2).reshape(*front, 2, -1, n_rows)
    sums = parts @ steering if isinstance(steering, Tensor) else steering(parts)
    above, below = sums.unbind(dim=-3)
    return explained(above, below, parts.select(-3, 1)).sum(dim=-2)


class SteeredMap:
    """`steered_map` of frames as they come: denominators are steered when they change.

    They belong to a noise model, which holds for many frames.

    Parameters
    ----------
    steering : ConstantProduct or FineSteering

    Examples
    --------
    >>> steering = ConstantProduct(steering_matrix(torch.tensor([[0.0, 1.0]]), torch.tensor([-1.0, 0.0, 1.0])))
    >>> SteeredMap(steering)(torch.tensor([[[0.0, 0.2, 0.9, 1.0, 0.5, 1.0]]]))
    tensor([[0.4000, 0.9000]])
    """

    def __init__(self, steering: ConstantProduct | FineSteering) -> None:
        self._steering = steering
        self._known: tuple[Any, Any] | None = None  # the last denominators, and 1 over what they are steered to

    def __call__(self, correlations: Tensor) -> Tensor:
        """Return the maps (n_frames, n_directions) of correlations (n_frames, n_pairs, n_columns)."""
        n_lags = self._steering.n_in // correlations.shape[1]
        if correlations.shape[-1] == n_lags:
            return srp_map(correlations, self._steering)
        # of one frame, views and sums take NumPy a fraction of torch's time; the lines are the same for both
        as_array = isinstance(self._steering, FineSteering) and self._steering.is_fast_for(correlations)
        values: Any = correlations.numpy() if as_array else correlations
        half = values.shape[-1] // 2
        factors = [self._over(frame, n_lags) for frame in values[..., half:]]
        factor, stack = factors[0], np.stack if as_array else torch.stack
        if not all(other is factor for other in factors):
            factor = stack(factors)
        maps = (self._of_bands(_by_band(values[..., :half], n_lags)) * factor).sum(-2)
        return torch.from_numpy(maps) if as_array else maps

    def _over(self, denominators: Any, n_lags: int) -> Any:
        """Return 1 over steered denominators (n_pairs, n_bands n_lags), shape (n_bands, n_directions)."""
        known = self._known
        if known is None or type(known[0]) is not type(denominators) or not (known[0] == denominators).all():
            parts = _by_band(denominators, n_lags)
            below, flat = torch.as_tensor(self._of_bands(parts)), torch.as_tensor(parts).flatten(-2)
            over: Any = explained(torch.ones_like(below), below, flat)
            is_array = isinstance(denominators, np.ndarray)
            self._known = known = 1 * denominators, over.numpy() if is_array else over
        return known[1]

    def _of_bands(self, parts: Any) -> Any:
        """Return steered correlations (..., n_pairs, n_lags)."""
        if isinstance(parts, np.ndarray) and isinstance(self._steering, FineSteering):
            return self._steering.of_arrays(parts)
        return self._steering(parts.flatten(-2))


def _by_band(columns: Any, n_lags: int) -> Any:
    """Return columns (..., n_pairs, n_bands n_lags) with bands before pairs, (..., n_bands, n_pairs, n_lags)."""
    return columns.reshape(*columns.shape[:-1], -1, n_lags).swapaxes(-3, -2)


def explained(above: Tensor, below: Tensor, denominators: Tensor) -> Tensor:
    """Return steered numerators over denominators (..., n_directions), where the latter are more than rounding.

    Parameters
    ----------
    above, below : Tensor of shape (..., n_directions)
    denominators : Tensor of shape (..., n_pairs * n_lags)
        Before they were steered.

    Examples
    --------
    >>> explained(torch.tensor([2.0, 0.0]), torch.tensor([4.0, 0.0]), torch.tensor([4.0, 1.0]))
    tensor([0.5000, 0.0000])
    """
    least = 1e-4 * torch.linalg.vector_norm(denominators, ord=torch.inf, dim=-1, keepdim=True) + 1e-9
    return above / torch.maximum(below, least)


def numerators(correlations: Tensor, n_lags: int) -> Tensor:
    """Return what is steered of all bands together, without what it is divided by, (..., n_pairs, n_lags).

    Parameters
    ----------
    correlations : Tensor of shape (..., n_pairs, n_columns)
        As `steered_map` takes them.
    n_lags : int

    Examples
    --------
    >>> numerators(torch.tensor([[1.0, 2.0, 10.0, 20.0, 0.5, 0.5, 0.5, 0.5]]), n_lags=2)
    tensor([[11., 22.]])
    """
    n_columns = correlations.shape[-1]
    if n_columns == n_lags:
        return correlations
    return correlations[..., : n_columns // 2].unflatten(-1, (-1, n_lags)).sum(dim=-2)
