import copy
import errno
import json
import os
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from sklearn.base import BaseEstimator, clone

from doatrack.exceptions import GeometryWarning, InvalidInputError
from doatrack.geometry import SPEED_OF_SOUND, MicArray

PAIR = [[0.05, 0.0, 0.0], [-0.05, 0.0, 0.0]]
NAO = MicArray.from_preset("nao_head_12")
POSITIONS = arrays(np.float64, st.tuples(st.integers(2, 8), st.just(3)), elements=st.floats(-1, 1))


def different(positions):
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return distance[np.triu_indices(len(positions), 1)].min() > 1e-4


class Holder(BaseEstimator):
    def __init__(self, array=None):
        self.array = array


@given(positions=POSITIONS)
def test_keeps_what_it_was_given(positions):
    assume(different(positions))
    array = MicArray(positions, name="a")
    np.testing.assert_array_equal(array.positions, positions)
    assert (array.n_mics, array.n_pairs) == (len(positions), len(array.mic_pairs))
    assert (array.mic_pairs[:, 0] < array.mic_pairs[:, 1]).all()
    assert len(np.unique(array.mic_pairs, axis=0)) == array.n_mics * (array.n_mics - 1) // 2
    assert array.aperture == pytest.approx(max(np.linalg.norm(a - b) for a in positions for b in positions))
    assert array.longest_delay == array.aperture / SPEED_OF_SOUND


def test_immutable():
    given_positions = np.array(PAIR)
    array = MicArray(given_positions)
    given_positions[0] = 7
    array.positions[0] = 7
    array.mic_pairs[0] = 7
    assert array == MicArray(PAIR)
    assert array.mic_pairs.tolist() == [[0, 1]]
    for change in (
        lambda: setattr(array, "positions", PAIR),
        lambda: setattr(array, "speed", 1),
        lambda: delattr(array, "_positions"),
    ):
        with pytest.raises(AttributeError, match="MicArray is immutable"):
            change()


def test_is_one_thing_to_scikit_learn():
    for name in ("__len__", "__array__", "shape", "__getitem__", "__iter__"):
        assert not hasattr(NAO, name)
    assert clone(Holder(NAO)).array == NAO
    assert Holder().set_params(array=NAO).get_params()["array"] is NAO


def test_equality_hash_copy_and_pickle():
    assert MicArray(PAIR, "a") == MicArray(PAIR, "b")  # the name is a label
    assert MicArray(PAIR) != MicArray(PAIR[::-1])  # channel order matters
    assert MicArray(PAIR) != PAIR
    assert hash(MicArray([[0.0, 1, 0], [1, 0, 0]])) == hash(MicArray([[-0.0, 1, 0], [1, -0.0, 0]]))
    assert len({NAO, MicArray.from_preset("nao_head_12"), MicArray(PAIR)}) == 2
    assert copy.copy(NAO) is NAO
    assert copy.deepcopy([NAO])[0] is NAO
    again = pickle.loads(pickle.dumps(NAO))
    assert again == NAO
    assert again.name == "nao_head_12"


def test_representation_says_what_it_is():
    assert repr(NAO) == "MicArray('nao_head_12', n_mics=12, 3-D, aperture=0.121 m)"
    assert repr(MicArray(PAIR)) == "MicArray(n_mics=2, linear, aperture=0.1 m)"


def test_two_columns_and_tensors():
    assert MicArray([[1.0, 0], [0, 1]]).positions[:, 2].tolist() == [0, 0]
    assert MicArray(torch.tensor(PAIR, requires_grad=True)).n_mics == 2
    assert torch.as_tensor(NAO.positions).shape == (12, 3)


@pytest.mark.parametrize(
    ("positions", "kind", "normal", "words"),
    [
        (PAIR, "linear", [1, 0, 0], r"cone around the axis \[1.0, 0.0, 0.0\]"),
        ([[0, 0, 1], [0, 1, 1], [0, 2, 1.001]], "linear", [0, 1, 0], "only the angle to it is known"),
        ([[0, 0, 0], [0, 1, 0], [1, 0, 0]], "planar", [0, 0, 1], r"mirror image through .* normal \[0.0, 0.0, 1.0\]"),
        ([[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]], "3-D", None, "^none$"),
    ],
)
def test_says_its_dimension_and_what_that_hides(positions, kind, normal, words):
    array = MicArray(positions)
    assert array.kind == kind
    if normal is None:
        assert array.normal is None
    else:
        np.testing.assert_allclose(array.normal, normal, atol=2e-3)
    assert re.search(words, str(array.ambiguity))


@given(seed=st.integers(0, 2**32 - 1))
def test_turning_keeps_distances_and_dimension(seed):
    rotation = Rotation.random(rng=np.random.default_rng(seed))
    for array in (NAO, MicArray(PAIR), MicArray.from_preset("minidsp_uma_8")):
        turned = array.rotate(rotation)
        assert turned.aperture == pytest.approx(array.aperture)
        assert (turned.dimension, turned.name) == (array.dimension, array.name)
        np.testing.assert_allclose(turned.positions, rotation.apply(array.positions), atol=1e-15)
        np.testing.assert_allclose(turned.rotate(rotation.as_matrix().T).positions, array.positions, atol=1e-14)


def test_perturb_is_repeatable_and_as_large_as_said():
    positions = np.stack(np.meshgrid(*[np.arange(10.0) / 4] * 3), axis=-1).reshape(-1, 3)
    array = MicArray(positions)
    moved = array.perturb(0.01, random_state=3)
    assert moved == array.perturb(0.01, random_state=3)
    assert moved != array.perturb(0.01, random_state=4)
    assert np.std(moved.positions - positions) == pytest.approx(0.01, rel=0.05)
    assert array.perturb(0.0, random_state=3) == array
    assert NAO.perturb(0.01, 0).name == "nao_head_12 +-0.01 m"


