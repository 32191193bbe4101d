import errno
import json
import os
import pathlib
import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from doatrack.exceptions import InvalidInputError, ModelFileError
from doatrack.persistence import read_model_file, write_model_file

HEADER = {"estimator": "A", "params": {"beta": 0.1, "name": "ü", "none": None, "list": [1, 2.5]}}


def raw_file(header: bytes, tail: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + tail


def with_model_header(text: str) -> bytes:
    return save({"a": np.zeros(2)}, metadata={"doatrack": text})


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.safetensors"
    write_model_file(path, HEADER, {"weight": np.arange(1000, dtype=np.float32), "scalar": np.array(2.5)})
    return path


@given(
    arrays=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda s: s != "__metadata__"),
        hnp.arrays(
            st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int8, np.uint8, np.bool_, ">f4"]),
            hnp.array_shapes(min_dims=0, min_side=0, max_dims=3),
        ),
        max_size=4,
    )
)
def test_round_trip_keeps_every_bit(tmp_path, arrays):
    path = tmp_path / "m.safetensors"
    write_model_file(path, HEADER, arrays)
    header, read = read_model_file(path)
    assert header == {**HEADER, "format_version": 1}
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert read[name].dtype == native.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == native.tobytes()


def test_strided_arrays_are_stored_by_value(tmp_path):
    table = np.arange(24.0).reshape(4, 6)
    write_model_file(tmp_path / "m", {}, {"a": table.T[::2, ::-1]})
    np.testing.assert_array_equal(read_model_file(tmp_path / "m")[1]["a"], table.T[::2, ::-1])


def test_arrays_read_may_be_changed(model):
    tensors = read_model_file(model)[1]
    tensors["weight"][0] = 7
    assert torch.from_numpy(tensors["weight"])[0] == 7


def test_same_content_gives_the_same_file(tmp_path, model):
    again = tmp_path / "again"
    write_model_file(again, HEADER, {"scalar": np.array(2.5), "weight": np.arange(1000, dtype=np.float32)})
    assert again.read_bytes() == model.read_bytes()


@pytest.mark.parametrize("cut", [0, 4, 8, 9, 50, -1, -2000])
def test_file_cut_off(model, cut):
    model.write_bytes(model.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match=r"m\.safetensors .*damaged"):
        read_model_file(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, this is no model at all", "is not a model file of doatrack"),
        (os.urandom(7), "is not a model file of doatrack"),
        (pickle.dumps({"a": 1}), "is a pickle, which can run code, and is not opened"),
        (raw_file(b"{" + b"x" * 50), "header is not JSON"),
        (raw_file(b'{"a":' + b"[" * 200_000), "header is not JSON"),
        (raw_file(b"{}", length=2**63), "is not a model file"),
        (raw_file(b"{}", length=50_000_000), "breaks off within its header"),
        (raw_file(b"{}"), "not a model file of doatrack: its metadata has no 'doatrack'"),
        (raw_file(b'{"__metadata__":{"doatrack":1}}'), "its metadata has no 'doatrack'"),
        (raw_file(b'{"__metadata__":[]}'), "its metadata has no 'doatrack'"),
        (save({"a": np.zeros(3)}), "its metadata has no 'doatrack'"),
        (with_model_header("no json"), "'doatrack' header is not JSON"),
        (with_model_header("[" * 100_000), "'doatrack' header is not JSON"),
        (with_model_header('{"format_version": ' + "9" * 5000 + "}"), "'doatrack' header is not JSON"),
        (with_model_header("[1]"), "has no format_version"),
        (with_model_header('{"format_version": true}'), "has no format_version"),
        (with_model_header('{"format_version": 2}'), "version 2, this doatrack reads version 1: install a newer"),
        (
            with_model_header('{"format_version": 0}'),
            "version 0, this doatrack reads version 1: read it with the doatrack",
        ),
    ],
)
def test_what_is_not_a_model_is_named(tmp_path, content, message):
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_model_file(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64", "shape": [2], "data_offsets": [0, 1 << 40]},
        {"dtype": "F64", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 16]},
        {"dtype": "F64", "shape": [-1], "data_offsets": [0, 16]},
        {"dtype": "O", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "BF16", "shape": [8], "data_offsets": [0, 16]},
        {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]},
        {"shape": [2]},
        [],
    ],
)
def test_hostile_tensor_entries(tmp_path, entry):
    metadata = {"doatrack": json.dumps({"format_version": 1})}
    path = tmp_path / "m"
    path.write_bytes(raw_file(json.dumps({"__metadata__": metadata, "a": entry}).encode(), bytes(16)))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_model_file(path)


def test_torch_checkpoint_is_not_opened(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "checkpoint.pt"
    torch.save({"weights": torch.zeros(3), "x": Harmful()}, path)
    with pytest.raises(ModelFileError, match=r"zip archive.*holds a pickle.*is not opened"):
        read_model_file(path)
    assert not (tmp_path / "ran").exists()


def test_header_as_long_as_a_pickle_mark_is_still_read(tmp_path):
    """A length that begins with the bytes 80 02 is a safetensors header of 640 bytes, not a pickle."""
    path = tmp_path / "m"
    write_model_file(path, {"note": ""}, {})
    note = "x" * (640 - int.from_bytes(path.read_bytes()[:8], "little"))
    write_model_file(path, {"note": note}, {})
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert read_model_file(path)[0]["note"] == note


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ModelFileError, match="nothing does not exist"):
        read_model_file(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        read_model_file(tmp_path)


@pytest.mark.parametrize(
    ("header", "tensors", "message"),
    [
        ({"a": object()}, {}, "header of the model file .* must be plain JSON"),
        ({}, {"a": np.zeros(2, dtype=complex)}, "'a' .*must hold real numbers.*complex128"),
        ({}, {"a": np.array([None])}, "'a' .*must hold real numbers.*object"),
    ],
)
def test_what_cannot_be_stored_is_refused(model, header, tensors, message):
    before = model.read_bytes()
    with pytest.raises(InvalidInputError, match=message):
        write_model_file(model, header, tensors)
    assert model.read_bytes() == before


def test_full_disk_keeps_the_old_model(model, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = model.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"m\.safetensors cannot be written: No space left on device"):
        write_model_file(model, {"new": 1}, {})
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_one_changed_bit_anywhere_is_noticed(tmp_path):
    """In a weight or in a number of the header it would be another model that loads."""
    path = tmp_path / "model.safetensors"
    write_model_file(path, {"gamma": 10.0}, {"weight": np.arange(8, dtype=np.float32)})
    whole = path.read_bytes()
    for place in range(8, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelFileError):
            read_model_file(path)


@pytest.mark.skipif(not pathlib.Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(ModelFileError, match=f"{path} is a device or a pipe, not a model file"):
            read_model_file(path)
