"""The closed-form filter is the grid's where one distribution is enough, and physics where it is not."""

import itertools

import numpy as np
import pytest

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.metrics import angular_error
from doatrack.tracking import (
    MotionModel,
    SwitchingMotion,
    grid_filter,
    grid_smoother,
    posterior_at_times,
    posterior_directions,
    robust_log_likelihood,
    vmf_filter,
    vmf_smoother,
)

STILL = MotionModel(diffusion=0.02, jump_rate=0.0)
FRONT = np.array([1.0, 0.0, 0.0])
NAN = [np.nan] * 3


def walk(rng, n_frames=25, kappa=60.0, diffusion=0.02, step_s=0.2):
    """Return a random walk (n_frames, 3) and noisy observations of it."""
    doa = np.cumsum(np.vstack([FRONT, np.sqrt(diffusion * step_s) * rng.normal(size=(n_frames - 1, 3))]), axis=0)
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    heard = doa + rng.normal(size=doa.shape) / np.sqrt(kappa)
    return doa, heard / np.linalg.norm(heard, axis=1, keepdims=True)


@pytest.mark.parametrize("jump_rate", [0.0, 0.1])
@pytest.mark.parametrize("lag", [0, 3, None])
def test_it_is_the_grid_filter_for_concentrated_observations(rng, jump_rate, lag):
    grid = DirectionGrid.quasi_uniform(3000)
    motion = MotionModel(0.02, jump_rate)
    _, heard = walk(rng)
    activity = np.where(np.arange(25) % 7 == 3, 0.0, 1.0)
    evidence = robust_log_likelihood(60 * heard @ grid.directions.T, 1.0, activity)
    transition = motion.transition(grid, 0.2)
    if lag is None:
        expected = posterior_directions(grid_smoother(evidence, transition), grid)
        answer = vmf_smoother(heard, np.full(25, 60.0), motion, 0.2, activity)
    else:
        expected = posterior_directions(grid_filter(evidence, transition, lag=lag), grid)
        answer = vmf_filter(heard, np.full(25, 60.0), motion, 0.2, activity, lag)
    difference = np.degrees(angular_error(expected[0], answer[0]))
    assert np.median(difference) < 0.5
    assert difference.max() < 1.6
    assert answer[1] == pytest.approx(expected[1], rel=0.2)


def test_without_motion_it_is_the_product_of_all_that_was_heard():
    heard = np.array([FRONT, [0.8, 0.6, 0.0], [0.8, 0.0, 0.6]])
    kappa = np.array([30.0, 20.0, 10.0])
    doa, certainty = vmf_filter(heard, kappa, MotionModel(1e-12, 0.0), 0.2)
    total = np.cumsum(kappa[:, None] * heard, axis=0)
    assert certainty == pytest.approx(np.linalg.norm(total, axis=1), rel=1e-6)
    assert doa == pytest.approx(total / certainty[:, None], rel=1e-6)
    smoothed, same = vmf_smoother(heard, kappa, MotionModel(1e-12, 0.0), 0.2)
    assert same == pytest.approx(np.full(3, certainty[-1]), rel=1e-6)
    assert smoothed[0] == pytest.approx(doa[-1], rel=1e-6)


def test_diffusion_multiplies_the_mean_length_and_two_half_steps_are_one():
    kappa = [50.0, 0.0, 0.0]
    _, whole = vmf_filter([FRONT] * 3, kappa, STILL, [0.4, 5.0])
    _, halves = vmf_filter([FRONT] * 3, kappa, STILL, 0.2)
    length = 1 / np.tanh(whole) - 1 / whole
    assert length[1] == pytest.approx((1 - 1 / 50) * np.exp(-0.02 * 0.4))
    assert length[2] == pytest.approx((1 - 1 / 50) * np.exp(-0.02 * 5.4))
    assert halves[2] == pytest.approx(whole[1])


def test_jumps_and_silence_forget_everything_in_the_end():
    _, certainty = vmf_filter([FRONT, FRONT], [50.0, 0.0], MotionModel(0.02, 0.5), [200.0])
    assert certainty[1] < 1e-2
    doa, certainty = vmf_smoother([NAN, NAN], [np.nan, 5.0], STILL, 0.2)
    assert np.isnan(doa).all()
    assert certainty.tolist() == [0.0, 0.0]


def test_a_lag_gives_what_the_smoother_gives_when_it_covers_the_rest(rng):
    _, heard = walk(rng, 12)
    kappa = rng.uniform(0, 60, size=12)
    motion = MotionModel(0.05, 0.3)
    whole = vmf_smoother(heard, kappa, motion, 0.2)
    for part, expected in zip(vmf_filter(heard, kappa, motion, 0.2, lag=11), whole, strict=True):
        assert part == pytest.approx(expected, abs=1e-9)
    causal = vmf_filter(heard, kappa, motion, 0.2)
    # the future is not known before its time
    later, _ = vmf_filter(heard, kappa, motion, 0.2, lag=2)
    known, _ = vmf_filter(heard[:6], kappa[:6], motion, 0.2, lag=2)
    assert known[:4] == pytest.approx(later[:4], abs=1e-9)
    assert causal[0][-1] == pytest.approx(whole[0][-1])


