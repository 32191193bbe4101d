"""Products of small matrices by NumPy and by torch are the same, in either precision."""

import pytest
import torch

from doatrack.features.parts import are_small, products, real_parts, upper_products


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(3, 5, 2), (4, 600, 700)])
def test_products_are_those_of_torch(size, dtype):
    one, other = normal(2, size[0], size[1], dtype=dtype), normal(2, size[1], size[2], dtype=dtype)
    found = products(one, other)
    assert found.dtype == dtype
    assert torch.allclose(found, torch.bmm(one, other), rtol=1e-5, atol=1e-4)
    assert are_small(*size) == (size[0] == 3)


def test_gradients_go_through():
    one = normal(2, 3, 4).requires_grad_()
    products(one, normal(2, 4, 5)).sum().backward()
    assert one.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_mics", [1, 2, 3, 4, 5, 12])
def test_upper_products_hold_what_hermitian_sums_need(n_mics, dtype):
    spectra = torch.view_as_complex(normal(6, 9, n_mics, 2, dtype=dtype))
    parts = real_parts(spectra)
    found, expected = upper_products(parts, parts), torch.bmm(parts.mT, parts)
    assert torch.allclose(found.triu(), expected.triu(), atol=1e-4)
    # real and imaginary part of x_i conj(x_j), i up to j
    covariance = torch.einsum("fsi,fsj->fij", spectra, spectra.conj())
    real = found[:, ::2, ::2] + found[:, 1::2, 1::2]
    imaginary = found[:, 1::2, ::2] - found[:, ::2, 1::2]
    assert torch.allclose(torch.complex(real, imaginary).triu(), covariance.triu(), atol=1e-4)


def test_two_different_factors():
    one, other = normal(3, 7, 6), normal(3, 8, 6)[:, :7]
    assert torch.allclose(upper_products(one, other).triu(), (one.mT @ other).triu(), atol=1e-5)
