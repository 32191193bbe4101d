"""What the tests of several processes do in each of them; importable, as pickles need it."""

import os
import signal

import torch
from torch import nn

from doatrack.training import Checkpoint, TrainingLoop, exponential_decay


class Data:
    """Two steps of numbered crops per epoch; each process sees its own, all draw the same numbers."""

    def __init__(self, rank, n_processes):
        self.rank, self.n_processes = rank, n_processes

    def __call__(self, generator):
        for _ in range(2):
            together = torch.randn(5, 3, generator=generator)
            yield together[self.rank :: self.n_processes]


class Regression:
    """Crops of different weight: the mean over all of them is not the mean over processes of their means."""

    def __init__(self, module, processes, deadly_epoch=None):
        self.module, self.processes, self.deadly_epoch = module, processes, deadly_epoch
        self.calls = 0

    def __call__(self, batch, progress, generator):
        self.calls += 1
        if self.deadly_epoch is not None and self.processes.rank == 1 and self.calls > 2 * self.deadly_epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        weight = (batch[:, 0] > 0).float()
        loss = ((self.module(batch)[:, 0] - batch.sum(dim=1)).square() * weight).sum()
        return loss / self.processes.mean(weight.sum()).clamp_min(1e-6), {"weight": float(weight.sum())}


class Work:
    """Three epochs of a small regression, kept in a folder."""

    def __init__(self, folder=None, deadly_epoch=None, error=None):
        self.folder, self.deadly_epoch, self.error = folder, deadly_epoch, error

    def __call__(self, processes):
        if self.error is not None and processes.rank == 1:
            raise self.error
        torch.manual_seed(1 + processes.rank)  # weights are the first process's
        module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        checkpoint = None if self.folder is None else Checkpoint(self.folder, {"seed": 0})
        loop = TrainingLoop(
            module,
            torch.optim.Adam(module.parameters(), lr=1.0),
            batches=Data(processes.rank, processes.n_processes),
            loss=Regression(module, processes, self.deadly_epoch),
            learning_rate=lambda p: exponential_decay(0.02, 0.01, p),
            n_epochs=4,
            generator=torch.Generator().manual_seed(0),
            n_steps=2,
            callbacks=[checkpoint] if checkpoint is not None and processes.rank == 0 else [],
            processes=processes,
        )
        if checkpoint is not None:
            checkpoint.resume(loop)
        loop.run()
        return {"weights": module.state_dict(), "history": loop.history}
