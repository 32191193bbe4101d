"""Several sources: each keeps its number through silence and the other's sound; one source is the plain smoother."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.metrics import angular_error, detect_sources
from doatrack.tracking import (
    MotionModel,
    SwitchingMotion,
    grid_filter,
    grid_smoother,
    link_sources,
    posterior_directions,
    robust_log_likelihood,
    sources_filter,
    sources_smoother,
)

GRID = DirectionGrid.quasi_uniform(600)
STEP = 0.2
TRANSITION = MotionModel().transition(GRID, STEP)


def turning(start_deg, deg_per_frame, n_frames=40):
    azimuth = np.radians(start_deg + deg_per_frame * np.arange(n_frames))
    return np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n_frames)], axis=1)


def heard(paths, levels, sharpness=30.0):
    """Log likelihoods that are high around every path, by its level in each frame."""
    maps = [
        level[:, None] * np.exp(sharpness * (path @ GRID.directions.T - 1))
        for path, level in zip(paths, levels, strict=True)
    ]
    return 10 * np.sum(maps, axis=0)


@pytest.fixture
def two_talkers(rng):
    paths = [turning(0, 0.5), turning(100, -0.5)]
    levels = rng.uniform(0.0, 1.0, (2, 40))
    return paths, heard(paths, levels) + 0.3 * rng.normal(size=(40, 600))


@pytest.mark.parametrize("follow", [sources_filter, sources_smoother])
def test_two_talkers_who_are_loud_in_turn_keep_their_numbers(follow, two_talkers):
    paths, maps = two_talkers
    logs = follow(maps, TRANSITION, 2)
    assert logs.shape == (40, 2, 600)
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1, rtol=1e-9)
    doa, _ = posterior_directions(logs, GRID)
    found = detect_sources(np.stack(paths, axis=1)[8:], doa[8:], tolerance_deg=12)
    assert found.recall > 0.97
    assert found.n_switches == 0
    # one filter alone follows now one, now the other
    alone, _ = posterior_directions(grid_filter(maps, TRANSITION), GRID)
    assert (angular_error(alone[8:], doa[8:, 0]) > 1).any()


def test_the_smoother_knows_the_beginning(two_talkers):
    paths, maps = two_talkers
    maps[:5] = maps[:5, :1]  # nothing to hear
    truth = np.stack(paths, axis=1)[:5]
    recalls = [
        detect_sources(truth, posterior_directions(follow(maps, TRANSITION, 2), GRID)[0][:5], tolerance_deg=12).recall
        for follow in (sources_filter, sources_smoother)
    ]
    assert recalls[1] == 1
    assert recalls[0] < 0.5


def test_the_filter_is_causal(two_talkers):
    _, maps = two_talkers
    np.testing.assert_allclose(
        sources_filter(maps, TRANSITION, 2)[:20], sources_filter(maps[:20], TRANSITION, 2), atol=1e-12
    )


def test_one_source_is_filtered_and_smoothed_as_before(two_talkers):
    _, maps = two_talkers
    activity = np.arange(40) % 3 > 0
    robust = robust_log_likelihood(maps, 1.0, 0.9 * activity)
    for follow, plain in ((sources_filter, grid_filter), (sources_smoother, grid_smoother)):
        np.testing.assert_allclose(
            np.exp(follow(maps, TRANSITION, 1, activity)[:, 0]), np.exp(plain(robust, TRANSITION)), atol=1e-9
        )


def test_silent_frames_tell_nothing(two_talkers):
    _, maps = two_talkers
    activity = np.ones(40)
    activity[10:15] = 0
    other = maps.copy()
    other[10:15] = heard([turning(200, 0)], [np.ones(40)])[10:15]
    assert np.array_equal(sources_filter(maps, TRANSITION, 2, activity), sources_filter(other, TRANSITION, 2, activity))


def test_motion_with_modes(two_talkers):
    paths, maps = two_talkers
    doa, _ = posterior_directions(sources_smoother(maps, SwitchingMotion().transition(GRID, STEP), 2), GRID)
    assert detect_sources(np.stack(paths, axis=1), doa, tolerance_deg=12).recall > 0.95


@given(seed=st.integers(0, 1000), n_sources=st.integers(1, 4))
def test_links_undo_a_shuffle(seed, n_sources):
    rng = np.random.default_rng(seed)
    paths = np.stack([turning(80 * k, 2.0, 12) for k in range(n_sources)], axis=1)
    shuffles = np.array([rng.permutation(n_sources) for _ in range(12)])
    shuffled = np.take_along_axis(paths, shuffles[..., None], axis=1)
    linked = np.take_along_axis(shuffled, link_sources(shuffled)[..., None], axis=1)
    for k in range(n_sources):
        assert np.degrees(angular_error(linked[1:, k], linked[:-1, k])).max() < 3


def test_what_is_not_there_is_not_linked():
    front, left, up = np.eye(3)
    doa = [[front, left], [up, left], [left, front]]
    order = link_sources(doa, [[1, 1], [0, 1], [1, 1]])
    # up was no source: front is still expected where it was
    assert order.tolist() == [[0, 1], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sources_filter(np.zeros((4, 5)), TRANSITION, 2),
            r"log_likelihood must have the shape \(n_frames, 600",
        ),
        (lambda: sources_filter(np.zeros((4, 600)), TRANSITION, 0), "n_sources must be at least 1, got 0"),
        (
            lambda: sources_smoother(np.zeros((4, 600)), TRANSITION, 2, [0.1, 0, 2, 1]),
            "activity must lie between 0 and",
        ),
        (lambda: sources_smoother(np.zeros((4, 600)), TRANSITION, 2, min_separation=25), "min_separation must be at"),
        (lambda: link_sources(np.zeros((2, 2, 3))), "doa must hold unit vectors"),
        (lambda: link_sources(np.eye(3)[None], [[1, 1]]), r"present must have the shape \(1, 3\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
