"""Make the shipped tracker: fit on simulated rooms without labels, go on with other arrays, calibrate, save.

    python benchmarks/fit_pretrained.py --speech ../shared/data/speech --out doatrack/pretrained/nao_head_12.safetensors

Everything is seeded. Talkers are those of the `train` split; the labels of the simulated rooms are used to
calibrate the claimed uncertainty only, and on rooms that the tracker was not fitted on.
"""

import argparse
import ast
import hashlib
import pathlib
import tempfile
import time
import warnings

import numpy as np
import torch
from _scenes import CLEARER_SNR_DB, CLEARER_THRESHOLD_DB, NOISES, USUAL_SNR_DB, random_array

from doatrack import MicArray, PhysicsVAETracker, load
from doatrack.datasets import ScoredSet, SimulatedScenes, SpeechFolder, write_scored_set
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.simulation import Scene, SceneSettings, simulate_scene

FIT_SEED, ADAPTATION_SEED, CALIBRATION_SEED = 100_000, 500_000, 900_000
_SCENES_PER_ARRAY = 6
_RANDOM_IN_A_ROW = 4


def simulate(
    folder: pathlib.Path, array: MicArray, settings: SceneSettings, n_scenes: int, seed: int, speech: SpeechFolder
) -> ScoredSet:
    """Write scenes one after the other and return them as a set of files."""
    scenes = SimulatedScenes(array, settings, n_scenes, seed, speech=speech)
    write_scored_set(folder, scenes, array, [f"scene_{k:04d}" for k in range(n_scenes)])
    return ScoredSet(folder)


def calibration_scenes(array: MicArray, n_scenes: int, folder: pathlib.Path) -> list[tuple[Scene, MicArray]]:
    """Return scenes of every kind that cones are to hold for: both noises, this array and random ones, in turn.

    Every second four are of clearer speech, so that cones are neither for hard scenes only nor for easy ones.
    """
    usual = SpeechFolder(folder, split="train")
    clearer = SpeechFolder(folder, split="train", activity_threshold_db=CLEARER_THRESHOLD_DB)
    scenes = []
    for k in range(n_scenes):
        seed = CALIBRATION_SEED + k
        heard = array if k % 4 < 2 else random_array(np.random.default_rng(seed))
        speech, snr_db = (usual, USUAL_SNR_DB) if k % 8 < 4 else (clearer, CLEARER_SNR_DB)
        settings = SceneSettings(duration_s=8.0, noise=NOISES[k % 2], snr_db_range=snr_db)
        scenes.append((simulate_scene(heard, settings, seed, speech), heard))
    return scenes


def fitted(options: argparse.Namespace, array: MicArray, speech: SpeechFolder) -> PhysicsVAETracker:
    """Return the tracker that the options ask for, fitted on simulated rooms."""
    tracker = PhysicsVAETracker(random_state=0, verbose=2)
    if options.encoder == "paper":
        tracker = PhysicsVAETracker.paper(random_state=0).set_params(verbose=2)
    if options.start is not None:
        tracker = load(options.start).set_params(warm_start=True)
    pairs = [item.split("=", 1) for item in options.set]
    tracker.set_params(**{name: ast.literal_eval(value) for name, value in pairs})
    with tempfile.TemporaryDirectory() as folder:
        settings = SceneSettings(duration_s=10.0, noise=options.noise)
        train = simulate(pathlib.Path(folder) / "fit", array, settings, options.scenes, FIT_SEED, speech)
        torch.set_num_threads(options.threads)
        start = time.perf_counter()
        n_directions = tracker.n_directions
        tracker.set_params(n_directions=options.fit_directions).fit(train.paths, array)
        print(f"fitted in {time.perf_counter() - start:.0f} s on {options.threads} threads")
        return tracker.set_params(n_directions=n_directions)


def adapted(tracker: PhysicsVAETracker, n_arrays: int, speech: SpeechFolder) -> PhysicsVAETracker:
    """Return the tracker after a pass over scenes of each of some random arrays; its own comes back again and again."""
    own = tracker.array_
    for k in range(n_arrays):
        arrays = [random_array(np.random.default_rng([ADAPTATION_SEED, k]))]
        if k % _RANDOM_IN_A_ROW == _RANDOM_IN_A_ROW - 1 or k == n_arrays - 1:
            arrays.append(own)
        for array in arrays:
            scenes = [
                simulate_scene(
                    array,
                    SceneSettings(duration_s=10.0, noise=(*NOISES, "diffuse")[j % 3]),
                    ADAPTATION_SEED + 100 * k + 10 * (array == own) + j,
                    speech,
                ).waveform
                for j in range(_SCENES_PER_ARRAY)
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ArrayMismatchWarning)  # other arrays are what is asked for
                tracker = tracker.for_array(array).partial_fit(scenes)
    return tracker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--array", default="nao_head_12")
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--calibration-scenes", type=int, default=800, help="half of them of random arrays")
    parser.add_argument("--noise", default="mixed", help="kind of noise of the rooms (default: %(default)s)")
    parser.add_argument(
        "--fit-directions", type=int, default=1024, help="grid while fitting; the tracker's own is used afterwards"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--encoder", choices=["map", "paper"], default="map", help="paper: PhysicsVAETracker.paper()")
    parser.add_argument("--start", type=pathlib.Path, help="go on from the weights of this saved tracker")
    parser.add_argument("--from", dest="given", type=pathlib.Path, help="take this saved tracker, fit none")
    parser.add_argument("--adapt-arrays", type=int, default=40, help="random arrays that it goes on with; 0: none")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="other parameters of the tracker, such as batch_size=8",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)  # responses are short: a second thread costs more than it gives
    array = MicArray.from_preset(options.array)
    speech = SpeechFolder(options.speech, split="train")
    tracker = fitted(options, array, speech) if options.given is None else load(options.given)
    tracker = adapted(tracker, options.adapt_arrays, speech)
    scenes, arrays = zip(*calibration_scenes(array, options.calibration_scenes, options.speech), strict=True)
    tracker.calibrate([s.waveform for s in scenes], [s.truth for s in scenes], list(arrays))
    tracker.save(options.out)
    print(f"calibration {tracker.calibration_}")
    print(f"sha256 {hashlib.sha256(options.out.read_bytes()).hexdigest()}  {options.out}")


if __name__ == "__main__":
    main()
