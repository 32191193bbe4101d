import importlib.util
import pathlib

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.metrics import angular_error, truth_at_frames

SCORE = pathlib.Path(__file__).parents[3] / "shared" / "data" / "score.py"


@pytest.fixture
def score():
    if not SCORE.exists():
        pytest.skip(f"the reference scorer {SCORE} is not here")
    spec = importlib.util.spec_from_file_location("score", SCORE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def moving_source(n_rows, step=0.02, speed=1.5):
    times = step * np.arange(n_rows)
    azimuth, elevation = speed * times, 0.4 * np.sin(times)
    doa = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)
    active = (np.sin(9 * times) > -0.4).astype(float)
    return np.column_stack([times, doa, active])


@pytest.mark.parametrize("frame_step", [0.192, 0.064, 0.016, 0.21])
@pytest.mark.parametrize("start", [0.0, 0.128, 0.03])
def test_counted_frames_and_errors_are_those_of_the_reference_scorer(score, random_directions, frame_step, start):
    rows = moving_source(300)
    frame_times = np.arange(start, rows[-1, 0] + 0.05, frame_step)
    predicted = random_directions(len(frame_times))
    doa, active = truth_at_frames(rows, frame_times)
    expected = score.frame_errors(rows, np.column_stack([frame_times, predicted]))
    assert 0 < active.sum() < len(active)
    np.testing.assert_array_equal(np.degrees(angular_error(doa, predicted)[active]), expected)


def test_reference_sets_are_scored_alike(score, random_directions):
    truths = sorted((SCORE.parent / "bench_nao").glob("*.csv"))
    if not truths:
        pytest.skip(f"no scored set in {SCORE.parent / 'bench_nao'}")
    for path in truths:
        rows = np.loadtxt(path, delimiter=",", skiprows=1)
        frame_times = np.arange(0.128, rows[-1, 0] - 0.1, 0.192)
        predicted = random_directions(len(frame_times))
        doa, active = truth_at_frames(rows, frame_times)
        expected = score.frame_errors(rows, np.column_stack([frame_times, predicted]))
        np.testing.assert_array_equal(np.degrees(angular_error(doa, predicted)[active]), expected)


def test_two_thirds_of_the_rows_near_a_frame_decide():
    rows = np.column_stack([np.arange(7.0), np.tile([1.0, 0, 0], (7, 1)), [1, 1, 0, 0, 1, 1, 1]])
    # Windows of +-1 s around 1, 3 and 5 s: 2 of 3, 1 of 3, 3 of 3 rows are active (both ends belong to the window).
    assert truth_at_frames(rows, [1.0, 3.0, 5.0])[1].tolist() == [True, False, True]


def test_one_frame_has_a_window_of_a_tenth_of_a_second():
    times = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
    rows = np.column_stack([times, np.tile([1.0, 0, 0], (6, 1)), [0, 1, 1, 1, 0, 0]])
    assert truth_at_frames(rows, [0.1])[1].tolist() == [False]  # 3 of 5
    assert truth_at_frames(rows, [0.0999])[1].tolist() == [True]  # the row at 0.2 s is outside: 3 of 4


def test_frames_without_any_row_are_inactive_and_hold_the_last_direction():
    rows = [[0.0, 1, 0, 0, 1], [0.1, 0, 1, 0, 1]]
    doa, active = truth_at_frames(rows, [0.05, 1.05, 2.05])
    assert active.tolist() == [True, False, False]
    assert doa[2].tolist() == [0, 1, 0]


def test_a_source_that_crosses_the_back_stays_at_the_back():
    angle = np.radians([170.0, -170.0])
    rows = np.column_stack([[0.0, 1.0], np.cos(angle), np.sin(angle), [0, 0], [1, 1]])
    doa, _ = truth_at_frames(rows, [0.5])
    assert angular_error(doa[0], [-1.0, 0, 0]) < 1e-12


def test_unknown_rows_make_unknown_and_inactive_frames():
    rows = np.column_stack([np.arange(0, 5, 0.5), np.tile([0.0, 0, 1], (10, 1)), np.ones(10)])
    rows[2, 1:4] = np.nan
    rows[8, 4] = np.nan
    doa, active = truth_at_frames(rows, [0.25, 1.25, 2.25, 3.25, 4.25])
    assert np.isnan(doa[:, 0]).tolist() == [False, True, False, False, False]
    assert active.tolist() == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("rows", "times", "message"),
    [
        (np.zeros((4, 4)), [0.0], r"truth rows .* must have the shape \(n_rows, 5\), got \(4, 4\)"),
        (np.zeros((0, 5)), [0.0], "must hold at least one row"),
        (np.ones((3, 5)), [0.0], "the time_s of truth rows must increase from row to row, got 1 s after 1 s in row 1"),
        ([[0.0, 1, 0, 0, 1]], [0.2, 0.1], "frame_times must increase from row to row, got 0.1 s after 0.2 s in row 1"),
        ([[0.0, 1, 0, 0, 1]], [0.2, np.nan], "frame_times must be finite"),
    ],
)
def test_wrong_input_is_named(rows, times, message):
    with pytest.raises(InvalidInputError, match=message):
        truth_at_frames(rows, times)


def test_truth_rows_must_be_unit_vectors():
    with pytest.raises(InvalidInputError, match=r"x, y, z of truth rows must hold unit vectors .* length 0"):
        truth_at_frames([[0.0, 0, 0, 0, 1], [1.0, 0, 0, 0, 1]], [0.5])


def test_halfway_between_opposite_directions_is_unknown():
    doa, _ = truth_at_frames([[0.0, 1, 0, 0, 1], [1.0, -1, 0, 0, 1]], [0.25, 0.5])
    assert np.isfinite(doa[0]).all()
    assert np.isnan(doa[1]).all()
