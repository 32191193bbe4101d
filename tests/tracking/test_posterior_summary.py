"""A few frames at a time give what `posterior_directions` and `credible_angle` give."""

import numpy as np
import pytest
import torch

from doatrack.distributions import credible_angle
from doatrack.geometry import DirectionGrid
from doatrack.tracking import posterior_directions
from doatrack.tracking.posterior_summary import PosteriorSummary

GRID = DirectionGrid.quasi_uniform(600)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 0.3, 1.0, 3.0, 50.0, 2000.0, 1e5])
def test_it_equals_the_tensors(scale):
    logs = scale * np.array([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]]) @ GRID.directions.T - 3.0
    doa, concentration, angle = PosteriorSummary(GRID)(logs)
    wanted, known = posterior_directions(logs, GRID)
    assert np.abs(doa - wanted).max() < 1e-9 or scale < 1e-3  # a flat map points nowhere in particular
    assert np.allclose(concentration, known, rtol=1e-9, atol=1e-9)
    cone = credible_angle(torch.from_numpy(concentration), 0.9).numpy()
    assert np.allclose(angle, cone, rtol=0, atol=1e-9)


def test_levels_and_single_precision():
    logs = (20 * GRID.directions[[7]] @ GRID.directions.T).astype(np.float32)
    summary = PosteriorSummary(GRID)
    angles = [float(summary(logs, level)[2][0]) for level in (0.5, 0.9, 0.99)]
    assert angles == sorted(angles)
    assert np.abs(np.linalg.norm(summary(logs)[0], axis=-1) - 1).max() < 1e-12
