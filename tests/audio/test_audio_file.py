"""A path with channels goes wherever a path goes."""

import os
import pathlib

import numpy as np
import pytest
import soundfile

from doatrack.audio import AudioFile, Recordings, read_audio, read_blocks
from doatrack.exceptions import AudioFileError, InvalidInputError


@pytest.fixture
def six_channels(tmp_path: pathlib.Path, rng: np.random.Generator) -> tuple[pathlib.Path, np.ndarray]:
    samples = rng.uniform(-0.9, 0.9, size=(6, 5000)).astype(np.float32)
    path = tmp_path / "six.wav"
    soundfile.write(path, samples.T, 16000, subtype="FLOAT")
    return path, samples


def test_channels_are_picked_in_their_order_whole_and_in_blocks(six_channels):
    path, samples = six_channels
    file = AudioFile(path, channels=[4, 1])
    np.testing.assert_array_equal(read_audio(file), samples[[4, 1]])
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(file, 1000)), axis=1), samples[[4, 1]])


def test_explicit_channels_win_over_those_of_the_file(six_channels):
    path, samples = six_channels
    np.testing.assert_array_equal(read_audio(AudioFile(path, [4, 1]), channels=[0]), samples[[0]])
    np.testing.assert_array_equal(read_audio(AudioFile(path)), samples)


def test_recordings_read_each_file_with_its_own_channels(six_channels):
    path, samples = six_channels
    view = Recordings([AudioFile(path, [1, 2]), path, AudioFile(path)], n_mics=2, channels=[5, 0])
    np.testing.assert_array_equal(view[0], samples[[1, 2]])
    for index in (1, 2):
        np.testing.assert_array_equal(np.concatenate(list(view.blocks(index)), axis=1), samples[[5, 0]])
    assert view.name(0) == str(path)
    assert Recordings(AudioFile(path, [0, 1])).container == "single"


def test_it_is_a_path(tmp_path):
    file = AudioFile(str(tmp_path / "a.wav"), [0, 1])
    assert isinstance(file, os.PathLike)
    assert pathlib.Path(file) == tmp_path / "a.wav"
    assert f"{file}" == str(tmp_path / "a.wav")
    assert file == AudioFile(tmp_path / "a.wav", (0, 1))
    assert file != AudioFile(tmp_path / "a.wav")


def test_wrong_channels_are_refused_at_once_and_missing_ones_when_read(six_channels):
    path, _ = six_channels
    with pytest.raises(InvalidInputError, match="each channel once, got channel 1"):
        AudioFile(path, [1, 1])
    with pytest.raises(InvalidInputError, match="parse_channels"):
        AudioFile(path, "1-4")
    with pytest.raises(AudioFileError, match="has 6 channels, but channel 6"):
        read_audio(AudioFile(path, [0, 6]))


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_what_comes_before_the_start_is_not_read(tmp_path, rng, ending):
    samples = (rng.integers(-9000, 9000, size=(3, 70000)) / 32768).astype(np.float32)
    path = tmp_path / f"long.{ending}"
    soundfile.write(path, samples.T, 16000, subtype="PCM_16")
    late = AudioFile(path, [2, 0], start=0.125)
    np.testing.assert_array_equal(read_audio(late), samples[[2, 0], 2000:])
    view = Recordings([late, AudioFile(path, start=4.0)], n_mics=2, channels=[1, 0])
    np.testing.assert_array_equal(np.concatenate(list(view.blocks(0)), axis=1), samples[[2, 0], 2000:])
    np.testing.assert_array_equal(view[1], samples[[1, 0], 64000:])


def test_a_start_outside_the_file_is_refused(six_channels):
    path, _ = six_channels
    with pytest.raises(InvalidInputError, match="start must be at least 0"):
        AudioFile(path, start=-1)
    with pytest.raises(AudioFileError, match=r"lasts 0\.312 s, so it cannot be read from 0\.3125 s on"):
        read_audio(AudioFile(path, start=0.3125))
