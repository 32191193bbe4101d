import importlib
import json
import pathlib
import runpy
import sys

import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray
from doatrack.datasets import ScoredSet, write_scored_set
from doatrack.simulation import SceneSettings, simulate_scene

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"
COMMANDS = sorted(path.name for path in FOLDER.glob("[!_]*.py"))
WITH_SECTION = ("accuracy", "features_accuracy", "fit_memory", "music_speed", "report", "simulation", "srp_phat_speed")


@pytest.fixture
def benchmark_module(monkeypatch):
    """Import a module of benchmarks/ and forget it afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def scored_set(tmp_path):
    """Two short scenes of a small array in two groups."""
    array = MicArray(0.05 * np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    settings = SceneSettings(duration_s=2.5, rt60_range=(0.2, 0.25), snr_db_range=(25.0, 30.0))
    scenes = [simulate_scene(array, settings, seed=seed) for seed in (1, 2)]
    write_scored_set(tmp_path / "set", scenes, array, ["quiet_0", "loud_0"])
    return tmp_path / "set"


@pytest.fixture
def locata(locata_corpus, tmp_path):
    """LOCATA's tasks 1, 3 and 5 with a recording each: bursts of a plane wave."""
    mics, doa, n = MicArray.from_preset("nao_head_12").positions, np.array([0.6, 0.64, 0.48]), 60000
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=n) * (0.01 + (np.arange(n) % 16000 < 9000)))
    delay = np.exp(2j * np.pi * np.fft.rfftfreq(n, 1 / 48000) * (mics @ doa)[:, None] / 343)
    for task in (1, 3, 5):
        locata_corpus.write_recording(
            tmp_path / "LOCATA",
            f"dev/task{task}/recording1/benchmark2",
            0.05 * np.fft.irfft(spectrum * delay, n),
            mics=mics,
            position=np.zeros(3),
            rotation=np.eye(3),
            sources={"talker": 40 * doa},
            times=np.arange(0, 1.25, 1 / 120),
            vad={"talker": np.ones(n)},
        )
    return tmp_path / "LOCATA"


@pytest.mark.parametrize("section", WITH_SECTION)
def test_page_names_the_command_and_has_a_place_for_its_table(section):
    page = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert f"{section}.py" in COMMANDS
    assert f"python benchmarks/{section}.py" in page
    assert page.count(f"<!-- {section}:start -->") == page.count(f"<!-- {section}:end -->") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(FOLDER / command), run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {command}")


