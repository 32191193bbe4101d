"""A moving sound in noise, and trackers that fit in a moment."""

import numpy as np
import pytest

from doatrack import SRPPHAT, Cross3DTracker, MicArray, NeuralSRPTracker, PhysicsVAETracker
from doatrack.features import GCCFeatures

RATE, WIN, HOP = 16000, 512, 384
FRAMES = {"win_length": WIN, "hop_length": HOP}
LEARNING = {**FRAMES, "n_epochs": 1, "crop_frames": 12, "random_state": 0, "verbose": 0}
ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0.03], [0.01, -0.03, 0.05]])
SHORT = GCCFeatures(statistics_s=0.25, reverberation_decay_s=0.02)  # several spans in a short recording

TRACKERS = {
    "srp": lambda: SRPPHAT(n_directions=300, **FRAMES),
    "whitened": lambda: SRPPHAT(n_directions=300, features=SHORT, **FRAMES),
    "averaged": lambda: SRPPHAT(
        n_directions=300, features=GCCFeatures(weighting="phat", average_frames=3, pair_weighting="baseline"), **FRAMES
    ),
    "map": lambda: PhysicsVAETracker(n_directions=300, width=4, features=SHORT, **LEARNING),
    "paper": lambda: PhysicsVAETracker(
        encoder="paper", teacher="physics", features="phat", prior="uniform", width=8, n_directions=300, **LEARNING
    ),
    "neural-srp": lambda: NeuralSRPTracker(width=4, **LEARNING),
    "cross3d": lambda: Cross3DTracker(resolution=(4, 8), width=4, **LEARNING),
}


def make_sound(n_samples: int, seed: int = 0) -> np.ndarray:
    """Bursts of a plane wave from a direction that changes once, in noise."""
    rng = np.random.default_rng(seed)
    gate = 0.02 + (np.arange(n_samples) % 9000 < 5000)
    wave = np.zeros((4, n_samples))
    for part, doa in zip(np.array_split(np.arange(n_samples), 2), ([0.6, 0.8, 0], [0, -0.6, 0.8]), strict=True):
        spectrum = np.fft.rfft(rng.normal(size=len(part)))
        delay = -(ARRAY.positions @ doa) / 343.0
        shift = np.exp(-2j * np.pi * np.fft.rfftfreq(len(part), 1 / RATE) * delay[:, None])
        wave[:, part] = np.fft.irfft(spectrum * shift, n=len(part))
    return (wave * gate + 0.02 * rng.normal(size=wave.shape)).astype(np.float32)


@pytest.fixture(scope="session")
def fitted():
    """All trackers, fitted once."""
    signals = [make_sound(20000, seed) for seed in range(2)]
    times = np.arange(0, 1.25, 0.01)
    rows = np.column_stack([times, np.tile([0.6, 0.8, 0], (len(times), 1)), np.ones(len(times))])
    return {name: make().fit(signals, [rows, rows], array=ARRAY) for name, make in TRACKERS.items()}


@pytest.fixture(scope="session")
def sound():
    """Make sound of so many samples."""
    return make_sound
