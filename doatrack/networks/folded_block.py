"""A convolution block in use, not in training: fewer passes over memory, the same answer."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["can_be_folded", "folded_block"]

_ROWS_AT_ONCE = 8  # of the batch, so that what lies between convolution and pooling stays near the processor


def can_be_folded(norm: nn.BatchNorm2d, activation: nn.PReLU) -> bool:
    """Return whether the norm has its final statistics and the activation never falls, so that maxima pass through it.

    Examples
    --------
    >>> can_be_folded(nn.BatchNorm2d(4), nn.PReLU()), can_be_folded(nn.BatchNorm2d(4).eval(), nn.PReLU())
    (False, True)
    """
    # a traced graph must not depend on values of weights
    return not norm.training and not torch.compiler.is_compiling() and bool((activation.weight >= 0).all())


def folded_block(
    x: Tensor,
    convolution: nn.Conv2d,
    norm: nn.BatchNorm2d,
    activation: nn.PReLU,
    pool: nn.MaxPool2d,
    shift: Tensor | None = None,
) -> Tensor:
    """Return `pool(activation(norm(convolution(x) + shift)))`, to rounding.

    The norm is folded into the convolution's weights, and what is constant over a pooling window or never falls (the
    shift, the activation) comes after the pooling, where there are several times fewer numbers.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_in, height, width)
    convolution, norm, activation, pool : modules
        For which `can_be_folded` holds.
    shift : Tensor of shape (n_rows, n_out), optional

    Examples
    --------
    >>> block = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3).eval(), nn.PReLU(), nn.MaxPool2d((5, 2))
    >>> convolution, norm, activation, pool = block
    >>> x = torch.randn(4, 2, 10, 8)
    >>> torch.allclose(folded_block(x, *block), pool(activation(norm(convolution(x)))), atol=1e-5)
    True
    """
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None  # a norm without statistics is never in use here
    assert variance is not None
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    offset = norm.bias - mean * scale
    folded = {"weight": weight}
    if convolution.bias is not None:
        folded["bias"] = offset + convolution.bias * scale
    # by the module itself, so that its hooks see it
    pooled = torch.cat([pool(functional_call(convolution, folded, (rows,))) for rows in x.split(_ROWS_AT_ONCE)])
    late = torch.zeros_like(offset) if convolution.bias is not None else offset
    if shift is not None:
        late = late + shift * scale
    out: Tensor = activation(pooled + late[..., None, None])
    return out
