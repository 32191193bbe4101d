"""Modes of motion: exact on the grid, sure of what stands still, and able to follow a head that turns."""

import dataclasses
import itertools
import pickle

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
    log_evidence,
    mode_posterior,
    most_probable_path,
    posterior_directions,
)

TINY = DirectionGrid(np.vstack([np.eye(3), -np.eye(3)]))
GRID = DirectionGrid.quasi_uniform(800)
STEP = 0.192
MOTIONS = {
    "two": SwitchingMotion((0.05, 0.5), (2.0, 1.0), 0.4),
    "turning": SwitchingMotion((0.2, 0.5, 0.5), (2.0, 1.0, 0.5), 0.4, (0.0, 1.0, -2.0)),
}


@pytest.fixture(params=MOTIONS)
def transition(request):
    return MOTIONS[request.param].transition(TINY, 0.5)


def marginals(evidence, transition):
    """Return by enumeration of all paths: marginals of states, log evidence, directions of the best path."""
    matrix, n_states = transition.dense(), transition.n_modes * 6
    paths = np.array(list(itertools.product(range(n_states), repeat=len(evidence))))
    logs = np.log(transition.initial.ravel()[paths[:, 0]])
    logs = logs + evidence[np.arange(len(evidence)), paths % 6].sum(axis=1)
    logs = logs + np.log(matrix[paths[:, :-1], paths[:, 1:]]).sum(axis=1)
    weights = np.exp(logs)
    states = [np.bincount(column, weights, minlength=n_states) / weights.sum() for column in paths.T]
    return np.stack(states).reshape(-1, transition.n_modes, 6), np.log(weights.sum()), paths[logs.argmax()] % 6


def test_all_agree_with_enumeration_of_every_path_of_modes_and_directions(transition, rng):
    evidence = 2 * rng.normal(size=(3, 6))
    states, total, best = marginals(evidence, transition)
    assert np.exp(grid_smoother(evidence, transition)) == pytest.approx(states.sum(axis=1), abs=1e-12)
    assert mode_posterior(evidence, transition) == pytest.approx(states.sum(axis=2), abs=1e-12)
    assert np.exp(grid_filter(evidence, transition, lag=2)) == pytest.approx(states.sum(axis=1), abs=1e-12)
    assert np.exp(grid_filter(evidence, transition)[1]) == pytest.approx(
        marginals(evidence[:2], transition)[0][1].sum(axis=0), abs=1e-12
    )
    assert log_evidence(evidence, transition).sum() == pytest.approx(total, abs=1e-12)
    assert most_probable_path(evidence, transition).tolist() == best.tolist()


@pytest.mark.parametrize("name", MOTIONS)
@pytest.mark.parametrize("grid", [GRID, DirectionGrid.rectangular(24, 12)], ids=["quasi-uniform", "rectangular"])
def test_rows_are_probabilities_and_products_are_those_of_the_dense_matrix(name, grid, rng):
    transition = MOTIONS[name].transition(grid, STEP)
    matrix = transition.dense()
    assert matrix.min() >= 0
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert transition.initial.sum() == pytest.approx(1)
    for dtype in (np.float32, np.float64):
        values = rng.random((2, *transition.state_shape)).astype(dtype)
        forward, backward = transition.forward(values), transition.backward(values)
        assert forward.dtype == backward.dtype == dtype
        flat = values.reshape(2, -1)
        assert np.allclose(forward.reshape(2, -1), flat @ matrix, rtol=1e-4)
        assert np.allclose(backward.reshape(2, -1), flat @ matrix.T, rtol=1e-4)


def test_modes_last_as_long_as_they_should():
    durations = np.array([3.0, 1.0, 0.5])
    transition = SwitchingMotion((0.01, 0.1, 0.3), tuple(durations), 0.0).transition(TINY, 1e-3)
    assert (1 - np.diag(transition.switching)) / 1e-3 == pytest.approx(1 / durations, rel=2e-3)
    assert transition.mode_shares @ transition.switching == pytest.approx(transition.mode_shares)
    assert transition.mode_shares == pytest.approx(durations / durations.sum())
    halves = SwitchingMotion((0.01, 0.1, 0.3), tuple(durations)).transition(TINY, 0.5).switching
    whole = SwitchingMotion((0.01, 0.1, 0.3), tuple(durations)).transition(TINY, 1.0).switching
    assert halves @ halves == pytest.approx(whole)


def test_equal_modes_are_one_mode(rng):
    evidence = 4 * rng.normal(size=(6, 800))
    one = MotionModel(0.05, 0.2).transition(GRID, STEP)
    two = SwitchingMotion((0.05, 0.05), (1.0, 3.0), 0.2).transition(GRID, STEP)
    assert np.exp(grid_smoother(evidence, two)) == pytest.approx(np.exp(grid_smoother(evidence, one)), abs=1e-12)
    assert most_probable_path(evidence, two) == pytest.approx(most_probable_path(evidence, one))


def noisy(doa, rng, kappa=60.0):
    heard = doa + rng.normal(size=doa.shape) / np.sqrt(kappa)
    return kappa * (heard / np.linalg.norm(heard, axis=1, keepdims=True)) @ GRID.directions.T


def circle(rate_deg_s, n_frames=60):
    angle = np.radians(rate_deg_s) * STEP * np.arange(n_frames)
    doa = np.stack([np.cos(angle), np.sin(angle), 0.3 + 0 * angle], axis=1)
    return doa / np.linalg.norm(doa, axis=1, keepdims=True)


def mean_error(doa, log_posterior):
    return np.degrees(angular_error(doa, posterior_directions(log_posterior, GRID)[0])).mean()


