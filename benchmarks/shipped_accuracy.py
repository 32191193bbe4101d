"""The shipped tracker on the benchmark sets, frame by frame, with filter and smoother, and what its cones hold.

    python benchmarks/shipped_accuracy.py --data ../shared/data

Prints mean and root-mean-square errors in degrees over active frames, and the share of frames that 50, 80 and 95 %
cones hold: the table of docs/model_card.md.
"""

import argparse
import pathlib
import warnings

import numpy as np
import torch

from doatrack import PhysicsVAETracker
from doatrack.datasets import ScoredSet
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.metrics import angular_error, truth_at_frames

SETS = (("bench_nao", "omni"), ("bench_nao", "directional"), ("bench_rooms", ""))
SMOOTHINGS = (None, "filter", "smoother")
LEVELS = (0.5, 0.8, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # the table says that it was moved
    print("| set | frames joined by | MAE | RMSE | 50 % | 80 % | 95 % |\n" + "| --- " * 7 + "|")
    for folder, group in SETS:
        scenes = ScoredSet(options.data / folder)
        tracker = PhysicsVAETracker.from_pretrained()
        if tracker.array_ != scenes.array:
            tracker = tracker.for_array(scenes.array)
        for smoothing in SMOOTHINGS:
            parts = []
            for k in (k for k, name in enumerate(scenes.names) if name.startswith(group)):
                track = tracker.track(scenes.paths[k], smoothing=smoothing)
                doa, active = truth_at_frames(scenes.truths[k], track.times)
                error = angular_error(doa, track.doa)
                cones = [error <= tracker.credible_angle(track, level, smoothing) for level in LEVELS]
                parts.append(np.column_stack([np.degrees(error), *cones])[active])
            table = np.concatenate(parts)
            held = " | ".join(f"{100 * share:.0f} %" for share in table[:, 1:].mean(axis=0))
            mean, rms = table[:, 0].mean(), np.sqrt((table[:, 0] ** 2).mean())
            print(f"| {folder} {group} | {smoothing or 'nothing'} | {mean:.2f} | {rms:.2f} | {held} |")


if __name__ == "__main__":
    main()
