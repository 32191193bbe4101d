"""Fit a tracker on recordings without labels, save it, and compare it with SRP-PHAT on unseen ones.

Run it: python examples/fit_without_labels.py (a minute or two). It prints the error of both.
"""

import argparse

import doatrack
from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.datasets import SimulatedScenes
from doatrack.simulation import SceneSettings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scenes", type=int, default=60, help="recordings to learn from")
parser.add_argument("--epochs", type=int, default=8)
options = parser.parse_args()

# Your own recordings take the place of these: arrays (n_mics, n_samples), or paths of files.
array = MicArray.from_preset("tetrahedron_4")
settings = SceneSettings(duration_s=8.0, rt60_range=(0.2, 0.7), snr_db_range=(10, 30))
recordings = [scene.waveform for scene in SimulatedScenes(array, settings, options.scenes, seed=0)]
tracker = PhysicsVAETracker(n_epochs=options.epochs, random_state=0).fit(recordings, array)
tracker.save("tracker.safetensors")

# Truth is needed only to measure the error.
unseen = SimulatedScenes(array, settings, max(2, options.scenes // 6), seed=1)
signals, truths = zip(*((scene.waveform, scene.truth) for scene in unseen), strict=True)
for name, method in [
    ("SRP-PHAT", SRPPHAT().fit(list(signals), array)),
    ("fitted without labels", doatrack.load("tracker.safetensors")),
]:
    print(f"{name}: mean error {-method.score(list(signals), list(truths)):.1f} degrees")
