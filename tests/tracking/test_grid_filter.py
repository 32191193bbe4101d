"""Filter, smoother and most probable path agree with enumeration, with each other, and with what motion means."""

import itertools

import numpy as np
import pytest
import torch

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.metrics import angular_error
from doatrack.tracking import MotionModel, grid_filter, grid_smoother, most_probable_path, posterior_directions

TINY = DirectionGrid(np.vstack([np.eye(3), -np.eye(3)]))
GRID = DirectionGrid.quasi_uniform(800)
USUAL = MotionModel().transition(GRID, 0.192)


def enumerate_paths(evidence, transition):
    """Return all paths (n_paths, n_frames) and the log of their joint probability with the evidence."""
    matrix = transition.dense()
    paths = np.array(list(itertools.product(range(evidence.shape[1]), repeat=len(evidence))))
    logs = np.log(transition.shares[paths[:, 0]])
    logs = logs + evidence[np.arange(len(evidence)), paths].sum(axis=1)
    return paths, logs + np.log(matrix[paths[:, :-1], paths[:, 1:]]).sum(axis=1)


def marginal(paths, logs, frame):
    return np.bincount(paths[:, frame], np.exp(logs - logs.max()), minlength=6) / np.exp(logs - logs.max()).sum()


@pytest.fixture
def tiny(rng):
    return 2 * rng.normal(size=(5, 6)), MotionModel(diffusion=0.5, jump_rate=0.4).transition(TINY, 0.5)


@pytest.mark.parametrize("activity", [None, [1.0, 0.0, 0.5, 1.0, 0.3]])
def test_all_agree_with_enumeration_of_every_path(tiny, activity):
    evidence, transition = tiny
    weighted = evidence if activity is None else np.array(activity)[:, None] * evidence
    paths, logs = enumerate_paths(weighted, transition)
    smoothed = np.exp(grid_smoother(evidence, transition, activity))
    for frame in range(5):
        assert smoothed[frame] == pytest.approx(marginal(paths, logs, frame), abs=1e-12)
    for lag in range(6):
        posterior = np.exp(grid_filter(evidence, transition, activity, lag=lag))
        for frame in range(5):
            known = min(5, frame + lag + 1)
            expected = marginal(*enumerate_paths(weighted[:known], transition), frame)
            assert posterior[frame] == pytest.approx(expected, abs=1e-12), (lag, frame)
    assert most_probable_path(evidence, transition, activity).tolist() == paths[logs.argmax()].tolist()


def noisy_maps(doa, rng, scale=30.0, noise=1.0):
    return scale * doa @ GRID.directions.T + noise * rng.normal(size=(len(doa), GRID.n_directions))


def still(n_frames, index=300):
    return GRID.directions[[index] * n_frames]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_posteriors_are_probabilities_and_the_ends_meet(rng, dtype):
    evidence = noisy_maps(still(12), rng).astype(dtype)
    causal, lagged, whole = (
        grid_filter(evidence, USUAL),
        grid_filter(evidence, USUAL, lag=3),
        grid_smoother(evidence, USUAL),
    )
    for posterior in (causal, lagged, whole):
        assert posterior.dtype == dtype
        assert np.allclose(np.exp(posterior).sum(axis=1), 1, atol=1e-5)
    tolerance = 1e-9 if dtype == np.float64 else 1e-2
    assert np.allclose(causal[-1], whole[-1], atol=tolerance)
    assert np.allclose(lagged[-4:], whole[-4:], atol=tolerance)
    assert np.allclose(grid_filter(evidence, USUAL, lag=50), whole, atol=tolerance)
    # the future is not known before its time
    assert np.allclose(grid_filter(evidence[:5], USUAL), causal[:5], atol=tolerance)
    assert np.allclose(grid_filter(evidence[:8], USUAL, lag=3)[:5], lagged[:5], atol=tolerance)


def test_a_lag_lies_between_filter_and_smoother(rng):
    doa = still(60)
    evidence = noisy_maps(doa, rng, scale=6.0, noise=1.5)
    errors = [
        angular_error(doa, posterior_directions(log_posterior, GRID)[0]).mean()
        for log_posterior in (
            grid_filter(evidence, USUAL),
            grid_filter(evidence, USUAL, lag=4),
            grid_smoother(evidence, USUAL),
        )
    ]
    assert errors[0] > errors[1] > errors[2]


def test_single_precision_is_close_to_double(rng):
    evidence = noisy_maps(still(40), rng, scale=200.0, noise=5.0)
    single, double = (grid_smoother(evidence.astype(kind), USUAL) for kind in (np.float32, np.float64))
    assert np.abs(np.exp(single) - np.exp(double)).max() < 1e-3


