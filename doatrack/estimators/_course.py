"""A run of learning from beginning to end, as each process does it."""

import contextlib
import dataclasses
import pathlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from doatrack.audio.recordings import Recordings
from doatrack.estimators._prepare import Preparation, check_teaches
from doatrack.estimators._progress import ProgressBar
from doatrack.estimators._runs import SCRATCH
from doatrack.estimators._task import Task
from doatrack.features.shards import FeatureShards
from doatrack.geometry import MicArray
from doatrack.training import Batch, Callback, Checkpoint, CropSampler, Processes, TrainingLoop
from doatrack.training.mixed_batches import MixedCrops
from doatrack.training.prefetch import ahead

__all__ = ["Course", "Lesson", "Sampling"]

_DERIVED = ("seed", "sum_of_initial_weights")
"""Of a fingerprint: what follows from random_state, the encoder and the like."""

_RESIDENT_SHARE = 0.5
"""Of a GPU's free memory that features may fill; more are read from disk."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How crops are taken; see `CropSampler`."""

    crop_frames: int
    batch_size: int
    rows_per_step: int | None
    chosen_per_step: int | None


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What is learned from the recordings of one array.

    Parameters
    ----------
    array : MicArray
    task : Task
        What is minimised, with the networks of the course's module.
    recordings : Recordings
    prepare : Preparation
    """

    array: MicArray
    task: Task
    recordings: Recordings
    prepare: Preparation


@dataclasses.dataclass
class Course:
    """All that a process needs to know to take its part in learning; it can be pickled.

    Parameters
    ----------
    module : nn.Module
        What is learned.
    lessons : list of Lesson
        One per array; fresh recordings are of one.
    sampling : Sampling
    learning_rate : callable
        As for `TrainingLoop`.
    n_epochs, seed : int
    first_epoch : int
        Number of the first epoch's recordings, if they are fresh.
    scratch : path, optional
        Folder for features; None is the system's.
    checkpoint : path, optional
    fingerprint : dict
        What a checkpoint depends on, but for the recordings.
    verbose : int
    """

    module: nn.Module
    lessons: list[Lesson]
    sampling: Sampling
    learning_rate: Callable[[float], float]
    n_epochs: int
    seed: int
    first_epoch: int
    scratch: pathlib.Path | None
    checkpoint: pathlib.Path | None
    fingerprint: dict[str, Any]
    verbose: int

    def __call__(self, processes: Processes) -> dict[str, Any]:
        """Learn as one of some processes; return weights and history."""
        self.module.to(processes.device)
        for lesson in self.lessons:
            lesson.task.begin(processes)
        trained = [p for p in self.module.parameters() if p.requires_grad]
        first = processes.rank == 0
        with (
            EpochCrops.of(self, processes) as crops,
            ProgressBar(self.verbose if first else 0) as bar,
        ):
            checkpoint = self._checkpoint(crops)
            loop = TrainingLoop(
                self.module,
                torch.optim.Adam(trained, lr=self.learning_rate(0.0)),
                batches=crops,
                loss=self._loss,
                learning_rate=self.learning_rate,
                n_epochs=self.n_epochs,
                # one that was drawn is another in every process that was started outside
                generator=torch.Generator().manual_seed(processes.from_first(self.seed)),
                n_steps=crops.n_steps,
                callbacks=[crops, *([c for c in (checkpoint, bar) if c is not None] if first else [])],
                processes=processes,
            )
            if checkpoint is not None:
                checkpoint.resume(loop)
            loop.run()
            processes.wait()
        weights = {k: v.detach().cpu() for k, v in self.module.state_dict().items()}
        return {"weights": weights, "history": loop.history}

    def way_out(self) -> str:
        """Return what to do if a process dies."""
        if self.checkpoint is None:
            return "Nothing is kept: give checkpoint=FOLDER, and the run can be resumed after the last complete epoch."
        return (
            f"The last complete epoch, if there was one, is kept in {self.checkpoint}: the same call with the same "
            "checkpoint goes on from there, with any number of processes (doatrack fit: add --resume)."
        )

    def _loss(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        return self.lessons[batch.lesson].task(batch, progress, generator)

    def _checkpoint(self, crops: "EpochCrops") -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        return Checkpoint(
            self.checkpoint,
            self.fingerprint | {"recordings": crops.description, "batch_size": self.sampling.batch_size},
            derived=_DERIVED,
            per_process=("batch_size",),
        )


class EpochCrops(Callback):
    """The batches of each epoch: of the same recordings, or of fresh ones that are made when it begins.

    The processes of a machine share the reading: each writes the features of some recordings, and all read them.
    """

    def __init__(self, course: Course, processes: Processes, folder: pathlib.Path) -> None:
        self._course, self._processes, self._folder = course, processes, folder
        self._fresh = course.lessons[0].recordings.drawn_from is not None
        self._sampler: CropSampler | MixedCrops | None = None
        self.n_steps = 1
        self.description = course.lessons[0].recordings.drawn_from
        """What tells these recordings, their truth and activity from others."""
        if not self._fresh:
            self._prepare(0)

    @classmethod
    @contextlib.contextmanager
    def of(cls, course: Course, processes: Processes) -> "Iterator[EpochCrops]":
        """Give the batches, whose features are gone when learning ends."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=course.scratch) as folder:
            yield cls(course, processes, pathlib.Path(folder))

    def on_epoch_begin(self, loop: TrainingLoop) -> None:
        """Make the recordings of this epoch, if they are others."""
        if self._fresh:
            self._prepare(self._course.first_epoch + loop.epoch)
            loop.n_steps = self.n_steps

    def __call__(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch on the device."""
        assert self._sampler is not None
        device, batches = self._processes.device, self._sampler(generator)
        if device.type == "cuda":
            batches = ahead(batches, Batch.pin_memory)
        for batch in batches:
            yield batch if device.type == "cpu" else batch.to(device)

    def _prepare(self, epoch: int) -> None:
        read = [self._read(k, epoch) for k in range(len(self._course.lessons))]
        check_teaches([store for store, _ in read])
        if not self._fresh:
            sums = np.array([store.checksum for store, _ in read], dtype=np.uint32)
            count = sum(len(store) for store, _ in read)
            self.description = f"{count} recordings with the checksum {zlib.crc32(sums.tobytes()):08x}"
        samplers = [self._crops(*stores) for stores in read]
        self._sampler = samplers[0] if len(samplers) == 1 else MixedCrops(samplers)
        self.n_steps = self._sampler.n_steps

    def _read(self, number: int, epoch: int) -> tuple[FeatureShards, FeatureShards | None]:
        """Return features, and targets if there are any, of a lesson's recordings."""
        course, lesson, processes = self._course, self._course.lessons[number], self._processes
        recordings = lesson.recordings.of_epoch(epoch)
        n_here = len(processes.all_of_machine(None))
        indices = range(processes.local_rank, len(recordings), n_here)
        folder = self._folder / str(number)
        folder.mkdir(exist_ok=True)
        own = lesson.prepare(recordings, indices, folder, course.verbose if processes.rank == 0 else 0)
        parts = processes.all_of_machine(own)
        targets = [part.targets for part in parts if part.targets is not None]
        return FeatureShards([part.store for part in parts]), FeatureShards(targets) if targets else None

    def _crops(self, store: FeatureShards, targets: FeatureShards | None) -> CropSampler:
        processes = self._processes
        sampler = CropSampler(store, targets=targets, **dataclasses.asdict(self._course.sampling)).share(
            processes.rank, processes.n_processes
        )
        if processes.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(processes.device)
            sampler = sampler.resident(processes.device, _RESIDENT_SHARE * free)
        return sampler
