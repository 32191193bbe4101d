"""Small simulated sets, made once, and the command line without a process of its own."""

import pathlib
import shutil
import types

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.cli.app import app
from doatrack.datasets import write_scored_set
from doatrack.simulation import SceneSettings, simulate_scene

NAMES = ("quiet_00", "quiet_01", "noisy_00")


@pytest.fixture(scope="session")
def array():
    return MicArray.from_preset("tetrahedron_4")


@pytest.fixture(scope="session")
def original(tmp_path_factory, array):
    """A scored set of three scenes of 2 s, never changed."""
    folder = tmp_path_factory.mktemp("original") / "set"
    settings = SceneSettings(duration_s=2.0, rt60_range=(0.2, 0.3), snr_db_range=(10, 20))
    write_scored_set(folder, [simulate_scene(array, settings, seed) for seed in (1, 2, 3)], array, NAMES)
    return folder


@pytest.fixture
def scenes(original, tmp_path):
    """A copy of the set that a test may spoil."""
    return pathlib.Path(shutil.copytree(original, tmp_path / "set"))


@pytest.fixture(scope="session")
def model(tmp_path_factory, original, array):
    """A model file, small and hardly fitted."""
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    tracker = PhysicsVAETracker(n_directions=300, width=4, n_epochs=1, random_state=0, verbose=0)
    tracker.fit(sorted(original.glob("*.wav")), array).save(path)
    return path


@pytest.fixture(scope="session")
def srp_model(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("model") / "srp.safetensors"
    SRPPHAT(n_directions=100).fit(np.zeros((4, 4096)), array).save(path)
    return path


@pytest.fixture
def doatrack():
    """Return a function that runs a command line: exit_code, stdout and stderr."""

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="doatrack")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # a traceback is never an answer
        return types.SimpleNamespace(exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr)

    return run


@pytest.fixture
def spoil(scenes):
    """Return a function that puts broken recordings into the set: their names and what is said about them."""

    def put():
        whole = (scenes / "quiet_00.wav").read_bytes()
        (scenes / "cut.wav").write_bytes(whole[: len(whole) // 2])
        (scenes / "notes.wav").write_text("this is not audio")
        soundfile.write(scenes / "stereo.wav", np.zeros((16000, 2)), 16000)
        return {"cut.wav": "is cut off", "notes.wav": "cannot be read as audio", "stereo.wav": "must have 4 channels"}

    return put


@pytest.fixture
def full_disk(monkeypatch):
    """Return a function after which files with a given ending cannot be written any more."""

    def fill(ending):
        import os

        from doatrack import _files

        replace = os.replace

        def refuse(source, target):
            if str(target).endswith(ending):
                raise OSError(28, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(_files.os, "replace", refuse)
        return monkeypatch

    return fill
