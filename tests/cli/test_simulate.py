"""`doatrack simulate`."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from doatrack.datasets import ScoredSet
from doatrack.datasets.simulated import SimulatedScenes
from doatrack.simulation import SceneSettings

SMALL = ("--array", "tetrahedron_4", "--duration", "0.6", "--rt60", "0.2-0.25")


@pytest.fixture
def speech(tmp_path, rng):
    """A folder with two splits of one tone each."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for name, step in (("low", 0.05), ("high", 1.0)):
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(step * np.arange(16000)), 16000)
    (folder / "index.csv").write_text("file,split,speaker\nlow.wav,train,a\nhigh.wav,valid,b\n")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_set_is_written_as_the_library_simulates_it(doatrack, tmp_path, array):
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 2, "--seed", 7, "--snr", "-3--3", "--moving", 1)
    assert done.exit_code == 0, done.stderr
    assert "2 scenes written" in done.stdout
    scenes = ScoredSet(tmp_path / "set")
    assert scenes.names == ["sensor_000", "sensor_001"]
    assert scenes.array == array
    settings = SceneSettings(duration_s=0.6, rt60_range=(0.2, 0.25), snr_db_range=(-3.0, -3.0), moving_probability=1.0)
    expected = SimulatedScenes(array, settings, 2, seed=7)
    for k in range(2):
        np.testing.assert_array_equal(scenes.read(k), expected[k].waveform)
        np.testing.assert_allclose(scenes.truths[k], expected[k].truth, atol=1e-6)
        assert scenes.info(k) == json.loads(json.dumps(expected[k].info))
        assert scenes.info(k)["moving"]


def test_mixed_noise_comes_in_turn_and_names_the_scenes(doatrack, tmp_path):
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 4, "--noise", "mixed")
    assert done.exit_code == 0, done.stderr
    scenes = ScoredSet(tmp_path / "set")
    assert scenes.names == ["diffuse_002", "directional_001", "sensor_000", "sensor_003"]
    assert [scenes.info(k)["noise"] for k in range(4)] == [name.split("_")[0] for name in scenes.names]


def test_speech_split_and_recorded_noise_are_used(doatrack, tmp_path, speech):
    heard = {}
    for split in ("train", "valid"):
        line = ("simulate", tmp_path / split, *SMALL, "--n-scenes", 1, "--noise", "none", "--speech", speech)
        done = doatrack(*line, "--split", split)
        assert done.exit_code == 0, done.stderr
        samples = soundfile.read(tmp_path / split / "none_000.wav")[0][:, 0]
        heard[split] = float(np.abs(np.fft.rfft(samples)).argmax() / len(samples) * 2 * np.pi)
    assert heard["train"] == pytest.approx(0.05, abs=0.02)
    assert heard["valid"] == pytest.approx(1.0, abs=0.02)
    line = ("simulate", tmp_path / "noisy", *SMALL, "--n-scenes", 1, "--noise", "recorded", "--noise-dir", speech)
    assert doatrack(*line).exit_code == 0


def test_utterances_of_one_librispeech_chapter_are_joined(doatrack, tmp_path):
    folder = tmp_path / "LibriSpeech" / "test-clean" / "61" / "70968"
    folder.mkdir(parents=True)
    for k in range(2):
        soundfile.write(folder / f"61-70968-{k:04d}.flac", 0.1 * np.sin(np.arange(4000) * 0.3), 16000)
    line = (*SMALL, "--n-scenes", 1, "--noise", "none", "--speech", tmp_path / "LibriSpeech")
    shares = {}
    for name, flags in (("joined", ["--by-chapter"]), ("paused", [])):
        done = doatrack("simulate", tmp_path / name, *line, *flags)
        assert done.exit_code == 0, done.stderr
        shares[name] = ScoredSet(tmp_path / name).truths[0][:, 4].mean()
    assert shares["joined"] > 0.9 > shares["paused"]
    shutil.rmtree(tmp_path / "joined")
    (folder / "notes.flac").touch()
    for path in folder.glob("61*"):
        path.unlink()
    done = doatrack("simulate", tmp_path / "joined", *line, "--by-chapter")
    assert (done.exit_code, "holds no utterance of LibriSpeech" in done.stderr) == (2, True)


