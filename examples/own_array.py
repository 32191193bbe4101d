"""Describe your own microphones, keep them in array.json, and see what they can and cannot tell.

Run it: python examples/own_array.py. It prints facts about a square of four microphones and how far off a track gets
when the measured positions are wrong by some millimetres.
"""

import argparse

from doatrack import SRPPHAT, MicArray
from doatrack.metrics import mean_angular_error_scorer, mean_azimuth_error_scorer
from doatrack.simulation import SceneSettings, simulate_scene

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seconds", type=float, default=10.0)
options = parser.parse_args()

# Metres; x front, y left, z up; one row per microphone, in channel order.
square = MicArray([[0.04, 0.04, 0], [-0.04, 0.04, 0], [-0.04, -0.04, 0], [0.04, -0.04, 0]], name="square")
square.to_json("array.json")
array = MicArray.from_json("array.json")
print(array)
print(f"longest delay: {1e3 * array.longest_delay:.2f} ms between two microphones")
print(f"ambiguity: {array.ambiguity}")

# Above and below look the same to a flat array: search only the side where talkers are.
settings = SceneSettings(options.seconds, rt60_range=(0.3, 0.3), snr_db_range=(20, 20))
scene = next(s for s in (simulate_scene(array, settings, seed) for seed in range(100)) if s.truth[:, 3].min() > 0.3)
for millimetres in (0, 2, 10):
    measured = array.perturb(millimetres / 1000, 0) if millimetres else array
    tracker = SRPPHAT(elevation_range_deg=(0, 90)).fit(scene.waveform, measured)
    error = -mean_angular_error_scorer(tracker, scene.waveform, scene.truth)
    azimuth_error = -mean_azimuth_error_scorer(tracker, scene.waveform, scene.truth)
    print(f"positions off by {millimetres} mm: mean error {error:.1f} degrees, in azimuth {azimuth_error:.1f}")
print("(the rest of the error is elevation, which a small flat array hardly hears)")
