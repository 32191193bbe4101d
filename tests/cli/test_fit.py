"""`doatrack fit`."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from doatrack import MicArray, load
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.training import TrainingLoop

QUICK = ("--epochs", 3)


@pytest.fixture(scope="module")
def fitted(original, tmp_path_factory):
    """A model of an uninterrupted run of three epochs."""
    from typer.testing import CliRunner

    from doatrack.cli.app import app

    path = tmp_path_factory.mktemp("fitted") / "whole.safetensors"
    result = CliRunner().invoke(app, ["fit", str(original), "--out", str(path), "--epochs", "3"])
    assert result.exit_code == 0, result.stderr
    return path, result


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function after which a run is interrupted before an epoch."""

    def before(epoch):
        run_epoch = TrainingLoop.run_epoch

        def run(self):
            if self.epoch == epoch:
                raise KeyboardInterrupt
            run_epoch(self)

        monkeypatch.setattr(TrainingLoop, "run_epoch", run)
        return monkeypatch

    return before


def same_weights(first, second):
    pairs = zip(load(first).encoder_.parameters(), load(second).encoder_.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_recordings_without_labels_become_a_model(fitted, original, array):
    path, result = fitted
    assert "Fitted to 3 recordings, 3 epochs." in result.stdout
    assert result.stderr.startswith("Reading 3 recordings.\nLearning for 3 epochs in all.\n")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    tracker = load(path)
    assert tracker.array_ == array
    assert len(tracker.history_) == 3
    assert tracker.checkpoint is None
    assert np.linalg.norm(tracker.predict(original / "quiet_00.wav"), axis=1) == pytest.approx(1)


def test_an_interrupted_run_goes_on_to_the_same_model(doatrack, scenes, fitted, tmp_path, interrupt):
    model = tmp_path / "m.safetensors"
    patch = interrupt(2)
    done = doatrack("fit", scenes, "--out", model, *QUICK)
    assert done.exit_code == 130
    assert "The last complete epoch is kept in" in done.stderr
    assert "--resume goes on" in done.stderr
    assert not model.exists()
    patch.undo()
    refused = doatrack("fit", scenes, "--out", model, *QUICK)
    assert (refused.exit_code, "keeps a run that was interrupted" in refused.stderr) == (2, True)
    other = doatrack("fit", scenes, "--out", model, *QUICK, "--resume", "--seed", 1)
    assert (other.exit_code, "another run: --seed: 0 there, 1 asked for. Use the same" in other.stderr) == (2, True)
    assert "or another --out, or delete that folder, to start anew" in other.stderr
    longer = doatrack("fit", scenes, "--out", model, "--epochs", 5, "--resume")
    assert (longer.exit_code, "another run: --epochs: 3 there, 5 asked for. Use the same" in longer.stderr) == (2, True)
    done = doatrack("fit", scenes, "--out", model, *QUICK, "--resume")
    assert done.exit_code == 0, done.stderr
    assert same_weights(model, fitted[0])
    assert not (tmp_path / "m.safetensors.checkpoint").exists()


def test_ctrl_c_before_the_first_epoch_leaves_nothing(doatrack, scenes, tmp_path, interrupt):
    interrupt(0)
    done = doatrack("fit", scenes, "--out", tmp_path / "m.safetensors", *QUICK)
    assert (done.exit_code, "No epoch was complete, so nothing is kept" in done.stderr) == (130, True)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_resume_without_a_run_starts_anew_and_the_seed_counts(doatrack, scenes, fitted, tmp_path):
    for name, seed in (("same", 0), ("other", 1)):
        done = doatrack("fit", scenes, "--out", tmp_path / name, *QUICK, "--resume", "--seed", seed)
        assert done.exit_code == 0, done.stderr
        assert "There is no run to go on with" in done.stderr
    assert same_weights(tmp_path / "same", fitted[0])
    assert not same_weights(tmp_path / "other", fitted[0])


def test_broken_recordings_are_named_and_left_out(doatrack, scenes, spoil, fitted, tmp_path):
    expected = spoil()
    soundfile.write(scenes / "short.wav", np.zeros((1000, 4)), 16000)
    done = doatrack("fit", scenes, "--out", tmp_path / "m.safetensors", *QUICK)
    assert done.exit_code == 1
    for name, reason in {**expected, "short.wav": "is too short: 0.062 s instead of 0.256."}.items():
        assert any(name in line and reason in line for line in done.stderr.splitlines()), name
    assert "Fitted to 3 recordings, 4 left out" in done.stdout
    assert same_weights(tmp_path / "m.safetensors", fitted[0])


def test_nothing_readable_and_nothing_but_silence(doatrack, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.wav").write_text("no")
    line = ("fit", tmp_path / "set", "--array", "tetrahedron_4", "--out", tmp_path / "m.safetensors", *QUICK)
    done = doatrack(*line)
    assert (done.exit_code, "None of the 1 recordings can be used" in done.stderr) == (1, True)
    soundfile.write(tmp_path / "set" / "a.wav", np.zeros((16000, 4)), 16000)
    done = doatrack(*line)
    assert (done.exit_code, "No frame of the recordings is active" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_channels_are_picked(doatrack, original, tmp_path, fitted):
    (tmp_path / "six").mkdir()
    for path in original.glob("*.wav"):
        samples, rate = soundfile.read(path, dtype="float32")
        extended = np.concatenate([np.zeros((len(samples), 1), np.float32), samples], axis=1)
        soundfile.write(tmp_path / "six" / path.name, extended, rate, subtype="FLOAT")
    line = ("fit", tmp_path / "six", "--array", "tetrahedron_4", "--out", tmp_path / "m.safetensors", *QUICK)
    done = doatrack(*line, "--channels", "2-5")
    assert done.exit_code == 0, done.stderr
    assert same_weights(tmp_path / "m.safetensors", fitted[0])


def test_a_full_disk_keeps_the_old_model_and_the_run(doatrack, scenes, fitted, model, tmp_path, full_disk):
    out = tmp_path / "m.safetensors"
    out.write_bytes(model.read_bytes())
    patch = full_disk("m.safetensors")
    done = doatrack("fit", scenes, "--out", out, *QUICK, "--overwrite")
    assert done.exit_code == 1
    assert "cannot be written: No space left on device. The file that was there is unchanged." in done.stderr
    assert out.read_bytes() == model.read_bytes()
    patch.undo()
    assert doatrack("fit", scenes, "--out", out, *QUICK, "--resume").exit_code == 0
    assert same_weights(out, fitted[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoder", "papre"), "--encoder must be one of the known names, got 'papre'. Did you mean 'paper'?"),
        (("--array", "tetrahedron"), "Did you mean 'tetrahedron_4'?"),
        (
            ("--device", "cuda:99"),
            "--device must name a torch device of this machine, such as 'cpu' or 'cuda', got 'cuda:99': ",
        ),
        (("--channels", "1,1"), "each channel once"),
        (("--epochs", "0"), "--epochs"),
        (("--seed", 2**32), "--seed"),
    ],
)
def test_wrong_use_is_said_and_leaves_nothing(doatrack, original, tmp_path, arguments, message):
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_models_are_replaced(doatrack, original, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = doatrack("fit", original, "--out", tmp_path / "thesis.txt")
    assert (done.exit_code, "is not a model of doatrack" in done.stderr) == (2, True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    for out in (tmp_path, ""):
        folder = doatrack("fit", original, "--out", out)
        assert (folder.exit_code, "must be a file, but it is a folder" in folder.stderr) == (2, True)
    inside = doatrack("fit", original, "--out", tmp_path / "thesis.txt" / "new" / "m.safetensors")
    assert (inside.exit_code, f"but {tmp_path / 'thesis.txt'} is a file. Choose" in inside.stderr) == (2, True)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_device_is_not_read_to_its_end(doatrack, original):
    done = doatrack("fit", original, "--out", "/dev/zero")
    assert (done.exit_code, "/dev/zero exists and is not a model of doatrack" in done.stderr) == (2, True)


def test_torch_says_in_a_sentence_why_a_device_cannot_be_used(doatrack, original, tmp_path):
    if torch.backends.mps.is_available():
        pytest.skip("this one can")
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", "--device", "mps")
    assert (done.exit_code, "such as 'cpu' or 'cuda', got 'mps': " in done.stderr) == (2, True)
    assert len(done.stderr) < 300


def test_one_array_for_all_folders(doatrack, scenes, original, tmp_path):
    MicArray.from_preset("respeaker_usb_4").to_json(scenes / "array.json")
    done = doatrack("fit", original, scenes, "--out", tmp_path / "m.safetensors")
    assert (done.exit_code, "hold recordings of different arrays" in done.stderr) == (2, True)
    (scenes / "array.json").unlink()
    done = doatrack("fit", original, scenes, "--out", tmp_path / "m.safetensors")
    assert (done.exit_code, "Fitting needs the geometry" in done.stderr) == (2, True)


def test_the_encoder_of_the_paper(doatrack, original, tmp_path, monkeypatch):
    from doatrack import PhysicsVAETracker

    asked = []
    monkeypatch.setattr(PhysicsVAETracker, "fit", lambda self, *_: asked.append(self.get_params()) or self)
    monkeypatch.setattr(PhysicsVAETracker, "save", lambda self, path: None)
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", "--encoder", "paper", "--seed", 4)
    assert done.exit_code == 0, done.stderr
    expected = {**PhysicsVAETracker.paper(random_state=4).get_params(), "verbose": 2}
    given = asked[0]
    assert given.pop("checkpoint") == tmp_path / "m.safetensors.checkpoint"
    assert given == {key: value for key, value in expected.items() if key != "checkpoint"}


def test_the_search_region_is_kept_in_the_model(doatrack, original, tmp_path):
    out = tmp_path / "m.safetensors"
    done = doatrack("fit", original, "--out", out, "--epochs", 1, "--azimuth", 150, -150, "--elevation", 0, 90)
    assert done.exit_code == 0, done.stderr
    tracker = load(out)
    assert (list(tracker.azimuth_range_deg), list(tracker.elevation_range_deg)) == ([150, -150], [0, 90])
    directions = tracker.grid_.directions
    assert (directions[:, 0] < 0).all()
    assert (directions[:, 2] >= -1e-6).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--elevation", 90, 0), "No direction lies in azimuth None and elevation (90.0, 0.0)"),
        (("--elevation", 0, 90, "--encoder", "paper"), "--azimuth and --elevation need --encoder map"),
    ],
)
def test_a_region_that_cannot_be_is_refused_before_work(doatrack, original, tmp_path, arguments, message):
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", *arguments)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_tells_the_epochs_of_the_estimators(doatrack):
    from doatrack import PhysicsVAETracker

    shown = " ".join(doatrack("fit", "--help").stdout.replace("│", " ").split())
    expected = f"{PhysicsVAETracker().n_epochs} (map) or {PhysicsVAETracker.paper().n_epochs} (paper)"
    assert expected in shown


def test_a_flat_array_without_a_region_is_noted(doatrack, original, tmp_path):
    line = ("fit", original, "--array", "respeaker_usb_4", "--epochs", 1)
    done = doatrack(*line, "--out", tmp_path / "a.safetensors")
    assert done.stderr.count("Note: this array is planar") == 1, done.stderr
    done = doatrack(*line, "--out", tmp_path / "b.safetensors", "--elevation", 0, 90)
    assert (done.exit_code, "Note:" in done.stderr) == (0, False)


def test_a_fit_goes_on_from_a_model(doatrack, original, model, tmp_path):
    out = tmp_path / "m.safetensors"
    line = ("fit", original, "--start", model)
    done = doatrack(*line, "--out", out)
    assert (done.exit_code, "Fitted to 3 recordings, 1 epoch. " in done.stdout) == (0, True), done.stderr
    expected = load(model).partial_fit(sorted(original.glob("*.wav")))
    expected.save(tmp_path / "expected")
    assert same_weights(out, tmp_path / "expected")
    assert not same_weights(out, model)
    assert doatrack(*line, "--out", tmp_path / "twice", "--epochs", 2).exit_code == 0
    assert "Pass 1 of 1:" in done.stderr
    assert len(load(tmp_path / "twice").history_) == len(load(out).history_) + 1


def test_a_shipped_tracker_goes_on_with_another_array(doatrack, original, array, tmp_path, model, monkeypatch):
    from doatrack import PhysicsVAETracker

    asked = []
    with pytest.warns(ArrayMismatchWarning):
        other = load(model).for_array(array.select([0, 1, 2]))
    monkeypatch.setattr(PhysicsVAETracker, "from_pretrained", lambda name: asked.append(name) or other)
    done = doatrack("fit", original, "--start", "nao_head_12", "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 0, done.stderr
    assert asked == ["nao_head_12"]
    assert "Warning" not in done.stderr
    assert load(tmp_path / "m.safetensors").array_ == array


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoder", "map"), "leave --encoder out"),
        (("--resume",), "leave --resume out"),
        (("--start", "nao_haed_12"), "is neither a file nor a tracker that comes with doatrack (nao_head_12)"),
    ],
)
def test_what_does_not_go_with_start_is_refused(doatrack, original, model, tmp_path, arguments, message):
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", "--start", model, *arguments)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_start_must_learn(doatrack, original, srp_model, tmp_path):
    done = doatrack("fit", original, "--out", tmp_path / "m.safetensors", "--start", srp_model)
    assert (done.exit_code, "holds a SRPPHAT, which learns nothing" in done.stderr) == (2, True)


def test_a_finished_model_is_replaced_on_request_only(doatrack, original, model, tmp_path):
    out = tmp_path / "m.safetensors"
    out.write_bytes(model.read_bytes())
    plain = doatrack("fit", original, "--out", out, "--epochs", 1)
    assert (plain.exit_code, "or replace it: --overwrite" in plain.stderr) == (2, True)
    resumed = doatrack("fit", original, "--out", out, "--epochs", 1, "--resume")
    assert (resumed.exit_code, "is finished" in resumed.stderr) == (2, True)
    assert out.read_bytes() == model.read_bytes()
    done = doatrack("fit", original, "--out", out, "--epochs", 1, "--overwrite")
    assert done.exit_code == 0, done.stderr
    assert "Reading 3 recordings." in done.stderr
    assert out.read_bytes() != model.read_bytes()


def test_simulated_scenes_are_learned_from_without_recordings(doatrack, tmp_path):
    line = ("fit", "--array", "tetrahedron_4", "--simulate", 2, "--duration", 2, "--epochs", 2)
    result = doatrack(*line, "--out", tmp_path / "my.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "Fitted to 2 simulated scenes in each epoch, 2 epochs." in result.stdout
    assert len(load(tmp_path / "my.safetensors").history_) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--simulate", 2), "Simulating needs the geometry of the microphones"),
        ((), "Give folders of recordings, or --simulate N"),
        (("folder", "--simulate", 2, "--array", "tetrahedron_4"), "leave folder out"),
        (("--simulate", 2, "--precision", "half"), "precision must be one of the known names, got 'half'"),
    ],
)
def test_what_does_not_go_with_simulated_scenes_is_refused(doatrack, tmp_path, arguments, message):
    result = doatrack("fit", *arguments, "--out", tmp_path / "my.safetensors")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


STARTED = """
from doatrack.cli.app import main
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lightning_fabric") is None, reason="needs lightning-fabric (extra scale)")
def test_processes_that_torchrun_started_speak_with_one_voice_and_write_one_model(tmp_path):
    (tmp_path / "command.py").write_text(STARTED)
    line = ["fit", "--array", "tetrahedron_4", "--simulate", "3", "--duration", "2", "--epochs", "1", "--devices", "2"]
    launcher = [
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        "localhost:0",
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            *launcher,
            str(tmp_path / "command.py"),
            *line,
            "--out",
            str(tmp_path / "my.safetensors"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Fitted to 3 simulated scenes in each epoch, 1 epoch.") == 1
    assert done.stderr.count("epoch 1 of 1") == 1
    tracker = load(tmp_path / "my.safetensors")
    assert (tracker.devices, len(tracker.history_)) == (1, 1)
