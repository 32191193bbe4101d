"""Choose parameters without labels: GridSearchCV with the tracker's own evidence as the score.

Run it: python examples/grid_search_without_labels.py (a minute or two). It prints the evidence of each candidate, the
one chosen, and, since these recordings are simulated, the errors that the choice did not see.
"""

import argparse

from sklearn.model_selection import GridSearchCV

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import SimulatedScenes
from doatrack.simulation import SceneSettings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scenes", type=int, default=24)
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()

array = MicArray.from_preset("tetrahedron_4")
settings = SceneSettings(duration_s=6.0, rt60_range=(0.2, 0.6), snr_db_range=(10, 30))
scenes = list(SimulatedScenes(array, settings, options.scenes, seed=0))
recordings = [scene.waveform for scene in scenes]

# In model selection the array goes to the constructor, and X is a list of recordings.
tracker = PhysicsVAETracker(array, n_directions=800, n_epochs=options.epochs, random_state=0, verbose=0)
search = GridSearchCV(tracker, {"learning_rate": [1e-4, 2e-3]}, cv=2).fit(recordings)
for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    error = -tracker.set_params(**params).fit(recordings).score(recordings, [scene.truth for scene in scenes])
    print(f"{params}: evidence {score:.4f} per frame (mean error {error:.1f} degrees, not looked at)")
print(f"chosen without labels: {search.best_params_}")
