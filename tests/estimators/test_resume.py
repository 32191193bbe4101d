"""A fit that is killed at any moment and started again ends with the weights it would have had, bit for bit."""

import inspect
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from doatrack import MicArray, PhysicsVAETracker
from doatrack.exceptions import InvalidInputError, ModelFileError
from doatrack.tracking import MotionModel
from doatrack.training import Checkpoint, CropSampler, TrainingLoop

ROOT = pathlib.Path(__file__).resolve().parents[2]


def same_weights(a, b):
    pairs = zip(
        [*a.encoder_.state_dict().items(), *a.decoder_.state_dict().items()],
        [*b.encoder_.state_dict().items(), *b.decoder_.state_dict().items()],
        strict=True,
    )
    return all(k == m and torch.equal(v, w) for (k, v), (m, w) in pairs)


def interrupt_at(monkeypatch, owner, method, count):
    """Raise KeyboardInterrupt in the middle of the n-th call: after its work, before anything else."""
    original, calls = getattr(owner, method), []

    def stopped(self, *args, **kwargs):
        result = original(self, *args, **kwargs)
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, method, stopped)


MOMENTS = {
    "first crop": (CropSampler, "_crop", 1),
    "first step": (TrainingLoop, "step", 1),
    "mid-epoch": (TrainingLoop, "step", 4),
    "a crop of the second epoch": (CropSampler, "_crop", 9),
    "after a save": (Checkpoint, "on_epoch_end", 2),
    "last step": (TrainingLoop, "step", 9),
    "after the last save": (Checkpoint, "on_epoch_end", 3),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_at_any_moment(quick, kind, signals, array, tmp_path, moment):
    options = {**kind, "n_epochs": 3, "batch_size": 2}
    reference = quick(**options).fit(signals, array)
    interrupted = quick(**options, checkpoint=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, *MOMENTS[moment])
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(signals, array)
    resumed = quick(**options, checkpoint=tmp_path).fit(signals, array)
    assert same_weights(resumed, reference)
    assert resumed.history_ == reference.history_
    assert np.array_equal(resumed.predict(signals[0]), reference.predict(signals[0]))


def test_a_checkpoint_changes_nothing_and_a_finished_run_is_only_read(quick, kind, signals, array, tmp_path):
    plain = quick(**kind).fit(signals, array)
    kept = quick(**kind, checkpoint=tmp_path).fit(signals, array)
    assert same_weights(plain, kept)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, TrainingLoop, "step", 1)
        again = quick(**kind, checkpoint=tmp_path).fit(signals, array)
    assert same_weights(again, plain)
    assert again.history_ == plain.history_


def test_without_a_seed_a_resumed_run_keeps_its_own(quick, signals, array, tmp_path):
    stopped = quick(random_state=None, checkpoint=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, TrainingLoop, "step", 4)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(signals, array)
    kept = Checkpoint(tmp_path, {}).stored("seed")
    resumed = quick(random_state=None, checkpoint=tmp_path).fit(signals, array)
    assert resumed.seed_ == kept
    assert same_weights(resumed, quick(random_state=None).set_params(checkpoint=tmp_path).fit(signals, array))
    assert quick(random_state=None, checkpoint=tmp_path / "new").fit(signals, array).seed_ != kept


