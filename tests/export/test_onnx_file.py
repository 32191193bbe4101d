import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.exceptions import NotFittedError

from doatrack import MUSIC, SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.exceptions import InvalidInputError
from doatrack.export import export_onnx, graph_of, model_metadata, quantize_int8
from doatrack.export.onnx_file import OPSET

ALL = [
    "srp",
    "weighted-srp",
    "map",
    "paper",
    *(pytest.param(k, marks=pytest.mark.slow) for k in ("neural-srp", "cross3d")),
]


def run(path, feeds):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, {k: v.numpy() for k, v in feeds.items()}), strict=True))


def feeds_of(tracker, signals):
    """Return the graph's inputs for recordings, and the directions that the tracker itself gives."""
    extractor = graph_of(tracker).extractor
    feeds, activity = [], []
    for recording in signals:
        stream = extractor.stream([recording])
        feeds.append(torch.cat(list(stream)))
        activity.append(torch.from_numpy(stream.activity()).float())
    wanted = {"correlations": torch.stack(feeds), "activity": torch.stack(activity)}
    return {name: wanted[name] for name in graph_of(tracker).inputs}


@pytest.mark.parametrize("name", ALL)
def test_onnxruntime_agrees_with_torch_for_any_number_of_recordings_and_frames(exported, name):
    tracker, signals, path = exported(name)
    feeds, graph = feeds_of(tracker, signals), graph_of(tracker)
    for shape in ((2, 15), (1, 1), (1, 7), (2, 10)):
        part = {key: value[: shape[0], : shape[1]] for key, value in feeds.items()}
        with torch.no_grad():
            expected = dict(zip(graph.outputs, graph(*part.values()), strict=True))
        found = run(path, part)
        assert set(found) == set(expected)
        for key, value in found.items():
            assert value.shape == tuple(expected[key].shape)
            scale = max(1.0, float(expected[key].abs().max()))
            np.testing.assert_allclose(value, expected[key].numpy(), atol=1e-4 * scale, rtol=0, err_msg=key)


@pytest.mark.parametrize("name", ALL)
def test_directions_are_those_of_predict(exported, name):
    tracker, signals, path = exported(name)
    doa = run(path, feeds_of(tracker, signals))["doa"]
    np.testing.assert_allclose(doa, tracker.predict(signals), atol=1e-4)


def test_concentrations_and_maps_are_those_of_the_tracker(exported):
    tracker, signals, path = exported("map")
    found = run(path, feeds_of(tracker, signals))
    np.testing.assert_allclose(found["concentration"][0], tracker.track(signals[0], smoothing=None).concentration, 1e-3)
    np.testing.assert_allclose(np.exp(found["log_posterior"]).sum(axis=-1), 1.0, atol=1e-4)
    srp, signals, path = exported("srp")
    np.testing.assert_allclose(run(path, feeds_of(srp, signals))["srp_map"], srp.predict_map(signals), atol=1e-5)


def test_a_stream_needs_the_frames_of_the_context(exported):
    tracker, signals, path = exported("map")
    context = graph_of(tracker).context
    whole = feeds_of(tracker, signals)["correlations"]
    late = run(path, {"correlations": whole[:, 12 - context :]})["log_posterior"][:, context:]
    np.testing.assert_allclose(late, run(path, {"correlations": whole})["log_posterior"][:, 12:], atol=1e-3)
    forgetful = run(path, {"correlations": whole[:, 12:]})["log_posterior"]
    assert np.abs(forgetful[:, 0] - late[:, 0]).max() > 1e-3


def test_only_standard_operators_of_the_stated_version(exported):
    model = onnx.load(exported("paper")[2])
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert "GRU" in {node.op_type for node in model.graph.node}
    names = [[axis.dim_param for axis in one.type.tensor_type.shape.dim][:2] for one in model.graph.input]
    assert names == [["n_recordings", "n_frames"]]


def test_the_metadata_is_what_a_program_needs(exported):
    tracker, _, path = exported("map")
    stored = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert stored == model_metadata(tracker)
    known = {name: json.loads(text) for name, text in stored.items()}
    extractor = graph_of(tracker).extractor
    np.testing.assert_array_equal(known["mic_positions"], tracker.array_.positions)
    np.testing.assert_array_equal(np.array(known["mic_positions"])[known["channel_order"]], extractor.array.positions)
    np.testing.assert_allclose(known["directions"], tracker.grid_.directions, atol=1e-8)
    np.testing.assert_allclose(known["lags"], extractor.lags, atol=1e-6)
    assert known["features"]["weighting"] == "whitened"
    assert (known["sample_rate"], known["win_length"], known["hop_length"]) == (16000, 4096, 3072)
    assert known["time_pooling"] == 1
    assert known["context_frames"] == 9
    assert known["map_scale"] == tracker._runtime().map_scale


def weight_bytes(path):
    return sum(len(onnx.numpy_helper.to_array(one).tobytes()) for one in onnx.load(path).graph.initializer)


@pytest.mark.parametrize("name", ["srp", "map", "paper"])
def test_eight_bits_are_smaller_and_hardly_turn_the_answer(exported, name, tmp_path):
    tracker, signals, path = exported(name)
    small = quantize_int8(path, tmp_path / "int8.onnx")
    assert weight_bytes(small) < 0.6 * weight_bytes(path)
    feeds = feeds_of(tracker, signals)
    whole, rounded = run(path, feeds), run(small, feeds)
    cosine = (whole["doa"] * rounded["doa"]).sum(axis=-1).clip(-1, 1)
    turned = np.degrees(np.arccos(cosine))[:, 4:]
    assert turned.mean() > 0
    assert np.median(turned) < 0.5
    # in these few frames of noise two peaks are often of one height, and either may be the higher one
    assert (turned > 3).mean() < 0.5
    stored = [onnxruntime.InferenceSession(one).get_modelmeta().custom_metadata_map for one in (path, small)]
    assert stored[0] == stored[1]


def test_what_cannot_be_exported_is_said(tmp_path):
    array = MicArray.from_preset("tetrahedron_4")
    with pytest.raises(NotFittedError):
        export_onnx(SRPPHAT(), tmp_path / "a.onnx")
    with pytest.raises(InvalidInputError, match="MUSIC cannot be exported: a graph starts from correlations"):
        export_onnx(MUSIC(n_directions=100).fit(np.zeros((4, 8000)), array), tmp_path / "a.onnx")
    with pytest.raises(InvalidInputError, match=r"Only trackers of one source .* got n_sources=2"):
        export_onnx(SRPPHAT(n_directions=100, n_sources=2).fit(np.zeros((4, 8000)), array), tmp_path / "a.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InvalidInputError, match=r"text\.onnx is no complete ONNX file"):
        quantize_int8(tmp_path / "text.onnx", tmp_path / "b.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"ONNX files need onnxscript: pip install 'doatrack\[onnx\]'"):
        export_onnx(PhysicsVAETracker.from_pretrained(), tmp_path / "a.onnx")