def test_the_collapsed_step_has_the_mean_vector_of_the_mixture():
    motion, heard, kappa = MotionModel(0.02, 0.5), np.array([FRONT, [0.0, 1.0, 0.0]]), np.array([20.0, 4.0])
    doa, certainty = vmf_filter(heard, kappa, motion, 0.4, [1.0, 0.7])
    grid = DirectionGrid.quasi_uniform(20000)
    _, alone = vmf_filter(heard[:1].repeat(2, axis=0), [20.0, 0.0], MotionModel(0.02, 0.0), 0.4)
    jump = 1 - np.exp(-0.5 * 0.4)
    densities = [np.exp(k * (grid.directions @ u)) for k, u in ((alone[1], FRONT), (4.0, heard[1]))]
    moved, told = (density / density.mean() for density in densities)
    posterior = ((1 - jump) * moved + jump) * (0.7 * told + 0.3)
    mean = (posterior / posterior.sum()) @ grid.directions
    assert mean / np.linalg.norm(mean) == pytest.approx(doa[1], abs=1e-3)
    assert np.linalg.norm(mean) == pytest.approx(1 / np.tanh(certainty[1]) - 1 / certainty[1], abs=1e-3)


def test_another_talker_is_followed_by_a_jump_and_an_outlier_is_not():
    back = -FRONT
    talkers = np.array([FRONT] * 6 + [back] * 6)
    doa, _ = vmf_smoother(talkers, np.full(12, 50.0), MotionModel(), 0.2)
    assert np.degrees(angular_error(talkers, doa)).max() < 1
    outlier = np.array([FRONT] * 5 + [back] + [FRONT] * 5)
    activity = np.where(np.arange(11) == 5, 0.5, 0.95)
    doa, _ = vmf_smoother(outlier, np.full(11, 10.0), MotionModel(jump_rate=0.01), 0.2, activity)
    assert np.degrees(angular_error(doa, np.array([FRONT] * 11))).max() < 5


def test_turning_the_scene_turns_the_answer(rng):
    _, heard = walk(rng, 8)
    kappa = rng.uniform(1, 60, size=8)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for method in (vmf_filter, vmf_smoother):
        doa, certainty = method(heard, kappa, MotionModel(), 0.2)
        turned, same = method(heard @ turn.T, kappa, MotionModel(), 0.2)
        assert turned == pytest.approx(doa @ turn.T, abs=1e-9)
        assert same == pytest.approx(certainty)


def test_recordings_side_by_side_are_recordings_one_by_one(rng):
    heard = np.stack([walk(rng, 6)[1] for _ in range(3)])
    kappa = rng.uniform(0, 60, size=(3, 6))
    for method in (vmf_filter, vmf_smoother):
        together = method(heard, kappa, MotionModel(), 0.2)
        for k, part in itertools.product(range(3), range(2)):
            assert together[part][k] == pytest.approx(method(heard[k], kappa[k], MotionModel(), 0.2)[part])


def test_pooled_frames_are_filled_in_between(rng):
    # 4 degrees per frame, observed every fifth
    angle = np.radians(4) * np.arange(41)
    doa = np.stack([np.cos(angle), np.sin(angle), 0.3 + 0 * angle], axis=1)
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    times = 0.2 * np.arange(41)
    estimate, certainty = posterior_at_times(times, times[2::5], doa[2::5], np.full(8, 500.0), MotionModel(0.1, 0.0))
    inside = slice(2, 38)
    assert np.degrees(angular_error(doa, estimate))[inside].max() < 2
    middle, observed = certainty[4:37:5], certainty[2:38:5]
    assert (middle[:7] < observed[:7]).all()
    # before the first and after the last one it only gets less certain
    assert certainty[0] < certainty[1] < certainty[2]
    exact, _ = posterior_at_times(times, times, doa, np.full(41, 500.0), MotionModel(0.1, 0.0))
    assert exact == pytest.approx(vmf_smoother(doa, np.full(41, 500.0), MotionModel(0.1, 0.0), 0.2)[0], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_direction": [[2.0, 0, 0]] * 3}, "mean_direction must hold unit vectors"),
        (
            {"concentration": [1.0, 1.0]},
            r"shapes \(..., n_frames, 3\) and \(..., n_frames\) .* got \(3, 3\) and \(2,\)",
        ),
        ({"concentration": [1.0, -1.0, 1.0]}, "concentration must be finite, at least 0, or NaN, got -1 to 1"),
        ({"concentration": [1.0, np.inf, 1.0]}, "concentration must be finite, at least 0, or NaN, got 1 to inf"),
        ({"motion": SwitchingMotion()}, "motion must be a MotionModel, got SwitchingMotion. Modes need a grid"),
        ({"step_s": 0.0}, "step_s must be above 0, got 0"),
        ({"step_s": [0.2] * 3}, r"step_s must be one number or 2, the steps between 3 frames, got the shape \(3,\)"),
        ({"activity": [1.0, 2.0, 1.0]}, "activity must lie between 0 and 1, got 1 to 2"),
        ({"activity": [1.0, 1.0]}, "activity must have as many rows as the frames, got 2 and 3"),
    ],
)
@pytest.mark.parametrize("method", [vmf_filter, vmf_smoother])
def test_wrong_input_is_refused(method, change, message):
    good = {"mean_direction": [FRONT] * 3, "concentration": [1.0] * 3, "motion": MotionModel(), "step_s": 0.2}
    with pytest.raises(InvalidInputError, match=message):
        method(**(good | change))


def test_times_and_observations_of_different_lengths_are_refused():
    with pytest.raises(InvalidInputError, match="concentration must have as many rows as times, got 1 and 2"):
        posterior_at_times([0.0], [0.0, 1.0], [FRONT] * 2, [1.0], STILL)
    with pytest.raises(InvalidInputError, match="lag must be at least 0, got -1"):
        vmf_filter([FRONT], [1.0], STILL, 0.2, lag=-1)
