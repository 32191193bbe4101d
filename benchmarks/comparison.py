"""All methods on all sets, frame by frame, with filter and smoother: errors, paired intervals, coverage of cones.

    python benchmarks/comparison.py --speech ../shared/data/speech --simulated 200 \
        --model "NeuralSRPTracker=neural-srp.safetensors" --write docs/comparison.md

A method that learned with another array is moved by `for_array`. Differences are to plain SRP-PHAT, its frames joined
in the same way, with 90 % intervals from 4000 draws of scenes in pairs.
"""

import argparse
import dataclasses
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from _scenes import (
    CLEARER_SNR_DB,
    CLEARER_THRESHOLD_DB,
    NOISES,
    HeardScene,
    fixed_array_scenes,
    random_array_scenes,
    scored_scenes,
)
from joblib import Parallel, delayed

from doatrack import DML, MUSIC, SRPPHAT, MicArray, PhysicsVAETracker, load
from doatrack.datasets import SpeechFolder
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.features import GCCFeatures
from doatrack.metrics import angular_error, paired_bootstrap, truth_at_frames

SMOOTHINGS = (None, "filter", "smoother")
LEVELS = (0.5, 0.8, 0.95)
BASELINE = "SRP-PHAT"
CLASSICAL: dict[str, Callable[[], Any]] = {
    BASELINE: lambda: SRPPHAT(),
    "MUSIC, normalised": lambda: MUSIC(normalised=True),
    "DML": lambda: DML(),
    "SRP-PHAT, whitened": lambda: SRPPHAT(features="whitened"),
    "SRP-PHAT, whitened, causal": lambda: SRPPHAT(features="whitened", causal=True),
}
SHIPPED: dict[str, dict[str, Any]] = {
    "shipped tracker": {},
    "shipped tracker, causal": {"causal": True},
    "shipped tracker, causal, dereverberation": {"causal": True, "features": GCCFeatures(dereverberation=True)},
    "shipped tracker, causal, no dereverberation": {"causal": True, "features": GCCFeatures(dereverberation=False)},
}
ForArray = Callable[[MicArray], Any]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    env = environment([1])
    chosen = [label for label in _sets(args) if not args.only_set or args.only_set in label]
    tables = Parallel(n_jobs=args.jobs)(delayed(_rows_of_set)(label, args) for label in chosen)
    rows = [row for table in tables for row in table]
    publish(args, _text(env, rows), {"environment": env, "rows": rows})


