"""Where mixed precision ends."""

import contextlib
from typing import Any

import torch
from torch import Tensor

__all__ = ["full_precision"]


def full_precision(like: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Leave mixed precision: for sums of many terms and for losses, whose inputs must be single precision already.

    Examples
    --------
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     with full_precision(torch.ones(1)):
    ...         (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32
    """
    if not torch.is_autocast_enabled(like.device.type):
        return contextlib.nullcontext()
    return torch.autocast(like.device.type, enabled=False)
