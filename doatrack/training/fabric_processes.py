"""Several processes, on one machine or several, through lightning-fabric."""

import contextlib
import datetime
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from doatrack.exceptions import InvalidInputError, WorkerError
from doatrack.training.processes import Loss, LossModule, Moment, Processes

__all__ = ["FabricProcesses"]

_T = TypeVar("_T")

_PATIENCE = datetime.timedelta(hours=24)
"""For the slowest of all: one reads recordings, or simulates, while others wait. A process that dies is noticed at
once, by its closed connection."""


class FabricProcesses(Processes):
    """One of several processes that learn together: this one.

    All must have been started (by `doatrack.training.launch`, `torchrun` or `fabric run`), and wait here for one
    another.

    Parameters
    ----------
    device : str
        "cpu", or the kind of accelerator: each process of a machine takes another one.
    devices : int
        Processes on each machine.
    num_nodes : int
        Machines.
    precision : {"32-true", "bf16-mixed"}
    own : bool
        Whether the processes were started by doatrack itself, whatever job scheduler there is.

    Raises
    ------
    InvalidInputError
        If lightning-fabric is missing, or other numbers of processes were started.
    """

    def __init__(
        self, device: str, devices: int, num_nodes: int = 1, precision: str = "32-true", *, own: bool = False
    ) -> None:
        super().__init__(device, precision)
        fabric_of, strategy_of, environment_of = _fabric()
        strategy = strategy_of(
            process_group_backend="gloo" if self.device.type == "cpu" else None,
            timeout=_PATIENCE,
        )
        with _quiet():
            self._fabric: Any = fabric_of(
                accelerator=self.device.type,
                devices=devices,
                num_nodes=num_nodes,
                strategy=strategy,
                plugins=[environment_of()] if own else None,
            )
            if "LT_CLI_USED" not in os.environ:  # "fabric run" has launched by now, and allows it once
                self._fabric.launch()
        if self._fabric.world_size != devices * num_nodes:
            raise InvalidInputError(
                f"devices={devices} and num_nodes={num_nodes} make {devices * num_nodes} processes, but "
                f"{self._fabric.world_size} were started. Give the launcher and doatrack the same numbers."
            )
        self.rank, self.local_rank = int(self._fabric.global_rank), int(self._fabric.local_rank)
        self.n_processes = int(self._fabric.world_size)
        self._n_here = devices
        self.device = self._fabric.device

    def share(self, module: nn.Module, loss: Loss) -> Loss:
        """Return the loss of a step whose gradients become the mean over processes."""
        with _quiet():
            shared = self._fabric.setup_module(LossModule(module, loss, self.device.type, self.precision))

        def of(batch: Any, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
            with self._together():
                result: tuple[Tensor, dict[str, float]] = shared(Moment(batch, progress, generator))
                return result

        return of

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, the mean over processes."""
        with self._together():
            self._fabric.backward(loss)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over processes."""
        with self._together():
            reduced: Tensor = self._fabric.all_reduce(value.detach().clone(), reduce_op="mean")
            return reduced

    def mean_record(self, record: dict[str, float]) -> dict[str, float]:
        """Return the means over processes of a step's record."""
        means = self.mean(torch.tensor(list(record.values()), dtype=torch.float64, device=self.device))
        return dict(zip(record, means.tolist(), strict=True))

    def from_first(self, value: _T) -> _T:
        """Return what the first process has."""
        with self._together():
            first: _T = self._fabric.broadcast(value)
            return first

    def all_of_machine(self, value: _T) -> list[_T]:
        """Return what each process of this machine has."""
        everyone: list[Any] = [None] * self.n_processes
        with self._together():
            torch.distributed.all_gather_object(everyone, value)
        first = self.rank - self.local_rank
        return everyone[first : first + self._n_here]

    def wait(self) -> None:
        """Wait for all processes."""
        with self._together():
            self._fabric.barrier()

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        """Word what it means when another process is gone."""
        try:
            yield
        except RuntimeError as error:
            if not _lost_connection(error):
                raise
            raise WorkerError(
                f"Process {self.rank} of {self.n_processes} lost the others while learning: one of them ended "
                "(see its own messages; often the memory was full)."
            ) from error


def _lost_connection(error: RuntimeError) -> bool:
    words = ("gloo", "connection", "nccl", "store")
    return isinstance(error, torch.distributed.DistError) or any(word in str(error).lower() for word in words)


def _fabric() -> tuple[Any, Any, Any]:
    """Return what is needed of lightning-fabric."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise InvalidInputError(
            "Learning in several processes needs lightning-fabric: pip install 'doatrack[scale]'."
        ) from error
    return Fabric, DDPStrategy, LightningEnvironment


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep banners and hints of fabric and torch.distributed off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning_fabric", "lightning_fabric.utilities.distributed")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning_fabric|torch\.distributed|torch\.nn\.parallel)")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
