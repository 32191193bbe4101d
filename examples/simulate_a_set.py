"""Simulate a set of labelled recordings, write it, read it back and score a method on it.

Run it: python examples/simulate_a_set.py. It writes my_set/ with array.json and, per scene, .wav, .csv and .json.
`doatrack simulate` and `doatrack evaluate` do the same from the shell.
"""

import argparse

from doatrack import SRPPHAT, MicArray
from doatrack.datasets import ScoredSet, SimulatedScenes, write_scored_set
from doatrack.simulation import SceneSettings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scenes", type=int, default=4, help="scenes of each kind of noise")
options = parser.parse_args()

array = MicArray.from_preset("respeaker_core_6")
for noise in ("sensor", "directional"):
    settings = SceneSettings(duration_s=5.0, noise=noise, snr_db_range=(5, 20))
    scenes = SimulatedScenes(array, settings, options.scenes, seed=0)
    write_scored_set("my_set", scenes, array, [f"{noise}_{k:02d}" for k in range(len(scenes))])

scored = ScoredSet("my_set")
tracker = SRPPHAT().fit(scored.paths, scored.array)
for k, (name, path, truth) in enumerate(zip(scored.names, scored.paths, scored.truths, strict=True)):
    error = -tracker.score(path, truth)
    print(f"{name}: reverberation time {scored.info(k)['rt60']:.2f} s, mean error {error:.1f} degrees")
