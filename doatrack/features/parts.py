"""Complex spectra as real and imaginary parts side by side: products of these take less time."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["are_small", "dots", "is_plain", "products", "real_parts", "upper_products"]

_FEW = 1 << 18
"""Numbers of which NumPy multiplies small matrices whatever the threads; of more, several of torch's are faster."""
_SMALL = 1 << 18
"""Multiplications of one product up to which NumPy's OpenBLAS stays in one thread; others wait for more, busily."""


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
    if _for_numpy(one) and are_small(one.shape[-2], one.shape[-1], other.shape[-1]):
        return torch.from_numpy(np.matmul(one.numpy(), other.numpy()))
    return torch.matmul(one, other)


def upper_products(one: Tensor, other: Tensor) -> Tensor:
    """Return the products x^T y, (n_freq, n, n), of (n_freq, n_rows, n); what is left of the diagonal may be anything.

    Of symmetric matrices the rest says nothing new; with a quarter left out they take three quarters of the time.

    Examples
    --------
    >>> rows = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> upper_products(rows, rows).triu()
    tensor([[[1., 2., 3.],
             [0., 4., 6.],
             [0., 0., 9.]]])
    """
    n = one.shape[2]
    if n < 2 or not (_for_numpy(one) and are_small(n, one.shape[1], n)):
        return torch.matmul(one.mT, other)
    columns, rows, half = one.numpy().transpose(0, 2, 1), other.numpy(), n // 2
    found = np.empty((len(columns), n, n), rows.dtype)
    np.matmul(columns[:, :half], rows, out=found[:, :half])
    # one column more than is asked for: what NumPy knows to be symmetric it hands to a slower product
    np.matmul(columns[:, half:], rows[..., half - 1 :], out=found[:, half:, half - 1 :])
    return torch.from_numpy(found)


def _for_numpy(values: Tensor) -> bool:
    return is_plain(values) and (values.numel() <= _FEW or torch.get_num_threads() == 1)


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
