"""Whatever container recordings come in, they are seen alike and answers go back in the same one."""

import pathlib

import numpy as np
import pytest
import soundfile
import torch

from doatrack import MicArray
from doatrack.audio.audio_file import AudioFile
from doatrack.audio.recordings import Recordings
from doatrack.exceptions import AudioFileError, InvalidInputError


def waves(n, n_samples=500, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3, n_samples)).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "one.wav"
    soundfile.write(path, waves(1, 24000)[0].T, 16000, subtype="FLOAT")
    return path


def containers(path):
    one, batch = waves(1)[0], waves(2)
    return {
        "array": (one, "single", 1),
        "tensor": (torch.from_numpy(one), "single", 1),
        "batch": (batch, "batch", 2),
        "batch of tensors": (torch.from_numpy(batch), "batch", 2),
        "batch of one": (batch[:1], "batch", 1),
        "list": ([one, batch[1][:, :300]], "list", 2),
        "tuple": ((one,), "list", 1),
        "array of arrays": (np.array([one, batch[1][:, :300], None], dtype=object)[:2], "list", 2),
        "path": (path, "single", 1),
        "text": (str(path), "single", 1),
        "paths": ([path, str(path), AudioFile(path)], "list", 3),
        "path among arrays": ([one, path], "list", 2),
    }


NAMES = list(containers(pathlib.Path()))


@pytest.mark.parametrize("kind", NAMES)
def test_every_container_gives_checked_recordings_one_by_one(file, kind):
    signals, container, count = containers(file)[kind]
    view = Recordings(signals, 3)
    assert view.container == container
    assert len(view) == len(list(view)) == count
    for k in range(count):
        assert view[k].dtype == np.float32
        assert view[k].shape[0] == 3
        assert np.array_equal(np.concatenate(list(view.blocks(k)), axis=1), view[k])


@pytest.mark.parametrize("kind", NAMES)
def test_answers_go_back_in_the_same_container(file, kind):
    signals, container, count = containers(file)[kind]
    answers = [np.full((4, 3), float(k)) for k in range(count)]
    mirrored = Recordings(signals, 3).mirror(answers)
    expected = torch.Tensor if "tensor" in kind else np.ndarray
    if container == "single":
        assert isinstance(mirrored, expected)
        assert mirrored.shape == (4, 3)
    elif container == "batch":
        assert isinstance(mirrored, expected)
        assert mirrored.shape == (count, 4, 3)
    else:
        assert isinstance(mirrored, list)
        assert len(mirrored) == count
    first, last = (mirrored, mirrored) if container == "single" else (mirrored[0], mirrored[-1])
    assert float(first[0, 0]) == 0.0
    assert float(last[0, 0]) == count - 1


