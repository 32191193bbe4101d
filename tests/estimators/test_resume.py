"""A fit that is killed at any moment and started again ends with the weights it would have had, bit for bit."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from doatrack.exceptions import ModelFileError
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


DIFFERENCES = {
    "beta": ({"beta": 0.7}, None),
    "n_epochs": ({"n_epochs": 3}, None),
    "seed, start": ({"random_state": 1}, None),
    "window": ({}, "window"),
    "recordings": ({}, "recordings"),
    "positions": ({}, "positions"),
}


@pytest.mark.parametrize("named", DIFFERENCES)
def test_another_run_is_refused_and_told_apart(quick, kind, signals, array, tmp_path, named):
    options, other = DIFFERENCES[named]
    kept = quick(**kind, checkpoint=tmp_path).fit(signals, array)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    tracker = quick(**(kind | options), checkpoint=tmp_path)
    if other == "window":
        tracker.set_params(window={"hann": "rectangular", "rectangular": "hann"}[tracker.window])
    if other == "recordings":
        signals = [1.0 * signals[0], signals[1], signals[2][:, ::-1].copy()]
    if other == "positions":
        array = array.perturb(0.002, 0)
    # the fractional lags of encoder "map" may be the same for a slightly other array
    expected = {"positions": "positions(, recordings)?"}.get(other, named)
    with pytest.raises(ModelFileError, match=rf"belongs to another run: {expected} differ.*another folder"):
        tracker.fit(signals, array)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert not hasattr(tracker, "encoder_")
    assert len(kept.history_) == 2


def test_verbosity_place_and_device_name_may_change(quick, signals, array, tmp_path):
    quick(checkpoint=tmp_path / "a").fit(signals, array)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, TrainingLoop, "step", 1)
        resumed = quick(checkpoint=str(tmp_path / "b"), verbose=1, device="cpu:0", array=array).fit(signals)
    # nothing was left to do: a step would have been interrupted
    assert len(resumed.history_) == 2


def test_a_damaged_checkpoint_is_named(quick, kind, signals, array, tmp_path):
    quick(**kind, checkpoint=tmp_path).fit(signals, array)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"checkpoint\.safetensors is damaged .*Delete it to start anew"):
        quick(**kind, checkpoint=tmp_path).fit(signals, array)
    path.unlink()
    assert len(quick(**kind, checkpoint=tmp_path).fit(signals, array).history_) == 2
