"""`doatrack evaluate`, held against the scoring script that others use."""

import importlib.util
import json
import pathlib
import shutil

import numpy as np
import pytest

from doatrack import ESPRIT, metrics
from doatrack.cli._figures import evaluation
from doatrack.cli._trackers import Trackers
from doatrack.datasets import ScoredSet, write_scored_set
from doatrack.exceptions import InvalidInputError
from doatrack.simulation import SceneSettings, simulate_scene
from doatrack.tracking import MultiTrack, Track

SRP = ("--method", "srp-phat")


@pytest.fixture(scope="module")
def score(request):
    """The functions of score.py."""
    file = request.getfixturevalue("shared_data") / "score.py"
    spec = importlib.util.spec_from_file_location("score", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference(score, truth_folder, track_folder):
    """Return MAE, RMSE, median, within 5 and 10 by group, as score.py has them."""
    groups = {}
    for file in sorted(pathlib.Path(truth_folder).glob("*.csv")):
        truth = np.loadtxt(file, delimiter=",", skiprows=1)
        rows = np.loadtxt(track_folder / file.name, delimiter=",", skiprows=1, usecols=(0, 1, 2, 3), ndmin=2)
        groups.setdefault(file.stem.split("_")[0], []).append(score.frame_errors(truth, rows))
    groups["all"] = [errors for group in list(groups.values()) for errors in group]
    pooled = {name: np.concatenate(errors) for name, errors in groups.items()}
    return {
        name: (e.mean(), np.sqrt((e**2).mean()), np.median(e), (e <= 5).mean(), (e <= 10).mean(), len(e))
        for name, e in pooled.items()
    }


def assert_agrees(figures, expected):
    assert set(figures) == set(expected)
    for name, values in expected.items():
        ours = figures[name]
        keys = ("mae_deg", "rmse_deg", "median_deg", "within_5_deg", "within_10_deg")
        np.testing.assert_allclose([ours[key] for key in keys[:3]], values[:3], atol=0.01)
        np.testing.assert_allclose([ours[key] for key in keys[3:]], values[3:5], atol=1e-9)
        assert ours["n_frames"] == values[5]


def run(doatrack, tmp_path, *arguments):
    done = doatrack("evaluate", *arguments, "--out", tmp_path / "tracks", "--json", tmp_path / "figures.json")
    assert done.exit_code == 0, done.stderr
    return done, json.loads((tmp_path / "figures.json").read_text())["figures"]


def test_figures_are_those_of_the_script_and_of_the_table(doatrack, original, tmp_path, score):
    done, figures = run(doatrack, tmp_path, original, *SRP)
    assert_agrees(figures, reference(score, original, tmp_path / "tracks"))
    rows = {line.split()[1]: line.split("│") for line in done.stdout.splitlines() if line.startswith("│")}
    assert list(rows) == ["noisy", "quiet", "all"]
    for name, cells in rows.items():
        assert [float(cells[k]) for k in (4, 5, 6)] == [
            round(figures[name][key], 2) for key in ("mae_deg", "rmse_deg", "median_deg")
        ]
        assert [int(cells[k]) for k in (2, 3)] == [figures[name]["n_scenes"], figures[name]["n_frames"]]
        assert float(cells[7]) == round(figures[name]["azimuth_mae_deg"], 2)
        assert cells[8].strip() == f"{figures[name]['within_5_deg']:.1%}"


def test_figures_of_a_shared_set_are_those_of_the_script(doatrack, shared_data, tmp_path, score):
    part = tmp_path / "set"
    part.mkdir()
    for file in (shared_data / "bench_nao").iterdir():
        if file.stem in ("omni_00", "directional_00", "array"):
            shutil.copy(file, part)
    _, figures = run(doatrack, tmp_path, part, *SRP)
    assert_agrees(figures, reference(score, part, tmp_path / "tracks"))
    assert set(figures) == {"omni", "directional", "all"}


def test_a_learned_tracker_also_tells_its_coverage(doatrack, original, model, tmp_path):
    done, figures = run(doatrack, tmp_path, original, "--model", model)
    assert 0 <= figures["all"]["in_cone"] <= 1
    assert f"{figures['all']['in_cone']:.1%}" in done.stdout


def test_the_region_and_another_array_change_the_figures(doatrack, original, tmp_path):
    _, figures = run(doatrack, tmp_path, original, *SRP)
    _, behind = run(doatrack, tmp_path, original, *SRP, "--azimuth", "0", "1")
    assert behind["all"]["mae_deg"] > figures["all"]["mae_deg"]
    _, flat = run(doatrack, tmp_path, original, *SRP, "--array", "respeaker_usb_4")
    assert flat["all"]["mae_deg"] > figures["all"]["mae_deg"]


def test_silence_has_no_figures():
    track = Track([0.1, 0.3], [[1.0, 0, 0]] * 2, [1.0, 1.0], [0.3, 0.3], [False, False])
    truth = np.array([[t, 1, 0, 0, 0] for t in np.arange(0, 0.4, 0.02)])
    figures = evaluation([("a_0", truth, track)])
    assert figures["all"] == figures["a"]
    assert (figures["a"]["n_frames"], figures["a"]["mae_deg"], figures["a"]["in_cone"]) == (0, None, None)


def test_a_broken_recording_is_left_out_of_the_figures(doatrack, scenes, tmp_path):
    (scenes / "quiet_01.wav").write_bytes((scenes / "quiet_01.wav").read_bytes()[:5000])
    done = doatrack("evaluate", scenes, *SRP, "--json", tmp_path / "figures.json")
    assert done.exit_code == 1
    assert "quiet_01.wav is cut off" in done.stderr
    assert "1 of 3 scenes are left out" in done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["figures"]["all"]["n_scenes"] == 2
    for path in scenes.glob("*.wav"):
        path.write_bytes(path.read_bytes()[:5000])
    done = doatrack("evaluate", scenes, *SRP)
    assert (done.exit_code, "there are no figures" in done.stderr) == (1, True)


def test_nothing_of_the_user_is_written_over(doatrack, scenes, tmp_path):
    before = (scenes / "quiet_00.csv").read_bytes()
    done = doatrack("evaluate", scenes, *SRP, "--out", scenes)
    assert done.exit_code == 2
    assert "was not written by 'doatrack track'" in done.stderr
    assert (scenes / "quiet_00.csv").read_bytes() == before
    done = doatrack("evaluate", scenes, *SRP, "--json", scenes / "array.json")
    assert (done.exit_code, "was not written by 'doatrack evaluate'" in done.stderr) == (2, True)
    figures = tmp_path / "figures.json"
    for _ in range(2):
        assert doatrack("evaluate", scenes, *SRP, "--json", figures).exit_code == 0


def test_places_that_cannot_be_written_to_are_refused_before_any_work(doatrack, scenes, tmp_path):
    (tmp_path / "file").write_text("mine")
    for option in ("--json", "--out"):
        done = doatrack("evaluate", scenes, *SRP, option, tmp_path / "file" / "new" / "a.json")
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"must be a folder, but {tmp_path / 'file'} is a file. Choose another name." in done.stderr
    if pathlib.Path("/dev/zero").exists():
        done = doatrack("evaluate", scenes, *SRP, "--json", "/dev/zero")
        assert (done.exit_code, "/dev/zero exists and was not written by" in done.stderr) == (2, True)


def test_a_truth_of_which_nothing_counts_is_said(doatrack, scenes):
    for path in scenes.glob("*_0?.csv"):
        path.write_text("time_s,x,y,z,active\n100,1,0,0,1\n101,1,0,0,1\n")
    done = doatrack("evaluate", scenes, *SRP)
    assert done.exit_code == 0
    assert f"Note: no frame of {scenes} counts." in done.stderr
    assert "its times are not those of the recordings" in done.stderr


@pytest.mark.parametrize("missing", ["quiet_00.csv", "array.json"])
def test_a_set_that_is_none_is_named(doatrack, scenes, missing):
    (scenes / missing).unlink()
    shutil.copy(scenes / "quiet_00.wav", scenes / "quiet_00.flac")
    done = doatrack("evaluate", scenes, *SRP)
    assert done.exit_code == 2
    assert f"Missing: {scenes / missing}." in done.stderr  # once, whatever the number of recordings of that name
    assert "array.json" in done.stderr
    assert "NAME.csv" in done.stderr
    assert doatrack("evaluate", scenes / "nowhere", *SRP).exit_code == 2


def test_one_group_is_not_repeated(doatrack, scenes):
    for path in scenes.glob("noisy*"):
        path.unlink()
    shown = doatrack("evaluate", scenes, *SRP).stdout
    assert "quiet" in shown
    assert "all" not in shown


def test_the_azimuth_error_is_that_of_the_azimuth_alone():
    above = [np.cos(0.5), 0, np.sin(0.5)]
    track = Track([0.1, 0.3], [above] * 2, [1.0, 1.0], [0.3, 0.3], [True, True])
    truth = np.array([[t, np.cos(0.1), np.sin(0.1), 0, 1] for t in np.arange(0, 0.4, 0.02)])
    figures = evaluation([("a_0", truth, track)])["a"]
    assert figures["azimuth_mae_deg"] == pytest.approx(np.degrees(0.1))
    assert figures["mae_deg"] > 28


def test_smoothing_and_features_change_the_figures(doatrack, original, tmp_path):
    figures = {}
    for smoothing, features in (("none", "phat"), ("filter", "phat"), ("smoother", "phat"), ("smoother", "whitened")):
        file = tmp_path / f"{smoothing}-{features}.json"
        line = ("evaluate", original, *SRP, "--smoothing", smoothing, "--features", features, "--json", file)
        done = doatrack(*line)
        assert done.exit_code == 0, done.stderr
        content = json.loads(file.read_text())
        assert (content["smoothing"], content["features"]) == (smoothing, features)
        figures[smoothing, features] = content["figures"]["all"]["mae_deg"]
    assert len(set(figures.values())) == 4
    usual = json.loads((tmp_path / "smoother-phat.json").read_text())["figures"]
    file = tmp_path / "usual.json"
    assert doatrack("evaluate", original, *SRP, "--json", file).exit_code == 0
    assert json.loads(file.read_text())["figures"] == usual
    wrong = doatrack("evaluate", original, "--smoothing", "yes")
    assert wrong.exit_code == 2
    assert "--smoothing must be one of the known names, got 'yes'" in wrong.stderr


@pytest.fixture(scope="module")
def talkers(tmp_path_factory, array):
    """A set of one scene with two talkers and one with one."""
    folder = tmp_path_factory.mktemp("talkers") / "set"
    ranges = {"duration_s": 2.0, "rt60_range": (0.2, 0.2), "snr_db_range": (20, 20)}
    scenes = [simulate_scene(array, SceneSettings(**ranges, n_sources=n), seed=n) for n in (2, 1)]
    write_scored_set(folder, scenes, array, ["two_0", "one_0"])
    return folder


def test_several_sources_are_scored_by_the_metrics_for_them(doatrack, talkers, tmp_path):
    done, figures = run(doatrack, tmp_path, talkers, *SRP)
    scenes = ScoredSet(talkers)
    truths = [truth if truth.ndim == 3 else truth[None] for truth in scenes.truths]
    tracks = [MultiTrack.from_csv(tmp_path / "tracks" / f"{name}.csv") for name in scenes.names]
    assert all(track.doa.shape[1] == 2 for track in tracks)
    given = {"active_pred": [track.activity for track in tracks], "frame_times": [track.times for track in tracks]}
    doa = [track.doa for track in tracks]
    found = metrics.detect_sources(truths, doa, **given)
    assert figures["all"]["ospa_deg"] == pytest.approx(metrics.ospa_deg(truths, doa, **given), abs=1e-3)
    assert figures["all"]["recall"] == pytest.approx(found.recall)
    assert figures["all"]["precision"] == pytest.approx(found.precision)
    assert figures["all"]["n_switches"] == found.n_switches
    assert set(figures) == {"two", "one", "all"}
    assert figures["one"]["precision"] < figures["one"]["recall"]  # a second source is invented
    assert f"{figures['two']['recall']:.1%}" in done.stdout
    assert "OSPA" in done.stdout
    assert "MAE" not in done.stdout.replace("MAE of found", "")


def test_the_number_of_sources_may_be_chosen(doatrack, talkers, tmp_path):
    _, both = run(doatrack, tmp_path, talkers, *SRP)
    _, single = run(doatrack, tmp_path, talkers, *SRP, "--sources", "1")
    assert single["one"]["precision"] > both["one"]["precision"]
    assert single["two"]["recall"] <= both["two"]["recall"] <= 1
    with pytest.raises(InvalidInputError, match="2 sources need a method that follows several, got esprit"):
        Trackers("esprit", None, None, None).of_several(ESPRIT(), 2)


def test_nobody_talks_in_a_truth_of_several():
    silent = np.array([[[t, 1, 0, 0, 0] for t in np.arange(0, 0.4, 0.02)]] * 2)
    track = MultiTrack([0.1, 0.3], [[[1.0, 0, 0]] * 2] * 2, [[1.0] * 2] * 2, [[0.3] * 2] * 2, [[False] * 2] * 2)
    figures = evaluation([("a_0", silent, track)])["all"]
    assert (figures["n_frames"], figures["ospa_deg"], figures["recall"]) == (0, None, None)
