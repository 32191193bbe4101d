"""The classical methods on the command line."""

import json

import numpy as np
import pytest

from doatrack import DML, ESPRIT, MUSIC, MicArray, Track
from doatrack.datasets import write_scored_set
from doatrack.simulation import SceneSettings, simulate_scene

METHODS = {"music": MUSIC(normalised=False), "norm-music": MUSIC(), "dml": DML()}


@pytest.mark.parametrize("method", METHODS)
def test_track_gives_what_the_estimator_gives(doatrack, original, array, tmp_path, method):
    recording = original / "quiet_00.wav"
    done = doatrack("track", recording, "--method", method, "--array", "tetrahedron_4", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    expected = METHODS[method].fit(recording, array).track(recording)
    assert np.allclose(Track.from_csv(tmp_path / "out" / "quiet_00.csv").doa, expected.doa, atol=1e-7)


def test_esprit_is_refused_with_the_reason_where_the_array_has_no_shifts(doatrack, original, tmp_path):
    done = doatrack(
        "track", original / "quiet_00.wav", "--method", "esprit", "--array", "tetrahedron_4", "--out", tmp_path
    )
    assert done.exit_code == 2
    assert "ESPRIT needs two microphones or more whose copies" in " ".join(done.stderr.split())


def test_evaluate_with_esprit_on_an_array_with_shifts(doatrack, tmp_path):
    array = MicArray.from_preset("frl_octahedral_7")
    settings = SceneSettings(duration_s=2.0, rt60_range=(0.2, 0.25), snr_db_range=(25, 30))
    write_scored_set(tmp_path / "set", [simulate_scene(array, settings, seed=1)], array, ["one_0"])
    done = doatrack("evaluate", tmp_path / "set", "--method", "esprit", "--json", tmp_path / "figures.json")
    assert done.exit_code == 0, done.stderr
    assert '"method": "esprit"' in json.dumps(json.loads((tmp_path / "figures.json").read_text()))


@pytest.mark.parametrize(("method", "other"), [("music", "norm-music"), ("norm-music", "music"), ("dml", "esprit")])
def test_a_model_file_of_another_method_is_named(doatrack, original, tmp_path, method, other):
    array = MicArray.from_preset("respeaker_usb_4")
    tracker = {**METHODS, "esprit": ESPRIT()}[other]
    tracker.fit(np.zeros((4, 4096)), array).save(tmp_path / "model.safetensors")
    line = ("track", original / "quiet_00.wav", "--model", tmp_path / "model.safetensors", "--out", tmp_path / "out")
    done = doatrack(*line, "--method", method)
    assert done.exit_code == 2
    assert f"Use --method {other}." in " ".join(done.stderr.split())
