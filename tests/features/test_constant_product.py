import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features.constant_product import ConstantProduct


def table(n_in: int, n_out: int, seed: int, empty_rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n_in, n_out, generator=generator)
    matrix[torch.randperm(n_in, generator=generator)[:empty_rows]] = 0
    return matrix


@given(st.integers(2, 60), st.integers(1, 40), st.integers(0, 5), st.integers(0, 10))
def test_it_is_the_matrix_product(n_in, n_out, n_rows, seed):
    matrix = table(n_in, n_out, seed, min(seed, n_in - 1))
    values = torch.randn(n_rows, 3, n_in, generator=torch.Generator().manual_seed(seed))
    found, expected = ConstantProduct(matrix)(values), values.double() @ matrix.double()
    assert found.shape == expected.shape
    assert torch.allclose(found.double(), expected, atol=1e-5)


def test_rows_of_zeros_are_not_multiplied():
    product = ConstantProduct(table(50, 4, seed=0, empty_rows=20))
    assert len(product.matrix) == 30
    assert product.n_in == 50


def test_gradients_and_double_precision_pass_through():
    matrix = table(10, 4, seed=0, empty_rows=3)
    values = torch.randn(5, 10, requires_grad=True)
    ConstantProduct(matrix)(values).sum().backward()
    assert torch.allclose(values.grad, matrix.sum(dim=1).expand(5, -1), atol=1e-6)
    double = torch.randn(5, 10, dtype=torch.float64)
    assert torch.allclose(ConstantProduct(matrix)(double), double @ matrix.double(), atol=1e-12)


def test_without_onednn_it_is_the_plain_product(monkeypatch):
    matrix, values = table(30, 8, seed=1, empty_rows=4), torch.randn(6, 30)
    fast = ConstantProduct(matrix)(values)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    plain = ConstantProduct(matrix)
    assert torch.allclose(plain(values), fast, atol=1e-5)
    assert plain._packed is None


@pytest.mark.parametrize("renew", [copy.deepcopy, lambda product: pickle.loads(pickle.dumps(product))])
def test_a_copy_multiplies_alike(renew):
    product, values = ConstantProduct(table(30, 8, seed=1, empty_rows=4)), torch.randn(6, 30)
    expected = product(values)
    assert torch.equal(renew(product)(values), expected)


def test_a_traced_product_is_the_same():
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = ConstantProduct(table(30, 8, seed=1, empty_rows=4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.product(x)

    model, values = Model(), torch.randn(6, 30)
    program = torch.export.export(model, (values,)).module()
    assert torch.allclose(program(values), model(values), atol=1e-5)


def test_a_few_vectors_are_multiplied_by_the_entries_that_are_not_zero():
    matrix = torch.zeros(200, 60)
    matrix[torch.arange(20, 80), torch.arange(60)] = 2.0
    matrix[torch.arange(21, 81), torch.arange(60)] = torch.linspace(0, 1, 60)
    product, values = ConstantProduct(matrix), torch.randn(40, 200, generator=torch.Generator().manual_seed(0))
    few = torch.cat([product(values[k : k + 2]) for k in range(0, 40, 2)])
    assert product._packed is None
    assert torch.allclose(few, product(values), atol=1e-5)
    assert torch.allclose(few, values @ matrix, atol=1e-5)
    assert torch.allclose(pickle.loads(pickle.dumps(product))(values[:1]), few[:1], atol=1e-6)
    dense = ConstantProduct(table(20, 8, seed=0, empty_rows=0))
    dense(values[:1, :20])
    assert dense._entries is None
