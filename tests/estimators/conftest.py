"""A few short recordings of plane waves, and trackers that learn from them in a moment."""

import numpy as np
import pytest

from doatrack import MicArray, PhysicsVAETracker

RATE = 16000
QUICK = {
    "n_directions": 200,
    "width": 4,
    "n_epochs": 2,
    "batch_size": 2,
    "crop_frames": 8,
    "pairs_per_step": 4,
    "win_length": 1024,
    "hop_length": 768,
    "random_state": 0,
    "verbose": 0,
}
KINDS = {
    "map": {"teacher": "physics"},
    "paper": {"encoder": "paper", "teacher": "physics", "prior": "uniform", "width": 8, "learn_sigma": True},
}


@pytest.fixture(scope="session")
def array():
    return MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.06, 0.01], [0.01, -0.02, 0.06]], name="test")


@pytest.fixture(scope="session")
def doa():
    vectors = np.random.default_rng(8).normal(size=(3, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def signals(array, doa):
    """Bursts of noise from one direction per recording, (4, n_samples) each."""
    rng = np.random.default_rng(9)
    waves = []
    for u, n in zip(doa, (16000, 12800, 14400), strict=True):
        shift = np.exp(2j * np.pi * np.fft.rfftfreq(n + 256, 1 / RATE) * (array.positions @ u / 343.0)[:, None])
        wave = np.fft.irfft(np.fft.rfft(rng.normal(size=n + 256)) * shift, n=n + 256)[:, 128 : n + 128]
        gate = np.arange(n) % 6400 < 3800
        waves.append((wave * gate + 0.02 * rng.normal(size=wave.shape)).astype(np.float32))
    return waves


@pytest.fixture
def quick():
    """Make a small tracker; options replace the quick ones."""

    def make(**options):
        return PhysicsVAETracker(**(QUICK | options))

    return make


@pytest.fixture(params=list(KINDS))
def kind(request):
    """Options of each encoder."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def fitted(array, signals):
    """A fitted tracker that tests only look at."""
    return PhysicsVAETracker(**QUICK).fit(signals, array)
