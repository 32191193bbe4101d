"""Errors of SRPPHAT and of fitted trackers on scored sets, in one run, with paired intervals over scenes."""

import argparse
import dataclasses
import importlib.util
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _recordings import summed_map_azimuths
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.base import clone

from doatrack import DML, ESPRIT, MUSIC, SRPPHAT, MicArray, PhysicsVAETracker, Track, load
from doatrack.datasets import Locata, ScoredSet, is_locata
from doatrack.exceptions import ArrayMismatchWarning, ModelFileError
from doatrack.geometry import find_shifts
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

SHIPPED = "nao_head_12"
SETS = ("bench_nao:omni", "bench_nao:directional", "bench_rooms")
N_RESAMPLES = 4000
TOLERANCE = 0.01
TARGET_SRP = {"bench_nao:omni": 5.7, "bench_nao:directional": 16.1, "bench_rooms": 5.1}


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of the table: how to get the tracker for an array, and whether it is a baseline."""

    label: str
    for_array: Callable[[MicArray], Any]
    is_baseline: bool

    def can_use(self, array: MicArray) -> bool:
        """Return whether the array has what the method needs: ESPRIT needs shifted copies of a part of it."""
        return not self.label.startswith("ESPRIT") or bool(find_shifts(array))


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
    methods = _classical() if args.classical else _baselines()
    methods += _models(args.model, shipped=not args.no_shipped)
    script = _load_script(args.score_script)
    results = {}
    for name in args.sets or [str(args.data / name) for name in SETS]:
        scenes = _read_scenes(name)
        results[scenes.name] = [_evaluate(method, scenes, script) for method in methods if method.can_use(scenes.array)]
        _add_differences(results[scenes.name], args.seed)
    folder = args.recordings or args.data / "recordings" / "respeaker4"
    azimuths = [] if args.no_recordings else _recordings(folder, methods)
    checked = [row["check"] for rows in results.values() for row in rows if row["check"] is not None]
    text = _text(env, results, azimuths, checked, args.score_script)
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


def _baselines() -> list[Method]:
    rows = []
    for window in ("rectangular", "hann"):
        rows += [
            _baseline(f"SRPPHAT, {window}, refined", window=window),
            _baseline(f"SRPPHAT, {window}, grid only", window=window, refine=False),
            _baseline(f"SRPPHAT, {window}, 64 x 32 grid only", window=window, refine=False, grid="rectangular"),
        ]
    return rows


def _classical() -> list[Method]:
    return [
        _untrained("SRPPHAT", SRPPHAT()),
        _untrained("MUSIC, normalised", MUSIC()),
        _untrained("MUSIC, plain", MUSIC(normalised=False)),
        _untrained("DML, noise per frequency", DML()),
        _untrained("DML, common noise", DML(noise="common")),
        _untrained("ESPRIT", ESPRIT()),
    ]


def _baseline(label: str, **parameters: Any) -> Method:
    return _untrained(label, SRPPHAT(n_directions=2048, **parameters))


def _untrained(label: str, tracker: Any) -> Method:
    """Return a method that learns nothing of the sound: silence is enough to fit it."""

    def for_array(array: MicArray) -> Any:
        return clone(tracker).fit(np.zeros((array.n_mics, 4096), np.float32), array)

    return Method(label, for_array, is_baseline=isinstance(tracker, SRPPHAT))


def _models(files: Sequence[str], *, shipped: bool) -> list[Method]:
    models = []
    if shipped:
        try:
            models.append(_model("PhysicsVAETracker, shipped", PhysicsVAETracker.from_pretrained(SHIPPED)))
        except ModelFileError as error:
            print(f"The shipped tracker is left out: {error}", file=sys.stderr)
    for given in files:
        label, _, path = given.rpartition("=")
        models.append(_model(label or pathlib.Path(path).stem, load(path)))
    return models


def _model(label: str, tracker: Any) -> Method:
    def for_array(array: MicArray) -> Any:
        if tracker.array_ == array:
            return tracker
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # the label says that it was moved
            return tracker.for_array(array)

    return Method(label, for_array, is_baseline=isinstance(tracker, SRPPHAT))


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
        found = paired_bootstrap(row["scene_errors_deg"], best["scene_errors_deg"], n_draws=N_RESAMPLES, seed=seed)
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


def _text(
    env: dict[str, Any],
    results: dict[str, list[dict[str, Any]]],
    azimuths: list[dict[str, Any]],
    checked: list[float],
    script: pathlib.Path,
) -> str:
    parts = [environment_line(env), _reading()]
    for name, rows in results.items():
        head = f"**{name}**: {rows[0]['n_scenes']} scenes, {rows[0]['n_frames']} active frames"
        parts += [head, _set_table(rows)]
    if azimuths:
        parts += [
            "**Real recordings** of one talker (ReSpeaker USB 4, planar): azimuth error in degrees of the maximum of "
            "the map summed over active frames (for trackers: of their posteriors, as von Mises-Fisher).",
            _recordings_table(azimuths),
        ]
    targets = _targets(results, azimuths)
    if targets:
        parts.append(markdown_table(["target", "reached", "met"], targets))
    if checked:
        parts.append(
            f"Largest difference to `{script.name}` in any of these figures: {max(checked):.1g} (at most {TOLERANCE})."
        )
    return "\n\n".join(parts)


def _reading() -> str:
    return (
        "Degrees over active frames, frame by frame, no smoothing; window 4096, hop 3072, 2048 directions. "
        f"Difference: MAE minus that of the best SRPPHAT row, with a 90 % interval from {N_RESAMPLES} draws of scenes "
        "in pairs. Correlation: Spearman's, of error and 90 % credible angle. Coverage: share of active frames whose "
        "90 % cone holds the truth."
    )


def _set_table(rows: list[dict[str, Any]]) -> str:
    header = ["method", "MAE", "RMSE", "median", "within 5", "within 10", "difference", "correlation", "coverage"]
    return markdown_table(header, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["difference_90_deg"]
    known = "rank_correlation" in row
    return [
        row["method"],
        *(f"{row[key]:.2f}" for key in ("mae_deg", "rmse_deg", "median_deg")),
        *(f"{100 * row[key]:.1f} %" for key in ("within_5", "within_10")),
        "best SRPPHAT" if row["is_best_baseline"] else f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})",
        f"{row['rank_correlation']:.2f}" if known else "-",
        f"{100 * row['coverage_90']:.1f} %" if known else "-",
    ]


def _recordings_table(azimuths: list[dict[str, Any]]) -> str:
    names = [file["name"] for file in azimuths[0]["files"]]
    rows = [[row["method"], *(f"{file['azimuth_error_deg']:+.1f}" for file in row["files"])] for row in azimuths]
    return markdown_table(["method", *names], rows)


def _targets(results: dict[str, list[dict[str, Any]]], azimuths: list[dict[str, Any]]) -> list[list[str]]:
    """Return rows (target, reached, met) for the sets that have targets."""
    rows = []
    for name, limit in TARGET_SRP.items():
        if name in results:
            mae = min(row["mae_deg"] for row in results[name] if row["is_baseline"])
            rows.append(_target(f"best SRPPHAT, {name}: MAE at most {limit}", f"{mae:.2f}", round(mae, 1) <= limit))
    shipped = [row for row in results.get("bench_nao:omni", []) if row["method"].startswith("PhysicsVAETracker, ship")]
    if shipped:
        rows += _shipped_targets(shipped[0])
    for row in azimuths:
        if row["method"] in ("SRPPHAT, rectangular, refined", "PhysicsVAETracker, shipped"):
            worst = max(abs(file["azimuth_error_deg"]) for file in row["files"])
            rows.append(_target(f"{row['method']}, recordings: within 5 of azimuth", f"{worst:.1f}", worst <= 5))
    return rows


def _shipped_targets(row: dict[str, Any]) -> list[list[str]]:
    difference, rank, coverage = row["difference_deg"], row["rank_correlation"], 100 * row["coverage_90"]
    start = "shipped tracker, bench_nao:omni"
    return [
        _target(f"{start}: MAE at most 4.5", f"{row['mae_deg']:.2f}", row["mae_deg"] <= 4.5),
        _target(f"{start}: RMSE at most 8", f"{row['rmse_deg']:.2f}", row["rmse_deg"] <= 8),
        _target(f"{start}: below the best SRPPHAT", f"{difference:+.2f}", difference < 0),
        _target(f"{start}: rank correlation at least 0.3", f"{rank:.2f}", rank >= 0.3),
        _target(f"{start}: coverage 80 to 97 %", f"{coverage:.1f} %", 80 <= coverage <= 97),
    ]


def _target(what: str, reached: str, met: bool) -> list[str]:
    return [what, reached, "yes" if met else "**no**"]


if __name__ == "__main__":
    sys.exit(main())
