"""Every recording is visited, silent ones are left out, and a batch says what is padding."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from doatrack.features import FeatureStore
from doatrack.training import CropSampler

LENGTHS = [30, 7, 12, 45, 10]
SILENT = 2


@pytest.fixture
def store(tmp_path):
    """Frame t of pair p of recording k holds (k, t, p) in its three lags."""
    store = FeatureStore(tmp_path / "gcc", n_rows=6, n_columns=3)
    for k, length in enumerate(LENGTHS):
        frame, pair = torch.meshgrid(torch.arange(length), torch.arange(6), indexing="ij")
        store.write(torch.stack([torch.full_like(frame, k), frame, pair], dim=-1).float())
        active = np.arange(length) % 3 != 0
        store.close_recording(active & (k != SILENT))
    return store


def sampler_of(store, **kwargs):
    return CropSampler(store, **({"crop_frames": 10, "batch_size": 3, "rows_per_step": 4} | kwargs))


def epoch(sampler, seed=0):
    return list(sampler(torch.Generator().manual_seed(seed)))


def visits(batches):
    return sorted(int(v) for batch in batches for v in batch.features[:, 0, 0, 0])


def test_recordings_are_visited_as_often_as_they_are_long_and_silent_ones_never(store):
    # 30 and 45 frames hold three and four crops of 10 (45 / 10 rounded to even), short ones one
    assert visits(epoch(sampler_of(store))) == [0, 0, 0, 1, 3, 3, 3, 3, 4]
    assert visits(epoch(sampler_of(store, batch_size=100, crop_frames=1000))) == [0, 1, 3, 4]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9, 20])
def test_the_number_of_steps_is_told_beforehand(store, batch_size):
    sampler = sampler_of(store, batch_size=batch_size)
    batches = epoch(sampler)
    assert len(batches) == sampler.n_steps == -(-9 // batch_size)
    assert [len(b.features) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert sum(len(b.features) for b in batches) == 9


def test_crops_are_runs_of_one_recording_with_their_activity_and_padding(store):
    for batch in epoch(sampler_of(store), seed=4):
        assert batch.features.shape[2] == len(batch.rows) == 4
        assert len(set(batch.rows.tolist())) == 4
        for gcc, activity, valid in zip(batch.features, batch.activity, batch.valid, strict=True):
            k, n = int(gcc[0, 0, 0]), int(valid.sum())
            assert n == min(10, LENGTHS[k])
            assert valid[:n].all()
            assert (gcc[:n, :, 0] == k).all()
            assert (gcc[1:n, :, 1] - gcc[: n - 1, :, 1] == 1).all()
            assert (gcc[:n, :, 2] == batch.rows).all()
            assert torch.equal(activity[:n], (gcc[:n, 0, 1] % 3 != 0).float())
            assert (gcc[n:] == 0).all()
            assert (activity[n:] == 0).all()
            assert (valid[n:] == 0).all()


def test_crops_begin_anywhere_and_reach_both_ends(store):
    sampler = sampler_of(store, batch_size=9)
    starts = {
        int(b.features[k, 0, 0, 1])
        for s in range(80)
        for b in epoch(sampler, s)
        for k in range(9)
        if b.features[k, 0, 0, 0] == 0
    }
    assert starts == set(range(21))


def test_order_and_pairs_change_from_epoch_to_epoch_and_all_pairs_are_seen(store):
    generator = torch.Generator().manual_seed(0)
    sampler = sampler_of(store, batch_size=1)
    epochs = [list(sampler(generator)) for _ in range(2)]
    orders = [[int(b.features[0, 0, 0, 0]) for b in batches] for batches in epochs]
    assert orders[0] != orders[1]
    pairs = [tuple(b.rows.tolist()) for b in itertools.chain(*epochs)]
    assert len(set(pairs)) > 5
    assert set(itertools.chain(*pairs)) == set(range(6))


def test_more_pairs_than_there_are_means_all(store):
    for batch in epoch(sampler_of(store, rows_per_step=100)):
        assert batch.rows.tolist() == list(range(6))


def test_one_seed_one_epoch(store):
    before = torch.random.get_rng_state()
    one, two, other = (epoch(sampler_of(store), seed) for seed in (1, 1, 2))
    assert all(
        torch.equal(a.features, b.features) and torch.equal(a.rows, b.rows) for a, b in zip(one, two, strict=True)
    )
    assert not all(
        a.features.shape == b.features.shape and torch.equal(a.features, b.features)
        for a, b in zip(one, other, strict=True)
    )
    assert torch.equal(torch.random.get_rng_state(), before)


def test_truth_is_cropped_with_its_frames_and_unknown_in_padding(tmp_path):
    """Frame t of recording k points to (k, t, 0); every third is unknown, and recording 1 is unknown everywhere."""
    store = FeatureStore(tmp_path / "maps", n_rows=2, n_columns=3)
    for k, length in enumerate((30, 12, 7)):
        frame = torch.arange(length)
        store.write(torch.stack([torch.full_like(frame, k), frame, frame], dim=-1)[:, None].expand(-1, 2, -1).float())
        doa = np.stack([np.full(length, k), np.arange(length), np.zeros(length)], axis=1).astype(float)
        doa[np.arange(length) % 3 == 0 if k != 1 else slice(None)] = np.nan
        store.close_recording(np.ones(length, bool), doa)
    sampler = CropSampler(store, crop_frames=10, batch_size=3)
    for batch in epoch(sampler, seed=2):
        assert batch.rows.tolist() == [0, 1]
        for features, doa, valid in zip(batch.features, batch.doa, batch.valid, strict=True):
            n = int(valid.sum())
            frame = features[:n, 0, 1]
            assert int(features[0, 0, 0]) != 1, "nothing is known of recording 1"
            known = frame % 3 != 0
            assert torch.equal(torch.isfinite(doa[:n]).all(dim=1), known)
            assert torch.equal(doa[:n][known][:, 1], frame[known])
            assert torch.isnan(doa[n:]).all()
    assert visits(epoch(sampler)) == [0, 0, 0, 2]
    assert epoch(sampler_of(store))[0].doa is not None


def test_without_truth_a_batch_has_none(store):
    assert all(batch.doa is None for batch in epoch(sampler_of(store)))


@pytest.mark.parametrize("n_processes", [2, 3])
def test_shares_of_several_processes_are_the_batches_of_one(store, n_processes):
    """Nine crops of batches of 2 per process: at the end some processes have none."""
    options = {"rows_per_step": 4, "chosen_per_step": 2}
    whole = epoch(sampler_of(store, batch_size=2 * n_processes, **options), seed=5)
    samplers = [sampler_of(store, batch_size=2, **options).share(r, n_processes) for r in range(n_processes)]
    shares = [epoch(sampler, seed=5) for sampler in samplers]
    assert {len(share) for share in shares} == {len(whole)} == {sampler.n_steps for sampler in samplers}
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        for part in parts:
            assert torch.equal(part.rows, batch.rows)
            assert torch.equal(part.chosen, batch.chosen)
            assert part.features.shape[1:] == batch.features.shape[1:]
        assert sum(float(part.activity.sum()) for part in parts) == float(batch.activity.sum())
        assert sum(float(part.valid.sum()) for part in parts) == float(batch.valid.sum())
        seeds = sorted(s for part in parts if part.valid.any() for s in part.seeds.tolist())
        assert seeds == sorted(batch.seeds.tolist())
        for r, part in enumerate(parts):
            own = slice(r, None, n_processes)
            if len(batch.features[own]):
                assert torch.equal(part.features, batch.features[own])


def test_a_resident_sampler_gives_the_same_batches_if_there_is_room(store):
    plain = sampler_of(store)
    kept = plain.resident("cpu", most_bytes=1e6)
    assert plain.resident("cpu", most_bytes=10) is plain
    for a, b in zip(epoch(plain), epoch(kept), strict=True):
        assert torch.equal(a.features, b.features)


def test_samples_of_a_crop_do_not_depend_on_the_others(store):
    batch = epoch(sampler_of(store))[0]
    drawn = [torch.rand(3, generator=generator) for generator in batch.generators()]
    assert len({tuple(d.tolist()) for d in drawn}) == len(batch.features)
    one = dataclasses.replace(batch, seeds=batch.seeds[1:2])
    assert torch.equal(torch.rand(3, generator=one.generators()[0]), drawn[1])
    assert batch.to("cpu").features is batch.features
