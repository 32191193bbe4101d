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


def test_lags_may_be_given_and_are_those_of_the_transform():
    """At integer lags the correlation is the inverse transform's own values."""
    lags = torch.arange(-5, 4, dtype=torch.float32)
    extractor = GCCExtractor(ARRAY, FRAMES, lags=lags, canonical=False)
    assert torch.equal(extractor.lags, lags)
    signal = waveform(512)
    spectra = np.fft.rfft(signal * np.hanning(513)[:-1])
    for row, (i, j) in enumerate(extractor.mic_pairs):
        cross = spectra[i] * spectra[j].conj()
        whole = np.fft.irfft(cross / np.abs(cross), n=512)
        expected = whole[lags.long().numpy()]
        assert np.allclose(extractor.gcc(torch.from_numpy(signal))[0, row].numpy(), expected, atol=1e-3)


def test_microphones_stay_in_the_order_of_channels_where_that_is_asked_for():
    given = GCCExtractor(ARRAY, FRAMES, n_lags=9, canonical=False)
    canonical = GCCExtractor(ARRAY, FRAMES, n_lags=9)
    assert given.array == ARRAY
    assert canonical.array != ARRAY
    assert np.array_equal(np.sort(canonical.array.positions, axis=0), np.sort(ARRAY.positions, axis=0))
    signal = torch.from_numpy(waveform(512))
    # pair (0, 1) of the channels, by delay: the array's own positions tell its canonical place
    names = [tuple(map(tuple, canonical.array.positions[pair])) for pair in canonical.mic_pairs]
    pair = tuple(map(tuple, ARRAY.positions[[0, 1]]))
    forward, row = (True, names.index(pair)) if pair in names else (False, names.index(pair[::-1]))
    other = canonical.gcc(signal)[0, row]
    assert torch.allclose(given.gcc(signal)[0, 0], other if forward else other.flip(0), atol=1e-6)
    doa = np.eye(3)
    tdoa = given.tdoa_samples(doa)[0] - (1 if forward else -1) * canonical.tdoa_samples(doa)[row]
    assert tdoa.abs().max() < 1e-5
