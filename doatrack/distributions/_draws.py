"""Uniform numbers from one source of randomness, or from one for each element of a batch."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

__all__ = ["Source", "uniform_pairs"]

Source = Generator | Sequence[Generator] | None
"""One generator; or one for each element of the first batch dimension, which then does not depend on the others; or
torch's default."""


def uniform_pairs(sample_shape: Sequence[int], batch_shape: Sequence[int], source: Source, like: Tensor) -> Tensor:
    """Return numbers in [0, 1) of shape (2, *sample_shape, *batch_shape), of the type and device of `like`.

    They are drawn where the generators are, so that a GPU gets the numbers of a CPU.

    Examples
    --------
    >>> sources = [torch.Generator().manual_seed(k) for k in (3, 4)]
    >>> both = uniform_pairs((), (2, 5), sources, torch.ones(1))
    >>> last = uniform_pairs((), (1, 5), [torch.Generator().manual_seed(4)], torch.ones(1))
    >>> both.shape, bool(torch.equal(both[:, 1:], last))
    (torch.Size([2, 2, 5]), True)
    """
    if source is None or isinstance(source, Generator):
        device = like.device if source is None else source.device
        return torch.rand((2, *sample_shape, *batch_shape), generator=source, dtype=like.dtype, device=device).to(
            like.device
        )
    shape = (2, *sample_shape, *batch_shape[1:])
    drawn = [torch.rand(shape, generator=one, dtype=like.dtype, device=one.device) for one in source]
    return torch.stack(drawn, dim=1 + len(sample_shape)).to(like.device)
