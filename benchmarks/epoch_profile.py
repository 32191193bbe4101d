"""Where the time of one epoch goes: simulation, features, encoder forward and backward, optimiser, data."""

import argparse
import collections
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from torch import Tensor, nn

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import SimulatedScenes
from doatrack.estimators import _learned
from doatrack.estimators._course import Course, EpochCrops
from doatrack.simulation import SceneSettings
from doatrack.training import Loss, Processes, TrainingLoop

STAGES = {
    "simulation": "simulation",
    "features": "features (STFT, GCC, weighting, to disk)",
    "targets": "targets (smoother over the maps)",
    "data": "data (crops from disk, to the device)",
    "forward": "encoder and loss, forward",
    "backward": "backward",
    "optimiser": "clipping and optimiser",
}


class Clock:
    """Seconds by stage; what is timed inside another stage is not counted there."""

    def __init__(self, device: str) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()
        self._device = device
        self._inside: list[float] = []

    @contextlib.contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add what is spent inside to a stage."""
        began = self._now()
        self._inside.append(0.0)
        try:
            yield
        finally:
            elapsed = self._now() - began
            self.seconds[stage] += elapsed - self._inside.pop()
            if self._inside:
                self._inside[-1] += elapsed

    def _now(self) -> float:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()


class TimedProcesses(Processes):
    """One process with a clock."""

    def __init__(self, clock: Clock, device: str, precision: str) -> None:
        super().__init__(device, precision)
        self._clock = clock

    def share(self, module: nn.Module, loss: Loss) -> Loss:
        """Return the loss of a step, timed."""
        shared = super().share(module, loss)

        def timed(batch: Any, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
            with self._clock.time("forward"):
                return shared(batch, progress, generator)

        return timed

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, timed."""
        with self._clock.time("backward"):
            super().backward(loss)


class TimedScenes(SimulatedScenes):
    """Scenes whose making is timed; the same ones in every epoch, so that the clock sees one."""

    clock: Clock

    def __getitem__(self, index: Any) -> Any:
        with self.clock.time("simulation"):
            return super().__getitem__(index)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(args.threads)
    env = environment([args.threads])
    clock = Clock(args.device)
    array = MicArray.from_preset(args.array)
    _fit(args, clock, array, n_scenes=1)  # tables, and whatever is built at the first step
    clock.seconds.clear()
    tracker, steps = _fit(args, clock, array, n_scenes=args.scenes)
    n_parameters = sum(p.numel() for network in tracker._networks().values() for p in network.parameters())
    figures = {"seconds": dict(clock.seconds), "n_steps": steps, "n_parameters": n_parameters}
    publish(args, _text(args, env, figures), {"environment": env, **figures})


def _fit(args: argparse.Namespace, clock: Clock, array: MicArray, n_scenes: int) -> tuple[PhysicsVAETracker, int]:
    """Fit for one epoch with everything timed."""
    settings = SceneSettings(duration_s=args.duration)
    scenes = TimedScenes(array, settings, n_scenes, seed=0, device=args.device)
    scenes.clock = clock
    tracker = PhysicsVAETracker.paper(random_state=0) if args.encoder == "paper" else PhysicsVAETracker(random_state=0)
    tracker.set_params(n_epochs=1, device=args.device, precision=args.precision, verbose=0)
    if args.pairs is not None:
        tracker.set_params(pairs_per_step=args.pairs)
    if args.batch_size is not None:
        tracker.set_params(batch_size=args.batch_size)
    steps = []

    def run(course: Course, module: nn.Module, hardware: Any) -> list[dict[str, float]]:
        (lesson,) = course.lessons
        targets = lesson.prepare.targets and _TimedTargets(clock, lesson.prepare.targets)
        prepare = dataclasses.replace(lesson.prepare, targets=targets)
        course.lessons = [dataclasses.replace(lesson, prepare=prepare)]
        result = course(TimedProcesses(clock, args.device, args.precision))
        module.cpu().eval()
        history: list[dict[str, float]] = result["history"]
        return history

    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(_learned, "run", run))
        patches.enter_context(mock.patch.object(EpochCrops, "_prepare", _timed(clock, "features", EpochCrops._prepare)))
        patches.enter_context(mock.patch.object(EpochCrops, "__call__", _timed_items(clock, EpochCrops.__call__)))
        step = _timed(clock, "optimiser", TrainingLoop.step, steps)
        patches.enter_context(mock.patch.object(TrainingLoop, "step", step))
        tracker.fit(scenes, array)
    return tracker, len(steps)


class _TimedTargets:
    """Targets whose making is timed."""

    def __init__(self, clock: Clock, targets: Any) -> None:
        self._clock, self._targets, self.n_directions = clock, targets, targets.n_directions

    def write(self, store: Any, targets: Any) -> None:
        with self._clock.time("targets"):
            self._targets.write(store, targets)


def _timed(clock: Clock, stage: str, method: Any, calls: list[int] | None = None) -> Any:
    def timed(self: Any, *arguments: Any) -> Any:
        if calls is not None:
            calls.append(1)
        with clock.time(stage):
            return method(self, *arguments)

    return timed


def _timed_items(clock: Clock, method: Any) -> Any:
    def timed(self: Any, generator: torch.Generator) -> Iterator[Any]:
        items = method(self, generator)
        while True:
            with clock.time("data"):
                item = next(items, None)
            if item is None:
                return
            yield item

    return timed


def _text(args: argparse.Namespace, env: dict[str, Any], figures: dict[str, Any]) -> str:
    seconds = figures["seconds"]
    fresh = sum(seconds.values())
    learned = sum(seconds.get(k, 0.0) for k in ("data", "forward", "backward", "optimiser"))
    rows = []
    for stage, label in STAGES.items():
        if stage in seconds:
            share = seconds[stage] / learned if stage in ("data", "forward", "backward", "optimiser") else None
            cached = "" if share is None else f"{100 * share:.0f} %"
            rows.append([label, f"{seconds[stage]:.2f}", f"{100 * seconds[stage] / fresh:.0f} %", cached])
    rows.append(["all", f"{fresh:.2f}", "100 %", f"{learned:.2f} s"])
    header = ["stage", "s", "share of an epoch with fresh scenes", "share with features from cache"]
    told = (
        f"One epoch of {args.scenes} scenes of {args.duration:g} s, array {args.array}, encoder {args.encoder} "
        f"({figures['n_parameters']} parameters), {figures['n_steps']} steps, device {args.device}, {args.precision}."
    )
    return f"{environment_line(env)}\n\n{told}\n\n{markdown_table(header, rows)}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "epoch_profile")
    parser.add_argument("--scenes", type=int, default=585, help="the paper's epoch has 585")
    parser.add_argument("--duration", type=float, default=20.0, help="of a scene in s")
    parser.add_argument("--array", default="nao_head_12")
    parser.add_argument("--encoder", choices=("map", "paper"), default="paper")
    parser.add_argument("--pairs", type=int, help="pairs per step; the paper's 66, or 16 for the map encoder")
    parser.add_argument("--batch-size", type=int, help="crops per step; 16 (paper) or 8 (map)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