def _rows_of_set(label: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # the page says that trackers are moved
    methods = {name: make for name, make in _methods(args.model).items() if not args.only or name in args.only}
    return _rows(label, _errors(_sets(args)[label], methods))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "comparison")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the sets (default: %(default)s)")
    parser.add_argument("--speech", type=pathlib.Path, help="talkers of simulated scenes; none: synthetic ones")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="scenes of each of six simulated kinds")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE", help="also this saved tracker")
    parser.add_argument("--section", default="comparison", help="markers in the page of --write (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="sets at a time, each on one thread (default: %(default)s)")
    parser.add_argument("--only-set", metavar="TEXT", help="only sets whose name holds this")
    parser.add_argument("--only", action="append", metavar="NAME", help="only these methods; can be repeated")
    return parser.parse_args(argv)


def _sets(args: argparse.Namespace) -> dict[str, Iterator[HeardScene]]:
    """Return the scenes of each set by its name; none is made before it is asked for."""
    sets = {}
    for folder, group in (("bench_nao", "omni"), ("bench_nao", "directional"), ("bench_rooms", "")):
        if (args.data / folder).is_dir():
            sets[f"{folder} {group}".strip()] = scored_scenes(args.data / folder, group)
    if not args.simulated:
        return sets
    speech = None if args.speech is None else SpeechFolder(args.speech, split="valid")
    head = MicArray.from_preset("nao_head_12")
    for noise in NOISES:
        sets[f"simulated, robot head, {noise} noise"] = fixed_array_scenes(head, noise, args.simulated, speech)
    for noise in NOISES:
        sets[f"simulated, random arrays, {noise} noise"] = random_array_scenes(noise, args.simulated, speech)
    for noise in NOISES:
        sets[f"simulated, clearer speech, random arrays, {noise} noise"] = _clearer_scenes(noise, args)
    return sets


def _clearer_scenes(noise: str, args: argparse.Namespace) -> Iterator[HeardScene]:
    loud = (
        None
        if args.speech is None
        else SpeechFolder(args.speech, split="valid", activity_threshold_db=CLEARER_THRESHOLD_DB)
    )
    return random_array_scenes(noise, args.simulated, loud, seed=1, snr_db_range=CLEARER_SNR_DB)


def _methods(models: Sequence[str]) -> dict[str, ForArray]:
    methods = {name: _classical(make) for name, make in CLASSICAL.items()}
    for item in models:
        name, _, file = item.partition("=")
        methods[name] = _moved(load(file))
    for name, settings in SHIPPED.items():
        methods[name] = _moved(PhysicsVAETracker.from_pretrained().set_params(**settings))
    return methods


def _classical(make: Callable[[], Any]) -> ForArray:
    return lambda array: make().fit(np.zeros((array.n_mics, 8192), dtype=np.float32), array)


def _is_the_default(name: str, array: MicArray) -> bool:
    """Return whether a variant of the causal tracker is that tracker itself with so many microphones."""
    features = SHIPPED.get(name, {}).get("features")
    if features is None:
        return False
    chosen = (dataclasses.replace(f, causal=True).for_microphones(array.n_mics) for f in (features, GCCFeatures()))
    return len(set(chosen)) == 1


def _moved(tracker: Any) -> ForArray:
    return lambda array: tracker if tracker.array_ == array else tracker.for_array(array)


Errors = dict[tuple[str, str | None], list[np.ndarray]]


def _errors(scenes: Iterator[HeardScene], methods: dict[str, ForArray]) -> Errors:
    """Return errors in degrees of active frames, and which cones held, scene by scene, by method and smoothing."""
    found: Errors = {}
    ready: dict[str, Any] = {}
    for scene in scenes:
        for name, for_array in methods.items():
            if _is_the_default(name, scene.array):
                continue
            if name not in ready or ready[name].array_ != scene.array:
                ready[name] = for_array(scene.array)
            for smoothing in SMOOTHINGS:
                track = ready[name].track(scene.signals, smoothing=smoothing)
                doa, active = truth_at_frames(scene.truth, track.times)
                error = angular_error(doa, track.doa)
                angles = [ready[name].credible_angle(track, level, smoothing) for level in LEVELS]
                held = [np.where(np.isfinite(angle), error <= angle, np.nan) for angle in angles]
                found.setdefault((name, smoothing), []).append(np.column_stack([np.degrees(error), *held])[active])
    return found


def _rows(label: str, errors: Errors) -> list[dict[str, Any]]:
    rows = []
    for (name, smoothing), parts in errors.items():
        table = np.concatenate(parts)
        row = {"set": label, "n_scenes": len(parts), "n_frames": len(table), "method": name, "smoothing": smoothing}
        row |= {"mae_deg": float(table[:, 0].mean()), "rmse_deg": float(np.sqrt((table[:, 0] ** 2).mean()))}
        row["coverage"] = [float(share) for share in table[:, 1:].mean(axis=0)]
        base = errors.get((BASELINE, smoothing))
        if base is not None and name != BASELINE:
            difference = paired_bootstrap([p[:, 0] for p in parts], [p[:, 0] for p in base])
            row |= {"difference_deg": difference.difference, "difference_90_deg": [difference.low, difference.high]}
        rows.append(row)
    return rows


def _text(env: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    header = ["method", "frames joined by", "MAE", "RMSE", f"difference to {BASELINE}", "50 %", "80 %", "95 %"]
    parts = [environment_line(env)]
    for label in dict.fromkeys(row["set"] for row in rows):
        chosen = [row for row in rows if row["set"] == label]
        parts.append(f"**{label}** ({chosen[0]['n_scenes']} scenes, {chosen[0]['n_frames']} active frames)")
        parts.append(markdown_table(header, [_cells(row) for row in chosen]))
    return "\n\n".join(parts)


def _cells(row: dict[str, Any]) -> list[str]:
    difference = "-"
    if "difference_deg" in row:
        low, high = row["difference_90_deg"]
        difference = f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})"
    cones = ["-" if np.isnan(share) else f"{100 * share:.0f} %" for share in row["coverage"]]
    errors = [f"{row['mae_deg']:.2f}", f"{row['rmse_deg']:.2f}"]
    return [row["method"], row["smoothing"] or "nothing", *errors, difference, *cones]


if __name__ == "__main__":
    main()
