"""Errors of SRPPHAT and of fitted trackers on scored sets, in one run, with paired intervals over scenes."""

import argparse
import dataclasses
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from _accuracy_methods import Method, baselines, classical, models
from _accuracy_text import N_RESAMPLES, TOLERANCE, accuracy_text
from _recordings import summed_map_azimuths
from _report import DATA, environment, make_parser, publish
from numpy.typing import NDArray
from scipy.stats import spearmanr

from doatrack import MicArray, Track
from doatrack.datasets import Locata, ScoredSet, is_locata
from doatrack.metrics import (
    angular_error,
    cone_coverage,
    mean_angular_error_deg,
    median_angular_error_deg,
    paired_bootstrap,
    root_mean_square_angular_error_deg,
    share_within,
    truth_at_frames,
)

SETS = ("bench_nao:omni", "bench_nao:directional", "bench_rooms")


@dataclasses.dataclass(frozen=True)
class Scenes:
    """Scenes of a scored set, or of one group of it."""

    name: str
    array: MicArray
    paths: list[pathlib.Path]
    truths: list[NDArray[np.float64]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if the library disagrees with the reference script."""
    args = _arguments(argv)
    torch.set_num_threads(args.threads)
    env = environment([args.threads])
    methods = classical() if args.classical else baselines()
    methods += models(args.model, shipped=not args.no_shipped)
    script = _load_script(args.score_script)
    results = {}
    for name in args.sets or [str(args.data / name) for name in SETS]:
        scenes = _read_scenes(name)
        results[scenes.name] = [_evaluate(method, scenes, script) for method in methods if method.can_use(scenes.array)]
        _add_differences(results[scenes.name], args.seed)
    folder = args.recordings or args.data / "recordings" / "respeaker4"
    azimuths = [] if args.no_recordings else _recordings(folder, methods)
    checked = [row["check"] for rows in results.values() for row in rows if row["check"] is not None]
    text = accuracy_text(env, results, azimuths, checked, args.score_script)
    figures = {"environment": env, "sets": results, "recordings": azimuths}
    publish(args, text, _without_scenes(figures))
    return int(bool(checked) and max(checked) > TOLERANCE)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "accuracy")
    parser.add_argument(
        "sets",
        nargs="*",
        metavar="SET[:GROUP]",
        help=f"folders with array.json, NAME.wav and NAME.csv; a group is what stands before _ in names "
        f"(default: {' '.join(SETS)} in --data). The LOCATA corpus too: tasks 1, 3 and 5 of the robot head",
    )
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the sets (default: %(default)s)")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[LABEL=]FILE",
        help="a saved tracker to add as a row; may be given several times",
    )
    parser.add_argument(
        "--classical",
        action="store_true",
        help="rows of MUSIC, DML and ESPRIT beside SRPPHAT; --write then goes to the section named classical",
    )
    parser.add_argument("--no-shipped", action="store_true", help="leave the shipped tracker out")
    parser.add_argument("--recordings", type=pathlib.Path, help="respeaker4 folder (default: in --data)")
    parser.add_argument("--no-recordings", action="store_true", help="leave the real recordings out")
    parser.add_argument(
        "--score-script",
        type=pathlib.Path,
        default=DATA / "score.py",
        help="independent reference of the figures; skipped where it does not exist (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.classical:
        args.section = "classical"
    return args


def _read_scenes(name: str) -> Scenes:
    folder, _, group = name.partition(":")
    scored = Locata(folder) if is_locata(folder) else ScoredSet(folder)
    keep = [k for k, scene in enumerate(scored.names) if group in ("", scene.split("_")[0])]
    if not keep:
        sys.exit(f"{folder} has no scene whose name starts with {group}_")
    short = f"{pathlib.Path(folder).name}{':' if group else ''}{group}"
    return Scenes(short, scored.array, [scored.paths[k] for k in keep], [scored.truths[k] for k in keep])


def _load_script(path: pathlib.Path) -> Any:
    if not path.exists():
        print(f"{path} does not exist: figures are not checked against it.", file=sys.stderr)
        return None
    spec = importlib.util.spec_from_file_location("score_script", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _evaluate(method: Method, scenes: Scenes, script: Any) -> dict[str, Any]:
    """Return the figures of a method on scenes, by the library's metrics."""
    tracker = method.for_array(scenes.array)
    tracks: list[Track] = tracker.track(scenes.paths, smoothing=None)
    times, doa = [t.times for t in tracks], [t.doa for t in tracks]
    moved = getattr(tracker, "fitted_array_", scenes.array) != scenes.array
    row: dict[str, Any] = {
        "method": f"{method.label}, moved to this array" if moved else method.label,
        "is_baseline": method.is_baseline,
        "mae_deg": mean_angular_error_deg(scenes.truths, doa, frame_times=times),
        "rmse_deg": root_mean_square_angular_error_deg(scenes.truths, doa, frame_times=times),
        "median_deg": median_angular_error_deg(scenes.truths, doa, frame_times=times),
        "within_5": share_within(scenes.truths, doa, tolerance_deg=5, frame_times=times),
        "within_10": share_within(scenes.truths, doa, tolerance_deg=10, frame_times=times),
    }
    errors, angles = _errors(scenes, tracks)
    row |= {"n_scenes": len(errors), "n_frames": sum(map(len, errors)), "scene_errors_deg": errors}
    row["scene_mae_deg"] = [float(e.mean()) if len(e) else None for e in errors]
    pooled = np.concatenate(angles)
    if np.isfinite(pooled).all() and len(pooled) > 2:
        row["rank_correlation"] = float(spearmanr(np.concatenate(errors), pooled).statistic)
        cones = [t.credible_angle for t in tracks]
        row["coverage_90"] = cone_coverage(scenes.truths, doa, cones, frame_times=times)
    row["check"] = None if script is None else _disagreement(row, script, scenes, tracks)
    return row


def _errors(scenes: Scenes, tracks: list[Track]) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Return errors in degrees and credible angles of the active frames of each scene."""
    errors, angles = [], []
    for truth, track in zip(scenes.truths, tracks, strict=True):
        doa, active = truth_at_frames(truth, track.times)
        errors.append(np.degrees(angular_error(doa, track.doa))[active])
        angles.append(track.credible_angle[active])
    return errors, angles


def _disagreement(row: dict[str, Any], script: Any, scenes: Scenes, tracks: list[Track]) -> float:
    """Return the largest difference to the reference script, in degrees or per cent."""
    parts = [
        script.frame_errors(truth, np.column_stack([track.times, track.doa]))
        for truth, track in zip(scenes.truths, tracks, strict=True)
    ]
    e = np.concatenate(parts)
    theirs = [e.mean(), np.sqrt((e**2).mean()), np.median(e), 100 * (e <= 5).mean(), 100 * (e <= 10).mean()]
    ours = [row["mae_deg"], row["rmse_deg"], row["median_deg"], 100 * row["within_5"], 100 * row["within_10"]]
    return float(np.abs(np.array(ours) - np.array(theirs)).max())


def _add_differences(rows: list[dict[str, Any]], seed: int) -> None:
    """Add the difference of MAE to the best baseline and its 90 % interval, scenes drawn again in pairs."""
    best = min((row for row in rows if row["is_baseline"]), key=lambda row: row["mae_deg"])
    for row in rows:
        found = paired_bootstrap(
            row["scene_errors_deg"], best["scene_errors_deg"], n_draws=N_RESAMPLES, random_state=seed
        )
        row["is_best_baseline"] = row is best
        row["difference_deg"], row["difference_90_deg"] = found.difference, [found.low, found.high]


def _recordings(folder: pathlib.Path, methods: Sequence[Method]) -> list[dict[str, Any]]:
    if not folder.is_dir():
        print(f"{folder} does not exist: the real recordings are left out.", file=sys.stderr)
        return []
    return [{"method": m.label, "files": summed_map_azimuths(folder, m.for_array)} for m in methods]


def _without_scenes(value: Any) -> Any:
    """Drop the errors of single frames, which are too many for a file of figures."""
    if isinstance(value, dict):
        return {k: _without_scenes(v) for k, v in value.items() if k != "scene_errors_deg"}
    return [_without_scenes(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
