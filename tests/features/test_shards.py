"""Stores of several processes are read as the one that a single process would have written."""

import numpy as np
import pytest
import torch

from doatrack.features import FeatureStore
from doatrack.features.shards import FeatureShards

LENGTHS = [7, 3, 11, 5, 2]


def recording(k):
    generator = torch.Generator().manual_seed(k)
    return torch.rand(LENGTHS[k], 3, 4, generator=generator), np.arange(LENGTHS[k]) % 2 == 0


def written(path, indices):
    store = FeatureStore(path, n_rows=3, n_columns=4)
    for k in indices:
        frames, activity = recording(k)
        store.write(frames)
        store.close_recording(activity & (k != 1), np.tile([1.0, 0, 0], (LENGTHS[k], 1)))
    return store


@pytest.fixture(params=[1, 2, 3, 7])
def shards(request, tmp_path):
    n = request.param
    return FeatureShards([written(tmp_path / f"part{r}", range(r, len(LENGTHS), n)) for r in range(n)])


def test_shards_are_the_whole(shards, tmp_path):
    whole = written(tmp_path / "whole", range(len(LENGTHS)))
    assert len(shards) == len(whole)
    assert (shards.checksum, shards.n_bytes) == (whole.checksum, whole.n_bytes)
    rows = torch.tensor([0, 2])
    for k in range(len(whole)):
        assert shards.n_frames(k) == whole.n_frames(k)
        assert shards.teaches(k) == whole.teaches(k) == (k != 1)
        for a, b in zip(shards.crop(k, 1, 4, rows), whole.crop(k, 1, 4, rows), strict=True):
            assert torch.equal(a, b)
        assert torch.equal(shards.truth(k, 0, 3), whole.truth(k, 0, 3))
        assert np.array_equal(shards.activities[k], whole.activities[k])


def test_a_resident_store_gives_the_same_crops_without_its_file(shards, tmp_path):
    kept = shards.resident("cpu")
    rows = torch.tensor([2, 0])
    expected = [shards.crop(k, 0, 6, rows)[0] for k in range(len(shards))]
    for path in tmp_path.glob("part*"):
        path.unlink()
    for k, frames in enumerate(expected):
        assert torch.equal(kept.crop(k, 0, 6, rows)[0], frames)
