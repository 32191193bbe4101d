"""A small array, its pair geometry and a random but repeatable stretch of correlations."""

import pytest
import torch

from doatrack import MicArray
from doatrack.features import FrameSettings, GCCExtractor
from doatrack.geometry import DirectionGrid
from doatrack.networks import PairGeometry


@pytest.fixture(scope="session")
def array():
    return MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.06, 0.01], [0.01, -0.02, 0.06]])


@pytest.fixture(scope="session")
def extractor(array):
    return GCCExtractor(array, FrameSettings(), lag_step=0.5)


@pytest.fixture(scope="session")
def geometry(extractor):
    return PairGeometry.of(extractor, DirectionGrid.quasi_uniform(300))


@pytest.fixture(scope="session")
def paper_geometry(array):
    """The same array with a number of lags that the paper's encoder can pool."""
    return PairGeometry.of(GCCExtractor(array, FrameSettings(), n_lags=16), DirectionGrid.quasi_uniform(100))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture
def seeded():
    """Initial weights of modules that are made in the test do not depend on what ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield
