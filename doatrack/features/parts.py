"""Complex spectra as real and imaginary parts side by side: products of these take less time."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["dots", "is_plain", "products", "real_parts"]

_FEW = 1 << 18
"""Numbers of which NumPy multiplies small matrices; of more, torch does with all of its threads."""


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


def products(one: Tensor, other: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the products of matrices (..., n, k) and (..., k, m), small ones in two thirds of torch's time.

    Examples
    --------
    >>> products(torch.ones(2, 3, 4), torch.ones(2, 4, 1)).shape
    torch.Size([2, 3, 1])
    """
    if not is_plain(one) or one.numel() > _FEW:
        return torch.matmul(one, other, out=out)
    found = np.matmul(one.numpy(), other.numpy(), out=None if out is None else out.numpy())
    return torch.from_numpy(found) if out is None else out


def is_plain(values: Tensor) -> bool:
    """Return whether NumPy can work on values, which often takes a fraction of torch's time."""
    return values.device.type == "cpu" and not values.requires_grad
