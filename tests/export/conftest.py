"""Small fitted trackers, and their ONNX files, made once."""

import warnings

import numpy as np
import pytest

from doatrack import SRPPHAT, Cross3DTracker, MicArray, NeuralSRPTracker, PhysicsVAETracker
from doatrack.features import GCCFeatures

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

_QUIET = {"n_epochs": 1, "random_state": 0, "verbose": 0}
_PAPER = {"encoder": "paper", "teacher": "physics", "prior": "uniform", "features": "phat"}
_DOA = np.tile([0.0, 1.0, 0.0], (2, 15, 1))


def _signals(n_mics):
    """Return two recordings of a wave that comes over noise after a while, (2, n_mics, 48000)."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(2, n_mics, 48000))
    wave = np.repeat(rng.normal(size=(2, 1, 12000)), 4, axis=2) * np.repeat([0.0, 1.0, 0.2, 1.0], 12000)
    return (0.1 * noise + np.stack([np.roll(wave[:, 0], k, axis=1) for k in range(n_mics)], axis=1)).astype(np.float32)


def _srp():
    array = MicArray.from_preset("tetrahedron_4")
    return SRPPHAT(n_directions=300).fit(_signals(4), array), _signals(4)


def _weighted_srp():
    array = MicArray([[0.05, 0, 0], [0, 0, 0], [-0.05, 0, 0], [0.1, 0, 0]])
    features = GCCFeatures("snr", average_frames=2, pair_weighting="baseline", freq_range_hz=(200, 5000))
    tracker = SRPPHAT(n_directions=300, features=features, refine=False, pairs=[(0, 1), (1, 2), (2, 3)])
    return tracker.fit(_signals(4), array), _signals(4)


def _causal_srp():
    array = MicArray.from_preset("tetrahedron_4")
    return SRPPHAT(n_directions=300, features="whitened", causal=True).fit(_signals(4), array), _signals(4)


def _map():
    array = MicArray.from_preset("respeaker_usb_4")
    return PhysicsVAETracker(n_directions=300, width=4, **_QUIET).fit(_signals(4), array), _signals(4)


def _paper():
    array = MicArray.from_preset("tetrahedron_4")
    return PhysicsVAETracker(width=16, **_PAPER, **_QUIET).fit(_signals(4), array), _signals(4)


def _neural_srp():
    array = MicArray.from_preset("tetrahedron_4")
    return NeuralSRPTracker(width=4, **_QUIET).fit(_signals(4), array, _DOA), _signals(4)


def _cross3d():
    array = MicArray.from_preset("tetrahedron_4")
    return Cross3DTracker(resolution=(4, 8), width=4, **_QUIET).fit(_signals(4), array, _DOA), _signals(4)


_MAKERS = {
    "srp": _srp,
    "weighted-srp": _weighted_srp,
    "causal-srp": _causal_srp,
    "map": _map,
    "paper": _paper,
    "neural-srp": _neural_srp,
    "cross3d": _cross3d,
}
NAMES = tuple(_MAKERS)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Return a function that gives, by name, a fitted tracker, recordings and its ONNX file."""
    from doatrack.export import export_onnx

    made = {}

    def of(name):
        if name not in made:
            tracker, signals = _MAKERS[name]()
            path = tmp_path_factory.mktemp("onnx") / f"{name}.onnx"
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                export_onnx(tracker, path)
            made[name] = tracker, signals, path
        return made[name]

    return of
