"""What noise that starts or stops in the middle of a recording costs, noticed or not.

    python benchmarks/noise_changes.py --speech ../shared/data/speech --jobs 2 --write docs/benchmarks.md

Scenes of the robot head and of random arrays in turn, with sensor noise 30 dB below the sound, and a loudspeaker with
white noise at 0 to 20 dB SNR: it plays never, all the time, from the middle on, until the middle, or in the second
quarter. Prints mean errors of the shipped tracker over active frames, in degrees, in each quarter of the scenes.
"""

import argparse
import math
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from _scenes import random_array
from joblib import Parallel, delayed
from numpy.typing import NDArray

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import SpeechFolder
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.features import GCCFeatures
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.simulation import SceneSettings, simulate_scene

_SEED = 8_000_000
_LEVEL = 0.8
PLAYS: dict[str, dict[str, Any]] = {
    "never": {"noise": "none"},
    "all the time": {},
    "from the middle on": {"noise_start_share": 0.5},
    "until the middle": {"noise_share": 0.5},
    "in the second quarter": {"noise_start_share": 0.25, "noise_share": 0.25},
}
WAYS = {"smoother": (False, "smoother"), "filter": (False, "filter"), "causal filter": (True, "filter")}
Found = dict[tuple[str, str, bool], NDArray[np.float64]]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    env = environment([1])
    found: list[Found] = Parallel(n_jobs=args.jobs)(delayed(_errors)(k, args) for k in range(args.scenes))
    rows = list(_rows(found))
    publish(args, _text(env, rows, args.scenes, args.seconds), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "noise_changes")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--speech", type=pathlib.Path, help="talkers (split valid); none: synthetic ones")
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=16.0, help="of a scene (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args(argv)


def _errors(number: int, args: argparse.Namespace) -> Found:
    """Return quarter, error in degrees and whether the cone held of a scene's active frames, for each way."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # the text says that the tracker is moved
    speech = None if args.speech is None else SpeechFolder(args.speech, split="valid")
    array = _array(number)
    trackers = {
        (way, noticed): PhysicsVAETracker.from_pretrained()
        .set_params(causal=causal, features=GCCFeatures(noise_changes=noticed))
        .for_array(array)
        for way, (causal, _) in WAYS.items()
        for noticed in (False, True)
    }
    found: Found = {}
    for when, plays in PLAYS.items():
        options = {"noise": "directional", "duration_s": args.seconds, "snr_db_range": (0.0, 20.0)} | plays
        scene = simulate_scene(array, SceneSettings(**options), _SEED + number, speech)
        white = np.random.default_rng(number).standard_normal(scene.waveform.shape).astype(np.float32)
        signals = scene.waveform + 10**-1.5 * scene.waveform.std() * white
        for (way, noticed), tracker in trackers.items():
            track = tracker.track(signals, smoothing=WAYS[way][1])
            doa, active = truth_at_frames(scene.truth, track.times)
            error = angular_error(doa, track.doa)
            held = error <= tracker.credible_angle(track, _LEVEL, WAYS[way][1])
            quarter = np.floor(4 * track.times / args.seconds)
            found[when, way, noticed] = np.column_stack([quarter, np.degrees(error), held])[active]
    return found


def _array(number: int) -> MicArray:
    return MicArray.from_preset("nao_head_12") if number % 2 == 0 else random_array(np.random.default_rng([6, number]))


def _rows(found: list[Found]) -> Iterator[dict[str, Any]]:
    for when, way, noticed in found[0]:
        table = np.concatenate([scene[when, way, noticed] for scene in found])
        quarters = [_mean(table[table[:, 0] == quarter, 1]) for quarter in range(4)]
        means = [float(scene[when, way, noticed][:, 1].mean()) for scene in found if len(scene[when, way, noticed])]
        yield {
            "plays": when,
            "joined_by": way,
            "noticed": noticed,
            "mae_deg": _mean(table[:, 1]),
            "median_scene_deg": float(np.median(means)) if means else math.nan,
            "quarters_mae_deg": quarters,
            "coverage_80": _mean(table[:, 2]),
        }


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean; of no active frames it is no number."""
    return float(values.mean()) if len(values) else math.nan


def _text(env: dict[str, Any], rows: list[dict[str, Any]], n_scenes: int, seconds: float) -> str:
    quarters = [f"{seconds * k / 4:g} to {seconds * (k + 1) / 4:g} s" for k in range(4)]
    header = ["the loudspeaker plays", "frames joined by", "changes noticed", *quarters, "all", "median scene", "80 %"]
    cells = [
        [
            row["plays"],
            row["joined_by"],
            "yes" if row["noticed"] else "no",
            *(f"{error:.1f}" for error in (*row["quarters_mae_deg"], row["mae_deg"], row["median_scene_deg"])),
            f"{100 * row['coverage_80']:.0f} %",
        ]
        for row in rows
    ]
    return "\n\n".join([environment_line(env), f"{n_scenes} scenes:", markdown_table(header, cells)])


if __name__ == "__main__":
    main()
