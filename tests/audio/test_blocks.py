import tracemalloc

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from doatrack.audio import read_audio, read_blocks
from doatrack.exceptions import AudioFileError, InvalidInputError


@pytest.mark.parametrize("sample_rate", [16000, 44100, 48000, 8000])
@pytest.mark.parametrize("block", [1000, 16000, 10**6])
def test_blocks_put_together_are_the_whole(write, sample_rate, block):
    path, samples = write(n_samples=3 * sample_rate + 17, n_channels=2, sample_rate=sample_rate, subtype="FLOAT")
    blocks = list(read_blocks(path, block))
    assert all(b.shape[1] == block for b in blocks[:-1])
    together = np.concatenate(blocks, axis=1)
    np.testing.assert_array_equal(together, read_audio(path))
    at_once = soxr.resample(samples, sample_rate, 16000, quality="HQ").T
    np.testing.assert_allclose(together, at_once, rtol=0, atol=1e-6)


@given(n_samples=st.integers(1, 400), block=st.integers(1, 100), overlap=st.integers(0, 99), piece=st.integers(1, 150))
def test_overlapping_blocks_cover_everything_once(write, n_samples, block, overlap, piece):
    overlap = min(overlap, block - 1)
    path, samples = write(n_samples=n_samples, n_channels=2, subtype="FLOAT")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("doatrack.audio.sound_file._PIECE", piece)
        blocks = list(read_blocks(path, block, overlap))
    hop = block - overlap
    for k, one in enumerate(blocks):
        np.testing.assert_array_equal(one, samples.T[:, k * hop : k * hop + block])
    assert (len(blocks) - 1) * hop + blocks[-1].shape[1] == n_samples
    assert len(blocks) == 1 or blocks[-1].shape[1] > overlap


def test_blocks_may_be_changed_without_harm(write):
    path, samples = write(n_samples=30, subtype="FLOAT")
    for k, block in enumerate(read_blocks(path, 10, 5)):
        np.testing.assert_array_equal(block, samples.T[:, 5 * k : 5 * k + 10])
        block[:] = 0


def test_memory_does_not_grow_with_the_file(write):
    path, samples = write(n_samples=2_000_000, n_channels=2, sample_rate=48000, subtype="FLOAT")
    tracemalloc.start()
    n_samples = sum(block.shape[1] for block in read_blocks(path, 16000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_samples == pytest.approx(len(samples) / 3, abs=1)
    assert peak < samples.nbytes / 4


def test_channels_and_rate_are_those_of_read_audio(write):
    path, _ = write(n_channels=6, sample_rate=48000)
    blocks = read_blocks(path, 400, sample_rate=8000, channels=[5, 2])
    expected = read_audio(path, sample_rate=8000, channels=[5, 2])
    np.testing.assert_array_equal(np.concatenate(list(blocks), axis=1), expected)


def test_what_can_be_read_comes_before_the_error(write):
    path, _ = write("a.flac", n_samples=400_000)
    path.write_bytes(path.read_bytes()[:-200_000])
    blocks = read_blocks(path, 16000)
    assert [next(blocks).shape for _ in range(4)] == [(4, 16000)] * 4
    with pytest.raises(AudioFileError, match=r"a\.flac is cut off or damaged"):
        list(blocks)


@pytest.mark.parametrize(
    ("block", "overlap", "message"),
    [(0, 0, "block_samples must be at least 1"), (10, 10, "overlap_samples must be .*at most 9"), (10, -1, "got -1")],
)
def test_bad_sizes_are_refused_before_reading(block, overlap, message):
    with pytest.raises(InvalidInputError, match=message):
        read_blocks("not opened.wav", block, overlap)
