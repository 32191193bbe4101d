"""What each part of the unsupervised tracker adds: features, motion, teacher, prior, encoder and its size.

    python benchmarks/ablation.py --speech ../shared/data/speech --write docs/comparison.md

Every tracker is fitted on the same simulated scenes of the robot head (`train` talkers, all kinds of noise) and
tested on the scored sets and on simulated scenes of other talkers, with the robot head and with random arrays.
"""

import argparse
import itertools
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from _scenes import NOISES, HeardScene, fixed_array_scenes, random_array_scenes, scored_scenes

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.datasets import ScoredSet, SimulatedScenes, SpeechFolder, write_scored_set
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.simulation import SceneSettings

_FIT_SEED = 100_000
Tracker = Any
LEARNED: dict[str, Callable[[], PhysicsVAETracker]] = {
    "default: whitened, smoother's lessons, 16 channels": lambda: PhysicsVAETracker(),
    "8 channels": lambda: PhysicsVAETracker(width=8),
    "32 channels": lambda: PhysicsVAETracker(width=32),
    "taught by physics, motion prior": lambda: PhysicsVAETracker(teacher="physics"),
    "taught by physics, uniform prior": lambda: PhysicsVAETracker(teacher="physics", prior="uniform"),
    "features phat": lambda: PhysicsVAETracker(features="phat"),
    "paper's encoder, 32 channels, physics": lambda: PhysicsVAETracker.paper().set_params(
        width=32, n_epochs=4, pairs_per_step=16, learning_rate=1e-3, final_learning_rate=1e-4
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # the page says that trackers are moved
    env = environment([1])
    head = MicArray.from_preset("nao_head_12")
    tests = _tests(args, head)
    rows = []
    for name, make in {"nothing learned: whitened": "whitened", "nothing learned: phat": "phat"}.items():
        tracker = SRPPHAT(features=make).fit(np.zeros((head.n_mics, 8192), dtype=np.float32), head)
        rows += [
            _row(f"{name}, {joined or 'frame by frame'}", tracker, tests, joined)
            for joined in (None, "filter", "smoother")
        ]
    with tempfile.TemporaryDirectory() as folder:
        paths = _fit_scenes(pathlib.Path(folder), head, args)
        for name, make_tracker in LEARNED.items():
            tracker = make_tracker().set_params(random_state=0, verbose=0)
            tracker.set_params(n_directions=1024).fit(paths, head)
            rows.append(_row(f"{name}, frame by frame", tracker.set_params(n_directions=2048), tests, None))
    rows.append(_row("shipped tracker, frame by frame", PhysicsVAETracker.from_pretrained(), tests, None))
    publish(args, _text(env, args, rows), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "ablation")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the sets (default: %(default)s)")
    parser.add_argument("--speech", type=pathlib.Path, required=True, help="talkers, with the splits train and valid")
    parser.add_argument("--fit-scenes", type=int, default=120, help="scenes of 10 s to fit on (default: %(default)s)")
    parser.add_argument("--test-scenes", type=int, default=25, help="scenes of each simulated kind")
    return parser.parse_args(argv)


def _fit_scenes(folder: pathlib.Path, head: MicArray, args: argparse.Namespace) -> list[Any]:
    speech = SpeechFolder(args.speech, split="train")
    settings = SceneSettings(duration_s=10.0, noise="mixed")
    scenes = SimulatedScenes(head, settings, args.fit_scenes, _FIT_SEED, speech=speech)
    write_scored_set(folder, scenes, head, [f"scene_{k:04d}" for k in range(args.fit_scenes)])
    return list(ScoredSet(folder).paths)


def _tests(args: argparse.Namespace, head: MicArray) -> dict[str, list[HeardScene]]:
    speech = SpeechFolder(args.speech, split="valid")
    sets = {}
    for folder, group in (("bench_nao", "omni"), ("bench_nao", "directional"), ("bench_rooms", "")):
        if (args.data / folder).is_dir():
            sets[f"{folder} {group}".strip()] = list(scored_scenes(args.data / folder, group))
    for noise in NOISES:
        sets[f"head, {noise}"] = list(fixed_array_scenes(head, noise, args.test_scenes, speech))
    for noise in NOISES:
        sets[f"random arrays, {noise}"] = list(random_array_scenes(noise, args.test_scenes, speech))
    return sets


def _row(name: str, tracker: Tracker, tests: dict[str, list[HeardScene]], smoothing: str | None) -> dict[str, Any]:
    errors = {}
    for label, scenes in tests.items():
        parts = []
        for array, same in itertools.groupby(scenes, key=lambda scene: scene.array):
            moved = tracker if tracker.array_ == array else tracker.for_array(array)
            for scene in same:
                track = moved.track(scene.signals, smoothing=smoothing)
                doa, active = truth_at_frames(scene.truth, track.times)
                parts.append(np.degrees(angular_error(doa, track.doa))[active])
        errors[label] = float(np.concatenate(parts).mean())
    print(name, {label: round(value, 2) for label, value in errors.items()}, flush=True)
    return {"method": name, "mae_deg": errors}


def _text(env: dict[str, Any], args: argparse.Namespace, rows: list[dict[str, Any]]) -> str:
    labels = list(rows[0]["mae_deg"])
    table = markdown_table(
        ["method", *labels], [[r["method"], *(f"{r['mae_deg'][label]:.2f}" for label in labels)] for r in rows]
    )
    fitted = (
        f"Fitted on {args.fit_scenes} scenes of 10 s; {args.test_scenes} scenes of each simulated kind; MAE in degrees."
    )
    return "\n\n".join([environment_line(env), fitted, table])


if __name__ == "__main__":
    main()
