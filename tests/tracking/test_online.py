"""The filter in parts is the filter of the whole, and a gap is frames that say nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking import MotionModel, OnlineFilter, SwitchingMotion, grid_filter

GRID = DirectionGrid.quasi_uniform(200)
MOTIONS = {"one": MotionModel(), "switching": SwitchingMotion(diffusion=(0.001, 0.5))}


def heard(n_frames, dtype=np.float64):
    return (8 * np.random.default_rng(1).normal(size=(n_frames, 200))).astype(dtype)


@pytest.mark.parametrize("motion", list(MOTIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_parts_of_any_size_give_the_same_bits(motion, dtype, sizes):
    transition = MOTIONS[motion].transition(GRID, 0.2)
    values, activity = heard(sum(sizes), dtype), np.arange(sum(sizes)) % 3 / 2
    online, parts = OnlineFilter(transition), np.cumsum(sizes)[:-1]
    found = [online.update(*part) for part in zip(np.split(values, parts), np.split(activity, parts), strict=True)]
    assert np.array_equal(np.concatenate(found), grid_filter(values, transition, activity))


@pytest.mark.parametrize("motion", list(MOTIONS))
def test_what_is_predicted_is_the_filter_of_silent_frames(motion):
    transition = MOTIONS[motion].transition(GRID, 0.2)
    values = heard(8)
    online = OnlineFilter(transition)
    found = [online.update(values[:3]), online.predict(2), online.predict(0), online.update(values[5:])]
    activity = [1, 1, 1, 0, 0, 1, 1, 1]
    assert np.allclose(np.concatenate(found), grid_filter(values, transition, activity), atol=1e-12)


def test_a_long_prediction_is_cut_where_nothing_new_follows():
    online = OnlineFilter(MotionModel().transition(GRID, 0.2))
    online.update(heard(1))
    rows = online.predict(10**6)
    assert rows.shape == (1000, 200)
    assert np.abs(np.exp(rows[-1]) - 1 / 200).max() < 1e-3


def test_refused_values_leave_what_was_known():
    transition = MotionModel().transition(GRID, 0.2)
    online, values = OnlineFilter(transition), heard(4)
    online.update(values[:2])
    for wrong, message in ((np.full((1, 200), np.nan), "must be finite"), (np.zeros((0, 200)), "at least one frame")):
        with pytest.raises(InvalidInputError, match=message):
            online.update(wrong)
    assert np.array_equal(online.update(values[2:]), grid_filter(values, transition)[2:])
