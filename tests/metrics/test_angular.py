import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import Ambiguity
from doatrack.metrics import (
    angular_error,
    cone_coverage,
    mean_angular_error_deg,
    mean_azimuth_error_deg,
    mean_elevation_error_deg,
    median_angular_error_deg,
    root_mean_square_angular_error_deg,
    share_within,
)

METRICS = [
    mean_angular_error_deg,
    root_mean_square_angular_error_deg,
    median_angular_error_deg,
    share_within,
    mean_azimuth_error_deg,
    mean_elevation_error_deg,
]


def from_angles(azimuth_deg, elevation_deg):
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
        ),
        axis=-1,
    )


@settings(max_examples=60, deadline=None)
@given(angle=st.floats(0, np.pi), seed=st.integers(0, 2**31))
def test_a_turn_by_an_angle_is_that_error_at_every_size(angle, seed):
    start, axis = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()[:2]
    turned = Rotation.from_rotvec(angle * axis).apply(start)
    assert angular_error(start, turned) == pytest.approx(angle, abs=1e-15, rel=1e-12)
    assert angular_error(turned, start) == angular_error(start, turned)


def test_tiny_and_opposite_angles_are_exact():
    tiny = [np.cos(1e-9), np.sin(1e-9), 0]
    assert angular_error([1.0, 0, 0], tiny) == pytest.approx(1e-9, rel=1e-12)
    assert angular_error([0.36, 0.48, 0.8], [-0.36, -0.48, -0.8]) == np.pi


def test_angular_error_broadcasts_and_ignores_length(random_directions):
    a, b = random_directions(4, 1), random_directions(5)
    errors = angular_error(a, b)
    assert errors.shape == (4, 5)
    np.testing.assert_allclose(angular_error(3 * a, 0.2 * b), errors, rtol=1e-12)
    assert np.isnan(angular_error([np.nan, 0, 0], b)).all()
    with pytest.raises(InvalidInputError, match=r"doa_pred must have the shape \(\.\.\., 3\), got \(2,\)"):
        angular_error(a, [1.0, 0])


def test_known_values():
    truth = np.tile(from_angles(0, 0), (4, 1))
    predicted = from_angles([0, 6, 30, -90], 0)
    assert mean_angular_error_deg(truth, predicted) == pytest.approx(31.5)
    assert root_mean_square_angular_error_deg(truth, predicted) == pytest.approx(np.sqrt((36 + 900 + 8100) / 4))
    assert median_angular_error_deg(truth, predicted) == pytest.approx(18)
    assert share_within(truth, predicted, tolerance_deg=7) == 0.5
    assert mean_azimuth_error_deg(truth, predicted) == pytest.approx(31.5)
    assert mean_elevation_error_deg(truth, predicted) == 0


def test_azimuth_goes_the_shorter_way_round_and_elevation_is_no_colatitude():
    truth, predicted = from_angles([179, 10], [10, 80]), from_angles([-179, 20], [30, 80])
    assert mean_azimuth_error_deg(truth, predicted) == pytest.approx((2 + 10) / 2)
    assert mean_elevation_error_deg(truth, predicted) == pytest.approx((20 + 0) / 2)


