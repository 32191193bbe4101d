"""Wrong microphone positions told to the shipped tracker: errors on `bench_nao` as in the paper's Table 5.

    python benchmarks/corruption.py --data ../shared/data/bench_nao

Gaussian noise of 0 to 50 % of the largest coordinate relative to the centre is added to the positions that the tracker
is told, drawn anew for each recording. Prints mean errors in degrees of the smoother over active frames, with
`check_positions` (the default) and without, and how much they grow.
"""

import argparse
import pathlib
import warnings

import numpy as np
import torch

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import ScoredSet
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.metrics import angular_error, truth_at_frames

PERCENT = (0, 10, 20, 30, 40, 50)


def mean_error(tracker: PhysicsVAETracker, scenes: ScoredSet, percent: int, seed: int) -> float:
    """Return the mean error in degrees of the smoother, told positions that are wrong by so many per cent."""
    generator = np.random.default_rng([seed, percent])
    centred = scenes.array.positions - scenes.array.positions.mean(axis=0)
    size = percent / 100 * np.abs(centred).max()
    errors = []
    for path, truth in zip(scenes.paths, scenes.truths, strict=True):
        told = MicArray(scenes.array.positions + size * generator.normal(size=centred.shape))
        track = tracker.for_array(told if percent else scenes.array).track(path)
        doa, active = truth_at_frames(truth, track.times)
        errors.append(np.degrees(angular_error(doa, track.doa))[active])
    return float(np.concatenate(errors).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="a scored set of the shipped tracker's array")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # that is what is measured
    scenes = ScoredSet(options.data)
    doubting = PhysicsVAETracker.from_pretrained()
    believing = PhysicsVAETracker.from_pretrained().set_params(check_positions=False)
    print("| corruption | doubts positions (default) | grows by | believes them | grows by |\n" + "| --- " * 5 + "|")
    first: list[float] = []
    for percent in PERCENT:
        found = [mean_error(tracker, scenes, percent, options.seed) for tracker in (doubting, believing)]
        first = first or found
        cells = [f"{value:.2f} | {100 * (value / start - 1):+.0f} %" for value, start in zip(found, first, strict=True)]
        print(f"| {percent} % | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
