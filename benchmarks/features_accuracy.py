"""Errors of SRPPHAT with each kind of features, frame by frame, with the filter and the smoother, in one run."""

import argparse
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray

from doatrack import SRPPHAT
from doatrack.datasets import ScoredSet
from doatrack.features import GCCFeatures
from doatrack.metrics import angular_error, paired_bootstrap, truth_at_frames

SETS = ("bench_nao:omni", "bench_nao:directional", "bench_rooms")
FEATURES = {
    "phat": GCCFeatures.of("phat"),
    "snr": GCCFeatures.of("snr"),
    "whitened": GCCFeatures.of("whitened"),
    "snr, causal": GCCFeatures(weighting="snr", causal=True),
    "whitened, causal": GCCFeatures(weighting="whitened", causal=True),
}
WAYS: dict[str, Literal["filter", "smoother"] | None] = {
    "frame by frame": None,
    "filter": "filter",
    "smoother": "smoother",
}
Errors = list[NDArray[np.float64]]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(1)
    env = environment([1], [])
    rows = []
    for name in args.sets or [str(args.data / name) for name in SETS]:
        errors: dict[tuple[str, str], Errors] = {}
        for key, values in _scenes(name, args.features):
            errors.setdefault(key, []).append(values)
        rows += _rows(pathlib.Path(name).name, errors)
    publish(args, _text(env, rows), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "features_accuracy")
    parser.add_argument(
        "sets",
        nargs="*",
        metavar="SET[:GROUP]",
        help=f"folders with array.json, NAME.wav and NAME.csv; a group is what stands before _ in names "
        f"(default: {' '.join(SETS)} in --data)",
    )
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the sets (default: %(default)s)")
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=list(FEATURES), help="which to compare")
    return parser.parse_args(argv)


def _scenes(name: str, kinds: Sequence[str]) -> Iterator[tuple[tuple[str, str], NDArray[np.float64]]]:
    """Yield features and way with the errors in degrees of the active frames, scene after scene."""
    folder, _, group = name.partition(":")
    scored = ScoredSet(folder)
    keep = [k for k, scene in enumerate(scored.names) if group in ("", scene.split("_")[0])]
    if not keep:
        sys.exit(f"{folder} has no scene whose name starts with {group}_")
    silence = np.zeros((scored.array.n_mics, 4096), dtype=np.float32)
    trackers = {kind: SRPPHAT(features=FEATURES[kind]).fit(silence, scored.array) for kind in kinds}
    for k in keep:
        for kind, tracker in trackers.items():
            for way, smoothing in WAYS.items():
                track = tracker.track(scored.paths[k], smoothing=smoothing)
                doa, active = truth_at_frames(scored.truths[k], track.times)
                yield (kind, way), np.degrees(angular_error(doa, track.doa))[active]


def _rows(name: str, errors: dict[tuple[str, str], Errors]) -> list[dict[str, Any]]:
    rows = []
    first = next(iter(errors))[0]
    for (kind, way), scenes in errors.items():
        pooled = np.concatenate(scenes)
        found = paired_bootstrap(scenes, errors[first, way])
        rows.append({"set": name, "n_scenes": len(scenes), "n_frames": len(pooled), "features": kind, "way": way})
        rows[-1] |= {"mae_deg": float(pooled.mean()), "rmse_deg": float(np.sqrt((pooled**2).mean()))}
        rows[-1] |= {"within_10": float((pooled <= 10).mean()), "difference_deg": found.difference}
        rows[-1] |= {"difference_90_deg": [found.low, found.high], "compared_with": first}
    return rows


def _text(env: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    header = ["set", "features", "frames joined by", "MAE", "RMSE", "within 10", "difference"]
    cells = []
    for row in rows:
        low, high = row["difference_90_deg"]
        same = row["features"] == row["compared_with"]
        cells.append(
            [
                f"{row['set']} ({row['n_scenes']} scenes)",
                row["features"],
                "nothing" if row["way"] == "frame by frame" else row["way"],
                f"{row['mae_deg']:.2f}",
                f"{row['rmse_deg']:.2f}",
                f"{100 * row['within_10']:.1f} %",
                "-" if same else f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})",
            ]
        )
    settings = (
        "Degrees over active frames. Window 4096, hop 3072, 2048 directions, peaks refined; the usual motion. "
        f"Difference: to {rows[0]['compared_with']}, joined in the same way, with a 90 % interval from 4000 draws of "
        "scenes in pairs."
    )
    return "\n".join([environment_line(env), "", settings, "", markdown_table(header, cells)])


if __name__ == "__main__":
    main()
