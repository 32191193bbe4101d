"""Learning in several processes, in mixed precision, and from fresh recordings."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch

from doatrack import Cross3DTracker, load
from doatrack.audio.recordings import Recordings
from doatrack.exceptions import InvalidInputError, ModelFileError
from doatrack.training import TrainingLoop

CROSS = {"resolution": (4, 8), "width": 4, "win_length": 1024, "hop_length": 768, "random_state": 0, "verbose": 0}


def weights(tracker):
    networks = tracker._networks().items()
    return {f"{name}/{k}": v for name, network in networks for k, v in network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lightning_fabric") is None, reason="needs lightning-fabric (extra scale)")
def test_two_processes_give_the_weights_of_one_with_the_doubled_batch(quick, signals, array, tmp_path):
    # three recordings for four places in a batch: the last one has a process without a crop
    options = {"teacher": "physics", "n_epochs": 2, "learning_rate": 0.01}
    alone = quick(**options, batch_size=2).fit(signals, array)
    several = quick(**options, batch_size=1, devices=2, checkpoint=tmp_path).fit(signals, array)
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(several)[name], value, rtol=0, atol=1e-5)
    assert len(several.history_) == 2
    for a, b in zip(alone.history_, several.history_, strict=True):
        assert b == pytest.approx(a, rel=1e-4)
    assert not several.encoder_.training
    np.testing.assert_allclose(several.predict(signals[0]), alone.predict(signals[0]), atol=1e-4)
    # what two began, one may read; the run is complete, so nothing is learned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "step", None)
        again = quick(**options, batch_size=2, checkpoint=tmp_path).fit(signals, array)
    assert again.history_ == several.history_
    several.save(tmp_path / "model.safetensors")
    assert np.array_equal(load(tmp_path / "model.safetensors").predict(signals[0]), several.predict(signals[0]))


@pytest.mark.parametrize("options", [{}, {"teacher": "physics"}, {"encoder": "paper", "prior": "uniform", "width": 8}])
def test_mixed_precision_learns_almost_the_same(quick, signals, array, options):
    if "encoder" in options:
        options = options | {"teacher": "physics"}
    plain = quick(**options, n_epochs=4).fit(signals, array)
    mixed = quick(**options, n_epochs=4, precision="bf16-mixed").fit(signals, array)
    assert {p.dtype for p in mixed.encoder_.parameters()} == {torch.float32}
    assert any(not torch.equal(a, b) for a, b in zip(weights(plain).values(), weights(mixed).values(), strict=True))
    for a, b in zip(plain.history_, mixed.history_, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=0.02)
    np.testing.assert_allclose(mixed.predict(signals[0]), plain.predict(signals[0]), atol=0.3)


def test_mixed_precision_of_supervised_trackers(signals, array, doa):
    truth = [np.tile(u, (1 + (s.shape[1] - 1024) // 768, 1)) for u, s in zip(doa, signals, strict=True)]
    plain, mixed = (
        Cross3DTracker(**CROSS, n_epochs=3, precision=precision).fit(signals, array, truth)
        for precision in ("32-true", "bf16-mixed")
    )
    assert mixed.history_ != plain.history_
    assert mixed.history_[-1]["loss"] == pytest.approx(plain.history_[-1]["loss"], rel=0.05)


@dataclasses.dataclass
class Labelled:
    waveform: np.ndarray
    truth: np.ndarray


class Fresh:
    """The recordings of the tests, in each epoch with other noise, and what was read of them."""

    def __init__(self, signals, doa, seed=0):
        self.signals, self.doa, self.read = signals, doa, []
        self.description = f"bursts, seed {seed}"

    def for_epoch(self, epoch):
        return _Epoch(self, epoch)


class _Epoch:
    def __init__(self, source, epoch):
        self.source, self.epoch = source, epoch

    def __len__(self):
        return len(self.source.signals)

    def __getitem__(self, index):
        self.source.read.append((self.epoch, index))
        rng = np.random.default_rng([self.epoch, index])
        wave = self.source.signals[index]
        times = np.arange(0, wave.shape[1] / 16000, 0.02)
        truth = np.column_stack([times, np.tile(self.source.doa[index], (len(times), 1)), np.ones_like(times)])
        return Labelled(wave + 0.02 * rng.normal(size=wave.shape), truth)


def test_fresh_recordings_are_read_once_in_each_epoch_and_change_what_is_learned(quick, signals, array, doa):
    source = Fresh(signals, doa)
    fresh = quick(n_epochs=3).fit(source, array)
    assert source.read == [(epoch, k) for epoch in range(3) for k in range(3)]
    first = [source.for_epoch(0)[k].waveform for k in range(3)]
    fixed = quick(n_epochs=3).fit(first, array)
    assert fresh.history_[0] == fixed.history_[0]  # the same recordings in the first epoch
    assert fresh.history_[1] != fixed.history_[1]
    fresh.partial_fit(source)
    assert source.read[-1] == (3, 2)


def test_a_run_on_fresh_recordings_is_resumed_with_those_of_its_epoch(quick, signals, array, doa, tmp_path):
    whole = quick(n_epochs=3).fit(Fresh(signals, doa), array)
    original, calls = TrainingLoop.step, []

    def stopped(self, *arguments):
        calls.append(1)
        if len(calls) == 6:  # two steps an epoch or more: in the last but first
            raise KeyboardInterrupt
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            quick(n_epochs=3, checkpoint=tmp_path).fit(Fresh(signals, doa), array)
    source = Fresh(signals, doa)
    resumed = quick(n_epochs=3, checkpoint=tmp_path).fit(source, array)
    assert source.read[0][0] > 0
    assert resumed.history_ == whole.history_
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value)
    with pytest.raises(ModelFileError, match="another run: recordings: bursts, seed 0 there, bursts, seed 1 asked for"):
        quick(n_epochs=3, checkpoint=tmp_path).fit(Fresh(signals, doa, seed=1), array)


def test_supervised_trackers_learn_from_the_truth_of_fresh_recordings(signals, array, doa):
    source = Fresh(signals, doa)
    tracker = Cross3DTracker(**CROSS, n_epochs=2).fit(source, array)
    assert [record["epoch"] for record in tracker.history_] == [1, 2]
    other = Cross3DTracker(**CROSS, n_epochs=2).fit(Fresh(signals, -doa), array)
    assert other.history_ != tracker.history_
    with pytest.raises(InvalidInputError, match="learns from known directions"):
        Cross3DTracker(**CROSS).fit(signals, array)


def test_fresh_recordings_are_lazy_and_refused_where_there_are_none(signals, doa):
    source = Fresh(signals, doa)
    view = Recordings(source, n_mics=4)
    assert len(view) == 3
    assert source.read == []
    assert view.drawn_from == source.description
    assert view[1].shape == signals[1].shape
    assert view.truth(1).shape[1] == 5
    assert source.read == [(0, 1)]  # waveform and truth of one reading
    assert np.any(view.of_epoch(1)[0] != view[0])
    with pytest.raises(InvalidInputError, match="at least one recording"):
        Recordings(Fresh([], doa))