def test_tensors_and_lists_give_what_arrays_give(rng):
    evidence = noisy_maps(still(4), rng)
    expected = grid_smoother(evidence, USUAL, [True, False, True, True])
    answer = grid_smoother(torch.tensor(evidence), USUAL, torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert np.array_equal(answer, expected)
    assert grid_smoother(torch.tensor(evidence).float(), USUAL).dtype == np.float32


def test_silence_keeps_the_direction_and_forgets_slowly(rng):
    evidence = noisy_maps(still(30), rng, noise=0.1)
    evidence[10:] = 50 * GRID.directions @ [0.0, 0.0, -1.0]  # what sounds in silence must not count
    activity = np.arange(30) < 10
    doa, concentration = posterior_directions(grid_filter(evidence, USUAL, activity), GRID)
    assert angular_error(still(20), doa[10:]).max() < np.radians(5)
    assert (np.diff(concentration[9:]) < 0).all()
    # left alone the posterior becomes the prior
    alone = grid_filter(np.zeros((5, 800)), MotionModel(0.1, 2.0).transition(GRID, 20.0), lag=2)
    assert np.allclose(np.exp(alone), 1 / 800, rtol=1e-6)


def test_a_gap_is_bridged_by_the_smoother_from_both_sides(rng):
    angle = np.radians(40) * np.linspace(0, 1, 21)
    doa = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    activity = (np.arange(21) < 6) | (np.arange(21) > 14)
    estimate = posterior_directions(grid_smoother(noisy_maps(doa, rng, 100.0), USUAL, activity), GRID)[0]
    assert np.degrees(angular_error(doa, estimate)).max() < 8


def test_the_track_does_not_depend_on_the_hop(rng):
    # twice the frames, each telling half as much: the same information per second
    doa = still(20)
    evidence = noisy_maps(doa, rng, scale=60.0, noise=0.1)
    fine = np.repeat(evidence / 2, 2, axis=0)
    # the faster sources walk, the more it matters when they were heard within a step
    motion = MotionModel(diffusion=0.02)
    coarse = grid_smoother(evidence, motion.transition(GRID, 0.2))
    halved = grid_smoother(fine, motion.transition(GRID, 0.1))
    a, certainty = posterior_directions(coarse, GRID)
    b, other = posterior_directions(halved[::2], GRID)
    assert np.degrees(angular_error(a, b)).max() < 1.0
    assert other == pytest.approx(certainty, rel=0.15)


def test_turning_the_scene_turns_the_answer(rng):
    grid = DirectionGrid.rectangular(24, 12)
    transition = MotionModel(diffusion=0.05).transition(grid, 0.2)
    turned = np.roll(np.arange(288).reshape(12, 24), 5, axis=1).ravel()
    evidence = 3 * rng.normal(size=(8, 288))
    for method in (grid_filter, grid_smoother):
        assert np.exp(method(evidence[:, turned], transition)) == pytest.approx(
            np.exp(method(evidence, transition))[:, turned], abs=5e-3
        )


@pytest.mark.parametrize("method", [grid_filter, grid_smoother])
def test_a_fast_turn_is_followed(method):
    angle = np.radians(150) * 0.192 * np.arange(25)
    doa = np.stack([np.cos(angle), np.sin(angle), 0.2 + 0 * angle], axis=1)
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    evidence = 400 * doa @ GRID.directions.T  # 3 degrees wide
    estimate, _ = posterior_directions(method(evidence, USUAL), GRID)
    assert np.degrees(angular_error(doa, estimate)).max() < 4
    path = GRID.directions[most_probable_path(evidence, USUAL)]
    assert np.degrees(angular_error(doa, path)).max() < 7


def test_outliers_are_overruled_and_another_talker_is_not(rng):
    evidence = noisy_maps(still(20), rng, noise=0.1)
    elsewhere = 30 * GRID.directions @ -GRID.directions[300]
    evidence[9] = 0.2 * elsewhere
    kept = most_probable_path(evidence, USUAL)
    assert angular_error(still(20), GRID.directions[kept]).max() < 0.1
    evidence[9:] = elsewhere
    estimate, _ = posterior_directions(grid_smoother(evidence, USUAL), GRID)
    assert angular_error(-still(11), estimate[9:]).max() < 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("jump_rate", [0.0, 0.1])
def test_contradictions_of_any_size_give_finite_answers(dtype, jump_rate):
    transition = MotionModel(0.01, jump_rate).transition(GRID, 0.1)
    sign = np.where(np.arange(12) % 2, 1, -1)[:, None]
    evidence = (1e4 * sign * (GRID.directions @ [0.0, 0.0, 1.0])).astype(dtype)
    for log_posterior in (grid_filter(evidence, transition, lag=2), grid_smoother(evidence, transition)):
        assert np.isfinite(log_posterior).all()
        assert np.allclose(np.exp(log_posterior).sum(axis=1), 1, atol=1e-4)
    assert len(most_probable_path(evidence, transition)) == 12


def test_one_frame_is_its_likelihood():
    evidence = 10 * GRID.directions[:1] @ GRID.directions.T
    expected = np.exp(evidence) / np.exp(evidence).sum()
    for log_posterior in (grid_filter(evidence, USUAL, lag=3), grid_smoother(evidence, USUAL)):
        assert np.exp(log_posterior) == pytest.approx(expected, abs=1e-12)
    assert most_probable_path(evidence, USUAL).tolist() == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 10)), USUAL), r"log_likelihood must have the shape \((..., )?n_frames, 800\), got \(3, 10\)"),
        ((np.zeros((0, 800)), USUAL), "at least one frame"),
        ((np.full((3, 800), np.nan), USUAL), "log_likelihood must be finite"),
        ((np.zeros((3, 800)), USUAL, [1, 1]), "activity must have as many rows as the frames, got 2 and 3"),
        ((np.zeros((3, 800)), USUAL, [1, 1, 2]), "activity must lie between 0 and 1, got 1 to 2"),
    ],
)
@pytest.mark.parametrize("method", [grid_filter, grid_smoother, most_probable_path])
def test_wrong_input_is_refused(method, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        method(*arguments)


def test_a_negative_lag_is_refused():
    with pytest.raises(InvalidInputError, match="lag must be at least 0, got -1"):
        grid_filter(np.zeros((3, 800)), USUAL, lag=-1)
