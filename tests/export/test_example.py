"""examples/track_onnx.py, run where neither torch nor doatrack can be imported."""

import dataclasses
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from sklearn.base import clone

from doatrack.features import GCCFeatures
from doatrack.features.dereverberation import Dereverberator
from doatrack.tracking import Track

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "track_onnx.py"
ALONE = """
import runpy, sys
for name in ("torch", "doatrack", "scipy", "soundfile", "sklearn"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def follow(folder, model, waveform, *options, rate=16000):
    """Write a WAV file, run the example, and return the process and the track's columns."""
    soundfile.write(folder / "a.wav", waveform.T, rate, subtype="PCM_16")
    command = [sys.executable, "-c", ALONE, EXAMPLE, model, folder / "a.wav", "--out", folder / "a.csv", *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "name", ["srp", "weighted-srp", "causal-srp", "map", "paper", pytest.param("cross3d", marks=pytest.mark.slow)]
)
def test_numpy_and_onnxruntime_alone_agree_with_the_tracker(exported, tmp_path, name):
    tracker, signals, model = exported(name)
    process = follow(tmp_path, model, 0.1 * signals[0])
    assert process.returncode == 0, process.stderr
    found = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    track = tracker.track(tmp_path / "a.wav", smoothing=None)
    np.testing.assert_allclose(found[:, 1:4], tracker.predict(tmp_path / "a.wav"), atol=1e-3)
    np.testing.assert_array_equal(found[:, 8], track.activity)
    np.testing.assert_allclose(found[:, 6], track.concentration, rtol=1e-2)
    np.testing.assert_allclose(found[:, 7], np.degrees(track.credible_angle), rtol=1e-2)
    assert f"15 frames, {track.activity.sum()} with sound" in process.stdout


@pytest.mark.parametrize("name", ["weighted-srp", "causal-srp"])
def test_it_notices_noise_that_starts_and_stops(exported, tmp_path, name):
    tracker, signals, model = exported(name)
    calm, loud = signals[0], 0.1 * signals[1] + np.roll(np.random.default_rng(0).normal(size=(1, 48000)), 2)
    waveform = 0.02 * np.concatenate([calm, calm, loud, loud, calm, calm, loud], axis=1).astype(np.float32)
    process = follow(tmp_path, model, waveform)
    assert process.returncode == 0, process.stderr
    found = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(found[:, 1:4], tracker.predict(tmp_path / "a.wav"), atol=2e-3)
    features = dataclasses.replace(GCCFeatures.of(tracker.features), noise_changes=False)
    deaf = clone(tracker).set_params(features=features)
    deaf.fit(signals, tracker.array_)
    assert np.abs(found[:, 1:4] - deaf.predict(tmp_path / "a.wav")).max() > 0.1


@pytest.mark.parametrize("n_mics", [3, 16, 32])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("frames", [(4096, 3072), (1024, 500), (12000, 10000)])
def test_it_subtracts_what_the_library_subtracts(n_mics, causal, frames):
    """The more microphones, the less far back both look; blocks follow the frames."""
    pytest.importorskip("onnxruntime", reason="the example imports it")
    sound = np.random.default_rng(0).normal(size=(n_mics, 9000 + 3 * frames[1])).astype(np.float32)
    known = {"sample_rate": 16000, "win_length": frames[0], "hop_length": frames[1], "features": {"causal": causal}}
    left = runpy.run_path(str(EXAMPLE))["less_foretold"](sound, known)
    stream = Dereverberator(16000, *frames, held=causal)
    expected = torch.cat([stream.push(torch.from_numpy(sound)), stream.finish()], dim=1).numpy()
    np.testing.assert_allclose(left, expected, atol=1e-4)


def test_its_file_is_a_track(exported, tmp_path):
    tracker, signals, model = exported("srp")
    follow(tmp_path, model, signals[0])
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    tracker.track(signals[0], smoothing=None).to_csv(tmp_path / "b.csv")
    assert header == (tmp_path / "b.csv").read_text().splitlines()[0]
    assert len(Track.from_csv(tmp_path / "a.csv").times) == 15


def test_channels_are_chosen_and_wrong_files_are_refused(exported, tmp_path):
    _, signals, model = exported("srp")
    wide = np.concatenate([np.zeros((1, 48000), np.float32), 0.1 * signals[0]])
    assert follow(tmp_path, model, wide, "--channels", "2,3,4,5").returncode == 0
    wrong = follow(tmp_path, model, wide)
    assert wrong.returncode != 0
    assert "takes 4 channels at 16000 Hz, got 5 at 16000 Hz" in wrong.stderr
    assert "at least 4096 samples" in follow(tmp_path, model, signals[0][:, :1000]).stderr
