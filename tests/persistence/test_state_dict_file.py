"""Others' state dicts: exactly the names and shapes expected, and nothing that could run."""

import pathlib
import pickle

import pytest
import torch

from doatrack.exceptions import ModelFileError
from doatrack.persistence import read_state_dict

SHAPES = {"linear.weight": (3, 2), "linear.bias": (3,), "norm.num_batches_tracked": ()}


def content():
    return {
        "linear.weight": torch.arange(6.0).view(3, 2),
        "linear.bias": torch.ones(3),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def saved(folder, value):
    torch.save(value, folder / "net.bin")
    return folder / "net.bin"


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_tensors_come_back_under_their_own_names(tmp_path, wrapper, prefix):
    state = {prefix + k: v for k, v in content().items()}
    path = saved(tmp_path, state if wrapper is None else {wrapper: state, "epoch": 3})
    read = read_state_dict(path, SHAPES)
    assert set(read) == set(SHAPES)
    assert all(torch.equal(read[k], v) for k, v in content().items())
    assert read_state_dict(str(path), SHAPES).keys() == read.keys()


def without(name):
    return {k: v for k, v in content().items() if k != name}


REFUSED = {
    "missing": (without("linear.bias"), r"another network: it lacks linear\.bias\."),
    "unexpected": (content() | {"extra": torch.ones(1)}, r"another network: it has extra besides\."),
    "both": (without("linear.bias") | {"b": torch.ones(3)}, r"it lacks linear\.bias and it has b besides"),
    "many": (content() | {f"x{k}": torch.ones(1) for k in range(9)}, r"it has x0, x1, x2, x3 and 5 more besides"),
    "shape": (
        content() | {"linear.weight": torch.ones(2, 3)},
        r"another size: linear\.weight must have the shape \(3, 2\), got \(2, 3\)",
    ),
    "not finite": (
        content() | {"linear.bias": torch.tensor([1.0, float("nan"), 0.0])},
        r"linear\.bias that are not fin",
    ),
    "a tensor": (torch.ones(3), r"must hold a state dict, names with their tensors, got Tensor"),
    "numbers": ({"linear.weight": 3.0}, r"must hold a state dict"),
    "a list": ([torch.ones(2)], r"must hold a state dict.*got list"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_another_networks_file_is_refused_by_name(tmp_path, kind):
    value, message = REFUSED[kind]
    path = saved(tmp_path, value)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_state_dict(path, SHAPES)
    assert str(path) in str(caught.value)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_pickle_does_not_run(tmp_path, write):
    trap, path = tmp_path / "ran", tmp_path / "net.bin"
    write(content() | {"linear.bias": Evil(trap)}, path)
    with pytest.raises(ModelFileError, match=r"not loaded|damaged"):
        read_state_dict(path, SHAPES)
    assert not trap.exists()


@pytest.mark.parametrize("data", [b"", b"not a model", b"PK\x03\x04broken", bytes(range(256)) * 9])
def test_a_file_that_is_none_is_refused(tmp_path, data):
    (tmp_path / "net.bin").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"net\.bin"):
        read_state_dict(tmp_path / "net.bin", SHAPES)


def test_a_cut_off_file_is_refused(tmp_path):
    path = saved(tmp_path, content())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"net\.bin"):
        read_state_dict(path, SHAPES)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(ModelFileError, match="does not exist"):
        read_state_dict(tmp_path / "none.bin", SHAPES)
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_state_dict(tmp_path, SHAPES)
