"""Multiply-accumulate operations of a network's forward pass, counted as it runs."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

__all__ = ["count_macs", "count_parameters"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def count_parameters(module: nn.Module, without: tuple[str, ...] = ()) -> int:
    """Return the number of learned values, without submodules of given names.

    Examples
    --------
    >>> count_parameters(nn.Linear(3, 2)), count_parameters(nn.ModuleDict({"a": nn.Linear(3, 2)}), ("a",))
    (8, 0)
    """
    return sum(p.numel() for name, p in module.named_parameters() if name.split(".")[0] not in without)


def count_macs(module: nn.Module, run: Callable[[], Any]) -> int:
    """Return the multiply-accumulate operations of convolutions, linear and recurrent layers while `run` runs.

    Parameters
    ----------
    module : nn.Module
        Whose layers are counted, each as often as it is called.
    run : callable
        Calls the module; called once.

    Notes
    -----
    Biases, activations, norms and pooling are not counted, as is usual.

    Examples
    --------
    >>> import torch
    >>> layer = nn.Conv2d(1, 4, 3, padding=1)
    >>> count_macs(layer, lambda: layer(torch.zeros(1, 1, 10, 10)))                # 9 taps, 4 channels, 100 points
    3600
    """
    total = 0

    def note(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal total
        total += _macs(layer, inputs[0], output)

    counted = [m for m in module.modules() if isinstance(m, (*_CONVOLUTIONS, nn.Linear, nn.GRU))]
    handles = [layer.register_forward_hook(note) for layer in counted]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return total


def _macs(layer: nn.Module, given: Tensor, output: Any) -> int:
    if isinstance(layer, _CONVOLUTIONS):
        return int(output.numel() * math.prod(layer.kernel_size) * layer.in_channels // layer.groups)
    if isinstance(layer, nn.Linear):
        return int(output.numel() * layer.in_features)
    steps = given.numel() // given.shape[-1]
    weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
    return int(steps * weights)
