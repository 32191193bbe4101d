import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.features import FeatureStore, FrameSettings, GCCExtractor, frame_count
from doatrack.geometry import MicArray

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0], [0, 0, 0.05]])
FRAMES = FrameSettings(win_length=512, hop_length=384)


def waveform(n: int = 20000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, n)).astype(np.float32)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_any_blocks_give_the_frames_of_the_whole(sizes):
    extractor = GCCExtractor(ARRAY, FRAMES, lag_step=0.5)
    signal = waveform(sum(sizes))
    blocks = np.split(signal, np.cumsum(sizes)[:-1], axis=1)
    stream = extractor.stream(blocks)
    parts = list(stream)
    expected = frame_count(sum(sizes), 512, 384)
    assert stream.n_frames == sum(map(len, parts)) == expected
    if expected:
        assert torch.allclose(torch.cat(parts), extractor.gcc(torch.from_numpy(signal)), atol=1e-5)
        whole = extractor.stream([signal])
        list(whole)
        assert np.array_equal(stream.activity(), whole.activity())


def test_the_order_of_channels_does_not_change_one_bit():
    order = np.array([2, 0, 3, 1])
    signal = torch.from_numpy(waveform())
    one = GCCExtractor(ARRAY, FRAMES, lag_step=0.5)
    other = GCCExtractor(ARRAY.select(order), FRAMES, lag_step=0.5)
    assert torch.equal(one.gcc(signal), other.gcc(signal[order]))
    assert torch.equal(one.tdoa_samples(np.eye(3)), other.tdoa_samples(np.eye(3)))


def test_rows_of_pairs_point_at_the_same_microphones():
    extractor = GCCExtractor(ARRAY, FRAMES, lag_step=0.5)
    for pair in ARRAY.mic_pairs:
        row = extractor.rows_of_pairs(pair[None])
        found = extractor.array.positions[extractor.mic_pairs[row[0]]]
        assert {tuple(p) for p in found} == {tuple(p) for p in ARRAY.positions[pair]}


def test_a_store_gives_back_what_was_written(tmp_path):
    store = FeatureStore(tmp_path / "gcc", n_rows=3, n_columns=5)
    gcc = torch.rand(2, 9, 3, 5, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        store.write(gcc[k, :4])
        store.write(gcc[k, 4:])
        store.close_recording(np.arange(9) % 2 == k)
    frames, activity = store.crop(1, start=3, length=4, rows=torch.tensor([0, 2]))
    assert torch.allclose(frames, gcc[1, 3:7, [0, 2]], atol=5e-4)
    assert activity.tolist() == [True, False, True, False]
    assert len(store) == 2
    assert store.n_frames(0) == 9


def test_the_checksum_tells_recordings_apart(tmp_path):
    sums = []
    for value in (0.1, 0.1, 0.2):
        store = FeatureStore(tmp_path / "gcc", n_rows=1, n_columns=2)
        store.write(torch.full((3, 1, 2), value))
        store.close_recording(np.ones(3, dtype=bool))
        sums.append(store.checksum)
    assert sums[0] == sums[1] != sums[2]


def test_more_channels_than_microphones_are_not_dropped():
    extractor = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), n_lags=9)
    with pytest.raises(InvalidInputError, match=r"waveform must have 4 channels, .* got the shape \(6, 8192\)"):
        extractor.gcc(torch.zeros(6, 8192))


def test_read_only_samples_are_taken_without_a_warning():
    extractor = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), n_lags=9)
    block = np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32)
    expected = [gcc.clone() for gcc in extractor.stream([block])]
    block.setflags(write=False)
    assert all(torch.equal(a, b) for a, b in zip(extractor.stream([block]), expected, strict=True))
