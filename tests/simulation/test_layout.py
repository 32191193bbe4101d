"""Talkers keep to the elevations that are asked for."""

import numpy as np
import pytest

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.simulation import SceneSettings, simulate_scene
from doatrack.simulation.layout import draw_layout

ARRAY = MicArray.from_preset("respeaker_usb_4")


def elevations(layout, duration):
    vectors = [path.positions(np.linspace(0, duration, 500)) - layout.origin for path in layout.paths]
    return [np.degrees(np.arctan2(v[:, 2], np.hypot(v[:, 0], v[:, 1]))) for v in vectors]


@pytest.mark.parametrize("limits", [(0, 90), (-90, 0), (-20, 20), (10, 60), (-4, 4)])
@pytest.mark.parametrize("moving", [0.0, 1.0])
def test_talkers_stay_between_elevations(limits, moving):
    settings = SceneSettings(elevation_range_deg=limits, moving_probability=moving)
    for seed in range(12):
        layout = draw_layout(ARRAY, settings, np.random.default_rng(seed))
        [angles] = elevations(layout, settings.duration_s)
        assert angles.min() >= limits[0] - 0.1  # between the moments that are looked at
        assert angles.max() <= limits[1] + 0.1
        assert layout.paths[0].is_static == (moving == 0)
        places = layout.paths[0].positions(np.linspace(0, 20, 500))
        assert np.linalg.norm(places - layout.origin, axis=1).min() > settings.min_distance - 0.01
        assert (places > 0.29).all()
        assert (places < layout.room.room_size - 0.29).all()


def test_every_talker_of_several_keeps_to_it():
    settings = SceneSettings(elevation_range_deg=(0, 90), n_sources=2)
    for seed in range(5):
        assert min(a.min() for a in elevations(draw_layout(ARRAY, settings, np.random.default_rng(seed)), 20)) > -0.1


def test_directions_of_a_scene_are_above_a_flat_array():
    settings = SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3), elevation_range_deg=(0, 90), moving_probability=1)
    below = SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3), elevation_range_deg=(-90, 0), moving_probability=1)
    assert simulate_scene(ARRAY, settings, 1).truth[:, 3].min() >= 0
    assert simulate_scene(ARRAY, below, 1).truth[:, 3].max() <= 0


def test_without_a_range_or_with_all_elevations_scenes_are_the_same():
    plain, all_of_them = SceneSettings(), SceneSettings(elevation_range_deg=(-90, 90))
    for seed in range(4):
        one, other = (draw_layout(ARRAY, s, np.random.default_rng(seed)) for s in (plain, all_of_them))
        np.testing.assert_array_equal(one.paths[0].positions([0, 3, 20]), other.paths[0].positions([0, 3, 20]))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((30, 10), r"elevation_range_deg must go from low to high, got \(30, 10\)"),
        ((-100, 10), r"elevation_range_deg\[0\] must be at least -90, got -100"),
        ((0, 91), r"elevation_range_deg\[1\] must be at most 90, got 91"),
        ((0,), r"elevation_range_deg must have the shape \(2\)"),
    ],
)
def test_ranges_that_are_none(limits, message):
    with pytest.raises(InvalidInputError, match=message):
        SceneSettings(elevation_range_deg=limits)


def test_a_range_that_no_room_holds():
    settings = SceneSettings(elevation_range_deg=(89.999, 90), moving_probability=0)
    with pytest.raises(InvalidInputError, match=r"between the elevations 89\.999 and 90 degrees in a room of .* Widen"):
        draw_layout(ARRAY, settings, np.random.default_rng(0))
