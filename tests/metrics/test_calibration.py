"""Coverage counts cones, its error is a mean distance, and risk falls where the order is good."""

import numpy as np
import pytest
import torch

from doatrack.distributions import ConeCalibration, VonMisesFisher
from doatrack.exceptions import InvalidInputError
from doatrack.metrics import (
    cone_coverage,
    expected_calibration_error,
    mean_angular_error_deg,
    reliability_curve,
    risk_coverage_area_deg,
    risk_coverage_curve,
)


@pytest.fixture(scope="module")
def drawn():
    """Truth, estimates and the concentrations that the errors were drawn with."""
    concentration = np.exp(np.random.default_rng(0).uniform(1, 7, 4000))
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(4000, 3)
    draws = VonMisesFisher(up, torch.from_numpy(concentration)).rsample(generator=torch.Generator().manual_seed(0))
    return up.numpy(), draws.numpy(), concentration


def test_true_concentrations_are_on_the_diagonal(drawn):
    levels, coverage = reliability_curve(*drawn)
    np.testing.assert_allclose(levels, np.arange(1, 20) / 20)
    np.testing.assert_allclose(coverage, levels, atol=0.02)
    assert expected_calibration_error(*drawn) < 0.01


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_too_sure_is_below_and_too_careful_above(drawn, factor):
    truth, estimate, concentration = drawn
    levels, coverage = reliability_curve(truth, estimate, factor * concentration)
    assert ((coverage > levels) == (factor < 1)).all()
    assert expected_calibration_error(truth, estimate, factor * concentration) > 0.2
    law = ConeCalibration(scale=1 / factor)
    assert expected_calibration_error(truth, estimate, factor * concentration, calibration=law) < 0.01


def test_a_level_is_the_coverage_of_its_cones(drawn):
    truth, estimate, concentration = drawn
    weight = np.random.default_rng(1).uniform(size=4000)
    angle = ConeCalibration().credible_angle(concentration, 0.7)
    _, coverage = reliability_curve(truth, estimate, concentration, weight, levels=[0.7])
    assert coverage[0] == pytest.approx(cone_coverage(truth, estimate, angle, weight))


def test_leaving_out_the_unsure_lowers_the_error(drawn):
    truth, estimate, concentration = drawn
    coverage, risk = risk_coverage_curve(truth, estimate, concentration)
    assert coverage[-1] == 1
    assert (np.diff(coverage) > 0).all()
    assert risk[-1] == pytest.approx(mean_angular_error_deg(truth, estimate))
    half = np.searchsorted(coverage, 0.5)
    sure = concentration > np.median(concentration)
    assert risk[half] == pytest.approx(mean_angular_error_deg(truth[sure], estimate[sure]), rel=0.01)
    by_chance = np.random.default_rng(2).permutation(concentration)
    area = risk_coverage_area_deg(truth, estimate, concentration)
    assert area < 0.5 * risk[-1]
    assert risk_coverage_area_deg(truth, estimate, by_chance) == pytest.approx(risk[-1], rel=0.1)
    assert area == pytest.approx(risk_coverage_area_deg(truth, estimate, np.log1p(concentration)))


def test_weights_repeat_frames_and_equal_ones_stay_together():
    truth, estimate = np.tile([1.0, 0, 0], (3, 1)), np.eye(3)
    coverage, risk = risk_coverage_curve(truth, estimate, [2.0, 1.0, 1.0], [2, 1, 1])
    assert coverage.tolist() == [0.5, 1.0]
    assert risk.tolist() == [0.0, 45.0]
    assert risk_coverage_area_deg(truth, estimate, [2.0, 1.0, 1.0], [2, 1, 1]) == 22.5
    repeated = risk_coverage_curve(np.tile([1.0, 0, 0], (4, 1)), np.eye(3)[[0, 0, 1, 2]], [2.0, 2.0, 1.0, 1.0])
    np.testing.assert_allclose(repeated, (coverage, risk))


def test_recordings_and_truth_rows_are_pooled(drawn):
    truth, estimate, concentration = drawn
    times = np.arange(50.0)
    rows = np.column_stack([times, truth[:50], np.arange(50) < 20])
    split = reliability_curve(
        [rows, truth[50:90]],
        [estimate[:50], estimate[50:90]],
        [concentration[:50], concentration[50:90]],
        frame_times=[times, times[:40]],
    )
    counted = np.r_[:20, 50:90]
    together = reliability_curve(truth[counted], estimate[counted], concentration[counted])
    np.testing.assert_allclose(split, together)


def test_bad_input_is_named(drawn):
    truth, estimate, concentration = drawn
    with pytest.raises(InvalidInputError, match=r"concentration must have as many rows as y_pred, got 2 and 4000"):
        reliability_curve(truth, estimate, [1.0, 2.0])
    unknown = concentration.copy()
    unknown[:3] = np.nan
    message = r"concentration must be known and at least 0 in every counted frame, got 3 of 4000 that are not"
    for metric in (reliability_curve, expected_calibration_error, risk_coverage_curve, risk_coverage_area_deg):
        with pytest.raises(InvalidInputError, match=message):
            metric(truth, estimate, unknown)
        metric(truth, estimate, unknown, np.isfinite(unknown).astype(float))
    with pytest.raises(InvalidInputError, match=r"levels must lie strictly between 0 and 1, got \[0.5, 1.0\]"):
        reliability_curve(truth, estimate, concentration, levels=[0.5, 1.0])
