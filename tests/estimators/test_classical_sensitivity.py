"""Every constructor parameter of MUSIC, DML and ESPRIT has an effect that can be seen from outside, or is refused."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone

from doatrack import DML, ESPRIT, MUSIC, MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MotionModel

# four microphones, as the recordings have; the second array has its shift structure within 2 mm only
RECTANGLE = MicArray([[x, y, 0] for x in (0.05, -0.05) for y in (0.04, -0.04)])
NEARLY = MicArray(RECTANGLE.positions + np.diag([0.002, 0, 0, 0])[:, :3])
WIDER = MicArray(1.3 * RECTANGLE.positions)
SMALL = {
    "win_length": 1024,
    "hop_length": 768,
    "snapshot_length": 256,
    "snapshot_hop": 128,
    "freq_range_hz": (400.0, 3000.0),
}
COMMON = {
    "freq_range_hz": (400.0, 1000.0),
    "snapshot_length": 128,
    "snapshot_hop": 256,
    "azimuth_range_deg": (-20.0, 20.0),
    "elevation_range_deg": (60.0, 90.0),
    "sample_rate": 8000,
    "win_length": 512,
    "hop_length": 512,
    "window": "rectangular",
    "speed_of_sound": 300.0,
    "motion": MotionModel(diffusion=0.5),
    "causal": True,
    "array": WIDER,
}
GRID = {
    "grid": "rectangular",
    "n_directions": 600,
    "refine": False,
    "n_sources": 2,
    "map_scale": 0.5,
}
CHANGES = {
    MUSIC: COMMON | GRID | {"normalised": False},
    DML: COMMON | GRID | {"noise": "common"},
    ESPRIT: COMMON | {"tolerance": 0.01},
}
OWN_TEST = {"tolerance"}
CASES = [(cls, name) for cls, changes in CHANGES.items() for name in sorted(set(changes) - OWN_TEST)]


@pytest.fixture(scope="module", params=list(CHANGES), ids=lambda cls: cls.__name__)
def base(request, signals):
    """A fitted estimator, whose array has the shift structure that ESPRIT needs."""
    return request.param(RECTANGLE, **SMALL).fit(signals)


def seen(estimator, signals):
    """What can be seen of a fitted estimator from outside, as one array."""
    parts = [d.ravel() for d in estimator.predict(signals)]
    if hasattr(estimator, "predict_map"):
        parts += [m.ravel() for m in estimator.predict_map(signals)]
    parts += [np.concatenate([t.doa.ravel(), t.credible_angle.ravel()]) for t in estimator.track(signals)]
    return np.concatenate(parts)


def differs(a, b):
    return a.shape != b.shape or np.nanmax(np.abs(a - b)) > 1e-6


@pytest.mark.parametrize("cls", list(CHANGES))
def test_every_parameter_has_an_entry(cls):
    assert set(CHANGES[cls]) == set(inspect.signature(cls).parameters)


@pytest.mark.parametrize(("cls", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_each_parameter_is_seen(cls, name, signals):
    more = {} if cls is ESPRIT else {"n_directions": 200}
    before = cls(RECTANGLE, **SMALL, **more).fit(signals)
    assert not np.array_equal(before.get_params()[name], CHANGES[cls][name])
    after = clone(before).set_params(**{name: CHANGES[cls][name]}).fit(signals)
    assert differs(seen(after, signals), seen(before, signals))


def test_the_tolerance_decides_what_is_a_shifted_copy(signals):
    with pytest.raises(InvalidInputError, match=r"no two displacements agree within 0.001 m"):
        ESPRIT(NEARLY, **SMALL).fit(signals)
    assert ESPRIT(NEARLY, tolerance=0.003, **SMALL).fit(signals).predict(signals[0]).shape[1] == 3


def test_nothing_else_changes_what_is_seen(base, signals):
    assert np.array_equal(seen(clone(base).fit(signals), signals), seen(base, signals), equal_nan=True)


REFUSED = {
    "normalised": (1, r"normalised must be True or False, got 1"),
    "noise": ("white", r"noise must be one of .*common, per_frequency"),
    "n_sources": (4, r"n_sources must be at least 1 and at most 3, got 4"),
    "grid": ("fibonacci", r"grid must be one of .*quasi_uniform, rectangular"),
    "n_directions": (3, r"n_directions must be at least 16, got 3"),
    "refine": (None, r"refine must be True or False"),
    "freq_range_hz": ((3000, 400), r"freq_range_hz must hold at least one .* got 3000 to 400"),
    "snapshot_length": (2048, r"snapshot_length must be at most win_length, 1024 samples, got 2048"),
    "snapshot_hop": (0, r"snapshot_hop must be at least 1"),
    "map_scale": (0.0, r"map_scale must be above 0"),
    "tolerance": (0.0, r"tolerance must be above 0"),
    "motion": ("fast", r"motion must be"),
    "azimuth_range_deg": ((10.0,), r"azimuth_range_deg must have the shape \(2\)"),
}


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls, changes in CHANGES.items() for name in sorted(set(changes) & set(REFUSED))],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_senseless_values_are_refused_at_fit(cls, name, signals):
    value, message = REFUSED[name]
    with pytest.raises(InvalidInputError, match=message):
        cls(RECTANGLE, **(SMALL | {name: value})).fit(signals)