@pytest.mark.parametrize("metric", METRICS)
def test_a_list_is_its_frames_pooled(metric, random_directions, rng):
    truth, predicted = random_directions(60), random_directions(60)
    weight = rng.random(60) > 0.3
    cuts = [5, 6, 30]
    expected = metric(truth[weight], predicted[weight])
    assert metric(truth, predicted, weight) == pytest.approx(expected, rel=1e-12)
    parts = [np.split(values, cuts) for values in (truth, predicted, weight)]
    assert metric(*parts) == pytest.approx(expected, rel=1e-12)
    tensors = [[torch.as_tensor(part) for part in values] for values in parts]
    assert metric(*tensors) == pytest.approx(expected, rel=1e-12)
    batch = [values.reshape(4, 15, *values.shape[1:]) for values in (truth, predicted, weight)]
    assert metric(*batch) == pytest.approx(expected, rel=1e-12)
    nested = [values.tolist() for values in (truth, predicted, weight)]
    assert metric(*nested) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_whole_weight_counts_like_repeated_frames(metric, random_directions, rng):
    truth, predicted, weight = random_directions(25), random_directions(25), rng.integers(0, 4, 25)
    repeated = metric(np.repeat(truth, weight, axis=0), np.repeat(predicted, weight, axis=0))
    assert metric(truth, predicted, weight) == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_unknown_truth_and_inactive_nan_predictions_do_not_count(metric, random_directions):
    truth, predicted, weight = random_directions(20), random_directions(20), np.ones(20)
    expected = metric(truth[4:], predicted[4:])
    truth[:2] = np.nan
    weight[2:4] = 0
    predicted[2:4] = np.nan
    assert metric(truth, predicted, weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_truth_rows_are_brought_to_the_frames(metric, random_directions):
    frame_times = 0.128 + 0.192 * np.arange(20)
    rows = np.column_stack([0.02 * np.arange(250), np.repeat(random_directions(10), 25, axis=0), np.ones(250)])
    rows[120:160, 4] = 0
    predicted = random_directions(20)
    from doatrack.metrics import truth_at_frames

    doa, active = truth_at_frames(rows, frame_times)
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    expected = metric(doa, predicted, active)
    assert metric(rows, predicted, frame_times=frame_times) == pytest.approx(expected, rel=1e-9)
    both = metric([rows, doa], [predicted, predicted], [None, active], frame_times=[frame_times, frame_times])
    assert both == pytest.approx(expected, rel=1e-9)
    with pytest.raises(InvalidInputError, match=r"y_true holds truth rows .*: pass frame_times"):
        metric(rows, predicted)


def test_coverage_is_the_share_of_cones_that_hold_the_truth(random_directions, rng):
    truth, predicted = random_directions(200), random_directions(200)
    angle = rng.uniform(0, np.pi, 200)
    inside = angular_error(truth, predicted) <= angle
    assert cone_coverage(truth, predicted, angle) == inside.mean()
    assert cone_coverage(truth, predicted, angle, inside) == 1
    assert cone_coverage([truth[:50], truth[50:]], [predicted[:50], predicted[50:]], [angle[:50], angle[50:]]) == (
        pytest.approx(inside.mean())
    )
    assert cone_coverage(truth, predicted, np.pi) == 1
    for wrong in (-0.1, 90.0, np.nan):
        with pytest.raises(
            InvalidInputError, match="credible_angle must lie between 0 and pi radians in every counted"
        ):
            cone_coverage(truth, predicted, wrong)
    with pytest.raises(InvalidInputError, match="credible_angle must have as many rows as y_pred, got 199 and 200"):
        cone_coverage(truth, predicted, angle[1:])


FRONT = np.tile([1.0, 0, 0], (4, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FRONT, FRONT[1:]), "y_true must have as many rows as y_pred, got 4 and 3"),
        (
            ([FRONT, FRONT], [FRONT, FRONT[1:]]),
            "y_true of recording 1 must have as many rows as y_pred of recording 1, got 4 and 3",
        ),
        (([FRONT], [FRONT, FRONT]), "must hold the same number of recordings, got 1 and 2"),
        ((FRONT, FRONT, [0, 0, 0, 0]), "No frame counts: of 4 frames all are inactive"),
        ((np.full((4, 3), np.nan), FRONT), "No frame counts"),
        ((FRONT, FRONT, [1, 1]), "sample_weight must have as many rows as the directions, got 2 and 4"),
        (([FRONT, FRONT], [FRONT, FRONT], [np.ones(4)]), "sample_weight must hold one entry per recording"),
        (
            ([FRONT, FRONT], [FRONT, FRONT], [np.ones(4), np.ones(3)]),
            "sample_weight of recording 1 must have as many rows",
        ),
        ((FRONT, FRONT, [1, 1, 1, -1]), "sample_weight must be at least 0, got -1"),
        ((FRONT, FRONT, [1, 1, 1, np.nan]), "sample_weight must be finite"),
        ((FRONT, 2 * FRONT), "y_pred must hold unit vectors .* got one of length 2"),
        (([FRONT, 90 * FRONT], [FRONT, FRONT]), "y_true of recording 1 must hold unit vectors"),
        ((FRONT, FRONT * [1, np.nan, 1]), "y_pred must be known in every counted frame, got NaN in 4 of 4"),
        ((FRONT[:, :2], FRONT), r"y_true must have the shape \(n_frames, 3\), got \(4, 2\)"),
        (([], []), "y_pred must hold one recording or a list of recordings, got an empty list"),
        ((FRONT[0], FRONT[0]), "y_pred must have 2 axes per recording"),
        ((None, FRONT), "y_true must hold one recording or a list of recordings, got NoneType"),
    ],
)
def test_wrong_input_is_named(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        mean_angular_error_deg(*arguments)


def test_tolerance_is_checked():
    with pytest.raises(InvalidInputError, match="tolerance_deg must be at least 0 and at most 180, got -1"):
        share_within(FRONT, FRONT, tolerance_deg=-1)


def test_errors_modulo_an_ambiguity_count_the_nearest_of_equal_directions():
    flat = Ambiguity("mirror", (0.0, 0.0, 1.0))
    truth = [[0.6, 0, 0.8], [1.0, 0, 0]]
    estimate = [[0.6, 0, -0.8], [0, 1.0, 0]]
    assert mean_angular_error_deg(truth, estimate, ambiguity=flat) == pytest.approx(45)
    assert median_angular_error_deg(truth, estimate, ambiguity=flat) == pytest.approx(45)
    assert root_mean_square_angular_error_deg(truth, estimate, ambiguity=flat) == pytest.approx(90 / 2**0.5)
    assert share_within(truth, estimate, tolerance_deg=1.0, ambiguity=flat) == 0.5
    assert cone_coverage(truth, estimate, 0.01, ambiguity=flat) == 0.5
    assert cone_coverage(truth, estimate, 0.01) == 0
    assert mean_angular_error_deg(truth, estimate) > 90
    line = Ambiguity("cone", (1.0, 0.0, 0.0))
    assert mean_angular_error_deg(truth[:1], [[0.6, -0.8, 0]], ambiguity=line) == pytest.approx(0, abs=1e-6)
    assert mean_angular_error_deg(truth, estimate, ambiguity=Ambiguity()) == mean_angular_error_deg(truth, estimate)
