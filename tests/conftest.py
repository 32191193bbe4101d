"""What all tests share: repeatable hypothesis runs, one torch thread, and the data that may lie beside the project."""

import importlib.util
import pathlib
import types
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "doatrack",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", deadline=None, max_examples=500)
settings.load_profile("doatrack")

SHARED_DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> Iterator[None]:
    """Small tensors are slower on several threads, and sums are then the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(20260)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Return the folder of speech, noise and scored sets beside the project, where there is one."""
    if SHARED_DATA.is_dir():
        return SHARED_DATA
    pytest.skip(f"needs the data folder {SHARED_DATA}, which is not on this machine")


@pytest.fixture(scope="session")
def locata_corpus() -> types.ModuleType:
    """Return the functions that write folders in the format of the LOCATA corpus."""
    spec = importlib.util.spec_from_file_location("locata_corpus", pathlib.Path(__file__).with_name("locata_corpus.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