def test_talkers_above_a_flat_array(doatrack, tmp_path):
    line = ("simulate", tmp_path / "set", *SMALL[2:], "--array", "respeaker_usb_4", "--n-scenes", 4)
    assert doatrack(*line, "--elevation", 0, 90).exit_code == 0
    assert min(truth[:, 3].min() for truth in ScoredSet(tmp_path / "set").truths) >= 0
    done = doatrack(*line, "--elevation", 90, 0)
    assert (done.exit_code, "elevation_range_deg must go from low to high" in done.stderr) == (2, True)


def test_several_processes_write_the_same_set(doatrack, tmp_path):
    for name, jobs in (("one", 1), ("two", 2)):
        assert doatrack("simulate", tmp_path / name, *SMALL, "--n-scenes", 2, "--jobs", jobs).exit_code == 0
    one, two = (ScoredSet(tmp_path / name) for name in ("one", "two"))
    assert one.names == two.names
    for k in range(2):
        np.testing.assert_allclose(one.read(k), two.read(k), atol=1e-5)


def test_files_that_exist_are_never_touched(doatrack, tmp_path):
    out = tmp_path / "set"
    assert doatrack("simulate", out, *SMALL, "--n-scenes", 1).exit_code == 0
    before = contents(out)
    again = doatrack("simulate", out, *SMALL, "--n-scenes", 2, "--seed", 5)
    assert again.exit_code == 2
    assert "sensor_000.* exists and is not written over" in again.stderr
    assert contents(out) == before
    other = doatrack("simulate", out, *SMALL[2:], "--array", "nao_head_12", "--n-scenes", 1, "--noise", "none")
    assert (other.exit_code, "describes another array" in other.stderr) == (2, True)
    assert contents(out) == before
    assert doatrack("simulate", out, *SMALL, "--n-scenes", 1, "--noise", "none").exit_code == 0
    assert ScoredSet(out).names == ["none_000", "sensor_000"]


def test_notes_of_the_user_survive_a_refusal(doatrack, tmp_path):
    """Labels without sound look like the rest of a scene that was broken off, but are not ours."""
    out = tmp_path / "set"
    out.mkdir()
    (out / "sensor_000.csv").write_text("mine")
    done = doatrack("simulate", out, *SMALL, "--n-scenes", 2)
    assert (done.exit_code, "exists and is not written over" in done.stderr) == (2, True)
    assert contents(out) == {"sensor_000.csv": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--noise", "sensors"), "Did you mean 'sensor'?"),
        (("--noise", "recorded"), "--noise recorded needs recordings of noise"),
        (("--by-chapter",), "--by-chapter joins utterances of a speech folder: give the folder with --speech"),
        (("--rt60", "1.0-0.2"), "--rt60 must be a number or a range from low to high"),
        (("--snr", "loud"), "--snr must be a number or a range"),
        (("--moving", "1.5"), "moving_probability must be at least 0 and at most 1"),
        (("--duration", "0"), "duration_s must be above 0"),
        (("--split", "train"), "give the folder with --speech"),
        (("--jobs", "0"), "--jobs must be at least 1 and at most"),
        (("--speech", "nowhere"), "nowhere is not a folder"),
        (("--array", "tetrahedron5"), "Did you mean 'tetrahedron_4'?"),
    ],
)
def test_wrong_use_writes_nothing(doatrack, tmp_path, arguments, message):
    done = doatrack("simulate", tmp_path / "set", *SMALL, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "set").exists()
    assert doatrack("simulate", tmp_path / "set").exit_code == 2
    assert doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 0).exit_code == 2


def test_an_unknown_split_is_named(doatrack, tmp_path, speech):
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--speech", speech, "--split", "trian")
    assert (done.exit_code, "Did you mean 'train'?" in done.stderr) == (2, True)


def test_ctrl_c_keeps_whole_scenes_only(doatrack, tmp_path, monkeypatch):
    from doatrack.datasets import scored_set

    write = scored_set.atomic_write_bytes

    def interrupted(path, data):
        if path.name == "sensor_001.wav":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(scored_set, "atomic_write_bytes", interrupted)
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 3)
    assert done.exit_code == 130
    assert f"Interrupted. 1 complete scenes are kept in {tmp_path / 'set'}." in done.stderr
    assert ScoredSet(tmp_path / "set").names == ["sensor_000"]
    assert len(contents(tmp_path / "set")) == 4


