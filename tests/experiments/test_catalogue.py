"""Experiments from beginning to end at smoke scale; a killed run goes on to the same figures."""

import dataclasses
import json
import math
import pathlib

import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.experiments import fitting, scoring
from doatrack.experiments.catalogue import EXPERIMENTS, chosen_methods, run_experiment, write_table
from doatrack.experiments.workspace import Workspace
from doatrack.training import TrainingLoop

SOME = ("srp-phat", "srp-phat-paper", "physics-vae", "neural-srp")


def read(space, name):
    return (space.folder / f"{name}.json").read_text(), (space.folder / f"{name}.md").read_text()


def test_experiment_1_has_all_methods_beside_the_paper(kept_space):
    rows = run_experiment(kept_space, "exp1", chosen_methods(None))
    content, text = read(kept_space, "exp1")
    assert json.loads(content)["rows"] == rows
    assert [row["method"] for row in rows] == [
        "srp-phat-paper",
        "srp-phat",
        "srp-phat+filter",
        "srp-phat+smoother",
        "physics-vae-paper",
        "physics-vae",
        "physics-vae+filter",
        "physics-vae+smoother",
        "cross3d",
        "neural-srp",
    ]
    by_name = {row["method"]: row for row in rows}
    assert by_name["neural-srp"]["published_deg"] == 3.2
    assert by_name["physics-vae-paper"]["published_deg"] == 5.5
    assert by_name["physics-vae-paper"]["reference"] == "srp-phat-paper"
    assert by_name["physics-vae+smoother"]["reference"] == "srp-phat+smoother"
    assert by_name["srp-phat"]["difference_deg"] is None
    assert all(0 < row["mae_deg"] <= row["rmse_deg"] < 180 for row in rows)
    line = next(line for line in text.splitlines() if line.startswith("| NeuralSRPTracker"))
    assert line.endswith("| 3.2 |")


def test_differences_are_those_of_the_rows(kept_space):
    rows = {row["method"]: row for row in run_experiment(kept_space, "exp1", chosen_methods(SOME))}
    gap = rows["physics-vae"]["mae_deg"] - rows["srp-phat"]["mae_deg"]
    assert rows["physics-vae"]["difference_deg"] == pytest.approx(gap)
    low, high = rows["physics-vae"]["difference_90_deg"]
    assert low <= gap <= high


@pytest.mark.parametrize("name", ["exp2-published", "exp2-continuous", "exp3"])
def test_other_experiments_start_from_the_weights_of_the_first(name, kept_space):
    rows = run_experiment(kept_space, name, chosen_methods(["srp-phat", "neural-srp"]))
    assert {row["set"] for row in rows} >= {"simulated-" + EXPERIMENT_SETS[name]}
    assert {row["method"] for row in rows} >= {"srp-phat", "neural-srp"}
    key = json.loads((kept_space.folder / f"models/{EXPERIMENT_SETS[name]}/neural-srp.json").read_text())["key"]
    first = kept_space.folder / "models/sensor/neural-srp.safetensors"
    assert key["start"] == fitting._sha256(first)


EXPERIMENT_SETS = {"exp2-published": "interferer-start", "exp2-continuous": "interferer", "exp3": "moved-mics"}


def test_table_5_grows_from_nothing_told_wrong(kept_space):
    rows = run_experiment(kept_space, "table5", chosen_methods(["physics-vae-paper", "neural-srp", "cross3d"]))
    assert len(rows) == 12  # Cross3D is told no positions
    for row in rows:
        if row["corruption_percent"] == 0:
            assert row["increase_percent"] == 0
    last = {row["method"]: row for row in rows if row["corruption_percent"] == 50}
    assert last["neural-srp"]["published_increase_percent"] == 147.8
    assert last["physics-vae-paper"]["published_deg"] == 16.5
    assert last["physics-vae-paper"]["reference"] == "neural-srp"
    assert "+147.8 %" in read(kept_space, "table5")[1]


def test_table_6_counts_the_networks_of_the_paper(kept_space):
    rows = run_experiment(
        kept_space, "table6", chosen_methods(["srp-phat", "physics-vae-paper", "physics-vae", "neural-srp"])
    )
    parameters = {row["method"]: row["n_parameters"] / 1e6 for row in rows}
    assert parameters == {
        "srp-phat": 0,
        "physics-vae-paper": pytest.approx(0.89, abs=0.005),
        "physics-vae": pytest.approx(0.0067, abs=0.0005),
        "neural-srp": pytest.approx(0.89, abs=0.005),
    }
    small = rows.pop(2)
    assert 0 < small["macs_per_pair"] < rows[1]["macs_per_pair"] / 5
    for row in rows[1:]:
        assert row["macs_per_pair"] / 1e6 == pytest.approx(168, abs=2)  # 103 frames fill 21 windows of 5
        assert row["rtf_1"] > 0
    assert "0.17" in read(kept_space, "table6")[1]


