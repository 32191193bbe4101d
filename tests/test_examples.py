import pathlib
import runpy
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
SMALL = {  # options, what the output must say, files
    "first_track": (["--seconds", "2"], "mean error", ["track.csv"]),
    "fit_without_labels": (
        ["--scenes", "2", "--epochs", "1"],
        "fitted without labels: mean error",
        ["tracker.safetensors"],
    ),
    "check_a_setup": ([], "In the order that was found: Nothing wrong was found", []),
    "own_array": (["--seconds", "2"], "10 mm: mean error", ["array.json"]),
    "grid_search_without_labels": (["--scenes", "2", "--epochs", "1"], "chosen without labels", []),
    "simulate_a_set": (
        ["--scenes", "1"],
        "directional_00: reverberation",
        ["my_set/array.json", "my_set/sensor_00.wav"],
    ),
    "smooth_a_track": (["--seconds", "3"], "smoother: mean error", []),
    "two_talkers": (["--folder", "nowhere"], "simulated: azimuths", ["two_talkers.png"]),
    "plot_a_map": ([], "degrees from the truth", ["map.png"]),
    "uncertainty": (["--scenes", "2", "--epochs", "1"], "least sure half: mean error", []),
}


ELSEWHERE = {"track_onnx"}  # needs a model: tests/export/test_example.py


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SMALL) | ELSEWHERE


@pytest.mark.parametrize("name", sorted(SMALL))
def test_example_runs(name, tmp_path, monkeypatch, capsys):
    options, said, files = SMALL[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert said in capsys.readouterr().out
    assert all((tmp_path / file).stat().st_size > 0 for file in files)
