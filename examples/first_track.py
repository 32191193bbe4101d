"""A first track: a simulated talker who moves around a robot's head, followed by SRP-PHAT.

Run it: python examples/first_track.py. It prints one line per frame in which the talker speaks, and writes track.csv.
"""

import argparse

import numpy as np

from doatrack import SRPPHAT, MicArray
from doatrack.metrics import mean_angular_error_deg, truth_at_frames
from doatrack.simulation import SceneSettings, simulate_scene

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seconds", type=float, default=10.0)
options = parser.parse_args()

array = MicArray.from_preset("nao_head_12")
settings = SceneSettings(options.seconds, rt60_range=(0.3, 0.3), snr_db_range=(20, 20), moving_probability=1.0)
scene = simulate_scene(array, settings, seed=0)

tracker = SRPPHAT().fit(scene.waveform, array)
track = tracker.track(scene.waveform)
track.to_csv("track.csv")

doa_true, active = truth_at_frames(scene.truth, track.times)
print("time (s)  azimuth (deg)  elevation (deg)")
for k in np.flatnonzero(active):
    print(f"{track.times[k]:8.2f}  {np.degrees(track.azimuth[k]):13.1f}  {np.degrees(track.elevation[k]):15.1f}")
print(f"mean error {mean_angular_error_deg(doa_true, track.doa, active):.1f} degrees; all frames are in track.csv")
