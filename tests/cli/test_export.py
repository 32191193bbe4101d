"""`doatrack export`."""

import json
import sys

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


def metadata(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}


def test_a_saved_model_becomes_a_file_that_runs(doatrack, model, array, tmp_path):
    said = doatrack("export", model, "--out", tmp_path / "small.onnx")
    assert said.exit_code == 0, said.stderr
    assert "small.onnx: PhysicsVAETracker for tetrahedron_4, " in said.stdout
    known = metadata(tmp_path / "small.onnx")
    np.testing.assert_array_equal(known["mic_positions"], array.positions)


def test_srp_phat_for_an_array_with_eight_bits(doatrack, tmp_path):
    options = ("--array", "tetrahedron_4", "--features", "whitened", "--out", tmp_path / "srp.onnx")
    whole, small = doatrack("export", "srp-phat", *options), doatrack("export", "srp-phat", *options, "--int8")
    assert whole.exit_code == 0, whole.stderr
    assert small.exit_code == 2
    assert "exists and is not written over" in small.stderr
    size = (tmp_path / "srp.onnx").stat().st_size
    assert metadata(tmp_path / "srp.onnx")["features"]["weighting"] == "whitened"
    assert doatrack("export", "srp-phat", *options, "--int8", "--overwrite").exit_code == 0
    assert (tmp_path / "srp.onnx").stat().st_size < 0.8 * size


def test_wrong_use_is_said_before_any_work(doatrack, model, tmp_path, monkeypatch):
    out = ("--out", tmp_path / "a.onnx")
    for arguments, said in (
        (("srp-phat", *out), "srp-phat needs the geometry"),
        ((model, *out, "--features", "snr"), "--features goes with srp-phat"),
        (("nao_haed_12", *out), "nao_haed_12"),
        ((model, "--out", tmp_path / "missing" / "a.onnx"), "must lie in a folder that exists"),
    ):
        wrong = doatrack("export", *arguments)
        assert wrong.exit_code == 2
        assert said in wrong.stderr
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'doatrack[onnx]'" in doatrack("export", model, *out).stderr
    assert not (tmp_path / "a.onnx").exists()
