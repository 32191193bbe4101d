import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.metrics import (
    assigned_angular_error_deg,
    detect_sources,
    identity_switches,
    mean_angular_error_deg,
    source_f_score,
    source_precision,
    source_recall,
    truth_at_frames,
)

FRONT, LEFT, UP = np.eye(3)
NOWHERE = np.full(3, np.nan)


def turned(doa, degrees):
    """Turn about the vertical."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) @ doa


def test_hand_made_scene():
    truth = [[FRONT, LEFT], [FRONT, LEFT], [FRONT, NOWHERE], [FRONT, LEFT]]
    estimate = [
        [turned(FRONT, 4), turned(LEFT, 10)],  # both found, 4 and 10 degrees
        [turned(LEFT, 8), UP],  # left is found under another number, front is missed, up is invented
        [NOWHERE, turned(FRONT, 2)],  # front under another number
        [NOWHERE, NOWHERE],  # two missed
    ]
    found = detect_sources(truth, estimate, tolerance_deg=15)
    assert (found.n_matched, found.n_missed, found.n_false, found.n_switches) == (4, 3, 1, 2)
    assert found.sum_error_deg == pytest.approx(24)
    assert found.recall == pytest.approx(4 / 7)
    assert found.precision == pytest.approx(4 / 5)
    assert found.f_score == pytest.approx(8 / 12)
    assert found.mean_error_deg == pytest.approx(6)
    assert found.accuracy == pytest.approx(1 - 6 / 7)
    assert source_recall(truth, estimate) == found.recall
    assert source_precision(truth, estimate) == found.precision
    assert source_f_score(truth, estimate) == found.f_score
    assert identity_switches(truth, estimate) == 2


def test_a_smaller_tolerance_finds_less():
    truth, estimate = [[FRONT, LEFT]], [[turned(FRONT, 4), turned(LEFT, 10)]]
    assert source_recall(truth, estimate, tolerance_deg=5) == 0.5
    assert source_precision(truth, estimate, tolerance_deg=3) == 0
    assert source_recall(truth, estimate, tolerance_deg=10.01) == 1


def test_an_estimate_is_kept_while_it_is_near_enough():
    # in the second frame the other estimate is nearer; a matching without memory would swap twice
    truth = [[FRONT]] * 3
    estimate = [[FRONT, UP], [turned(FRONT, 9), turned(FRONT, 1)], [FRONT, UP]]
    assert identity_switches(truth, estimate, tolerance_deg=10) == 0
    assert identity_switches(truth, estimate, tolerance_deg=5) == 2


def test_a_source_that_returns_under_its_number_is_no_switch():
    truth = [[FRONT], [NOWHERE], [FRONT], [NOWHERE], [FRONT]]
    assert identity_switches(truth, [[FRONT, UP]] * 5) == 0
    assert identity_switches(truth, [[FRONT, UP]] * 4 + [[UP, FRONT]]) == 1


def test_as_many_matches_as_possible_come_before_the_smallest_angles():
    # the estimate between both is nearer to front, but only front can take the other one
    truth = [[FRONT, turned(FRONT, 20)]]
    estimate = [[turned(FRONT, 9), turned(FRONT, -12)]]
    found = detect_sources(truth, estimate, tolerance_deg=15)
    assert found.n_matched == 2
    assert found.sum_error_deg == pytest.approx(23)


@given(seed=st.integers(0, 10_000), n_true=st.integers(1, 3), n_pred=st.integers(1, 3))
def test_the_order_of_sources_does_not_matter(seed, n_true, n_pred):
    rng = np.random.default_rng(seed)
    truth, estimate = (rng.normal(size=(6, n, 3)) for n in (n_true, n_pred))
    truth, estimate = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (truth, estimate))
    here, there = (rng.random((6, n)) < 0.7 for n in (n_true, n_pred))
    here[0, 0] = there[0, 0] = True
    expected = detect_sources(truth, estimate, tolerance_deg=60, active_true=here, active_pred=there)
    for order in itertools.permutations(range(n_pred)):
        shuffled = {"active_true": here[:, ::-1], "active_pred": there[:, list(order)]}
        pair = truth[:, ::-1], estimate[:, list(order)]
        found = detect_sources(*pair, tolerance_deg=60, **shuffled)
        assert [found.n_matched, found.n_missed, found.n_false, found.n_switches] == [
            expected.n_matched,
            expected.n_missed,
            expected.n_false,
            expected.n_switches,
        ]
        for per in ("frame", "recording"):
            same = assigned_angular_error_deg(truth, estimate, per=per, active_true=here, active_pred=there)
            assert assigned_angular_error_deg(*pair, per=per, **shuffled) == pytest.approx(same)


@given(seed=st.integers(0, 10_000))
def test_one_source_has_the_error_of_the_plain_metric(seed):
    rng = np.random.default_rng(seed)
    truth, estimate = rng.normal(size=(2, 5, 1, 3))
    truth, estimate = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (truth, estimate))
    weight = rng.random(5) + 0.01
    expected = mean_angular_error_deg(truth[:, 0], estimate[:, 0], weight)
    for per in ("frame", "recording"):
        assert assigned_angular_error_deg(truth, estimate, weight, per=per) == pytest.approx(expected)


def test_per_recording_sees_a_swap_that_per_frame_forgives():
    truth, estimate = [[FRONT, LEFT]] * 4, [[FRONT, LEFT]] * 3 + [[LEFT, FRONT]]
    assert assigned_angular_error_deg(truth, estimate) == pytest.approx(0)
    assert assigned_angular_error_deg(truth, estimate, per="recording") == pytest.approx(90 / 4)


def test_recordings_are_pooled_and_weighted():
    truth, estimate = [[[FRONT]], [[FRONT], [FRONT]]], [[[LEFT]], [[FRONT], [FRONT]]]
    assert assigned_angular_error_deg(truth, estimate) == pytest.approx(30)
    assert assigned_angular_error_deg(truth, estimate, [[2.0], [1.0, 1.0]]) == pytest.approx(45)
    assert detect_sources(truth, estimate, [[2.0], [1.0, 0.0]]).n_false == 2


def test_truth_rows_are_brought_to_the_frames():
    rows = np.array(
        [
            [[0.0, 1, 0, 0, 1], [0.1, 1, 0, 0, 1], [0.2, 1, 0, 0, 0], [0.3, 1, 0, 0, 0]],
            [[0.0, 0, 1, 0, 1], [0.1, 0, 1, 0, 1], [0.2, 0, 0, 1, 1], [0.3, 0, 0, 1, 1]],
        ]
    )
    times = [0.05, 0.25]
    doa, active = truth_at_frames(rows, times)
    assert doa.shape == (2, 2, 3)
    assert active.tolist() == [[True, True], [False, True]]
    found = detect_sources(rows, [[LEFT, FRONT], [UP, FRONT]], frame_times=times)
    assert (found.n_matched, found.n_false, found.n_missed) == (3, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[FRONT]], [[FRONT, 2 * LEFT]]), {}, r"y_pred must hold unit vectors .* length 2"),
        (([[FRONT]] * 2, [[FRONT]] * 3), {}, "y_true must have as many rows as y_pred, got 2 and 3"),
        (([[[FRONT]]], [[[FRONT]], [[FRONT]]]), {}, "same number of recordings, got 1 and 2"),
        (([[FRONT]], [[NOWHERE]]), {"active_pred": [[1]]}, "active_pred calls source 0 active in frame 0"),
        (([[FRONT]], [[FRONT]]), {"active_true": [[0.5]]}, "active_true must hold booleans, or 0 and 1, got 0.5"),
        (([[FRONT]], [[FRONT]]), {"active_true": [[1, 1]]}, r"active_true must have the shape \(1, 1\)"),
        (([[FRONT]], [[FRONT]], [0.0]), {}, "No frame counts"),
        (([[[0.0, 1, 0, 0, 1]]], [[FRONT]]), {}, "y_true holds truth rows .*: pass frame_times"),
        (([[FRONT]], [[FRONT]]), {"tolerance_deg": 200}, "tolerance_deg must be at least 0 and at most 180"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(InvalidInputError, match=message):
        detect_sources(*arguments, **options)


def test_no_pair_has_no_error():
    with pytest.raises(InvalidInputError, match="no counted frame holds both a true and an estimated one"):
        assigned_angular_error_deg([[FRONT]], [[NOWHERE]])
    assert source_recall([[FRONT]], [[NOWHERE]]) == 0
    assert np.isnan(source_precision([[FRONT]], [[NOWHERE]]))
