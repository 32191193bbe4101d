"""What is learned is what simulated chains were made with, and the gradient is that of the evidence."""

import numpy as np
import pytest

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import (
    MotionModel,
    SwitchingMotion,
    learn_motion,
    log_evidence,
    robust_log_likelihood,
)
from doatrack.tracking._diffusion import laplacian
from doatrack.tracking._evidence_gradient import evidence_gradient
from doatrack.tracking.learning import _recordings, _Task
from doatrack.tracking.observations import likelihood_and_slope

GRID = DirectionGrid.quasi_uniform(300)
STEP = 0.2


def draw(motion, kappa, rng, n_recordings=20, n_frames=60):
    """Return cosine maps of von Mises-Fisher observations of paths drawn from a motion on GRID."""
    transition = motion.transition(GRID, STEP)
    matrix = transition.dense().cumsum(axis=1)
    maps = []
    for _ in range(n_recordings):
        state = int(rng.choice(len(matrix), p=transition.initial.ravel()))
        path = []
        for _ in range(n_frames):
            path.append(state % GRID.n_directions)
            state = min(int(np.searchsorted(matrix[state], rng.random())), len(matrix) - 1)
        heard = GRID.directions[path] + rng.normal(size=(n_frames, 3)) / np.sqrt(kappa)
        heard /= np.linalg.norm(heard, axis=1, keepdims=True)
        maps.append(heard @ GRID.directions.T)
    return maps


@pytest.mark.parametrize(
    "motion",
    [
        MotionModel(0.05, 0.3),
        SwitchingMotion((0.01, 0.2), (3.0, 1.0), 0.3),
        SwitchingMotion((0.01, 0.1, 0.1), (3.0, 1.0, 0.5), 0.3, (0.0, 2.0, -2.0)),
    ],
    ids=["one mode", "two modes", "turns"],
)
def test_the_gradient_is_that_of_the_evidence(motion, rng):
    maps = draw(motion, 30.0, rng, 3, 12)
    maps[1] = maps[1][:7]
    task = _Task(_recordings(maps, [rng.random(len(one)) for one in maps], GRID), GRID, STEP, motion, 25.0, True)
    start = task.start_logs()
    value, slope = task.evidence(start)
    for k in range(len(start)):
        change = 0.02 * np.eye(len(start))[k]
        numeric = (task.evidence(start + change)[0] - task.evidence(start - change)[0]) / 0.04
        # the walk of a turn: Laplacian and rotation nearly commute, and far entries are left out
        assert slope[k] == pytest.approx(numeric, rel=0.05, abs=3e-4), k
    assert np.isfinite(value)


def test_the_value_is_the_log_evidence(rng):
    motion, maps = MotionModel(0.05, 0.3), np.stack(draw(MotionModel(0.05, 0.3), 30.0, rng, 2, 9))
    activity = rng.random((2, 9))
    transition = motion.transition(GRID, STEP)
    gradient = evidence_gradient(*likelihood_and_slope(maps, activity, 20.0, GRID), transition, laplacian(GRID))
    expected = log_evidence(robust_log_likelihood(maps, 20.0, activity, GRID), transition).sum()
    assert gradient.value == pytest.approx(expected)


def test_motion_and_scale_of_simulated_chains_are_recovered(rng):
    truth = MotionModel(0.05, 0.4)
    fit = learn_motion(draw(truth, 40.0, rng), GRID, STEP, motion=MotionModel(0.5, 0.05), scale=5.0)
    assert fit.converged
    assert fit.motion.diffusion == pytest.approx(truth.diffusion, rel=0.25)
    assert fit.motion.jump_rate == pytest.approx(truth.jump_rate, rel=0.4)
    assert fit.scale == pytest.approx(40.0, rel=0.15)


def test_modes_of_simulated_chains_are_recovered(rng):
    truth = SwitchingMotion((0.005, 0.3), (4.0, 2.0), 0.0)
    fit = learn_motion(
        draw(truth, 200.0, rng, 20, 100), GRID, STEP, motion=SwitchingMotion((0.02, 0.1), (2.0, 2.0), 0.0), scale=100.0
    )
    assert fit.motion.diffusion[0] < 0.012
    assert fit.motion.diffusion[1] == pytest.approx(0.3, rel=0.4)
    assert fit.motion.stay_s == pytest.approx(truth.stay_s, rel=0.5)
    assert fit.motion.jump_rate == 0


def test_frames_that_tell_nothing_teach_nothing(rng):
    maps = draw(MotionModel(0.05, 0.4), 40.0, rng, 6, 30)
    told = learn_motion(maps, GRID, STEP, tolerance=1e-6)
    noisy = [np.vstack([one, rng.normal(size=(20, 300))]) for one in maps]
    activity = [np.repeat([0.95, 0.0], [30, 20])] * 6
    same = learn_motion(noisy, GRID, STEP, activity=activity, tolerance=1e-6)
    assert same.scale == pytest.approx(told.scale, rel=0.02)
    assert same.motion.diffusion == pytest.approx(told.motion.diffusion, rel=0.02)


def test_history_rises_and_is_told(rng):
    heard = []
    fit = learn_motion(
        draw(MotionModel(0.05, 0.4), 40.0, rng, 4, 30),
        GRID,
        STEP,
        max_iterations=5,
        learn_scale=False,
        scale=30.0,
        callback=lambda iteration, value: heard.append((iteration, value)),
    )
    assert (np.diff(fit.history) > 0).all()
    assert heard == list(enumerate(fit.history))[1:]
    assert fit.log_evidence == fit.history[-1]
    assert fit.n_iterations <= 5
    assert fit.scale == 30.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"srp_maps": []}, "a recording of at least 2 frames, got 0 recordings"),
        ({"srp_maps": [np.ones((1, 300))]}, "a recording of at least 2 frames"),
        ({"srp_maps": [np.ones((5, 300))]}, "must tell something about directions"),
        ({"srp_maps": [np.ones((5, 10))]}, r"srp_maps\[0\] must have the shape \(n_frames, 300\), got \(5, 10\)"),
        ({"activity": []}, "activity must have as many rows as srp_maps, got 0 and 1"),
        ({"activity": [[1.0, 1.0, 2.0]]}, "activity must lie between 0 and 1"),
        ({"step_s": 0.0}, "step_s must be above 0"),
        ({"scale": -1.0}, "scale must be above 0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
        ({"motion": "fast"}, "motion must be a MotionModel or a SwitchingMotion, got str"),
    ],
)
def test_wrong_input_is_refused(arguments, message):
    good = {"srp_maps": [np.eye(300)[:3]], "grid": GRID, "step_s": STEP}
    with pytest.raises(InvalidInputError, match=message):
        learn_motion(**(good | arguments))
