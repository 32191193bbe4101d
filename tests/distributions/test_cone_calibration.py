"""The law of errors is a probability law, holds the von Mises-Fisher one, and its cones and levels are inverse."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.distributions import ConeCalibration, credible_angle
from doatrack.exceptions import InvalidInputError

LAWS = st.builds(
    ConeCalibration,
    scale=st.floats(0.01, 20),
    power=st.floats(0, 2),
    tail=st.sampled_from([0.0, 1e-9, 0.1, 1.0, 15.0]),
    levels=st.sampled_from([(0.0, 1.0), (0.0, 0.1, 0.6, 1.0)]),
)
CONCENTRATION = st.sampled_from([0.0, 1e-6, 0.3, 5.0, 200.0, 1e4])


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.99])
def test_without_a_tail_it_is_von_mises_fisher(level):
    claimed = torch.tensor([0.0, 1e-3, 1.0, 30.0, 1e4], dtype=torch.float64)
    expected = credible_angle(0.7 * claimed, level).numpy()
    np.testing.assert_allclose(ConeCalibration(0.7).credible_angle(claimed, level), expected, rtol=1e-6)


@given(LAWS, CONCENTRATION, st.floats(0.01, 0.99))
def test_angle_and_level_are_inverse(law, concentration, level):
    assert law.probability(law.credible_angle(concentration, level), concentration) == pytest.approx(level, abs=1e-6)


@given(LAWS, CONCENTRATION)
def test_density_integrates_to_the_probability(law, concentration):
    # in steps of probability, where the density is neither narrow nor wide
    steps = np.unique(np.concatenate([np.linspace(0.02, 0.9, 400), np.arange(1, 3) / 3]))
    angles = law.credible_angle(concentration, 0.5) * 0 + np.array(
        [float(law.credible_angle(concentration, level)) for level in steps]
    )
    w = 1 - np.cos(angles)
    w = np.where(angles < 1e-3, angles**2 / 2, w)
    middle = np.arccos(1 - np.clip((w[1:] + w[:-1]) / 2, 0, 2))
    small = middle < 1e-3
    middle[small] = np.sqrt((w[1:] + w[:-1])[small])
    inside = np.exp(law.log_density(middle, concentration)) * np.diff(w)
    np.testing.assert_allclose(inside, np.diff(steps), rtol=0.05)


def test_a_tail_widens_the_wide_cones_most():
    levels = (0.5, 0.8, 0.95)
    plain = np.array([float(ConeCalibration().credible_angle(100.0, level)) for level in levels])
    heavy = np.array([float(ConeCalibration(tail=1.0).credible_angle(100.0, level)) for level in levels])
    ratio = heavy / plain
    assert ratio[0] > 1
    assert (np.diff(ratio) > 0.1).all()


def test_levels_move_probability_and_nothing_else():
    law = ConeCalibration(levels=(0.0, 0.2, 1.0))
    assert law.credible_angle(50.0, 0.5) == pytest.approx(float(ConeCalibration().credible_angle(50.0, 0.2)))
    assert law.probability(ConeCalibration().credible_angle(50.0, 0.6), 50.0) == pytest.approx(0.75)


def test_unknown_stays_unknown_and_nothing_known_is_uniform():
    angles = ConeCalibration(tail=2.0).credible_angle([np.nan, 0.0], 0.5)
    assert np.isnan(angles[0])
    assert angles[1] == pytest.approx(np.pi / 2)


def test_json_gives_it_back():
    law = ConeCalibration(
        2.0, 0.7, 0.3, (0.0, 0.25, 1.0), slopes=(0.5, -2.0), log_slopes=(1.0, 0.0), ranges=((-1.0, 1.0), (3.0, 3.5))
    )
    assert ConeCalibration.from_dict(json.loads(json.dumps(law.to_dict()))) == law


def test_bad_input_is_named():
    with pytest.raises(InvalidInputError, match="scale must be above 0, got 0"):
        ConeCalibration(scale=0.0)
    with pytest.raises(InvalidInputError, match="tail must be at least 0, got -1"):
        ConeCalibration(tail=-1.0)
    for levels in ((0.0, 0.5), (0.1, 1.0), (0.0, 0.6, 0.6, 1.0), (1.0,)):
        with pytest.raises(InvalidInputError, match="levels must increase from 0 to 1, got"):
            ConeCalibration(levels=levels)
    with pytest.raises(InvalidInputError, match="concentration must be at least 0, got -3"):
        ConeCalibration().credible_angle([1.0, -3.0])
    with pytest.raises(InvalidInputError, match="level must lie strictly between 0 and 1, got 1"):
        ConeCalibration().credible_angle([1.0], 1.0)
    with pytest.raises(
        InvalidInputError, match="has levels, log_slopes, power, ranges, scale, slopes, tail, got scale"
    ):
        ConeCalibration.from_dict({"scale": 1.0})


def test_agreement_moves_trust_within_what_was_met():
    law = ConeCalibration(2.0, slopes=(0.5, -2.0), ranges=((-1.0, 1.0), (3.0, 4.0)))
    assert law.believed(10.0, [0.0, 3.5]) == pytest.approx(20.0)  # the middle adds nothing
    assert law.believed(10.0, [1.0, 3.5]) == pytest.approx(20 * np.exp(0.5))
    assert law.believed(10.0, [9.0, 3.5]) == law.believed(10.0, [1.0, 3.5])
    assert law.believed(10.0, [0.0, 4.0]) == pytest.approx(20 * np.exp(-1.0))
    bent = dataclasses.replace(law, log_slopes=(0.0, 3.0))
    more = np.array([(3.0 / 3.5) ** 3, 1.0, (4.0 / 3.5) ** 3])  # relative to the middle
    agreement = [[0.0, 3.0], [0.0, 3.5], [0.0, 9.0]]
    np.testing.assert_allclose(bent.believed([10.0] * 3, agreement), more * law.believed([10.0] * 3, agreement))
    little = ConeCalibration(slopes=(0.0,), log_slopes=(1.0,), ranges=((-1.0, 1.0),)).believed(
        [1.0, 1.0], [[-0.5], [1.0]]
    )
    np.testing.assert_allclose(little, [1.0, 10.0])  # what is below 0.1 counts as 0.1, as the middle does
    steep = ConeCalibration(slopes=(1e6,), ranges=((-1.0, 1.0),)).believed([10.0, 10.0, 0.0], [[1.0], [-1.0], [1.0]])
    assert steep[0] == 1e9
    assert steep[1] < 1e-15
    assert steep[2] == 0.0
    known = law.of_believed()
    angle = law.credible_angle([10.0], 0.8, [[1.0, 3.2]])
    assert angle == pytest.approx(known.credible_angle(law.believed([10.0], [[1.0, 3.2]]), 0.8))
    assert law.probability(angle, [10.0], [[1.0, 3.2]]) == pytest.approx(0.8)


def test_missing_agreement_is_named():
    law = ConeCalibration(slopes=(1.0, 2.0), ranges=((0.0, 1.0), (0.0, 1.0)))
    with pytest.raises(InvalidInputError, match=r"has 2 slopes and needs the agreement .* got None.*of_believed"):
        law.believed(10.0)
    with pytest.raises(InvalidInputError, match="agreement must have"):
        law.believed(10.0, [1.0])
    with pytest.raises(InvalidInputError, match="log_slopes must have"):
        dataclasses.replace(law, log_slopes=(1.0,))
    for ranges in ((), ((0.0, 1.0),) * 2, ((1.0, 0.0),)):
        with pytest.raises(InvalidInputError, match="ranges"):
            ConeCalibration(slopes=(1.0,), ranges=ranges)


@given(LAWS, CONCENTRATION, st.floats(0.01, 0.99))
def test_what_is_believed_already_has_the_same_cone(law, concentration, level):
    believed = law.believed(concentration)
    assert law.angle_of_believed(believed, level) == law.credible_angle(concentration, level)
    assert law.of_believed().credible_angle(believed, level) == law.angle_of_believed(believed, level)


@given(LAWS, CONCENTRATION, st.lists(st.floats(-5, 60), min_size=2, max_size=2), st.floats(0.01, 0.99))
def test_one_frame_in_plain_numbers_is_the_same(law, concentration, agreement, level):
    asked = dataclasses.replace(law, slopes=(0.3, -0.1), log_slopes=(0.5, 0.2), ranges=((-1.0, 40.0), (2.0, 9.0)))
    for one, rows in ((law, ()), (asked, agreement)):
        believed, angle = one.cone_of_frame(concentration, rows, level)
        expected = one.believed(concentration, rows if one.slopes else None)
        assert believed == pytest.approx(float(expected), rel=1e-12)
        assert angle == pytest.approx(float(one.angle_of_believed(expected, level)), rel=1e-9, abs=1e-12)
