"""Runs at smoke scale, with synthetic talkers."""

import dataclasses

import pytest

from doatrack.experiments.scale import SCALES
from doatrack.experiments.workspace import Workspace

TINY = dataclasses.replace(SCALES["smoke"], n_train=2, n_test=2, duration_s=1.5, figure_duration_s=1.5)


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "run", TINY)


@pytest.fixture(scope="session")
def kept_space(tmp_path_factory):
    """A workspace whose scenes and models are shared between tests that do not change them."""
    return Workspace(tmp_path_factory.mktemp("kept") / "run", TINY)
