"""The shipped tracker on arrays it never saw: random ones on a sphere, a new one in each simulated scene.

    python benchmarks/random_arrays.py --speech ../shared/data/speech --scenes 200

Each scene has its own array of 4 to 8 microphones on a sphere of 4 to 10 cm radius, a talker of the `valid` split,
and in turn white sensor noise or a loudspeaker that plays noise all the time. Prints mean and root-mean-square errors
in degrees over active frames, and the share of frames that 50, 80 and 95 % cones hold.
"""

import argparse
import pathlib
import warnings

import numpy as np
import torch

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import SpeechFolder
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.simulation import SceneSettings, simulate_scene

NOISES = ("sensor", "directional")
SMOOTHINGS = (None, "filter", "smoother")
LEVELS = (0.5, 0.8, 0.95)


def random_array(generator: np.random.Generator) -> MicArray:
    """Return 4 to 8 microphones, at least 2 cm apart and not nearly in a plane."""
    while True:
        radius = generator.uniform(0.04, 0.10)
        positions = generator.normal(size=(generator.integers(4, 9), 3))
        positions *= radius / np.linalg.norm(positions, axis=1, keepdims=True)
        distance = np.linalg.norm(positions[:, None] - positions, axis=-1) + np.eye(len(positions))
        if distance.min() > 0.02 and np.linalg.svd(positions - positions.mean(axis=0))[1][-1] > 0.25 * radius:
            return MicArray(positions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=pathlib.Path, required=True)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ArrayMismatchWarning)  # that is what is measured
    speech = SpeechFolder(options.speech, split="valid")
    shipped = PhysicsVAETracker.from_pretrained()
    found: dict[tuple[str, str | None], list[np.ndarray]] = {}
    for k in range(options.scenes):
        noise = NOISES[k % len(NOISES)]
        array = random_array(np.random.default_rng([options.seed, k]))
        scene = simulate_scene(array, SceneSettings(duration_s=8.0, noise=noise), 5_000_000 + k, speech)
        tracker = shipped.for_array(array)
        for smoothing in SMOOTHINGS:
            track = tracker.track(scene.waveform, smoothing=smoothing)
            doa, active = truth_at_frames(scene.truth, track.times)
            error = angular_error(doa, track.doa)
            cones = [error <= tracker.credible_angle(track, level, smoothing) for level in LEVELS]
            found.setdefault((noise, smoothing), []).append(np.column_stack([np.degrees(error), *cones])[active])
    print("| noise | frames joined by | scenes | MAE | RMSE | 50 % | 80 % | 95 % |\n" + "| --- " * 8 + "|")
    for (noise, smoothing), parts in found.items():
        table = np.concatenate(parts)
        held = " | ".join(f"{100 * share:.0f} %" for share in table[:, 1:].mean(axis=0))
        mean, rms = table[:, 0].mean(), np.sqrt((table[:, 0] ** 2).mean())
        print(f"| {noise} | {smoothing or 'nothing'} | {len(parts)} | {mean:.2f} | {rms:.2f} | {held} |")


if __name__ == "__main__":
    main()
