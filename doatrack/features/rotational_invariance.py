"""ESPRIT: directions from the phase between shifted copies of a part of the array."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.geometry import SPEED_OF_SOUND, Shift

__all__ = ["robust_projection", "shift_operator", "shift_phase_rates"]

_N_STEPS = 12
_LEAST_SCALE = 0.05  # radians; below, residuals are taken as rounding


def shift_operator(subspace: Tensor, first: NDArray[np.int64], second: NDArray[np.int64]) -> Tensor:
    """Return the operator that carries the signal subspace of one sub-array onto that of its shifted copy.

    The least-squares solution of E_first Psi = E_second. Its eigenvalues are exp(2 pi i f d . u / c), one per source.

    Parameters
    ----------
    subspace : Tensor of shape (..., n_mics, n_sources), complex
        Signal subspace of the whole array.
    first, second : int arrays of shape (n_doublets,)
        Microphones of the two sub-arrays; `second` lies the displacement d further.

    Returns
    -------
    Tensor of shape (..., n_sources, n_sources), complex

    References
    ----------
    R. Roy and T. Kailath, "ESPRIT: estimation of signal parameters via rotational invariance techniques", IEEE Trans.
    Acoust., Speech, Signal Process. 1989, section III.

    Examples
    --------
    >>> line = torch.polar(torch.ones(4), 0.3 * torch.arange(4.0))[:, None]
    >>> shift_operator(line, np.array([0, 1, 2]), np.array([1, 2, 3])).angle()
    tensor([[0.3000]])
    """
    before, after = subspace[..., first, :], subspace[..., second, :]
    if subspace.shape[-1] == 1:
        # silence in a sub-array gives 0 instead of a division by zero
        power = before.abs().square().sum(dim=-2, keepdim=True).clamp_min(torch.finfo(before.real.dtype).tiny)
        return before.mH @ after / power
    return torch.linalg.lstsq(before, after).solution


def shift_phase_rates(
    shifts: Sequence[Shift], frequencies: NDArray[np.float64], speed_of_sound: float = SPEED_OF_SOUND
) -> tuple[Tensor, Tensor]:
    """Return how the phase across each shift follows from the direction, and where it is unambiguous.

    Parameters
    ----------
    shifts : sequence of Shift
    frequencies : ndarray of shape (n_freq,)
        In Hz.
    speed_of_sound : float
        In m/s.

    Returns
    -------
    rates : Tensor of shape (n_freq, n_shifts, 3), float64
        2 pi f d / c: the scalar product with a direction is the phase in radians.
    usable : bool Tensor of shape (n_freq, n_shifts)
        Whether the shift is shorter than half a wavelength, so that no direction's phase exceeds pi.

    Examples
    --------
    >>> from doatrack.geometry import MicArray, find_shifts
    >>> shifts = find_shifts(MicArray([[0.0, 0, 0], [0.0343, 0, 0], [0.0686, 0, 0]]))
    >>> rates, usable = shift_phase_rates(shifts, np.array([2500.0, 6000.0]))
    >>> round(float(rates[0, 0, 0] / torch.pi), 6), usable.tolist()
    (0.5, [[True], [False]])
    """
    vectors = torch.from_numpy(np.array([shift.displacement for shift in shifts]).reshape(-1, 3))
    rates = 2 * torch.pi / speed_of_sound * torch.from_numpy(frequencies)[:, None, None] * vectors
    return rates, rates.norm(dim=-1) < torch.pi


def robust_projection(phases: Tensor, weights: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vector whose scalar products with the rates are the phases, by robust least squares.

    Iteratively reweighted with Cauchy's weights 1 / (1 + (residual / scale)^2), the scale being the median residual
    of the frame; residuals are taken modulo 2 pi, so that a phase near pi may be found on the other side.

    Parameters
    ----------
    phases, weights : Tensor of shape (..., n_phases)
        In radians; not negative, 0 for a phase that tells nothing.
    rates : Tensor of shape (n_phases, n_axes)
        Of full column rank.

    Returns
    -------
    projection : Tensor of shape (..., n_axes)
        0 where all weights are.
    agreement : Tensor of shape (...)
        Weighted mean cosine of the residuals: 1 where all phases agree.

    Examples
    --------
    >>> rates = torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, 0], [0, 2]])
    >>> phases = rates @ torch.tensor([0.3, 0.4])
    >>> phases[2] = -3                                                # an outlier
    >>> projection, agreement = robust_projection(phases, torch.ones(5), rates)
    >>> [round(x, 2) for x in projection.tolist()], bool(agreement < 0.7)
    ([0.3, 0.4], True)
    """
    found, trust = phases.new_zeros(*phases.shape[:-1], rates.shape[1]), weights
    residual = phases
    for _ in range(_N_STEPS):
        found = found + _weighted_step(residual, trust, rates)
        residual = _wrap(phases - found @ rates.T)
        scale = residual.abs().where(weights > 0, torch.nan).nanmedian(dim=-1, keepdim=True).values
        trust = weights / (1 + (residual / scale.nan_to_num(1.0).clamp_min(_LEAST_SCALE)).square())
    total = weights.sum(dim=-1).clamp_min(torch.finfo(weights.dtype).tiny)
    return found, (weights * residual.cos()).sum(dim=-1) / total


def _weighted_step(residual: Tensor, weights: Tensor, rates: Tensor) -> Tensor:
    normal = torch.einsum("...p,pa,pb->...ab", weights, rates, rates)
    # a trace of the diagonal keeps silence solvable
    ridge = 1e-9 * rates.square().sum() + torch.finfo(rates.dtype).tiny
    eye = torch.eye(rates.shape[1], dtype=rates.dtype)
    right = torch.einsum("...p,pa->...a", weights * residual, rates)
    return torch.linalg.solve(normal + ridge * eye, right)


def _wrap(angle: Tensor) -> Tensor:
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
