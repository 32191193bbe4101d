"""Matrix products with a matrix that stays the same, as steering and lag transforms do."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["ConstantProduct"]

_SPARSE = 0.3  # share of entries up to which they are gathered one by one
_FEW = 3  # vectors, up to which MKL's sparse product is faster
_AT_ONCE = 128  # vectors whose rows are gathered together: more of them leave the processor's cache


class ConstantProduct:
    """Multiply by one matrix again and again, at the speed of the machine's best product.

    Steering matrices are mostly zeros: a pair reaches a direction at a few of its lags. On a CPU their entries are
    gathered and summed up, for many vectors at once, in a fraction of the time of the whole matrix product. Other
    matrices are kept in the layout of oneDNN, whose product is up to twice as fast as that of MKL on processors that
    are not Intel's, without rows that hold only zeros. Where a gradient is wanted, on other devices and while a
    program is traced, it is the plain product of the same rows.

    Parameters
    ----------
    matrix : Tensor of shape (n_in, n_out)

    Notes
    -----
    The order of summation may differ from `x @ matrix`: results agree to float32 rounding, about 1e-6 of the largest.

    Examples
    --------
    >>> product = ConstantProduct(torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]))
    >>> product(torch.tensor([[1.0, 7.0, 1.0]])), product.n_in
    (tensor([[4., 6.]]), 3)
    """

    def __init__(self, matrix: Tensor) -> None:
        self.n_in, self.n_out = matrix.shape
        used = (matrix != 0).any(dim=1)
        self._rows = None if bool(used.all()) else used.nonzero()[:, 0]
        self.matrix = matrix if self._rows is None else matrix[self._rows]
        self._packed: Tensor | None = None
        self._entries: Tensor | None = None
        self._is_sparse = int(torch.count_nonzero(self.matrix)) <= _SPARSE * self.matrix.numel()

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product (..., n_out) of values (..., n_in)."""
        in_use = self._is_in_use(values)
        if in_use and self._is_sparse:
            return self._by_entries(values.reshape(-1, self.n_in)).view(*values.shape[:-1], self.n_out)
        if self._rows is not None:
            values = values.index_select(-1, self._rows.to(values.device))
        if not (in_use and _onednn_is_used()):
            return values @ self.matrix.to(values)
        flat = values.reshape(-1, values.shape[-1])
        if self._packed is None:
            self._packed = self.matrix.T.contiguous().to_mkldnn()
        return F.linear(flat.to_mkldnn(), self._packed).to_dense().view(*values.shape[:-1], self.n_out)

    def _by_entries(self, vectors: Tensor) -> Tensor:
        if self._entries is None:
            whole = self.matrix.new_zeros(self.n_in, self.n_out)
            whole[slice(None) if self._rows is None else self._rows] = self.matrix
            self._entries = _csr(whole.T)
        products = vectors.new_empty(len(vectors), self.n_out)
        if len(vectors) <= _FEW and torch.backends.mkl.is_available():
            for vector, product in zip(vectors, products, strict=True):
                # one by one: the sparse product of several columns is slower
                torch.mv(self._entries, vector, out=product)
            return products
        starts, places, entries = (
            self._entries.crow_indices()[:-1],
            self._entries.col_indices(),
            self._entries.values(),
        )
        for some, product in zip(vectors.split(_AT_ONCE), products.split(_AT_ONCE), strict=True):
            rows = some.T.contiguous()
            # sums of rows with weights: what embeddings of bags of words are
            product.copy_(F.embedding_bag(places, rows, starts, mode="sum", per_sample_weights=entries).T)
        return products

    def _is_in_use(self, values: Tensor) -> bool:
        plain = values.device.type == "cpu" and values.dtype == self.matrix.dtype == torch.float32
        differentiated = torch.is_grad_enabled() and (values.requires_grad or self.matrix.requires_grad)
        traced = torch.compiler.is_compiling()
        return plain and not differentiated and not traced and values.numel() > 0

    def __getstate__(self) -> dict[str, Any]:
        # a packed matrix cannot be written, and is soon made again
        return {**self.__dict__, "_packed": None, "_entries": None}


def _onednn_is_used() -> bool:
    return bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


def _csr(matrix: Tensor) -> Tensor:
    """Return a matrix by its entries, with short indices."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        found = matrix.to_sparse_csr()
        pointers, columns = found.crow_indices().int(), found.col_indices().int()
        return torch.sparse_csr_tensor(pointers, columns, found.values(), matrix.shape, check_invariants=True)
