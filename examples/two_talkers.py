"""Two talkers at once: real recordings of a ReSpeaker board with talkers at azimuths of 180 and 225 degrees.

Run it: python examples/two_talkers.py (seconds), with --folder naming the recordings where they lie elsewhere. It
prints the azimuths at which each recording's two sources were followed and draws two_talkers.png. Without the
recordings it says so and tracks a simulated scene of two talkers instead.
"""

import argparse
import csv
import pathlib
import warnings

import numpy as np

from doatrack import MicArray, MultiTrack, PhysicsVAETracker
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.plotting import MultiTrackDisplay
from doatrack.simulation import SceneSettings, simulate_scene

DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "recordings" / "respeaker4"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=pathlib.Path, default=DATA)
options = parser.parse_args()


def middle_azimuth(tracks: MultiTrack, source: int) -> float:
    """Return the azimuth in degrees, 0 to 360, of a source's mean direction while it talks."""
    x, y, _ = tracks.doa[tracks.activity[:, source], source].sum(axis=0)
    return float(np.degrees(np.arctan2(y, x)) % 360)


# A flat board cannot tell above from below and hardly how far above: left free, the second source is often an echo of
# the first one's peak at another elevation. Heads around a table are 15 to 40 degrees above it: only these count.
ELEVATIONS = (15, 40)

pretrained = PhysicsVAETracker.from_pretrained().set_params(n_sources=2)
if options.folder.is_dir():
    array = MicArray.from_json(options.folder / "array.json")
    with (options.folder / "ground_truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["n_sources"] == "2"]
    recordings = {row["file"]: options.folder / row["file"] for row in rows}
    truths = {row["file"]: [float(azimuth) for azimuth in row["azimuth_deg"].split(";")] for row in rows}
else:
    print(f"There are no recordings in {options.folder}: two simulated talkers instead.")
    array = pretrained.array_
    settings = SceneSettings(
        duration_s=5.0, n_sources=2, rt60_range=(0.3, 0.3), moving_probability=0.0, min_talker_separation_deg=40.0
    )
    scene = simulate_scene(array, settings, seed=3)
    ELEVATIONS = (-90, 90)
    recordings = {"simulated": scene.waveform}
    truths = {"simulated": [float(np.degrees(np.arctan2(y, x)) % 360) for x, y in scene.truth[:, 0, 1:3]]}

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ArrayMismatchWarning)
    tracker = pretrained.for_array(array).with_search_region(elevation_range_deg=ELEVATIONS)

for name, recording in recordings.items():
    tracks = tracker.track(recording)
    found = sorted(middle_azimuth(tracks, source) for source in range(2) if tracks.activity[:, source].any())
    print(
        f"{pathlib.Path(name).stem}: azimuths {', '.join(f'{azimuth:.0f}' for azimuth in found)} degrees, "
        f"talkers at {', '.join(f'{azimuth:.0f}' for azimuth in sorted(truths[name]))}"
    )

display = MultiTrackDisplay.from_track(tracks).plot()
display.figure_.savefig("two_talkers.png", dpi=150)
print("the last one drawn: two_talkers.png")
