"""Products of vectors with a fixed sparse matrix, the inner step of every filter here."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["SparseProduct"]

_FULL = 0.12  # share of entries above which the full matrix is the faster one


class SparseProduct:
    """Multiply vectors on the last axis by a sparse matrix, in single or double precision.

    Where torch brings Intel's MKL its kernels do it (in single precision 0.7 of SciPy's time for one vector, a third
    for many at once), elsewhere SciPy's. A matrix that is not sparse is multiplied in full.

    Parameters
    ----------
    matrix : sparse array of shape (n, n)

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> SparseProduct(csr_array([[0.0, 2.0], [1.0, 0.0]]))(np.array([3.0, 5.0]))
    array([10.,  3.])
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()
        self.matrix.sort_indices()
        self._prepared: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        # copies and other processes prepare their own kernels
        return {"matrix": self.matrix, "_prepared": {}}

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return matrix @ v for every vector v of values (..., n), in the same precision (float32 or float64)."""
        prepared = self._prepared.get(values.dtype)
        if prepared is None:
            prepared = self._prepared[values.dtype] = _prepare(self.matrix.astype(values.dtype))
        columns = np.ascontiguousarray(values.reshape(-1, values.shape[-1]).T) if values.ndim > 1 else values
        if isinstance(prepared, torch.Tensor):
            product = (prepared @ torch.from_numpy(np.ascontiguousarray(columns))).numpy()
        else:
            product = np.asarray(prepared @ columns)
        return np.ascontiguousarray(product.T).reshape(values.shape)


def _prepare(matrix: Any) -> Any:
    if matrix.nnz > _FULL * matrix.shape[0] ** 2:
        return matrix.toarray()
    if not torch.backends.mkl.is_available():
        return matrix
    pointers, indices = (torch.from_numpy(index.astype(np.int32)) for index in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        values = torch.from_numpy(matrix.data)
        return torch.sparse_csr_tensor(pointers, indices, values, matrix.shape, check_invariants=True)
