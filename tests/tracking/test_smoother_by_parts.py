import numpy as np
import pytest

from doatrack.geometry import DirectionGrid
from doatrack.tracking import MotionModel, SwitchingMotion, grid_smoother, posterior_directions
from doatrack.tracking.agreement import map_agreement
from doatrack.tracking.smoother_by_parts import smoothed_directions

GRID = DirectionGrid.quasi_uniform(300)


@pytest.mark.parametrize("motion", [MotionModel(), SwitchingMotion(diffusion=(0.001, 0.5))])
@pytest.mark.parametrize("cuts", [(), (1,), (7, 8, 30), tuple(range(1, 40))])
def test_parts_give_what_the_whole_gives(motion, cuts):
    rng = np.random.default_rng(0)
    path = np.array([1.0, 0.0, 0.0]) + np.cumsum(rng.normal(scale=0.05, size=(40, 3)), axis=0)
    path /= np.linalg.norm(path, axis=1, keepdims=True)
    heard = 30 * path @ GRID.directions.T + rng.normal(size=(40, 300))
    active = rng.random(40) > 0.3
    transition = motion.transition(GRID, step_s=0.2)
    posterior = grid_smoother(heard, transition, active)
    expected = posterior_directions(posterior, GRID)
    found = smoothed_directions(np.split(heard, cuts), np.split(active, cuts), transition)
    assert np.allclose(found[0], expected[0], atol=1e-9)
    assert np.allclose(found[1], expected[1], rtol=1e-6)
    assert np.allclose(found[2], map_agreement(posterior, heard), atol=1e-6)