def test_select_takes_channels_in_order():
    assert NAO.select([3, 0, 7]).positions.tolist() == NAO.positions[[3, 0, 7]].tolist()
    assert NAO.select(range(12)) == NAO


@given(positions=POSITIONS)
def test_json_brings_back_every_bit(tmp_path, positions):
    assume(different(positions))
    array = MicArray(positions, "räum 1")
    array.to_json(tmp_path / "array.json")
    again = MicArray.from_json(tmp_path / "array.json")
    assert again == array
    assert again.name == "räum 1"


def test_json_needs_positions_only(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"mic_positions": PAIR}), encoding="utf-8-sig")
    assert MicArray.from_json(str(file)).name == "mine"


def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "array.json"
    NAO.to_json(file)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"array\.json cannot be written: No space left on device"):
        MicArray(PAIR).to_json(file)
    assert MicArray.from_json(file) == NAO
    assert os.listdir(tmp_path) == ["array.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON: "),
        ("[1, 2]", "must hold an object with the key 'mic_positions'"),
        ("{}", "must hold an object with the key 'mic_positions'"),
        ('{"mic_positions": [[1, 2, 3]], "units": "cm"}', r"gives the units 'cm'\. Convert the positions to metres"),
        ('{"mic_positions": [[0, 0, 0]]}', "positions must hold at least 2 microphones, got 1"),
        ('{"mic_positions": "front"}', "positions must be an array of real numbers"),
    ],
)
def test_messages_of_files_name_the_file(tmp_path, content, message):
    file = tmp_path / "array.json"
    file.write_text(content)
    with pytest.raises(InvalidInputError, match=message) as caught:
        MicArray.from_json(file)
    assert str(file) in str(caught.value)


def test_messages_of_missing_files(tmp_path):
    with pytest.raises(InvalidInputError, match=r"The array file .*nowhere\.json does not exist"):
        MicArray.from_json(tmp_path / "nowhere.json")
    with pytest.raises(InvalidInputError, match=r"cannot be read as JSON: .*directory"):
        MicArray.from_json(tmp_path)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0, 0, 0]], "at least 2 microphones, got 1: one has no direction"),
        (np.zeros((0, 3)), "at least 2 microphones, got 0"),
        ([*PAIR, PAIR[0]], r"microphones 0 and 2 \(counted from 0\) are both at \[0.05, 0.0, 0.0\]\. Correct or leave"),
        ([[0, 0, 0], [1e-6, 0, 0]], "microphones 0 and 1 .* are both at"),
        ([[0, 0, np.nan], [1, 0, 0]], "positions must be finite, got 1 NaN and 0 infinite"),
        ([[0, 0, np.inf], [1, 0, 0]], "positions must be finite, got 0 NaN and 1 infinite"),
        (
            [[1e200, 0, 0], [-1e200, 0, 0]],
            "must be in metres and within 1e\\+06 m of the origin, got a coordinate of 1e\\+200",
        ),
        ([1, 2, 3], r"positions must have the shape \(n_mics, 3\), got \(3,\)"),
        (
            np.arange(12.0).reshape(3, 4),
            r"shape \(n_mics, 3\), .* got \(3, 4\)\. They look transposed: pass positions.T",
        ),
        (np.arange(20.0).reshape(5, 4), r"shape \(n_mics, 3\), one row of x, y, z per microphone, got \(5, 4\)\.$"),
        ([[0, 0, 0], [1, 0]], "positions must be an array of real numbers"),
        ([["a", "b", "c"]] * 2, "positions must be an array of real numbers"),
        (None, "positions must"),
    ],
)
def test_messages_of_positions(positions, message):
    with pytest.raises(InvalidInputError, match=message):
        MicArray(positions)


def test_centimetres_are_warned_of_once():
    with pytest.warns(
        GeometryWarning, match=r"two microphones is 10 m\..*centimetres or millimetres\? Divide"
    ) as caught:
        array = MicArray(np.array(PAIR) * 100)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert pickle.loads(pickle.dumps(array)) == array  # no second warning: warnings are errors here


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NAO.perturb(-0.01, 0), "std must be at least 0, got -0.01"),
        (lambda: NAO.perturb(0.01, None), "random_state must be a whole number, got None"),
        (lambda: NAO.rotate(np.eye(3) * 2), "rotation must be a rotation matrix .* determinant 8"),
        (lambda: NAO.rotate(np.diag([1.0, 1, -1])), "rotation must be a rotation matrix .* determinant -1"),
        (lambda: NAO.rotate(np.eye(2)), r"rotation must have the shape \(3, 3\), got \(2, 2\)"),
        (lambda: NAO.select([12]), "channel must be at least 0 and at most 11, got 12"),
        (lambda: NAO.select([]), "at least 2 microphones, got 0"),
        (lambda: NAO.select([1, 1]), "microphones 0 and 1 .* are both at"),
        (
            lambda: MicArray.from_preset("nao_head"),
            "preset must be one of the known names, got 'nao_head'. Did you mean 'nao_head_12'",
        ),
    ],
)
def test_messages_of_methods(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[10**400, 0, 0], [0, 0, 0]], "must be an array of real numbers"),
        (np.eye(3) + 0.1j, "must be an array of real numbers, got complex"),
        (np.ma.masked_equal(np.eye(3), 1), "must hold a value everywhere, got a masked array with 3 masked"),
        (torch.zeros(3, 3, device="meta"), "must be a tensor that NumPy can hold"),
    ],
)
def test_positions_that_are_no_numbers(positions, message):
    with pytest.raises(InvalidInputError, match=f"positions {message}"):
        MicArray(positions)
