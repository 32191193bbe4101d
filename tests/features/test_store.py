"""Features on disk come back as they were written, and a crop stays within its recording."""

import numpy as np
import pytest
import torch

from doatrack.features import FeatureStore


def filled(path, recordings, activities=None):
    store = FeatureStore(path, n_rows=3, n_columns=5)
    for k, gcc in enumerate(recordings):
        for block in gcc.split(4):
            store.write(block)
        store.close_recording(np.ones(len(gcc), dtype=bool) if activities is None else activities[k])
    return store


@pytest.fixture
def recordings():
    generator = torch.Generator().manual_seed(0)
    return [2 * torch.rand(n, 3, 5, generator=generator) - 1 for n in (7, 3, 11)]


def test_what_was_written_comes_back_in_half_precision(tmp_path, recordings):
    store = filled(tmp_path / "gcc", recordings)
    assert len(store) == 3
    for k, gcc in enumerate(recordings):
        assert store.n_frames(k) == len(gcc)
        read, activity = store.crop(k, 0, len(gcc), torch.arange(3))
        assert read.dtype == torch.float32
        assert (read - gcc).abs().max() < 5e-4
        assert activity.all()
        assert len(activity) == len(gcc)


def test_a_crop_is_those_frames_and_pairs(tmp_path, recordings):
    activity = np.arange(11) % 3 == 0
    store = filled(tmp_path / "gcc", recordings, [np.ones(7, bool), np.ones(3, bool), activity])
    read, active = store.crop(2, 4, 5, torch.tensor([2, 0]))
    assert (read - recordings[2][4:9][:, [2, 0]]).abs().max() < 5e-4
    assert np.array_equal(active.numpy(), activity[4:9])


def test_a_crop_never_reaches_into_the_next_recording(tmp_path, recordings):
    store = filled(tmp_path / "gcc", recordings)
    read, active = store.crop(1, 0, 10, torch.arange(3))
    assert read.shape == (3, 3, 5)
    assert len(active) == 3
    assert (read - recordings[1]).abs().max() < 5e-4


def test_the_checksum_tells_other_data_and_other_activity(tmp_path, recordings):
    sums = [
        filled(tmp_path / "a", recordings).checksum,
        filled(tmp_path / "b", recordings).checksum,
        filled(tmp_path / "c", [*recordings[:2], recordings[2] + 0.01]).checksum,
        filled(tmp_path / "d", recordings, [np.ones(7, bool), np.zeros(3, bool), np.ones(11, bool)]).checksum,
    ]
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3


def test_an_older_file_is_replaced(tmp_path, recordings):
    (tmp_path / "gcc").write_bytes(b"old" * 100)
    store = filled(tmp_path / "gcc", recordings[:1])
    assert (store.crop(0, 0, 7, torch.arange(3))[0] - recordings[0]).abs().max() < 5e-4


def test_truth_is_kept_beside_the_frames_and_is_part_of_the_checksum(tmp_path, recordings):
    sums = []
    for name, value in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        store = FeatureStore(tmp_path / name, n_rows=3, n_columns=5)
        store.write(recordings[0])
        doa = np.full((7, 3), value)
        doa[2] = np.nan
        store.close_recording(np.ones(7, dtype=bool), doa)
        assert np.array_equal(store.truth(0, 1, 3).numpy(), doa[1:4].astype(np.float32), equal_nan=True)
        sums.append(store.checksum)
    assert sums[0] == sums[1] != sums[2]
    assert filled(tmp_path / "d", recordings).truth(0, 0, 7) is None


def test_a_recording_teaches_where_it_has_sound_and_known_truth(tmp_path):
    store = FeatureStore(tmp_path / "gcc", n_rows=3, n_columns=5)
    unknown, known = np.full((4, 3), np.nan), np.ones((4, 3))
    for active, doa in ((True, None), (False, None), (True, known), (True, unknown), (False, known)):
        store.write(torch.zeros(4, 3, 5))
        store.close_recording(np.full(4, active), doa)
    assert [store.teaches(k) for k in range(5)] == [True, False, True, False, False]
