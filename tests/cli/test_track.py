"""`doatrack track`."""

import json
import os
import pathlib
import shutil
import signal

import numpy as np
import pytest
import soundfile

from doatrack import SRPPHAT, Cross3DTracker, MicArray, MultiTrack, NeuralSRPTracker, PhysicsVAETracker, Track, load
from doatrack.cli._outputs import TrackWriter
from doatrack.tracking import is_track_csv

SRP = ("--method", "srp-phat")
CSV = ("noisy_00.csv", "quiet_00.csv", "quiet_01.csv")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_with_its_array_becomes_one_csv_per_recording(doatrack, original, array, tmp_path):
    done = doatrack("track", original, *SRP, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "3 of 3 tracks written" in done.stdout
    assert names(tmp_path / "out") == list(CSV)
    expected = SRPPHAT().fit(original / "quiet_00.wav", array).track(original / "quiet_00.wav")
    written = Track.from_csv(tmp_path / "out" / "quiet_00.csv")
    np.testing.assert_allclose(written.doa, expected.doa, atol=1e-7)
    np.testing.assert_array_equal(written.activity, expected.activity)
    header = (tmp_path / "out" / "quiet_00.csv").read_text().splitlines()[0]
    assert header == "time_s,x,y,z,azimuth_deg,elevation_deg,concentration,credible_angle_deg,active"


def test_chosen_channels_of_a_device_at_another_rate(doatrack, original, array, tmp_path):
    samples, _ = soundfile.read(original / "quiet_00.wav", always_2d=True)
    device = np.zeros((len(samples) * 2, 6))
    device[:, 1:5] = np.repeat(samples, 2, axis=0) / 2
    soundfile.write(tmp_path / "device.flac", device, 32000)
    line = ("track", tmp_path / "device.flac", *SRP, "--array", "tetrahedron_4", "--out", tmp_path / "out")
    done = doatrack(*line, "--channels", "2-5", "--smoothing", "none")
    assert done.exit_code == 0, done.stderr
    written = Track.from_csv(tmp_path / "out" / "device.csv")
    expected = SRPPHAT().fit(original / "quiet_00.wav", array).track(original / "quiet_00.wav", smoothing=None)
    assert written.n_frames == expected.n_frames
    loud = expected.activity & written.activity
    assert loud.any()
    # holding samples turns the spectrum's top over, below it the delays are the same
    assert np.degrees(np.arccos(np.clip((written.doa * expected.doa).sum(axis=1), -1, 1)))[loud].mean() < 10
    too_few = doatrack(*line, "--channels", "2-4")
    assert too_few.exit_code == 1
    assert "device.flac must have 4 channels" in too_few.stderr
    missing = doatrack(*line, "--channels", "4-7").stderr
    assert "has 6 channels, but channel 7 was asked for" in missing
    assert "counted from 0" not in missing
    wrong = doatrack(*line, "--channels", "0-3")
    assert wrong.exit_code == 2
    assert "channels must be numbers from 1" in wrong.stderr


def test_broken_files_are_named_and_the_others_go_on(doatrack, scenes, spoil, tmp_path):
    expected = spoil()
    done = doatrack("track", scenes, scenes / "missing.wav", *SRP, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert names(tmp_path / "out") == list(CSV)
    lines = done.stderr.splitlines()
    for name, reason in {**expected, "missing.wav": "does not exist"}.items():
        assert any(line.startswith("Failed:") and name in line and reason in line for line in lines), name
    assert len(lines) == 4
    assert "3 of 7 tracks written" in done.stdout


def test_labels_are_never_written_over(doatrack, scenes):
    before = {path: path.read_bytes() for path in scenes.iterdir()}
    done = doatrack("track", scenes, *SRP, "--out", scenes, "--json")
    assert done.exit_code == 2
    assert "noisy_00.csv exists and was not written by 'doatrack track'" in done.stderr
    assert {path: path.read_bytes() for path in scenes.iterdir()} == before


@pytest.mark.parametrize("ending", [".json", ".png"])
def test_other_files_of_the_user_are_not_written_over_either(doatrack, scenes, tmp_path, ending):
    mine = tmp_path / "out" / f"quiet_01{ending}"
    mine.parent.mkdir()
    mine.write_text('{"rt60": 0.4}')
    done = doatrack("track", scenes, *SRP, "--out", tmp_path / "out", "--json", "--plot")
    assert done.exit_code == 2
    assert f"quiet_01{ending} exists" in done.stderr
    assert mine.read_text() == '{"rt60": 0.4}'
    assert names(tmp_path / "out") == [mine.name]


def test_own_files_are_replaced(doatrack, scenes, tmp_path):
    line = ("track", scenes / "quiet_00.wav", *SRP, "--out", tmp_path / "out", "--json", "--plot")
    assert doatrack(*line).exit_code == 0
    first = (tmp_path / "out" / "quiet_00.csv").read_bytes()
    (tmp_path / "out" / "quiet_00.csv").write_bytes(first[:200])
    done = doatrack(*line)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out" / "quiet_00.csv").read_bytes() == first
    assert (tmp_path / "out" / "quiet_00.png").read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in (tmp_path / "out" / "quiet_00.json").read_text().splitlines()]
    assert len(rows) == Track.from_csv(tmp_path / "out" / "quiet_00.csv").n_frames


def test_two_inputs_of_one_name_are_refused_before_any_work(doatrack, scenes, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (scenes / "quiet_00.wav").rename(other / "Quiet_01.wav")
    done = doatrack("track", scenes, other, *SRP, "--array", "tetrahedron_4", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "have one name" in done.stderr
    assert "set/quiet_01.wav" in done.stderr
    assert "other/Quiet_01.wav" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "srp-fat"), "--method must be one of the known names, got 'srp-fat'. Did you mean 'srp-phat'?"),
        ((*SRP, "--array", "tetrahedron"), "Did you mean 'tetrahedron_4'?"),
        ((*SRP, "--elevation", "60", "30"), "No direction lies in"),
        (("--model", "nothing.safetensors"), "The model file nothing.safetensors does not exist"),
    ],
)
def test_wrong_use_says_what_is_meant(doatrack, original, tmp_path, arguments, message):
    done = doatrack("track", original, "--out", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_out_is_needed_and_must_be_no_file(doatrack, original, tmp_path):
    assert doatrack("track", original, *SRP).exit_code == 2
    (tmp_path / "file").write_text("mine")
    done = doatrack("track", original, *SRP, "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert "must be a folder" in done.stderr
    done = doatrack("track", original, *SRP, "--out", tmp_path / "file" / "tracks")
    assert (done.exit_code, f"tracks must be a folder, but {tmp_path / 'file'} is a file. Choose" in done.stderr) == (
        2,
        True,
    )


def test_more_jobs_than_can_be_are_refused(doatrack, original, tmp_path):
    most = max(64, 4 * os.cpu_count())
    done = doatrack("track", original, *SRP, "--out", tmp_path / "out", "--jobs", 100_000)
    assert (done.exit_code, f"--jobs must be at least 1 and at most {most}, or -1" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_missing_recording_is_not_taken_for_a_missing_array(doatrack, tmp_path):
    for command in (("track", "--out", tmp_path / "out"), ("fit", "--out", tmp_path / "m.safetensors"), ("check",)):
        done = doatrack(command[0], tmp_path / "nothing.wav", *command[1:])
        assert (done.exit_code, f"Error: {tmp_path / 'nothing.wav'} does not exist." in done.stderr) == (1, True)


def test_a_missing_array_is_asked_for_and_an_empty_folder_named(doatrack, scenes, tmp_path):
    (scenes / "array.json").unlink()
    done = doatrack("track", scenes, *SRP, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "needs the geometry of the microphones" in done.stderr
    assert "--array" in done.stderr
    (tmp_path / "empty").mkdir()
    empty = doatrack("track", tmp_path / "empty", *SRP, "--out", tmp_path / "out")
    assert (empty.exit_code, "holds no recording" in empty.stderr) == (2, True)


def test_each_folder_has_its_own_array(doatrack, scenes, tmp_path):
    pair = MicArray([[0.05, 0, 0], [-0.05, 0, 0]])
    (tmp_path / "pair").mkdir()
    pair.to_json(tmp_path / "pair" / "array.json")
    soundfile.write(tmp_path / "pair" / "two.wav", np.random.default_rng(0).normal(size=(8192, 2)) / 9, 16000)
    done = doatrack("track", scenes, tmp_path / "pair", *SRP, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert names(tmp_path / "out") == sorted([*CSV, "two.csv"])


def test_a_search_region_holds_for_both_methods(doatrack, original, model, tmp_path):
    region = ("--azimuth", "-90", "0", "--elevation", "0", "60")
    for name, method in (("srp", SRP), ("vae", ("--model", model))):
        done = doatrack("track", original / "quiet_00.wav", *method, *region, "--out", tmp_path / name)
        assert done.exit_code == 0, done.stderr
        track = Track.from_csv(tmp_path / name / "quiet_00.csv")
        azimuth, elevation = np.degrees(track.azimuth), np.degrees(track.elevation)
        assert ((azimuth > -100) & (azimuth < 10) & (elevation > -10) & (elevation < 70)).all()


def test_a_model_knows_its_array_and_warns_at_another(doatrack, scenes, model, array, tmp_path):
    (scenes / "array.json").unlink()
    done = doatrack("track", scenes / "quiet_00.wav", "--model", model, "--out", tmp_path / "own")
    assert (done.exit_code, done.stderr) == (0, "")
    expected = load(model).track(scenes / "quiet_00.wav")
    np.testing.assert_allclose(Track.from_csv(tmp_path / "own" / "quiet_00.csv").doa, expected.doa, atol=1e-7)
    array.perturb(0.001, 0).to_json(tmp_path / "bent.json")
    line = ("track", scenes / "quiet_00.wav", "--model", model, "--out", tmp_path / "bent")
    done = doatrack(*line, "--array", tmp_path / "bent.json")
    assert done.exit_code == 0
    assert done.stderr.startswith("Warning: This tracker learned with")
    assert len(done.stderr.splitlines()) == 1


def test_the_shipped_tracker_is_moved_to_the_array(doatrack, scenes, model, tmp_path, monkeypatch):
    asked = []

    def shipped(name):
        asked.append(name)
        return load(model)

    monkeypatch.setattr(PhysicsVAETracker, "from_pretrained", shipped)
    MicArray.from_preset("tetrahedron_4").perturb(0.001, 0).to_json(scenes / "array.json")
    done = doatrack("track", scenes / "quiet_00.wav", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert asked == ["nao_head_12"]
    assert "Warning: This tracker learned with" in done.stderr
    (scenes / "array.json").unlink()
    assert doatrack("track", scenes / "quiet_00.wav", "--out", tmp_path / "out").exit_code == 2


def test_the_shipped_tracker_needs_nothing_else(doatrack, tmp_path, rng):
    loud = rng.normal(size=(12288, 12)) * np.repeat([0.001, 0.1, 0.001], 4096)[:, None]
    soundfile.write(tmp_path / "noise.wav", loud, 16000)
    done = doatrack("track", tmp_path / "noise.wav", "--array", "nao_head_12", "--out", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    track = Track.from_csv(tmp_path / "out" / "noise.csv")
    assert track.n_frames == 3
    assert np.isfinite(track.credible_angle).all()


def test_a_model_that_is_none_is_not_opened(doatrack, original, model, srp_model, tmp_path):
    damaged, pickled, newer = tmp_path / "damaged", tmp_path / "pickled.pt", tmp_path / "newer"
    damaged.write_bytes(model.read_bytes()[:400])
    pickled.write_bytes(b"\x80\x04cos\nsystem\n.")
    newer.write_bytes(model.read_bytes().replace(b'format_version\\": 1', b'format_version\\": 9'))
    for path, message in (
        (damaged, "is damaged"),
        (pickled, "is a pickle, which can run code, and is not opened"),
        (newer, "has the format version 9"),
        (srp_model, "holds a SRPPHAT, which is not what --method physics-vae names"),
    ):
        done = doatrack("track", original, "--model", path, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert message in done.stderr
    assert doatrack("track", original, *SRP, "--model", srp_model, "--out", tmp_path / "out").exit_code == 0


def test_a_full_disk_is_said_and_the_old_track_survives(doatrack, scenes, tmp_path, full_disk):
    out = tmp_path / "out"
    assert doatrack("track", scenes, *SRP, "--out", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    full_disk("quiet_00.csv")
    done = doatrack("track", scenes, *SRP, "--out", out, "--azimuth", "0", "10")
    assert done.exit_code == 1
    assert "quiet_00.csv cannot be written: No space left on device" in done.stderr
    assert (out / "quiet_00.csv").read_bytes() == before["quiet_00.csv"]
    assert (out / "quiet_01.csv").read_bytes() != before["quiet_01.csv"]
    assert names(out) == list(CSV)


def test_ctrl_c_says_what_is_kept(doatrack, scenes, tmp_path, monkeypatch):
    track = SRPPHAT.track

    def interrupted(self, recording, smoothing):
        if pathlib.Path(recording).stem == "quiet_01":
            raise KeyboardInterrupt
        return track(self, recording, smoothing)

    monkeypatch.setattr(SRPPHAT, "track", interrupted)
    done = doatrack("track", scenes, *SRP, "--out", tmp_path / "out")
    assert done.exit_code == 130
    assert f"Interrupted. The tracks written so far are kept in {tmp_path / 'out'}." in done.stderr
    assert names(tmp_path / "out") == ["noisy_00.csv", "quiet_00.csv"]
    assert all(is_track_csv(path) for path in (tmp_path / "out").iterdir())


def test_pictures_without_matplotlib_are_refused_before_any_work(doatrack, original, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    done = doatrack("track", original, *SRP, "--out", tmp_path / "out", "--plot")
    assert done.exit_code == 2
    assert "pip install 'doatrack[plot]'" in done.stderr


def test_what_an_array_cannot_tell_apart_is_noted_once(doatrack, original, tmp_path):
    line = ("track", original, *SRP, "--out", tmp_path / "out", "--array")
    flat = doatrack(*line, "respeaker_usb_4").stderr
    assert [text for text in flat.splitlines() if "Give --elevation 0 90 if sources are above it." in text] == [
        f"Note: this array is planar: {MicArray.from_preset('respeaker_usb_4').ambiguity}. Give --elevation 0 90 if "
        "sources are above it."
    ]
    assert "Note:" not in doatrack(*line, "respeaker_usb_4", "--elevation", 0, 90).stderr
    assert "Note:" not in doatrack(*line, "tetrahedron_4").stderr
    line_array = tmp_path / "line.json"
    MicArray([[0.0, y, 0.0] for y in (-0.1, -0.03, 0.04, 0.1)]).to_json(line_array)
    linear = doatrack(*line, line_array).stderr
    assert linear.count("Note: this array is linear") == 1
    assert "with the side that sources are on" in linear


def test_a_model_with_a_region_needs_no_note(doatrack, original, tmp_path):
    array = MicArray.from_preset("respeaker_usb_4")
    path = tmp_path / "srp.safetensors"
    silence = np.zeros((4, 4096))
    SRPPHAT(n_directions=100, elevation_range_deg=(0, 90)).fit(silence, array).save(path)
    done = doatrack("track", original, *SRP, "--array", "respeaker_usb_4", "--model", path, "--out", tmp_path / "out")
    assert (done.exit_code, "Note:" in done.stderr) == (0, False), done.stderr


def test_a_supervised_model_is_loaded_and_asked_for(doatrack, original, array, tmp_path):
    paths = sorted(original.glob("*.wav"))
    truth = [np.loadtxt(path.with_suffix(".csv"), delimiter=",", skiprows=1) for path in paths]
    quick = {"n_epochs": 1, "random_state": 0, "verbose": 0, "width": 4}
    models = {
        "neural-srp": NeuralSRPTracker(**quick).fit(paths, array, truth),
        "cross3d": Cross3DTracker(resolution=(4, 8), **quick).fit(paths, array, truth),
    }
    for method, tracker in models.items():
        file, out = tmp_path / f"{method}.safetensors", tmp_path / method
        tracker.save(file)
        done = doatrack("track", original, "--method", method, "--model", file, "--out", out)
        assert (done.exit_code, done.stderr) == (0, "")
        expected = tracker.track(paths[0])
        assert np.allclose(Track.from_csv(out / f"{paths[0].stem}.csv").doa, expected.doa, atol=1e-4)
        done = doatrack("track", original, "--model", file, "--out", out)
        assert done.exit_code == 2
        assert f"Use --method {method}." in done.stderr
        done = doatrack("track", original, "--method", method, "--out", out)
        assert done.exit_code == 2
        assert f"--method {method} needs --model FILE: it learns from known directions" in done.stderr
        done = doatrack("track", original, "--method", method, "--model", file, "--azimuth", "0", "9", "--out", out)
        assert done.exit_code == 2
        assert "searches no grid" in done.stderr


def test_two_sources_become_one_csv_with_a_column_of_sources(doatrack, original, tmp_path):
    line = ("track", original / "quiet_00.wav", "--out", tmp_path / "out", "--method", "srp-phat", "--sources", 2)
    done = doatrack(*line, "--array", original / "array.json", "--json", "--plot")
    assert done.exit_code == 0, done.stderr
    tracks = MultiTrack.from_csv(tmp_path / "out" / "quiet_00.csv")
    assert tracks.n_sources == 2
    assert MultiTrack.from_json(tmp_path / "out" / "quiet_00.json").n_frames == tracks.n_frames
    assert (tmp_path / "out" / "quiet_00.png").stat().st_size > 0


@pytest.mark.parametrize("way", ["none", "filter", "smoother"])
def test_frames_are_joined_as_asked(doatrack, original, array, tmp_path, way):
    recording = original / "quiet_00.wav"
    done = doatrack("track", recording, *SRP, "--smoothing", way, "--out", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    expected = SRPPHAT().fit(recording, array).track(recording, None if way == "none" else way)
    written = Track.from_csv(tmp_path / "out" / "quiet_00.csv")
    np.testing.assert_allclose(written.doa, expected.doa, atol=1e-7)
    assert np.isfinite(written.concentration).all() == (way != "none")


@pytest.mark.parametrize("features", ["phat", "snr", "whitened"])
def test_correlations_are_weighted_as_asked(doatrack, original, array, srp_model, tmp_path, features):
    recording = original / "quiet_00.wav"
    line = ("track", recording, *SRP, "--features", features, "--smoothing", "none")
    for name, options, n_directions in (("new", (), 2048), ("file", ("--model", srp_model), 100)):
        done = doatrack(*line, *options, "--out", tmp_path / name)
        assert (done.exit_code, done.stderr) == (0, "")
        expected = SRPPHAT(features=features, n_directions=n_directions).fit(recording, array).predict(recording)
        np.testing.assert_allclose(Track.from_csv(tmp_path / name / "quiet_00.csv").doa, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--smoothing", "smooth"),
            "--smoothing must be one of the known names, got 'smooth'. Did you mean 'smoother'?",
        ),
        (
            (*SRP, "--features", "white"),
            "--features must be one of the known names, got 'white'. Did you mean 'whitened'?",
        ),
        (("--features", "snr"), "--features goes with --method srp-phat, got --method physics-vae."),
        (("--method", "music", "--features", "snr"), "--features goes with --method srp-phat, got --method music."),
    ],
)
def test_wrong_smoothing_and_features_are_refused_before_any_work(doatrack, original, tmp_path, arguments, message):
    done = doatrack("track", original, "--out", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc").exists(), reason="finds workers in /proc")
def test_several_processes_write_the_same_and_one_that_dies_leaves_what_is_written(
    doatrack, scenes, tmp_path, monkeypatch
):
    (scenes / "broken.wav").write_text("not sound")
    for name, jobs in (("one", 1), ("two", 2)):
        result = doatrack("track", scenes, "--out", tmp_path / name, "--method", "srp-phat", "--jobs", jobs)
        assert result.exit_code == 1
        assert "broken.wav" in result.stderr
    written = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(written) == 3
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    write = TrackWriter.write

    def write_and_kill(self, track, recording):
        write(self, track, recording)
        for children in pathlib.Path(f"/proc/{os.getpid()}/task").glob("*/children"):
            for pid in children.read_text().split():
                if b"popen_loky" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)

    for k in range(8):
        shutil.copy(scenes / "quiet_00.wav", scenes / f"more_{k}.wav")
    monkeypatch.setattr(TrackWriter, "write", write_and_kill)
    result = doatrack("track", scenes, "--out", tmp_path / "killed", "--method", "srp-phat", "--jobs", 2)
    assert result.exit_code == 1
    assert "A worker process died" in result.stderr
    assert f"kept in {tmp_path / 'killed'}" in result.stderr
    assert list((tmp_path / "killed").glob("*.csv"))
