"""Smoothing: join the frames of a steered response power map by a motion model, live or afterwards.

Run it: python examples/smooth_a_track.py (seconds). It prints the mean error frame by frame, with the filter (no look
ahead), with a fixed lag of half a second and with the smoother, which knows the whole recording.
"""

import argparse

import torch

from doatrack import SRPPHAT, MicArray
from doatrack.features import activity_probability, band_power
from doatrack.metrics import mean_angular_error_deg
from doatrack.simulation import SceneSettings, simulate_scene
from doatrack.tracking import MotionModel, grid_filter, grid_smoother, posterior_directions, robust_log_likelihood

# From mean correlation to log likelihood in nats, per frame of 0.192 s: how sharp a map is believed to be. Chosen on
# simulated scenes; with a third less or a half more the errors hardly change (docs/motion.md).
MAP_SCALE = 300.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seconds", type=float, default=10.0)
options = parser.parse_args()

array = MicArray.from_preset("tetrahedron_4")
settings = SceneSettings(
    duration_s=options.seconds, rt60_range=(0.5, 0.6), snr_db_range=(10, 12), moving_probability=1.0
)
scene = simulate_scene(array, settings, seed=3)

srp = SRPPHAT().fit(scene.waveform, array)
track = srp.track(scene.waveform, smoothing=None)
power = band_power(torch.from_numpy(scene.waveform), srp.sample_rate)
sound = activity_probability(power, track.n_frames, srp.win_length, srp.hop_length, srp.sample_rate)
log_likelihood = robust_log_likelihood(srp.predict_map(scene.waveform), MAP_SCALE, 0.05 + 0.9 * sound)
step_s = srp.hop_length / srp.sample_rate
transition = MotionModel().transition(srp.grid_, step_s)

posteriors = {
    "filter": grid_filter(log_likelihood, transition),
    "fixed lag": grid_filter(log_likelihood, transition, lag=round(0.5 / step_s)),
    "smoother": grid_smoother(log_likelihood, transition),
}
error = mean_angular_error_deg(scene.truth, track.doa, frame_times=track.times)
print(f"frame by frame: mean error {error:.1f} degrees")
for name, log_posterior in posteriors.items():
    doa, _ = posterior_directions(log_posterior, srp.grid_)
    error = mean_angular_error_deg(scene.truth, doa, frame_times=track.times)
    print(f"{name}: mean error {error:.1f} degrees")
