import json
import os
import shutil
import types

import numpy as np
import pytest
import soundfile

from doatrack.datasets import ScoredSet, write_scored_set
from doatrack.exceptions import AudioFileError, InvalidInputError, OutputExistsError
from doatrack.geometry import MicArray
from doatrack.tracking import Track

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0]], name="three")
NAMES = ["omni_01", "omni_00"]


def scene(rng, n_samples=3200, info=None):
    rows = np.column_stack([np.arange(10) * 0.02, np.tile([0, 1, 0], (10, 1)), np.arange(10) % 2])
    waveform = rng.normal(size=(3, n_samples)).astype(np.float32)
    return types.SimpleNamespace(waveform=waveform, truth=rows, info={"rt60": 0.4} if info is None else info)


@pytest.fixture
def scenes(rng):
    return [scene(rng), scene(rng, 1600, {"room": np.array([3.0, 4, 2.5]), "snr_db": np.float32(5), "n": np.int64(3)})]


@pytest.fixture
def folder(tmp_path, scenes):
    write_scored_set(tmp_path / "set", scenes, ARRAY, NAMES)
    return tmp_path / "set"


def test_round_trip_keeps_every_sample(folder, scenes):
    back = ScoredSet(folder)
    assert (back.array, back.array.name, back.names, len(back)) == (ARRAY, "three", ["omni_00", "omni_01"], 2)
    assert [path.name for path in back.paths] == ["omni_00.wav", "omni_01.wav"]
    for index, original in enumerate(reversed(scenes)):
        np.testing.assert_array_equal(back.read(index), original.waveform)
        np.testing.assert_allclose(back.truths[index], original.truth, atol=1e-6)
    assert back.info(0) == {"room": [3.0, 4.0, 2.5], "snr_db": 5.0, "n": 3}


def test_set_is_a_sequence_of_sound_and_truth(folder, scenes):
    back = ScoredSet(folder)
    pairs = list(back)
    assert [path for path, _ in pairs] == back.paths
    for (_, truth), original in zip(pairs, reversed(scenes), strict=True):
        np.testing.assert_allclose(truth, original.truth, atol=1e-6)
    path, truth = back[-1]
    assert path == back.paths[1]
    assert truth is back.truths[1]
    with pytest.raises(IndexError):
        back[2]


def test_same_scenes_give_the_same_files(folder, tmp_path, scenes):
    write_scored_set(tmp_path / "again", iter(scenes), ARRAY, NAMES)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_scenes_are_added_to_a_set_of_the_same_array_only(folder, rng):
    write_scored_set(folder, [scene(rng)], ARRAY, ["directional_00"])
    assert ScoredSet(folder).names == ["directional_00", "omni_00", "omni_01"]
    with pytest.raises(OutputExistsError, match="describes another array"):
        write_scored_set(folder, [scene(rng)], MicArray(ARRAY.positions * 2), ["new"])


def test_nothing_is_written_over(folder, scenes):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputExistsError, match=r"omni_00\.\* exists and is not written over"):
        write_scored_set(folder, scenes, ARRAY, ["new_00", "omni_00"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "got 1 names for 2 scenes"),
        (["a", "a"], "got 'a' twice"),
        (["a", "../b"], r"names of files.*'\.\./b'"),
        (["a", ""], "names of files.*''"),
        (["a", "array"], "not 'array'"),
        (["a", ".b"], "names of files"),
        (["a", "b\\c"], "names of files"),
        (["a", "b\n"], "names of files"),
    ],
)
def test_bad_names_are_refused_before_writing(tmp_path, scenes, names, message):
    with pytest.raises(InvalidInputError, match=message):
        write_scored_set(tmp_path / "set", scenes, ARRAY, names)
    assert not (tmp_path / "set").exists()


def test_iterator_that_ends_early(tmp_path, scenes):
    with pytest.raises(InvalidInputError, match="there is no scene for 'c'"):
        write_scored_set(tmp_path / "set", iter(scenes), ARRAY, ["a", "b", "c"])
    assert ScoredSet(tmp_path / "set").names == ["a", "b"]


def test_scene_that_cannot_be_written_is_named(tmp_path, rng):
    with pytest.raises(InvalidInputError, match="scene a must have 3 channels"):
        write_scored_set(tmp_path / "set", [types.SimpleNamespace(waveform=np.zeros((2, 9)))], ARRAY, ["a"])
    with pytest.raises(InvalidInputError, match="scene a: info must be plain JSON"):
        write_scored_set(tmp_path / "set", [scene(rng, info={"x": object()})], ARRAY, ["a"])
    assert sorted(os.listdir(tmp_path / "set")) == ["array.json"]


def test_info_is_not_needed_until_asked_for(folder):
    (folder / "omni_00.json").unlink()
    (folder / "omni_01.json").write_text("[1]")
    back = ScoredSet(folder)
    with pytest.raises(InvalidInputError, match=r"omni_00\.json does not exist"):
        back.info(0)
    with pytest.raises(InvalidInputError, match=r"omni_01\.json must hold a JSON object, got list"):
        back.info(1)
    (folder / "omni_01.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"omni_01\.json cannot be read as JSON"):
        back.info(1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "array.json").unlink(), r"array\.json does not exist"),
        (lambda f: (f / "array.json").write_text("{}"), r"array\.json must hold .*'mic_positions'"),
        (lambda f: (f / "omni_00.csv").unlink(), r"omni_00\.csv is missing: every recording .* needs its truth"),
        (lambda f: (f / "omni_00.wav").unlink(), r"omni_00\.csv has no recording omni_00\.wav"),
        (lambda f: shutil.copy(f / "omni_00.wav", f / "omni_00.flac"), "two recordings of one scene"),
        (lambda f: (f / "omni_00.csv").write_text("time_s,x,y,z\n"), r"omni_00\.csv has no column 'active'"),
        (lambda f: [p.unlink() for p in f.glob("omni*")], "holds no recording"),
        (
            lambda f: Track([0.1], [[1, 0, 0]], [1.0], [0.1], [True]).to_csv(f / "omni_00.csv"),
            r"omni_00\.csv is a track that doatrack wrote, an estimate and no truth",
        ),
        (shutil.rmtree, "set is not a folder"),
    ],
)
def test_broken_set_names_the_file(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InvalidInputError, match=message):
        ScoredSet(folder)


def test_sound_is_checked_when_read(folder):
    soundfile.write(folder / "omni_00.wav", np.zeros((100, 2)), 16000)
    (folder / "omni_01.wav").write_text("no sound")
    back = ScoredSet(folder)
    with pytest.raises(InvalidInputError, match=r"omni_00\.wav must have 3 channels"):
        back.read(0)
    with pytest.raises(AudioFileError, match=r"omni_01\.wav cannot be read as audio"):
        back.read(1)
    with pytest.raises(InvalidInputError, match=r"index must be .*got 2"):
        back.read(2)


def test_shared_benchmark_is_read(shared_data):
    bench = ScoredSet(shared_data / "bench_nao")
    assert (len(bench), bench.array.n_mics) == (16, 12)
    assert bench.read(0).shape == (12, 128000)
    assert bench.info(0) == json.loads((shared_data / "bench_nao" / "directional_00.json").read_text())
