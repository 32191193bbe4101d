"""What causal convolutions remember of a stream between its parts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Memory", "with_past"]


class Memory:
    """The last frames that went into each causal convolution of a network; empty at the start of a recording.

    Examples
    --------
    >>> memory, layer = Memory(), object()
    >>> with_past(torch.ones(1, 2), 1, dim=1, layer=layer, memory=memory)
    tensor([[0., 1., 1.]])
    >>> with_past(torch.tensor([[5.0]]), 1, dim=1, layer=layer, memory=memory)
    tensor([[1., 5.]])
    """

    def __init__(self) -> None:
        self.frames: dict[int, Tensor] = {}


def with_past(x: Tensor, n_past: int, dim: int, layer: Any, memory: Memory | None = None) -> Tensor:
    """Return frames with the `n_past` before them, zeros where a recording begins.

    Parameters
    ----------
    x : Tensor
    n_past : int
    dim : int
        The axis of frames.
    layer : object
        Whose input it is.
    memory : Memory, optional
        Of the stream; takes the last frames. None: x is all there is.

    Examples
    --------
    >>> with_past(torch.ones(1, 2), 2, dim=1, layer=None)
    tensor([[0., 0., 1., 1.]])
    """
    if memory is None:
        return F.pad(x, (0, 0) * (x.dim() - 1 - dim % x.dim()) + (n_past, 0))
    past = memory.frames.get(id(layer))
    if past is None:
        past = x.new_zeros(*x.shape[:dim], n_past, *x.shape[dim + 1 :])
    known = torch.cat([past, x], dim=dim)
    memory.frames[id(layer)] = known.narrow(dim, known.shape[dim] - n_past, n_past)
    return known
