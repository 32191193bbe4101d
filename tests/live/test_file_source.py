import itertools
import math
import time

import numpy as np
import pytest
import soundfile

from doatrack.exceptions import AudioFileError, InvalidInputError
from doatrack.live import FileSource


@pytest.fixture
def path(tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", rng.normal(size=(8000, 2)) / 9, 16000, subtype="FLOAT")
    return tmp_path / "a.wav"


def test_a_file_comes_whole(path, drained):
    with FileSource(path, math.inf) as source:
        chunks = drained(source)
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks], axis=1), expected.T)


@pytest.mark.parametrize("speed", [2.0, 5.0])
def test_it_comes_at_its_speed(path, drained, speed):
    began = time.monotonic()
    with FileSource(path, speed) as source:
        drained(source)
    assert 0.5 / speed <= time.monotonic() - began < 0.5 / speed + 5


def test_a_tracker_that_is_slower_than_the_file_hears_of_it(tmp_path, clock):
    soundfile.write(tmp_path / "long.wav", np.zeros((16000 * 4, 1)), 16000)
    with FileSource(tmp_path / "long.wav", 1000.0, clock=clock) as source:
        told = []
        while (chunk := source.read(5.0)) is not None:
            clock.now += 0.5  # to track 0.05 s
            told += [event.values["behind_s"] for event in chunk.events]
    assert told
    assert all(b >= 2 * a for a, b in itertools.pairwise([1.0, *told]))


def test_closing_does_not_wait_for_the_end(path):
    with FileSource(path, 0.001) as source:
        began = time.monotonic()
        assert source.read(0.01).n_samples == 0
    assert time.monotonic() - began < 20


def test_a_file_that_breaks_off_is_named_after_what_could_be_read(tmp_path, rng, drained):
    file = tmp_path / "a.flac"
    soundfile.write(file, rng.normal(size=(40000, 2)) / 9, 16000)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    seen = []
    with (
        FileSource(file, math.inf) as source,
        pytest.raises(AudioFileError, match=r"a\.flac is cut off or damaged"),
    ):
        seen.extend(iter(lambda: source.read(5.0).n_samples, None))
    assert 10000 < sum(seen) < 30000


def test_samples_that_are_no_numbers_are_passed_on(path, drained):
    samples, _ = soundfile.read(path)
    samples[4000] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with FileSource(path, math.inf) as source:
        assert np.isnan(np.concatenate([chunk.samples for chunk in drained(source)], axis=1)).sum() == 2


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_speed_is_above_zero(speed):
    with pytest.raises(InvalidInputError, match="speed must be a number above 0, got 'fast'"):
        FileSource("a.wav", "fast")
    with pytest.raises(InvalidInputError, match="speed must be a number above 0"):
        FileSource("a.wav", speed)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"nothing\.wav does not exist"), FileSource(tmp_path / "nothing.wav"):
        pass