def test_a_set_that_was_interrupted_is_gone_on_with(doatrack, tmp_path):
    line = (*SMALL, "--n-scenes", 3, "--noise", "mixed")
    assert doatrack("simulate", tmp_path / "whole", *line).exit_code == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "set")
    (tmp_path / "set" / "directional_001.wav").unlink()  # as after a power cut
    for file in (tmp_path / "set").glob("diffuse_002.*"):
        file.unlink()
    kept = (tmp_path / "set" / "sensor_000.wav").stat().st_mtime_ns
    refused = doatrack("simulate", tmp_path / "set", *line)
    assert (refused.exit_code, "exists and is not written over" in refused.stderr) == (2, True)
    done = doatrack("simulate", tmp_path / "set", *line, "--resume")
    assert done.exit_code == 0, done.stderr
    assert "2 scenes written" in done.stdout
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert (tmp_path / "set" / "sensor_000.wav").stat().st_mtime_ns == kept
    assert "0 scenes written" in doatrack("simulate", tmp_path / "set", *line, "--resume").stdout


def test_only_the_same_set_is_gone_on_with_and_files_of_the_user_stay(doatrack, tmp_path):
    line = ("simulate", tmp_path / "set", *SMALL, "--n-scenes", 1)
    assert doatrack(*line).exit_code == 0
    (tmp_path / "set" / "sensor_001.csv").write_text("mine")
    before = contents(tmp_path / "set")
    other = doatrack(*line, "--resume", "--seed", 1)
    assert other.exit_code == 2
    assert "sensor_000.* is not the scene that these options make. Give --resume the options of" in other.stderr
    more = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 2, "--resume")
    assert (more.exit_code, "exists and is not written over" in more.stderr) == (2, True)
    assert contents(tmp_path / "set") == before


def _cut(file):
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("name", "spoil", "options", "message"),
    [
        ("sensor_000.csv", lambda file: file.unlink(), (), "its .csv is missing"),
        ("sensor_000.wav", lambda file: file.write_bytes(b""), (), "sensor_000.wav"),
        ("sensor_000.wav", _cut, (), "is cut off"),
        (None, None, ("--rt60", "1.2-1.4"), "the options ask for 1.2 to 1.4"),
        (None, None, ("--snr", "60-70"), "the options ask for 60 to 70"),
        (None, None, ("--duration", 1.5), "the options ask for 4 channels of 24000 samples at 16000 Hz"),
        (None, None, ("--sources", 2), "it has 1 talkers, and the options ask for 2"),
    ],
)
def test_damaged_scenes_and_those_of_other_options_are_not_kept_as_good(
    doatrack, tmp_path, name, spoil, options, message
):
    line = ("simulate", tmp_path / "set", *SMALL, "--n-scenes", 1)
    assert doatrack(*line).exit_code == 0
    if name:
        spoil(tmp_path / "set" / name)
    before = contents(tmp_path / "set")
    done = doatrack(*line, "--resume", *options)
    assert done.exit_code == 2
    assert "sensor_000.* is not the whole scene that these options make" in done.stderr
    assert message in done.stderr
    assert contents(tmp_path / "set") == before


def test_a_full_disk_leaves_whole_scenes_only(doatrack, tmp_path, full_disk):
    full_disk("sensor_001.wav")
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 3)
    assert done.exit_code == 1
    assert "sensor_001.wav cannot be written: No space left on device" in done.stderr
    assert ScoredSet(tmp_path / "set").names == ["sensor_000"]
    assert len(contents(tmp_path / "set")) == 4


def test_two_talkers_make_a_set_with_two_truths(doatrack, tmp_path):
    done = doatrack("simulate", tmp_path / "set", *SMALL, "--n-scenes", 1, "--sources", 2)
    assert done.exit_code == 0, done.stderr
    scenes = ScoredSet(tmp_path / "set")
    assert scenes.truths[0].shape == (2, 30, 5)
    assert scenes.info(0)["n_sources"] == 2
