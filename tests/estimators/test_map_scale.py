"""Filter and smoother take maps for as loud as is usual for their features, unless they are told otherwise."""

import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.features import GCCFeatures

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0.03], [0.01, -0.03, 0.05]])
FRAMES = {"n_directions": 200, "win_length": 512, "hop_length": 384}


def bursts(rng):
    sound = rng.normal(size=(1, 16000)) * (np.arange(16000) % 6000 < 2500)
    return (0.1 * sound + 0.003 * rng.normal(size=(4, 16000))).astype(np.float32)


@pytest.mark.parametrize(
    ("features", "usual"), [("phat", 200.0), ("snr", 800.0), (GCCFeatures(dereverberation=False), 800.0)]
)
def test_the_usual_scale_is_that_of_the_features(rng, features, usual):
    signal = bursts(rng)
    found = [
        SRPPHAT(features=features, map_scale=scale, **FRAMES).fit(signal, ARRAY).track(signal, "filter").concentration
        for scale in (None, usual, 1.5 * usual)
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2], rtol=0.05)


@pytest.mark.parametrize(("features", "usual"), [("phat", 200.0), ("whitened", 800.0)])
def test_the_tracker_that_learns_takes_the_same(rng, features, usual):
    signal = bursts(rng)
    tracker = PhysicsVAETracker(features=features, n_epochs=1, random_state=0, **FRAMES).fit([signal], ARRAY)
    usual_track = tracker.track(signal, "filter")
    told = tracker.set_params(map_scale=usual).track(signal, "filter")
    louder = tracker.set_params(map_scale=2 * usual).track(signal, "filter")
    assert np.array_equal(usual_track.concentration, told.concentration)
    assert not np.allclose(told.concentration, louder.concentration, rtol=0.05)
