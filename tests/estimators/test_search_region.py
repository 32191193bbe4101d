"""A fitted tracker can be told where to look."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker, load
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import unit_to_azimuth_elevation_deg

ARRAY = MicArray.from_preset("tetrahedron_4")


def noise(rng):
    return [rng.normal(size=(4, 8192)).astype(np.float32) for _ in range(2)]


@pytest.fixture(scope="module")
def trackers():
    signals = noise(np.random.default_rng(0))
    signals[0][:, :4096] *= 0.01
    learned = PhysicsVAETracker(n_directions=300, n_epochs=1, width=4, random_state=0, verbose=0).fit(signals, ARRAY)
    return [SRPPHAT(n_directions=300).fit(signals, ARRAY), learned]


@pytest.mark.parametrize("kind", [0, 1], ids=["srp-phat", "physics-vae"])
def test_directions_stay_in_the_region_and_the_tracker_as_it_was(trackers, kind, rng, tmp_path):
    tracker = trackers[kind]
    signals = noise(rng)
    before = tracker.predict(signals)
    sector = tracker.with_search_region((150, -150), (0, 60))
    step = sector.grid_.spacing_deg
    for doa in sector.predict(signals):
        azimuth, elevation = unit_to_azimuth_elevation_deg(doa)
        assert ((azimuth - 150 + step) % 360 <= 60 + 2 * step).all()
        assert ((elevation >= -step) & (elevation <= 60 + step)).all()
    np.testing.assert_array_equal(tracker.predict(signals), before)
    np.testing.assert_array_equal(sector.with_search_region().predict(signals), before)
    sector.save(tmp_path / "sector.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "sector.safetensors").predict(signals), sector.predict(signals))


def test_what_has_no_grid_says_so(trackers):
    tracker = PhysicsVAETracker(
        encoder="paper", teacher="physics", prior="uniform", width=4, n_epochs=1, verbose=0, random_state=0
    )
    with pytest.raises(NotFittedError):
        tracker.with_search_region((0, 90))
    tracker.fit([np.random.default_rng(0).normal(size=(4, 12288)) * np.repeat([0.01, 1, 0.01], 4096)], ARRAY)
    with pytest.raises(InvalidInputError, match="needs a posterior over a grid, encoder='map'"):
        tracker.with_search_region((0, 90))
    with pytest.raises(InvalidInputError, match="No direction lies in"):
        trackers[0].with_search_region(elevation_range_deg=(80, 60))


@pytest.mark.parametrize("kind", [0, 1], ids=["srp-phat", "physics-vae"])
def test_a_region_set_after_fit_is_not_ignored(trackers, kind, rng):
    """Whether or not something was predicted in between, and after a move to another array."""
    signals = noise(rng)
    tracker = copy.deepcopy(trackers[kind])
    expected = tracker.with_search_region(elevation_range_deg=(0, 90)).predict(signals)
    tracker.predict(signals)
    tracker.set_params(elevation_range_deg=(0, 90))
    np.testing.assert_array_equal(tracker.predict(signals), expected)
    np.testing.assert_array_equal(tracker.for_array(ARRAY).predict(signals), expected)


def test_a_move_to_the_same_array_does_not_warn(trackers, recwarn):
    for tracker in trackers:
        tracker.for_array(ARRAY)
    assert not recwarn.list


def test_a_file_does_not_keep_what_belongs_to_the_run(trackers, tmp_path):
    tracker = copy.deepcopy(trackers[1]).set_params(verbose=2, checkpoint=tmp_path / "run")
    tracker.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.checkpoint is None
    assert loaded.verbose == PhysicsVAETracker().verbose
