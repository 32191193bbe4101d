"""Draw where the sound of one frame comes from: the map of SRP-PHAT over all directions.

Run it: python examples/plot_a_map.py. It writes map.png and prints the direction of the maximum. Needs matplotlib:
pip install 'doatrack[plot]'.
"""

import numpy as np
from matplotlib.figure import Figure

from doatrack import SRPPHAT, MicArray
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.plotting import SRPMapDisplay
from doatrack.simulation import SceneSettings, simulate_scene

array = MicArray.from_preset("nao_head_12")
settings = SceneSettings(duration_s=3.0, rt60_range=(0.3, 0.3), snr_db_range=(20, 20))
scene = simulate_scene(array, settings, seed=3)

tracker = SRPPHAT().fit(scene.waveform, array)
doa = tracker.predict(scene.waveform)
maps = tracker.predict_map(scene.waveform)  # (n_frames, n_directions)
truth, active = truth_at_frames(scene.truth, tracker.frame_times(len(doa)))

frame = int(np.flatnonzero(active)[active.sum() // 2])
axes = Figure(figsize=(8, 4), layout="constrained").subplots()
display = SRPMapDisplay.from_map(maps[frame], tracker.grid_, doa=doa[frame], truth=truth[frame]).plot(axes)
display.figure_.savefig("map.png")
error = np.degrees(angular_error(truth[frame], doa[frame]))
print(f"frame {frame}: direction {doa[frame].round(2)}, {error:.1f} degrees from the truth; see map.png")