KILLED = """
import os, signal, sys
import numpy as np, torch
torch.set_num_threads(1)
from doatrack import MicArray, PhysicsVAETracker
from doatrack.training import TrainingLoop
import json
options, folder = json.loads(sys.argv[1]), sys.argv[2]
with np.load(folder + "/signals.npz") as file:
    signals, array = [file[k] for k in ("0", "1", "2")], MicArray(file["positions"], name="test")
step, count = TrainingLoop.step, 0
def killed(self, *args):
    global count
    count += 1
    if count == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args)
TrainingLoop.step = killed
PhysicsVAETracker(**options, checkpoint=folder + "/run").fit(signals, array)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_in_mid_epoch(quick, signals, array, tmp_path):
    np.savez(tmp_path / "signals.npz", positions=array.positions, **{str(k): s for k, s in enumerate(signals)})
    tracker = quick(n_epochs=3)
    options = json.dumps({k: v for k, v in tracker.get_params().items() if k not in ("array", "checkpoint")})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-c", KILLED, options, str(tmp_path)], env=environment, capture_output=True, timeout=120
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    left = sorted(p.name for p in (tmp_path / "run").iterdir())
    assert "checkpoint.safetensors" in left
    assert len(left) > 1, "the features that the killed process could not remove"
    resumed = tracker.set_params(checkpoint=tmp_path / "run").fit(signals, array)
    assert same_weights(resumed, quick(n_epochs=3).fit(signals, array))
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]


PHYSICS = {"teacher": "physics"}
OTHERS = {
    "encoder": ("paper", {"teacher": "physics", "prior": "uniform"}),
    "teacher": ("physics", {}),
    "prior": ("uniform", PHYSICS),
    "features": ("phat", {}),
    "n_sources": (2, {}),
    "source_loss": ("masked", {"n_sources": 2}),
    "mixture_kl": ("bound", {"n_sources": 2}),
    "width": (8, {}),
    "n_directions": (300, {}),
    "gamma": (3.0, PHYSICS),
    "gamma_initial": (1.0, PHYSICS),
    "sigma": (0.5, PHYSICS),
    "sigma_initial": (3.0, PHYSICS),
    "learn_sigma": (True, PHYSICS),
    "beta": (3.0, PHYSICS),
    "motion_concentration": (5.0, PHYSICS),
    "n_epochs": (3, {}),
    "batch_size": (1, {}),
    "crop_frames": (4, {}),
    "pairs_per_step": (1, {}),
    "learning_rate": (0.02, {}),
    "final_learning_rate": (0.02, {}),
    "azimuth_range_deg": ((-20.0, 20.0), {}),
    "elevation_range_deg": ((60.0, 90.0), {}),
    "sample_rate": (8000, {}),
    "win_length": (512, {}),
    "hop_length": (512, {}),
    "window": ("hann", {"features": "phat"}),
    "speed_of_sound": (300.0, {}),
    "map_scale": (20.0, {}),
    "motion": (MotionModel(diffusion=0.5), {}),
    "causal": (True, {}),
    "random_state": (1, {}),
    "precision": ("bf16-mixed", {}),
}
"""For each parameter that learning depends on another value, and what else is needed for it to matter."""

FREE = {
    "array": None,  # given to fit in these tests, which compare its positions
    "check_positions": False,
    "device": "cpu:0",
    "devices": None,  # in tests of several processes
    "num_nodes": None,
    "checkpoint": None,
    "verbose": 1,
    "warm_start": True,
}
"""Parameters that a run may be resumed with another value of, and one."""


def test_every_parameter_has_an_entry():
    assert {*OTHERS, *FREE} == set(inspect.signature(PhysicsVAETracker).parameters)


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_is_not_resumed_with_another_parameter(quick, signals, array, tmp_path, name):
    value, needed = OTHERS[name]
    kept = quick(**(needed if name != "encoder" else {}), n_epochs=1, checkpoint=tmp_path).fit(signals[:1], array)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    tracker = quick(**(needed | {"n_epochs": 1, name: value}), checkpoint=tmp_path)
    there = MotionModel() if name == "motion" else kept.get_params()[name]
    words = [re.escape(str(list(v) if isinstance(v, tuple) else v)) for v in (there, value)]
    if name == "motion":
        words = [r"MotionModel\(diffusion=0\.04, .*\)", r"MotionModel\(diffusion=0\.5, .*\)"]
    with pytest.raises(
        ModelFileError, match=rf"another run: (.*; )?{name}: {words[0]} there, {words[1]} asked for"
    ) as error:
        tracker.fit(signals[:1], array)
    assert ("seed" in str(error.value), "weights" in str(error.value)) == (False, False)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert not hasattr(tracker, "encoder_")
    assert len(kept.history_) == 1


@pytest.mark.parametrize("name", [name for name, value in FREE.items() if value is not None])
def test_what_is_not_learned_from_may_change(quick, signals, array, tmp_path, name):
    quick(checkpoint=tmp_path).fit(signals, array)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, TrainingLoop, "step", 1)
        resumed = quick(checkpoint=tmp_path, **{name: FREE[name]}).fit(signals, array)
    # nothing was left to do: a step would have been interrupted
    assert len(resumed.history_) == 2


def test_the_motion_may_change_where_it_does_not_teach(quick, kind, signals, array, tmp_path):
    quick(**kind, checkpoint=tmp_path).fit(signals, array)
    resumed = quick(**kind, checkpoint=tmp_path, motion=MotionModel(diffusion=0.5)).fit(signals, array)
    assert len(resumed.history_) == 2
    quick(checkpoint=tmp_path / "other", motion=None).fit(signals, array)
    assert quick(checkpoint=tmp_path / "other", motion=MotionModel()).fit(signals, array).history_


def test_a_run_is_not_resumed_with_other_sound_truth_or_array(quick, kind, signals, array, tmp_path):
    def resume(signals, array, activity=None):
        quick(**kind, checkpoint=tmp_path).fit(signals, array, activity=activity)

    resume(signals, array)
    checksums = (
        r"recordings: 3 recordings with the checksum [0-9a-f]{8} there, 3 recordings with the checksum \w{8} asked"
    )
    with pytest.raises(ModelFileError, match=rf"another run: {checksums} for\. Use the same.*another folder"):
        resume([signals[0], signals[1], signals[2][:, ::-1].copy()], array)
    with pytest.raises(ModelFileError, match=rf"another run: {checksums} for\."):
        resume(signals, array, [np.ones(1 + (s.shape[1] - 1024) // 768, bool) for s in signals])
    with pytest.raises(ModelFileError, match=r"recordings: 3 recordings .* there, 2 recordings .* asked for"):
        resume(signals[:2], array)
    # the fractional lags of encoder "map" may be the same for a slightly other array
    with pytest.raises(ModelFileError, match=r"another run: positions: they differ by up to 0\.00\d+[.;]"):
        resume(signals, array.perturb(0.002, 0))
    more = MicArray([*array.positions, [0.02, 0.02, 0.02]])
    with pytest.raises(ModelFileError, match="positions: a table of 4 rows there, a table of 5 rows asked for"):
        resume([np.concatenate([s, s[:1]]) for s in signals], more)


def test_other_weights_to_start_from_are_another_run(quick, signals, array, tmp_path):
    one = quick(warm_start=True).fit(signals, array)
    other = quick(warm_start=True).fit(signals[:1], array)
    one.set_params(checkpoint=tmp_path).fit(signals, array)
    with pytest.raises(ModelFileError, match=r"another run: sum_of_initial_weights: [\d.]+ there, [\d.]+ asked for\."):
        other.set_params(checkpoint=tmp_path).fit(signals, array)


def test_the_folder_of_a_run_may_be_moved(quick, signals, array, tmp_path):
    quick(checkpoint=tmp_path / "a").fit(signals, array)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, TrainingLoop, "step", 1)
        resumed = quick(checkpoint=str(tmp_path / "b"), array=array).fit(signals)
    assert len(resumed.history_) == 2


def test_a_file_in_place_of_the_checkpoint_is_named(quick, signals, array, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for path, which in ((tmp_path / "file", "it"), (tmp_path / "file" / "run", r"\S*file")):
        with pytest.raises(InvalidInputError, match=rf"checkpoint .* must be a folder, but {which} is a file\. Choose"):
            quick(checkpoint=path).fit(signals, array)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_damaged_checkpoint_is_named(quick, kind, signals, array, tmp_path):
    quick(**kind, checkpoint=tmp_path).fit(signals, array)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"checkpoint\.safetensors is damaged .*Delete it to start anew"):
        quick(**kind, checkpoint=tmp_path).fit(signals, array)
    path.unlink()
    assert len(quick(**kind, checkpoint=tmp_path).fit(signals, array).history_) == 2
