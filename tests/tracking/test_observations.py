"""A frame's likelihood is a mixture of what the map says and of nothing."""

import numpy as np
import pytest

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MotionModel, grid_smoother, posterior_directions, robust_log_likelihood
from doatrack.tracking._diffusion import stationary_shares

GRID = DirectionGrid.rectangular(16, 8)


@pytest.mark.parametrize("activity", [0.0, 0.3, 1.0])
def test_its_mean_over_the_sphere_is_one(rng, activity):
    shares = stationary_shares(GRID)
    logs = robust_log_likelihood(rng.normal(size=(2, 5, 128)), 3.0, activity, GRID)
    assert np.exp(logs) @ shares == pytest.approx(np.ones((2, 5)))
    assert np.exp(robust_log_likelihood(rng.normal(size=(5, 128)), 3.0, activity)).mean(axis=1) == pytest.approx(1)


def test_sure_frames_are_the_scaled_map_and_silent_ones_nothing(rng):
    srp_map = rng.normal(size=(3, 128))
    logs = robust_log_likelihood(srp_map, 4.0, [1.0, 0.0, 0.5])
    assert np.diff(logs[0]) == pytest.approx(4.0 * np.diff(srp_map[0]))
    assert logs[1] == pytest.approx(np.zeros(128), abs=1e-12)
    # a doubtful frame can be contradicted, at a price that does not grow
    assert logs[2].min() == pytest.approx(np.log(0.5), abs=0.05)


def test_a_scale_per_frame_is_frames_one_by_one(rng):
    srp_map = rng.normal(size=(3, 128))
    together = robust_log_likelihood(srp_map, [1.0, 5.0, 20.0], 0.9)
    for frame, scale in enumerate((1.0, 5.0, 20.0)):
        assert together[frame] == pytest.approx(robust_log_likelihood(srp_map[[frame]], scale, 0.9)[0])


def test_a_constant_does_not_matter_and_large_scales_stay_finite(rng):
    srp_map = rng.normal(size=(3, 128)).astype(np.float32)
    logs = robust_log_likelihood(srp_map, 300.0, 0.9)
    assert logs.dtype == np.float32
    assert robust_log_likelihood(srp_map + 1, 300.0, 0.9) == pytest.approx(logs, abs=1e-3)
    assert np.isfinite(robust_log_likelihood(srp_map, 1e6, 1.0)).all()


def test_a_few_wrong_frames_do_not_pull_the_track(rng):
    grid = DirectionGrid.quasi_uniform(800)
    transition = MotionModel().transition(grid, 0.192)
    srp_map = grid.directions[[300] * 20] @ grid.directions.T
    srp_map[8:11] = grid.directions[[50] * 3] @ grid.directions.T  # an echo, for half a second
    truth = grid.directions[300]

    def worst(log_likelihood):
        doa, _ = posterior_directions(grid_smoother(log_likelihood, transition), grid)
        return np.degrees(np.arccos(np.clip(doa @ truth, -1, 1))).max()

    assert worst(robust_log_likelihood(srp_map, 40.0, 0.8)) < 3
    assert worst(40.0 * srp_map) > 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 128)), 0.0), "scale must be above 0, got 0"),
        (
            (np.zeros((2, 128)), [1.0, 1.0, 1.0]),
            r"scale must be one number or one per frame \(2,\), got the shape \(3,\)",
        ),
        ((np.zeros((2, 128)), 1.0, 1.5), "activity must lie between 0 and 1"),
        ((np.zeros((2, 128)), 1.0, [1.0]), "activity must have as many rows as the frames, got 1 and 2"),
        ((np.zeros((2, 100)), 1.0, 1.0, GRID), "grid must have as many rows as the directions of srp_map"),
        ((np.full((2, 128), np.inf), 1.0), "srp_map must be finite"),
    ],
)
def test_wrong_input_is_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        robust_log_likelihood(*arguments)
