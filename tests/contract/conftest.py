"""Recordings whose truth is known by construction, and every estimator in a size that fits in a moment."""

from dataclasses import dataclass

import numpy as np
import pytest

from doatrack import DML, ESPRIT, MUSIC, SRPPHAT, Cross3DTracker, MicArray, NeuralSRPTracker, PhysicsVAETracker

RATE = 16000
SMALL = {"win_length": 1024, "hop_length": 768}
SNAPSHOTS = {**SMALL, "snapshot_length": 256, "snapshot_hop": 128, "freq_range_hz": (500.0, 3000.0)}
LEARNING = {**SMALL, "n_epochs": 1, "crop_frames": 12, "random_state": 0, "verbose": 0}

ESTIMATORS = {
    "srp-phat": lambda: SRPPHAT(n_directions=1500, **SMALL),
    # without reverberation maps are so sharp that, at their usual scale, nothing is left for the motion to say
    "music": lambda: MUSIC(n_directions=1500, normalised=False, map_scale=1.0, **SNAPSHOTS),
    "norm-music": lambda: MUSIC(n_directions=1500, map_scale=1.0, **SNAPSHOTS),
    "dml": lambda: DML(n_directions=1500, map_scale=1.0, **SNAPSHOTS),
    "esprit": lambda: ESPRIT(**SNAPSHOTS),
    "physics-vae-map": lambda: PhysicsVAETracker(n_directions=1500, width=4, **LEARNING),
    "physics-vae-uniform": lambda: PhysicsVAETracker(n_directions=1500, width=4, prior="uniform", **LEARNING),
    "physics-vae-paper": lambda: PhysicsVAETracker(
        encoder="paper", teacher="physics", features="phat", prior="uniform", width=8, learn_sigma=True, **LEARNING
    ),
    "neural-srp": lambda: NeuralSRPTracker(width=4, **LEARNING),
    "cross3d": lambda: Cross3DTracker(resolution=(4, 8), width=4, **LEARNING),
}
LEARNED = [name for name in ESTIMATORS if name.startswith(("physics-vae", "neural-srp", "cross3d"))]


@pytest.fixture(params=list(ESTIMATORS))
def estimator(request):
    """A new, unfitted estimator."""
    return ESTIMATORS[request.param]()


@pytest.fixture(params=LEARNED)
def learned(request):
    """A new, unfitted estimator that learns."""
    return ESTIMATORS[request.param]()


@dataclass
class Corpus:
    """Plane waves with pauses: recordings, their array and one true direction each."""

    array: MicArray
    signals: list[np.ndarray]
    doa: np.ndarray

    @property
    def labels(self) -> list[np.ndarray]:
        """The truth of all recordings at no tracker's rate; those that learn without labels leave it alone."""
        return [self.rows(k) for k in range(len(self.signals))]

    def truth(self, k: int, hop: int = 768, win: int = 1024) -> np.ndarray:
        n_frames = 1 + (self.signals[k].shape[1] - win) // hop
        return np.repeat(self.doa[k][None], n_frames, axis=0)

    def rows(self, k: int) -> np.ndarray:
        times = np.arange(0, self.signals[k].shape[1] / RATE, 0.02)
        sounding = (np.arange(len(times)) * 0.02 % 0.6) < 0.4
        return np.column_stack([times, np.repeat(self.doa[k][None], len(times), axis=0), sounding])


def plane_wave(array: MicArray, doa: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise in bursts of 0.4 s every 0.6 s from a far direction, with a little sensor noise."""
    n_fft = n_samples + 256
    spectrum = np.fft.rfft(rng.normal(size=n_fft))
    delay = -(array.positions @ doa) / 343.0
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(n_fft, 1 / RATE) * delay[:, None])
    waves = np.fft.irfft(spectrum * shift, n=n_fft)[:, 128 : 128 + n_samples]
    gate = (np.arange(n_samples) / RATE % 0.6) < 0.4
    return (waves * gate + 0.01 * rng.normal(size=waves.shape)).astype(np.float32)


def make_corpus(array: MicArray, doa: np.ndarray, rng: np.random.Generator) -> Corpus:
    doa = doa / np.linalg.norm(doa, axis=1, keepdims=True)
    lengths = [26000, 20000, 24000, 26000]
    return Corpus(array, [plane_wave(array, u, n, rng) for u, n in zip(doa, lengths, strict=True)], doa)


@pytest.fixture(scope="session")
def irregular():
    """Microphones anywhere, sources anywhere."""
    rng = np.random.default_rng(5)
    array = MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.06, 0.01], [0.01, -0.02, 0.06]], name="test")
    return make_corpus(array, rng.normal(size=(4, 3)), rng)


@pytest.fixture(scope="session")
def rectangle():
    """What ESPRIT asks for: a lying array with shift structure, and sources well above its plane."""
    rng = np.random.default_rng(5)
    array = MicArray([[x, y, 0] for x in (0.04, -0.04) for y in (0.03, -0.03)], name="rectangle")
    return make_corpus(array, np.abs(rng.normal(size=(4, 3))) * [1, -1, 1] + [0, 0, 0.5], rng)


@pytest.fixture
def corpus(request):
    """Recordings that the estimator of the test can work with."""
    asked = "estimator" in request.fixturenames and isinstance(request.getfixturevalue("estimator"), ESPRIT)
    return request.getfixturevalue("rectangle" if asked else "irregular")