def test_accuracy_on_a_simulated_set(benchmark_module, scored_set, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- accuracy:start -->\nearlier figures\n<!-- accuracy:end -->\nbelow\n")
    options = ["--no-shipped", "--no-recordings", "--json", str(tmp_path / "figures.json"), "--write", str(page)]
    assert benchmark_module("accuracy").main([str(scored_set), f"{scored_set}:quiet", *options]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    rows = figures["sets"]["set"]
    assert len(rows) == 6
    assert [row["n_scenes"] for row in rows] == [2] * 6
    assert figures["sets"]["set:quiet"][0]["n_scenes"] == 1
    best = next(row for row in rows if row["is_best_baseline"])
    assert best["mae_deg"] == min(row["mae_deg"] for row in rows) < 15
    for row in rows:
        low, high = row["difference_90_deg"]
        assert low - 1e-9 <= row["difference_deg"] <= high + 1e-9
        assert row["check"] is None or row["check"] < 0.01
    text = page.read_text()
    assert "earlier figures" not in text
    assert text.startswith("above\n<!-- accuracy:start -->")
    assert text.endswith("<!-- accuracy:end -->\nbelow\n")
    assert "SRPPHAT, hann, refined" in text
    assert "SRPPHAT, hann, refined" in capsys.readouterr().out


def test_accuracy_on_the_locata_corpus(benchmark_module, locata, tmp_path):
    options = ["--no-shipped", "--no-recordings", "--json", str(tmp_path / "figures.json")]
    assert benchmark_module("accuracy").main([str(locata), f"{locata}:task3", *options]) == 0
    sets = json.loads((tmp_path / "figures.json").read_text())["sets"]
    assert [sets[name][0]["n_scenes"] for name in ("LOCATA", "LOCATA:task3")] == [3, 1]
    assert min(row["mae_deg"] for row in sets["LOCATA"]) < 1


def test_motion_accuracy_on_a_simulated_set(benchmark_module, scored_set, tmp_path, capsys):
    options = ["--no-shipped", "--json", str(tmp_path / "figures.json")]
    benchmark_module("motion_accuracy").main([f"{scored_set}:quiet", *options])
    rows = {row["way"]: row for row in json.loads((tmp_path / "figures.json").read_text())["rows"]}
    joined = {
        f"{way}{how}" for way in ("filter", "smoother") for how in ("", ", modes", ", turning head", ", weighted logs")
    }
    assert set(rows) == {"frame by frame", "fixed lag", "most probable path", *joined}
    assert all(row["n_scenes"] == 1 and row["mae_deg"] < 15 for row in rows.values())
    gain = rows["smoother"]["mae_deg"] - rows["frame by frame"]["mae_deg"]
    assert rows["smoother"]["difference_deg"] == pytest.approx(gain)
    assert "set:quiet (1 scenes)" in capsys.readouterr().out


def test_motion_speed_gives_the_same_probabilities_both_ways(benchmark_module, tmp_path):
    options = ["--n-azimuths", "16", "--repeats", "2", "--threads", "1", "--json", str(tmp_path / "figures.json")]
    benchmark_module("motion_speed").main(options)
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert len(rows) == 16
    assert max(row["difference"] for row in rows) < 1e-4


def test_features_accuracy_on_a_simulated_set(benchmark_module, scored_set, tmp_path, capsys):
    kinds = ("phat", "whitened", "snr, causal")
    options = ["--features", *kinds, "--json", str(tmp_path / "figures.json")]
    benchmark_module("features_accuracy").main([f"{scored_set}:quiet", *options])
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    ways = ("frame by frame", "filter", "smoother")
    assert [(row["features"], row["way"]) for row in rows] == [(kind, way) for kind in kinds for way in ways]
    assert len({row["mae_deg"] for row in rows}) == 9
    assert all(row["n_scenes"] == 1 and row["mae_deg"] < 20 for row in rows)
    for row, plain in zip(rows[3:], rows[:3] * 2, strict=True):
        assert row["difference_deg"] == pytest.approx(row["mae_deg"] - plain["mae_deg"])
    assert "set:quiet (1 scenes)" in capsys.readouterr().out


@pytest.mark.parametrize("section", ["motion_accuracy", "motion_speed"])
def test_the_page_about_motion_names_the_command_and_has_a_place_for_its_table(section):
    page = (FOLDER.parent / "docs" / "motion.md").read_text(encoding="utf-8")
    assert f"python benchmarks/{section}.py --write docs/motion.md" in page
    assert page.count(f"<!-- {section}:start -->") == page.count(f"<!-- {section}:end -->") == 1


def test_the_page_about_several_sources_has_a_place_for_its_table():
    page = (FOLDER.parent / "docs" / "several_sources.md").read_text(encoding="utf-8")
    assert "python benchmarks/multi_source.py --write docs/several_sources.md" in page
    assert page.count("<!-- multi_source:start -->") == page.count("<!-- multi_source:end -->") == 1


def test_multi_source_compares_with_the_peaks_of_the_map(benchmark_module, tmp_path, capsys):
    options = ["--array", "tetrahedron_4", "--scenes", "2", "--seconds", "1.5", "--fit-scenes", "0", "--no-shipped"]
    options += ["--speech", str(tmp_path / "none"), "--json", str(tmp_path / "figures.json")]
    benchmark_module("multi_source").main(options)
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [row["way"] for row in rows] == ["frame by frame", "filter", "smoother"]
    assert rows[0]["difference_deg"] == 0
    assert all(0 <= row["ospa_deg"] <= 30 for row in rows)
    assert "SRPPHAT, two separated peaks" in capsys.readouterr().out


def test_a_page_without_markers_is_left_alone(benchmark_module, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- accuracy:end -->\n<!-- accuracy:start -->\n")
    with pytest.raises(ValueError, match="once each, in this order"):
        benchmark_module("_report").write_section(page, "accuracy", "new")
    assert page.read_text() == "<!-- accuracy:end -->\n<!-- accuracy:start -->\n"


def test_both_references_find_a_plane_wave(benchmark_module, rng):
    pytest.importorskip("pyroomacoustics")
    module = benchmark_module("srp_phat_speed")
    grid = module.DirectionGrid.quasi_uniform(60)
    array = MicArray.from_preset("nao_head_12")
    source = grid.directions[17]
    frequency = np.arange(module.WIN // 2 + 1) * module.SAMPLE_RATE / module.WIN
    early = (array.positions @ source / module.SPEED_OF_SOUND)[:, None]
    spectra = np.exp(2j * np.pi * (frequency * early + rng.random(len(frequency))))
    for locate in (module.NumpySRP(array, grid).locate, module.pyroomacoustics_srp(array, grid, precompute=False)):
        assert locate(spectra) == pytest.approx(source, abs=1e-9)


def test_music_here_and_in_pyroomacoustics_are_the_same_map(benchmark_module, tmp_path, capsys):
    pytest.importorskip("pyroomacoustics")
    options = ["--array", "tetrahedron_4", "--n-directions", "60", "--duration", "3", "--frames", "2", "--repeats", "1"]
    benchmark_module("music_speed").main([*options, "--threads", "1", "--json", str(tmp_path / "figures.json")])
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [row["kind"] for row in rows] == ["NormMUSIC"] * 3 + ["MUSIC"] * 3
    assert max(row["map_difference"] for row in rows) < 1e-3
    assert max(row["difference_deg"] for row in rows) < 1e-5
    assert "times as fast as pyroomacoustics" in capsys.readouterr().out


def test_accuracy_of_the_classical_methods(benchmark_module, scored_set, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- classical:start -->\nearlier figures\n<!-- classical:end -->\n")
    options = ["--classical", "--no-shipped", "--no-recordings", "--write", str(page)]
    assert benchmark_module("accuracy").main([f"{scored_set}:quiet", *options]) == 0
    text = page.read_text()
    assert "earlier figures" not in text
    assert text.count("| SRPPHAT |") == text.count("| MUSIC, plain |") == text.count("| DML, common noise |") == 1
    # no two pairs of this array have one displacement
    assert "| ESPRIT |" not in text


def test_the_page_of_the_classical_methods_names_the_command_and_has_a_place_for_its_table():
    page = (FOLDER.parent / "docs" / "classical.md").read_text(encoding="utf-8")
    assert "python benchmarks/accuracy.py --classical" in page
    assert page.count("<!-- classical:start -->") == page.count("<!-- classical:end -->") == 1


def test_the_report_runs_in_one_command(benchmark_module, tmp_path, capsys):
    pytest.importorskip("pyroomacoustics")
    page = tmp_path / "page.md"
    page.write_text("<!-- report:start -->\nearlier figures\n<!-- report:end -->\n")
    options = ["--quick", "--json", str(tmp_path / "figures.json"), "--write", str(page)]
    benchmark_module("report").main(options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {row["task"] for row in figures["methods"]} == {"SRP-PHAT", "MUSIC"}
    # nothing is faster than its floor, whatever the machine: the floor is a bound
    assert all(row["floor_s"] < row["processor_s"] for row in figures["methods"])
    assert all(row["floor_rtf"] < row["rtf_processor"] for row in figures["networks"])
    assert 0 < figures["map_product_share"] < 30
    assert figures["simulation"][0]["relative_error"] < 0.02
    assert figures["live"][0]["method"] == "PhysicsVAETracker, shipped, causal"
    assert all(row["frame_s"] > 0 and row["rtf_processor"] > 0 for row in figures["live"])
    assert {(row["method"], row["threads"]) for row in figures["threads"]} >= {("SRPPHAT, grid", n) for n in (1, 2)}
    axes = {"microphones", "directions", "sources, with the filter", "seconds, from disk"}
    assert {row["axis"] for row in figures["scaling"]} == axes
    assert "earlier figures" not in page.read_text()
    assert "Floor:" in capsys.readouterr().out


def test_peak_memory_sees_what_is_allocated(benchmark_module):
    seen = benchmark_module("_machine").peak_memory(lambda: np.ones(5_000_000).sum())
    if seen is None:
        pytest.skip("the system does not tell the peak of its memory")
    assert 30e6 < seen < 80e6


def test_more_work_takes_a_higher_floor(benchmark_module):
    machine = benchmark_module("_machine").Machine(flops=1e9, bandwidth=1e9)
    assert machine.floor(2e9, 1e9) == 2.0
    assert machine.floor(1e9, 3e9) == 3.0


def test_eight_bits_cost_size_and_hardly_degrees(benchmark_module, scored_set, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    for kind, name in (("omni", "quiet_0"), ("directional", "loud_0")):
        for suffix in (".wav", ".csv", ".json"):
            (scored_set / f"{name}{suffix}").rename(scored_set / f"{kind}_0{suffix}")
    scenes = ScoredSet(scored_set)
    tracker = SRPPHAT(n_directions=300).fit(np.zeros((4, 4096)), scenes.array)
    rows = benchmark_module("onnx_int8").measure("SRP", tracker, scenes)
    assert [row[1] for row in rows] == ["torch", "onnxruntime", "onnxruntime, int8"]
    assert float(rows[2][2]) <= float(rows[1][2])
    assert rows[0][4:6] == rows[1][4:6]
    assert float(rows[2][-1].split(" / ")[0]) < 3


def test_the_page_about_onnx_names_the_command_and_has_a_place_for_its_table():
    page = (FOLDER.parent / "docs" / "onnx.md").read_text(encoding="utf-8")
    assert "python benchmarks/onnx_int8.py" in page
    assert page.count("<!-- onnx:start -->") == page.count("<!-- onnx:end -->") == 1


def test_the_profile_of_an_epoch_names_every_stage(benchmark_module, tmp_path):
    line = ["--scenes", "2", "--duration", "2", "--array", "tetrahedron_4", "--encoder", "map"]
    benchmark_module("epoch_profile").main([*line, "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["seconds"]) == {
        *("simulation", "features", "targets", "data", "forward", "backward", "optimiser"),
    }
    assert min(figures["seconds"].values()) > 0
    assert figures["n_steps"] == 1


@pytest.mark.slow
def test_noise_changes_on_one_simulated_scene(benchmark_module, tmp_path, capsys):
    module = benchmark_module("noise_changes")
    page = tmp_path / "page.md"
    page.write_text("<!-- noise_changes:start -->\n<!-- noise_changes:end -->\n")
    module.main(["--scenes", "1", "--seconds", "8", "--json", str(tmp_path / "all.json"), "--write", str(page)])
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert len(rows) == len(module.PLAYS) * len(module.WAYS) * 2
    for row in rows:
        known = [error for error in row["quarters_mae_deg"] if np.isfinite(error)]
        assert min(known) <= row["mae_deg"] <= max(known)
    quiet = [row["mae_deg"] for row in rows if row["plays"] == "never" and row["joined_by"] == "smoother"]
    assert max(quiet) < 20
    assert capsys.readouterr().out.count("| never | smoother |") == page.read_text().count("| never | smoother |") == 2


@pytest.mark.parametrize(("n_mics", "left_out"), [(12, ", no dereverberation"), (7, ", dereverberation")])
def test_comparison_measures_no_causal_tracker_twice(benchmark_module, n_mics, left_out):
    comparison, array = benchmark_module("comparison"), MicArray(np.random.default_rng(0).normal(size=(n_mics, 3)))
    same = [name for name in comparison.SHIPPED if comparison._is_the_default(name, array)]
    assert same == ["shipped tracker, causal" + left_out]


def test_comparison_on_simulated_scenes(benchmark_module, tmp_path, capsys):
    options = ["--data", str(tmp_path), "--simulated", "1", "--only", "SRP-PHAT", "--only-set", "random arrays, sensor"]
    benchmark_module("comparison").main([*options, "--json", str(tmp_path / "all.json")])
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert {row["set"] for row in rows} == {
        "simulated, random arrays, sensor noise",
        "simulated, clearer speech, random arrays, sensor noise",
    }
    assert [row["smoothing"] for row in rows] == [None, "filter", "smoother"] * 2
    assert all(0 < row["mae_deg"] < 180 and row["n_scenes"] == 1 for row in rows)
    assert "clearer speech" in capsys.readouterr().out
