"""The training loop: epochs of steps on one module, and nothing else."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from doatrack.training.processes import Loss, Processes

__all__ = ["Callback", "TrainingLoop", "exponential_decay"]


class Callback:
    """What may happen around epochs and steps; every method may be left out.

    Examples
    --------
    >>> class Stop(Callback):
    ...     def on_epoch_end(self, loop, record):
    ...         loop.n_epochs = loop.epoch if record["loss"] < 0.1 else loop.n_epochs
    """

    def on_epoch_begin(self, loop: "TrainingLoop") -> None:
        """Run before each epoch."""

    def on_step_end(self, loop: "TrainingLoop", record: dict[str, float]) -> None:
        """Run after each step with its losses."""

    def on_epoch_end(self, loop: "TrainingLoop", record: dict[str, float]) -> None:
        """Run after each epoch with its mean losses; the record is already in `loop.history`."""


def exponential_decay(first: float, last: float, progress: float) -> float:
    """Return the value at `progress` in [0, 1] of a geometric course from `first` to `last`.

    Examples
    --------
    >>> exponential_decay(1.0, 100.0, 0.5)
    10.0
    """
    return float(first * (last / first) ** min(max(progress, 0.0), 1.0))


@dataclasses.dataclass
class TrainingLoop:
    """Minimise a loss over epochs of batches.

    Parameters
    ----------
    module : nn.Module
    optimizer : torch.optim.Optimizer
    batches : callable
        `batches(generator)` gives the batches of one epoch; all its randomness comes from the generator.
    loss : callable
        `loss(batch, progress, generator)` gives the tensor to minimise and a record of floats; `progress` is the
        share of all steps done, in [0, 1).
    learning_rate : callable
        `learning_rate(progress)` gives the rate of a step.
    n_epochs : int
    generator : torch.Generator
        The only source of randomness.
    n_steps : int
        Steps per epoch, for `progress`.
    callbacks : sequence of Callback
    largest_gradient : float
        Gradients are scaled down to this norm.
    processes : Processes
        Those that learn together, each from its part of every batch, with the same generator, callbacks aside.

    Attributes
    ----------
    epoch : int
        Epochs finished.
    history : list of dict
        One record per epoch.

    Examples
    --------
    >>> weight = nn.Linear(1, 1)
    >>> loop = TrainingLoop(
    ...     weight, torch.optim.SGD(weight.parameters(), lr=0.1), batches=lambda g: [torch.ones(4, 1)],
    ...     loss=lambda x, progress, g: (weight(x).square().mean(), {}), learning_rate=lambda p: 0.1,
    ...     n_epochs=2, generator=torch.Generator().manual_seed(0), n_steps=1)
    >>> len(loop.run().history)
    2
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Callable[[torch.Generator], Iterable[Any]]
    loss: Loss
    learning_rate: Callable[[float], float]
    n_epochs: int
    generator: torch.Generator
    n_steps: int
    callbacks: Sequence[Callback] = ()
    largest_gradient: float = 1.0
    epoch: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    processes: Processes = dataclasses.field(default_factory=Processes)
    _shared_loss: Loss | None = dataclasses.field(default=None, init=False, repr=False)

    def run(self) -> "TrainingLoop":
        """Run the epochs that are left."""
        while self.epoch < self.n_epochs:
            self.run_epoch()
        return self

    def run_epoch(self) -> None:
        """Run one epoch and record the mean of its steps' records."""
        self._tell("on_epoch_begin")
        self.module.train()
        records = []
        for k, batch in enumerate(self.batches(self.generator)):
            records.append(self.step(batch, (self.epoch + min(k / self.n_steps, 1.0)) / self.n_epochs))
            self._tell("on_step_end", records[-1])
        self.epoch += 1
        mean = {key: sum(r[key] for r in records) / len(records) for key in records[0]} if records else {}
        self.history.append({"epoch": self.epoch, **mean})
        self._tell("on_epoch_end", self.history[-1])

    def step(self, batch: Any, progress: float) -> dict[str, float]:
        """Take one optimiser step; return its record."""
        rate = self.learning_rate(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
        self.optimizer.zero_grad()
        if self._shared_loss is None:  # now that weights are resumed
            self._shared_loss = self.processes.share(self.module, self.loss)
        loss, record = self._shared_loss(batch, progress, self.generator)
        self.processes.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.largest_gradient)
        # one recording that overflows must not undo the rest
        if torch.isfinite(norm):
            self.optimizer.step()
        return self.processes.mean_record({"loss": float(loss.detach()), **record}) | {"learning_rate": rate}

    def _tell(self, event: str, *values: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *values)
