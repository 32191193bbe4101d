"""`doatrack evaluate` on a folder in the format of the LOCATA corpus."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from doatrack import MicArray

SRP = ("--method", "srp-phat")
TURN = Rotation.from_euler("zyx", [70, 10, -5], degrees=True).as_matrix()
LOCAL = np.array([0.6, 0.64, 0.48])
N = 36000


@pytest.fixture
def corpus(locata_corpus, tmp_path):
    """Two tasks of the robot head, each a plane wave from one direction; the first of them begins silent."""
    mics = MicArray.from_preset("nao_head_12").positions
    bursts = 0.01 + (np.sin(np.arange(N) * 2 * np.pi * 3 / 48000) > 0)  # steady noise would not count as active
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=N) * bursts)
    delay = np.exp(2j * np.pi * np.fft.rfftfreq(N, 1 / 48000) * (mics @ LOCAL)[:, None] / 343)
    wave = 0.05 * np.fft.irfft(spectrum * delay, N)
    for task, silent in ((1, 12000), (3, 0)):
        locata_corpus.write_recording(
            tmp_path / "LOCATA",
            f"dev/task{task}/recording1/benchmark2",
            np.where(np.arange(N) >= silent, wave, 0.0),
            mics=mics,
            position=np.array([1.0, 2, 1]),
            rotation=TURN,
            sources={"talker": np.array([1.0, 2, 1]) + 40 * TURN @ LOCAL},
            times=np.arange(-0.004, 0.7, 1 / 120),
            vad={"talker": np.ones(N)},
        )
    return tmp_path / "LOCATA"


def figures(doatrack, tmp_path, *arguments):
    done = doatrack("evaluate", *arguments, *SRP, "--elevation", 0, 90, "--json", tmp_path / "f.json")
    assert done.exit_code == 0, done.stderr
    return done, json.loads((tmp_path / "f.json").read_text())["figures"]


def test_recordings_are_scored_by_task_and_tracks_have_their_names(doatrack, corpus, tmp_path):
    options = ("--tasks", "1,3", "--out", tmp_path / "tracks")
    done, groups = figures(doatrack, tmp_path, corpus, *options)
    assert list(groups) == ["task1", "task3", "all"]
    assert groups["task3"]["mae_deg"] < 4
    assert groups["all"]["n_scenes"] == 2
    assert "task3" in done.stdout
    names = sorted(path.name for path in (tmp_path / "tracks").iterdir())
    assert names == ["task1_dev_recording1.csv", "task3_dev_recording1.csv"]
    again, _ = figures(doatrack, tmp_path, corpus / "dev", *options)
    assert again.exit_code == 0


def test_a_task_of_several_sources_has_their_figures(doatrack, locata_corpus, tmp_path):
    mics, places = MicArray.from_preset("nao_head_12").positions, np.array([[0.6, 0.8, 0.0], [-0.6, -0.64, 0.48]])
    rng, waves = np.random.default_rng(1), np.zeros((12, N))
    bursts = 0.01 + (np.sin(np.arange(N) * 2 * np.pi * 3 / 48000) > 0)
    for place in places:
        delay = np.exp(2j * np.pi * np.fft.rfftfreq(N, 1 / 48000) * (mics @ place)[:, None] / 343)
        waves += 0.05 * np.fft.irfft(np.fft.rfft(rng.normal(size=N) * bursts) * delay, N)
    locata_corpus.write_recording(
        tmp_path / "LOCATA",
        "dev/task2/recording1/benchmark2",
        waves,
        mics=mics,
        position=np.zeros(3),
        rotation=np.eye(3),
        sources={name: 40 * place for name, place in zip(("left", "back"), places, strict=True)},
        times=np.arange(-0.004, 0.7, 1 / 120),
        vad={"left": np.ones(N), "back": np.ones(N)},
    )
    line = ("evaluate", tmp_path / "LOCATA", "--tasks", 2, *SRP, "--smoothing", "none", "--json", tmp_path / "f.json")
    done = doatrack(*line)
    assert done.exit_code == 0, done.stderr
    found = json.loads((tmp_path / "f.json").read_text())["figures"]["task2"]
    assert found["recall"] > 0.6
    assert found["precision"] > 0.6
    assert found["found_mae_deg"] < 4


def test_leading_silence_is_cut_on_request(doatrack, corpus, tmp_path):
    options = ("--tasks", "1", "--locata-array", "benchmark2")
    _, kept = figures(doatrack, tmp_path, corpus, *options)
    _, cut = figures(doatrack, tmp_path, corpus, *options, "--leading-silence", "cut")
    assert cut["all"]["n_frames"] < kept["all"]["n_frames"]
    assert cut["all"]["mae_deg"] < 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tasks", "2"), "holds no recording of task 2: there are tasks [1, 3]"),
        (("--tasks", "one"), "--tasks must be numbers with commas between them, such as 1,3,5, got 'one'"),
        (("--tasks", "9"), "task must be at least 1 and at most 6, got 9"),
        (("--locata-array", "dicit"), "task 1 has no recording of dicit, only of benchmark2"),
        (("--locata-array", "dumy"), "Did you mean 'dummy'?"),
        ((), "holds no recording of task 5: there are tasks [1, 3]"),
        (("--tasks", "1", "--leading-silence", "trim"), "leading_silence must be"),
    ],
)
def test_wrong_choices_are_refused(doatrack, corpus, arguments, message):
    done = doatrack("evaluate", corpus, *arguments, *SRP)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr


def test_choices_of_locata_for_another_set(doatrack, original):
    done = doatrack("evaluate", original, "--tasks", "1", *SRP)
    assert done.exit_code == 2
    assert f"--tasks choose parts of the LOCATA corpus, and {original} is none" in done.stderr
