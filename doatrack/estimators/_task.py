"""What is minimised, seen from one of several processes."""

import torch
from torch import Tensor

from doatrack.training import Batch, Processes

__all__ = ["Task"]


class Task:
    """The loss of a batch; a subclass gives `__call__`, and `_to` where it keeps tensors.

    It is told the processes before the first batch, so that it can be sent to them before.
    """

    _processes: Processes = Processes()

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return what is minimised, and a record of floats."""
        raise NotImplementedError

    def begin(self, processes: Processes) -> None:
        """Move to the device of these processes, and divide by the number of frames of all."""
        self._processes = processes
        self._to(processes.device)

    def _to(self, device: torch.device) -> None:
        """Move the tensors that the loss keeps."""

    def _mean_count(self, count: Tensor) -> Tensor:
        return self._processes.mean(count)

    @staticmethod
    def _source(batch: Batch, generator: torch.Generator) -> torch.Generator | list[torch.Generator]:
        """Return where a batch's samples come from: a crop's do not depend on the others."""
        each = batch.generators()
        return generator if each is None else each
