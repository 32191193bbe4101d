"""Uncertainty: calibrate a tracker fitted without labels, and check that its cones hold what they claim.

Run it: python examples/uncertainty.py (about a minute). It prints the coverage of the 90 % cones before and after, and
the error of the surest and of the least sure half of the frames.
"""

import argparse

import numpy as np

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import SimulatedScenes
from doatrack.metrics import cone_coverage, mean_angular_error_deg, truth_at_frames
from doatrack.simulation import SceneSettings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scenes", type=int, default=36)
parser.add_argument("--epochs", type=int, default=8)
options = parser.parse_args()

array = MicArray.from_preset("tetrahedron_4")
settings = SceneSettings(duration_s=8.0, rt60_range=(0.2, 0.6), snr_db_range=(5, 30))
fitting, calibration, unseen = (
    list(SimulatedScenes(array, settings, n, seed))
    for seed, n in enumerate((options.scenes, max(2, options.scenes // 3), max(2, options.scenes // 3)))
)
tracker = PhysicsVAETracker(n_epochs=options.epochs, random_state=0)
tracker.fit([scene.waveform for scene in fitting], array)


def coverage() -> float:
    tracks = tracker.track([scene.waveform for scene in unseen])
    aligned = [truth_at_frames(scene.truth, track.times) for scene, track in zip(unseen, tracks, strict=True)]
    angles = [track.credible_angle for track in tracks]
    return cone_coverage(
        [doa for doa, _ in aligned], [t.doa for t in tracks], angles, [active for _, active in aligned]
    )


print(f"90 % cones hold the truth in {100 * coverage():.0f} % of the frames before calibration")
tracker.calibrate([scene.waveform for scene in calibration], [scene.truth for scene in calibration])
print(f"and in {100 * coverage():.0f} % after it")

tracks = tracker.track([scene.waveform for scene in unseen])
aligned = [truth_at_frames(scene.truth, track.times) for scene, track in zip(unseen, tracks, strict=True)]
doa_true, active = (np.concatenate(column) for column in zip(*aligned, strict=True))
doa_pred = np.concatenate([track.doa for track in tracks])
angle = np.concatenate([track.credible_angle for track in tracks])
by_size = np.flatnonzero(active)[np.argsort(angle[active], kind="stable")]
for name, chosen in zip(("surest", "least sure"), np.array_split(by_size, 2), strict=True):
    error = mean_angular_error_deg(doa_true[chosen], doa_pred[chosen])
    print(f"{name} half: mean error {error:.1f} degrees")
