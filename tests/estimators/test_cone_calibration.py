"""One calibration makes the cones of all levels cover what they claim, on other frames than its own."""

import numpy as np
import pytest
import torch

from doatrack.distributions import VonMisesFisher
from doatrack.estimators._calibration import fit_cone_calibration
from doatrack.metrics import angular_error


def errors_of(concentration, seed):
    generator = torch.Generator().manual_seed(seed)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(concentration), 3)
    draws = VonMisesFisher(up, torch.from_numpy(concentration)).rsample(generator=generator)
    return angular_error(up.numpy(), draws.numpy())


def overconfident(seed, n_frames=6000, outliers=0.15):
    """Claimed concentrations that are too high, the more so the higher, and frames that follow something else."""
    rng = np.random.default_rng(seed)
    claimed = np.exp(rng.uniform(np.log(20), np.log(3000), n_frames))
    true = np.where(rng.random(n_frames) < outliers, 1.0, 6 * claimed**0.6)
    return errors_of(true, seed), claimed


@pytest.mark.parametrize("outliers", [0.0, 0.15, 0.4])
def test_every_level_is_covered_on_frames_never_seen(outliers):
    law = fit_cone_calibration(*overconfident(0, outliers=outliers))
    errors, claimed = overconfident(1, outliers=outliers)
    for level in (0.1, 0.5, 0.8, 0.9, 0.95):
        assert (errors <= law.credible_angle(claimed, level)).mean() == pytest.approx(level, abs=0.02)


def test_sharp_and_broad_frames_are_covered_alike():
    law = fit_cone_calibration(*overconfident(0))
    errors, claimed = overconfident(1)
    assert 0.5 < law.power < 0.7
    for part in (claimed < 250, claimed >= 250):
        assert (errors <= law.credible_angle(claimed, 0.5))[part].mean() == pytest.approx(0.5, abs=0.04)


def test_a_calibrated_method_is_left_as_it_is():
    claimed = np.random.default_rng(2).uniform(5, 400, size=6000)
    law = fit_cone_calibration(errors_of(claimed, 2), claimed)
    assert law.power == pytest.approx(1, abs=0.05)
    assert law.believed(100.0) == pytest.approx(100, rel=0.1)
    assert law.tail < 0.05
    assert np.abs(np.array(law.levels) - np.linspace(0, 1, 21)).max() < 0.03


def test_units_of_the_concentration_do_not_matter():
    errors, claimed = overconfident(3, n_frames=2000)
    first, second = fit_cone_calibration(errors, claimed), fit_cone_calibration(errors, 1e3 * claimed)
    np.testing.assert_allclose(first.credible_angle(claimed, 0.8), second.credible_angle(1e3 * claimed, 0.8), rtol=0.01)


def test_few_equal_or_flat_frames_do_not_break_it():
    few = fit_cone_calibration(np.array([0.1, 0.2, 0.15]), np.array([50.0, 40.0, 60.0]))
    assert few.levels == (0.0, 1.0)
    same = fit_cone_calibration(np.full(100, 0.1), np.zeros(100))
    assert np.isfinite(same.credible_angle(0.0, 0.9))


def disagreeing(seed, n_frames=6000):
    """Frames of two kinds, good and bad, that claim the same; only the agreement tells them apart."""
    rng = np.random.default_rng(seed)
    bad = rng.random(n_frames) < 0.5
    claimed = rng.uniform(50, 500, n_frames)
    agreement = np.column_stack(
        [np.where(bad, 2.0, 5.0) + rng.normal(scale=0.1, size=n_frames), rng.normal(size=n_frames)]
    )
    return errors_of(np.where(bad, 0.2, 2.0) * claimed, seed), claimed, agreement, bad


def test_agreement_covers_each_kind_of_frames():
    errors, claimed, agreement, _ = disagreeing(0)
    with_it, without = fit_cone_calibration(errors, claimed, agreement), fit_cone_calibration(errors, claimed)
    errors, claimed, agreement, bad = disagreeing(1)
    for kind in (bad, ~bad):
        for level in (0.5, 0.8, 0.95):
            held = errors <= with_it.credible_angle(claimed, level, agreement)
            assert held[kind].mean() == pytest.approx(level, abs=0.03)
        assert abs((errors <= without.credible_angle(claimed, 0.5))[kind].mean() - 0.5) > 0.1


def test_agreement_of_few_frames_is_left_alone():
    errors, claimed, agreement, _ = disagreeing(0, n_frames=400)
    assert fit_cone_calibration(errors, claimed, agreement).slopes == ()