def test_who_sits_is_known_better_and_who_walks_is_followed(rng):
    slow = MotionModel(0.002).transition(GRID, STEP)
    fast = MotionModel(0.04).transition(GRID, STEP)
    both = SwitchingMotion().transition(GRID, STEP)
    still, walking = circle(0), circle(12)
    errors = {}
    for name, doa in (("still", still), ("walking", walking)):
        evidence = noisy(doa, rng)
        errors[name] = [mean_error(doa, grid_smoother(evidence, one)) for one in (slow, fast, both)]
        moving = mode_posterior(evidence, both)[10:-10, 1]
        assert (moving.mean() > 0.7) == (name == "walking")
    assert errors["still"][2] < errors["still"][1]
    assert errors["walking"][2] < errors["walking"][0]


@pytest.mark.parametrize("rate", [150, -150, 120])
def test_a_head_that_turns_is_followed_where_diffusion_is_lost(rate, rng):
    doa = circle(rate, 30)
    evidence = noisy(doa, rng, kappa=30.0)  # about 13 degrees off, alone
    plain, head = MotionModel().transition(GRID, STEP), SwitchingMotion.turning_head().transition(GRID, STEP)
    alone = mean_error(doa, evidence)
    for method in (grid_filter, grid_smoother):
        assert mean_error(doa, method(evidence, plain)) > alone
        assert mean_error(doa, method(evidence, head)) < (1.0 if rate == 120 else 0.9) * alone
    turning = mode_posterior(evidence, head)[5:-5].mean(axis=0)
    assert turning.argmax() == (1 if rate > 0 else 2)


def test_a_turn_turns_azimuths_and_nothing_else():
    motion = SwitchingMotion((0.01, 0.01), (1e9, 1e9), 0.0, (np.pi / 2, 0.0))
    for grid in (GRID, DirectionGrid.rectangular(64, 32)):
        at = grid.nearest([0.6, 0.0, 0.8])
        start = np.zeros((2, grid.n_directions))
        start[0, at] = 1.0
        moved = motion.transition(grid, 1.0).forward(start)
        mean = moved[0] @ grid.directions
        x, y, z = grid.directions[at]
        assert mean / np.linalg.norm(mean) == pytest.approx([-y, x, z], abs=0.01)
        # the interpolation's variance is taken from the diffusion's
        assert np.linalg.norm(mean) == pytest.approx(np.exp(-0.01), abs=2e-3)
        assert moved[1].sum() == pytest.approx(0, abs=1e-6)


def test_nothing_turns_out_of_a_search_region():
    region = GRID.restrict(azimuth_range_deg=(-60, 60))
    matrix = SwitchingMotion.turning_head().transition(region, STEP).dense()
    assert np.allclose(matrix.sum(axis=1), 1)
    assert matrix.min() >= 0


def test_recordings_side_by_side_are_recordings_one_by_one(rng):
    evidence, activity = 3 * rng.normal(size=(2, 5, 800)), rng.random((2, 5))
    for motion in (MotionModel(), SwitchingMotion()):
        transition = motion.transition(GRID, STEP)
        for method in (grid_filter, grid_smoother, mode_posterior, log_evidence):
            together = method(evidence, transition, activity)
            for k in range(2):
                assert together[k] == pytest.approx(method(evidence[k], transition, activity[k]), abs=1e-9)
        lagged = grid_filter(evidence, transition, activity, lag=2)
        assert lagged[1] == pytest.approx(grid_filter(evidence[1], transition, activity[1], lag=2), abs=1e-9)


def test_a_transition_can_be_sent_to_another_process(rng):
    transition = SwitchingMotion().transition(TINY, STEP)
    values = rng.random((2, 6))
    expected = transition.forward(values)
    assert np.array_equal(pickle.loads(pickle.dumps(transition)).forward(values), expected)


def test_every_parameter_counts():
    usual = SwitchingMotion(turn_rate=(0.0, 0.5))
    for change in (
        {"diffusion": (0.01, 0.3)},
        {"stay_s": (1.0, 1.0)},
        {"jump_rate": 1.0},
        {"turn_rate": None},
    ):
        other = dataclasses.replace(usual, **change)
        assert not np.allclose(other.transition(GRID, STEP).dense(), usual.transition(GRID, STEP).dense())
    assert SwitchingMotion.turning_head(1.0) != SwitchingMotion.turning_head(2.0)
    assert SwitchingMotion.turning_head(1.0, 0.1) != SwitchingMotion.turning_head(1.0)
    assert SwitchingMotion([0.1, 0.2], np.array([1, 2])) == SwitchingMotion((0.1, 0.2), (1.0, 2.0))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"diffusion": (0.1, 0.0)}, "diffusion must be above 0, got 0"),
        ({"diffusion": (0.1,), "stay_s": (1.0,)}, "diffusion must name at least 2 modes, got 1. For one take MotionMo"),
        ({"stay_s": (1.0,)}, "stay_s must have as many rows as diffusion, got 1 and 2"),
        ({"stay_s": (1.0, -1.0)}, "stay_s must be above 0, got -1"),
        ({"turn_rate": (1.0,)}, "turn_rate must have as many rows as diffusion, got 1 and 2"),
        ({"jump_rate": -0.1}, "jump_rate must be at least 0, got -0.1"),
        ({"diffusion": 0.1}, "diffusion must have the shape"),
    ],
)
def test_values_out_of_range_are_refused(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        SwitchingMotion(**parameters)


def test_states_of_another_shape_are_refused():
    with pytest.raises(InvalidInputError, match=r"2 modes and 6 directions on the last axes, .* got the shape \(6,\)"):
        SwitchingMotion().transition(TINY, STEP).forward(np.ones(6))
