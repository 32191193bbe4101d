"""A small array and its geometry on a coarse grid."""

import pytest
import torch

from doatrack import MicArray
from doatrack.features import FrameSettings, GCCExtractor
from doatrack.geometry import DirectionGrid
from doatrack.networks import PairGeometry


@pytest.fixture(scope="session")
def geometry():
    array = MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.06, 0.01], [0.01, -0.02, 0.06]])
    extractor = GCCExtractor(array, FrameSettings(), lag_step=0.5)
    return PairGeometry.of(extractor, DirectionGrid.quasi_uniform(300))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)