def test_answers_that_are_no_arrays_stay_what_they_are():
    assert Recordings(waves(1)[0]).mirror(["track"]) == "track"
    assert Recordings(waves(2)).mirror(["a", "b"]) == ["a", "b"]
    assert Recordings(list(waves(2))).mirror(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("source", ["array", "file"])
def test_long_recordings_come_in_blocks_of_ten_seconds(tmp_path, source):
    signal = waves(1, 8000 * 25)[0]
    path = tmp_path / "long.wav"
    soundfile.write(path, signal.T, 8000, subtype="FLOAT")
    view = Recordings(signal if source == "array" else path, 3, sample_rate=8000)
    blocks = list(view.blocks(0))
    assert max(b.shape[1] for b in blocks) <= 80000
    assert np.array_equal(np.concatenate(blocks, axis=1), signal)


def test_files_are_resampled_and_arrays_are_taken_as_they_are(file):
    assert Recordings(file, 3, sample_rate=8000)[0].shape == (3, 12000)
    assert sum(b.shape[1] for b in Recordings(file, 3, sample_rate=8000).blocks(0)) == 12000
    assert Recordings(waves(1, 24000)[0], 3, sample_rate=8000)[0].shape == (3, 24000)


def test_channels_pick_the_microphones_of_files(file):
    whole = Recordings(file)[0]
    picked = Recordings([file, AudioFile(file, channels=[1, 0])], 2, channels=[2, 0])
    assert np.array_equal(picked[0], whole[[2, 0]])
    assert np.array_equal(picked[1], whole[[1, 0]])
    assert np.array_equal(next(iter(picked.blocks(0))), whole[[2, 0]])


def test_integers_are_scaled_to_full_scale_one():
    assert Recordings(np.full((2, 5), -32767, dtype=np.int16))[0].min() == -1.0


def test_names_are_those_that_the_caller_knows(file):
    assert Recordings(waves(1)[0]).name(0) == "waveform"
    assert Recordings(waves(2)).name(1) == "recording 1"
    assert Recordings([waves(1)[0], file]).name(0) == "recording 0"
    assert Recordings([waves(1)[0], file]).name(1) == str(file)


REFUSED = {
    "array first": (
        lambda: MicArray([[0.1, 0, 0], [0, 0, 0]]),
        r"The first argument must be the recordings.*in this order",
    ),
    "empty list": (list, r"at least one recording, got an empty list"),
    "empty batch": (lambda: waves(2)[:0], r"with at least one recording, got \(0, 3, 500\)"),
    "one axis": (lambda: np.zeros(5), r"\(n_mics, n_samples\) or .*got \(5,\)"),
    "four axes": (lambda: np.zeros((1, 1, 2, 5)), r"got \(1, 1, 2, 5\)"),
    "number": (lambda: 7, r"an array, a list of arrays, or paths .*got int.*find_recordings"),
    "dict": (lambda: {"a": 1}, r"got dict"),
    "generator": (lambda: (w for w in waves(2)), r"got generator"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_containers_are_refused_at_once(kind):
    make, message = REFUSED[kind]
    with pytest.raises(InvalidInputError, match=message):
        Recordings(make())


def test_a_bad_recording_is_named_when_it_is_read_and_the_others_are_not_lost(file):
    spoilt = waves(1)[0]
    spoilt[1, 3] = np.nan
    view = Recordings([waves(1)[0], spoilt, file, waves(1)[0][:2]], 3)
    assert view[0].shape == (3, 500)
    assert view[2].shape == (3, 24000)
    with pytest.raises(InvalidInputError, match=r"recording 1 must hold finite samples, got 1 NaN"):
        view[1]
    with pytest.raises(InvalidInputError, match=r"recording 3 must have 3 channels"):
        list(view.blocks(3))
    with pytest.raises(InvalidInputError, match=r"recording 1"):
        view.check()


def test_a_file_is_named_and_only_opened_when_it_is_read(file, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    view = Recordings([tmp_path / "text.wav", file], 4)
    view.check()
    with pytest.raises(AudioFileError, match=r"text\.wav"):
        view[0]
    with pytest.raises(AudioFileError, match=r"text\.wav"):
        list(view.blocks(0))
    with pytest.raises(InvalidInputError, match=r"one\.wav must have 4 channels"):
        list(view.blocks(1))


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (np.ma.masked_less(waves(1)[0], 0), "waveform must hold a value everywhere, got a masked array with"),
        (torch.zeros(3, 500, dtype=torch.bfloat16), "waveform must be a tensor that NumPy can hold"),
        (torch.zeros(3, 500, device="meta"), "waveform must be a tensor that NumPy can hold"),
        (torch.zeros(3, 500).to_sparse(), "waveform must be a tensor that NumPy can hold"),
        ([[[1.0, 2.0], [3.0]]], r"recording 0 must be an array of the shape \(n_mics, n_samples\), got list"),
    ],
)
def test_samples_that_are_no_array_of_numbers(signals, message):
    with pytest.raises(InvalidInputError, match=message):
        Recordings(signals, 3)[0]


def test_masked_array_without_gaps_is_an_array():
    np.testing.assert_array_equal(Recordings(np.ma.masked_array(waves(1)[0]), 3)[0], waves(1)[0])


def test_channels_of_arrays_are_not_silently_all(file):
    with pytest.raises(InvalidInputError, match=r"channels picks channels of files.*x\[channels\]"):
        Recordings([waves(1)[0], file], channels=[0, 1])
    assert Recordings([file], channels=[0, 1])[0].shape[0] == 2


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_integers_in_64_bits_are_scaled_as_those_that_they_are(kind):
    limits = np.iinfo(kind)
    samples = np.array([[limits.min, -1, 0], [1, limits.max, 7]], dtype=kind)
    narrow, wide = (Recordings(some)[0] for some in (samples, samples.astype(np.int64)))
    assert np.array_equal(narrow, wide)