def test_figure_3_is_drawn(kept_space):
    pytest.importorskip("matplotlib")
    (row,) = run_experiment(kept_space, "figure3", chosen_methods(["physics-vae", "neural-srp"]))
    picture = kept_space.folder / row["picture"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 0 < row["mae_deg"] < 180
    assert row["picture"] in read(kept_space, "figure3")[1]


def test_rooms_need_a_folder_and_have_two_ways(kept_space):
    with pytest.raises(InvalidInputError, match="give their folder, --rooms"):
        run_experiment(kept_space, "rooms", chosen_methods(SOME))
    there = dataclasses.replace(kept_space, rooms=kept_space.folder / "scenes/test-sensor")
    rows = run_experiment(there, "rooms", chosen_methods(["srp-phat", "neural-srp"]))
    assert [(row["method"], row["way"]) for row in rows if row["smoothing"] is None] == [
        ("srp-phat", "moved to it"),
        ("neural-srp", "moved to it"),
        ("neural-srp", "trained for it"),
    ]


@pytest.mark.parametrize("moment", ["while learning", "while scoring"])
def test_a_killed_run_goes_on_to_the_same_figures(moment, space, tmp_path, monkeypatch):
    methods = chosen_methods(["srp-phat", "physics-vae-paper", "cross3d"])
    scale = dataclasses.replace(space.scale, n_epochs={"physics-vae-paper": 3, "cross3d": 3})
    killed = dataclasses.replace(space, scale=scale)
    whole = Workspace(tmp_path / "whole", scale)
    run_experiment(whole, "exp1", methods)
    with monkeypatch.context() as patch:
        if moment == "while learning":
            _die_after(patch, TrainingLoop, "run_epoch", 2)
        else:
            _die_after(patch, scoring, "truth_at_frames", 3)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(killed, "exp1", methods)
    assert not (killed.folder / "exp1.json").exists()
    run_experiment(killed, "exp1", methods)
    assert read(killed, "exp1") == read(whole, "exp1")
    assert not list(pathlib.Path(killed.folder).rglob("checkpoint*"))


def _die_after(patch, owner, name, calls):
    original = getattr(owner, name)
    count = iter(range(calls))

    def mortal(*arguments, **options):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    patch.setattr(owner, name, mortal)


def test_changed_parameters_are_followed(space):
    methods = chosen_methods(["physics-vae-paper"])
    first = run_experiment(space, "exp1", methods)
    parameters = {"physics-vae-paper": space.scale.parameters["physics-vae-paper"] | {"learning_rate": 0.1}}
    changed = dataclasses.replace(space, scale=dataclasses.replace(space.scale, parameters=parameters))
    second = run_experiment(changed, "exp1", methods)
    assert not math.isclose(first[0]["mae_deg"], second[0]["mae_deg"])


def test_weights_to_start_from(space, kept_space):
    methods = chosen_methods(["neural-srp"])
    run_experiment(kept_space, "exp1", methods)
    given = kept_space.folder / "models/sensor/neural-srp.safetensors"
    started = dataclasses.replace(space, starts={"neural-srp": given})
    run_experiment(started, "exp1", methods)
    key = json.loads((space.folder / "models/sensor/neural-srp.json").read_text())["key"]
    assert key["start"] == fitting._sha256(given)


def test_runs_with_different_methods_make_one_table(space, tmp_path):
    alone = run_experiment(space, "exp1", chosen_methods(["physics-vae"]))
    assert {row["method"].split("+")[0] for row in alone} == {"physics-vae"}
    assert all(row["difference_deg"] is None and row["reference"] is None for row in alone)
    merged = run_experiment(space, "exp1", chosen_methods(["srp-phat"]))
    assert [row["method"].split("+")[0] for row in merged] == ["srp-phat"] * 3 + ["physics-vae"] * 3
    assert [row["reference"] for row in merged[3:]] == ["srp-phat", "srp-phat+filter", "srp-phat+smoother"]
    together = Workspace(tmp_path / "together", space.scale)
    run_experiment(together, "exp1", chosen_methods(["srp-phat", "physics-vae"]))
    assert read(together, "exp1") == read(space, "exp1")


def test_tables_are_written_from_what_is_finished_alone(space):
    run_experiment(space, "exp1", chosen_methods(["srp-phat"]))
    kept = read(space, "exp1")
    for file in space.folder.glob("exp1.*"):
        file.unlink()
    assert write_table(space.folder, "exp2-published") == []
    assert not (space.folder / "exp2-published.md").exists()
    assert len(write_table(space.folder, "exp1")) == 3
    assert read(space, "exp1") == kept
    part = space.folder / "parts/sensor/simulated-sensor/srp-phat.json"
    part.write_text("{}")
    with pytest.raises(InvalidInputError, match=r"srp-phat\.json is no part of a run"):
        write_table(space.folder, "exp1")
    with pytest.raises(InvalidInputError, match="is not the folder of a run"):
        write_table(space.folder / "parts", "exp1")


def test_rows_on_other_scenes_are_not_compared(space):
    run_experiment(space, "exp1", chosen_methods(["srp-phat", "physics-vae"]))
    part = space.folder / "parts/sensor/simulated-sensor/physics-vae.json"
    kept = json.loads(part.read_text())
    kept["key"]["scenes"][0] = "elsewhere/sensor_99999.wav"
    part.write_text(json.dumps(kept))
    rows = {row["method"]: row for row in write_table(space.folder, "exp1")}
    assert rows["physics-vae"]["difference_deg"] is None
    assert rows["physics-vae+filter"]["difference_deg"] is not None


def test_unknown_names_are_refused(space):
    with pytest.raises(InvalidInputError, match="Did you mean 'exp1'"):
        run_experiment(space, "exp11", chosen_methods(None))
    with pytest.raises(InvalidInputError, match="Did you mean 'neural-srp'"):
        chosen_methods(["neural-srb"])
    assert set(EXPERIMENTS) >= {"exp1", "exp2-published", "exp2-continuous", "exp3", "table5", "table6", "figure3"}
