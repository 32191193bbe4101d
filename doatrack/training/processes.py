"""What a training loop asks of the processes that share its work; here one process alone."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from doatrack._validation import check_choice

__all__ = ["PRECISIONS", "Loss", "Processes"]

PRECISIONS = ("32-true", "bf16-mixed")

Loss = Callable[[Any, float, torch.Generator], tuple[Tensor, dict[str, float]]]

_T = TypeVar("_T")


class Processes:
    """One process that learns alone.

    `FabricProcesses` is the same for several. Each sees its part of every batch; gradients and records are the means
    over processes, and all keep the same weights.

    Parameters
    ----------
    device : torch device or str
    precision : {"32-true", "bf16-mixed"}
        As in lightning-fabric. Mixed: networks compute in bfloat16 where that loses little, weights and losses stay in
        single precision.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    local_rank : int
        Its number on its machine.
    n_processes : int
    device : torch.device

    Examples
    --------
    >>> alone = Processes()
    >>> alone.rank, alone.n_processes, float(alone.mean(torch.tensor(3.0)))
    (0, 1, 3.0)
    """

    def __init__(self, device: torch.device | str = "cpu", precision: str = "32-true") -> None:
        self.rank, self.local_rank, self.n_processes = 0, 0, 1
        self.device = torch.device(device)
        self.precision = check_choice("precision", precision, PRECISIONS)

    def share(self, module: nn.Module, loss: Loss) -> Loss:
        """Return the loss of a step, in the precision wanted, whose gradients are shared with other processes."""
        return LossModule(module, loss, self.device.type, self.precision).of

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, the mean over processes."""
        loss.backward()

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over processes."""
        return value

    def mean_record(self, record: dict[str, float]) -> dict[str, float]:
        """Return the means over processes of a step's record."""
        return record

    def from_first(self, value: _T) -> _T:
        """Return what the first process has."""
        return value

    def all_of_machine(self, value: _T) -> list[_T]:
        """Return what each process of this machine has."""
        return [value]

    def wait(self) -> None:
        """Wait for all processes."""


@dataclasses.dataclass(eq=False)
class Moment:
    """What a step is computed from; no container, so that nothing looks for tensors inside."""

    batch: Any
    progress: float
    generator: torch.Generator


class LossModule(nn.Module):
    """A loss as the forward pass of what is learned, so that whoever wraps modules sees every step."""

    def __init__(self, module: nn.Module, loss: Loss, device_type: str, precision: str) -> None:
        super().__init__()
        self.module = module
        self._loss = loss
        self._device_type, self._mixed = device_type, precision == "bf16-mixed"

    def forward(self, moment: Moment) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and its record."""
        mixed = torch.autocast(self._device_type, torch.bfloat16) if self._mixed else contextlib.nullcontext()
        with mixed:
            return self._loss(moment.batch, moment.progress, moment.generator)

    def of(self, batch: Any, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the same, from what the loop gives."""
        return self.forward(Moment(batch, progress, generator))
