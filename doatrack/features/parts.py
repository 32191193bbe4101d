"""Complex spectra as real and imaginary parts side by side: products of these take less time."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["are_small", "dots", "is_plain", "products", "real_parts"]

_FEW = 1 << 18
"""Numbers of which NumPy multiplies small matrices whatever the threads; of more, several of torch's are faster."""
_SMALL = 1 << 18
"""Multiplications of one product up to which NumPy's OpenBLAS stays in one thread: others would wait for more, busily."""


def real_parts(spectra: Tensor) -> Tensor:
    """Return real and imaginary parts side by side, (..., 2 n), of complex values (..., n).

    Products of small matrices of these are faster than complex ones, and some need half of them.

    Examples
    --------
    >>> real_parts(torch.tensor([[1 + 2j, 3 + 4j]]))
    tensor([[1., 2., 3., 4.]])
    """
    return torch.view_as_real(spectra).flatten(-2)


def dots(one: Tensor, other: Tensor, dim: int = -1) -> Tensor:
    """Return the sums of products of three-dimensional tensors over one axis.

    Examples
    --------
    >>> dots(torch.ones(2, 3, 4), torch.ones(2, 3, 4), dim=0).shape
    torch.Size([3, 4])
    """
    if not is_plain(one):
        return torch.linalg.vecdot(one, other, dim=dim)
    # one pass, nothing written on the way
    form = ("ijk,ijk->jk", "ijk,ijk->ik", "ijk,ijk->ij")[dim]
    return torch.from_numpy(np.einsum(form, one.numpy(), other.numpy()))


def products(one: Tensor, other: Tensor) -> Tensor:
    """Return the products of matrices (..., n, k) and (..., k, m), small ones in two thirds of torch's time.

    Examples
    --------
    >>> products(torch.ones(2, 3, 4), torch.ones(2, 4, 1)).shape
    torch.Size([2, 3, 1])
    """
    few = one.numel() <= _FEW or torch.get_num_threads() == 1
    if few and is_plain(one) and are_small(*one.shape[-2:], other.shape[-1]):
        return torch.from_numpy(np.matmul(one.numpy(), other.numpy()))
    return torch.matmul(one, other)


def are_small(n: int, k: int, m: int) -> bool:
    """Return whether NumPy multiplies matrices (n, k) and (k, m) in one thread, and faster than torch.

    Examples
    --------
    >>> are_small(24, 52, 24), are_small(500, 500, 500)
    (True, False)
    """
    return n * k * m <= _SMALL


def is_plain(values: Tensor) -> bool:
    """Return whether NumPy can work on values, which often takes a fraction of torch's time."""
    return values.is_cpu and not values.requires_grad
