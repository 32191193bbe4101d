"""The loop calls, clips, skips and schedules as it says; a checkpoint brings it back to the same bits."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from doatrack.exceptions import ModelFileError
from doatrack.training import Callback, Checkpoint, TrainingLoop, exponential_decay
from doatrack.training.differences import differences


class Recorder(Callback):
    """Writes down what happens."""

    def __init__(self, events, name=""):
        self.events, self.name = events, name

    def on_epoch_begin(self, loop):
        self.events.append(f"{self.name}begin {loop.epoch}")

    def on_step_end(self, loop, record):
        self.events.append(f"{self.name}step {record['loss']:g}")

    def on_epoch_end(self, loop, record):
        assert record is loop.history[-1]
        self.events.append(f"{self.name}end {loop.epoch}")


def make_loop(n_epochs=3, callbacks=(), spoil=None, **kwargs):
    """Weights, buffers and a scalar; every step draws from the generator, for the batch and for the loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        module.register_parameter("scale", nn.Parameter(torch.tensor(0.5)))

    def batches(generator):
        for _ in range(2):
            yield torch.randn(5, 3, generator=generator)

    def loss(batch, progress, generator):
        noise = torch.randn(5, 1, generator=generator)
        value = (module.scale * module(batch) - noise).square().mean() * (1 + progress)
        return (value if spoil is None else spoil(value, progress)), {"progress": progress}

    return TrainingLoop(
        module,
        torch.optim.Adam(module.parameters(), lr=1.0),
        batches=batches,
        loss=loss,
        learning_rate=lambda p: exponential_decay(0.1, 0.01, p),
        n_epochs=n_epochs,
        generator=torch.Generator().manual_seed(0),
        n_steps=2,
        callbacks=callbacks,
        **kwargs,
    )


def same_weights(a, b):
    return all(torch.equal(x, b.module.state_dict()[k]) for k, x in a.module.state_dict().items())


def test_events_come_in_order_to_all_callbacks_in_turn():
    events = []
    values = iter([4.0, 2.0, 8.0, 6.0])
    weight = nn.Linear(1, 1)
    TrainingLoop(
        weight,
        torch.optim.SGD(weight.parameters(), lr=0.0),
        batches=lambda generator: [0, 1],
        loss=lambda batch, progress, generator: (weight.weight.sum() * 0 + next(values), {}),
        learning_rate=lambda progress: 0.0,
        n_epochs=2,
        generator=torch.Generator(),
        n_steps=2,
        callbacks=[Recorder(events, "a "), Recorder(events, "b ")],
    ).run()
    steps = ["begin 0", "step 4", "step 2", "end 1", "begin 1", "step 8", "step 6", "end 2"]
    assert events == [f"{who} {what}" for what in steps for who in ("a", "b")]


def test_history_holds_the_mean_of_each_epoch():
    losses = []
    loop = make_loop(callbacks=[Recorder(losses)]).run()
    values = [float(e.split()[1]) for e in losses if e.startswith("step")]
    assert [h["epoch"] for h in loop.history] == [1, 2, 3]
    for k, record in enumerate(loop.history):
        assert record["loss"] == pytest.approx(sum(values[2 * k : 2 * k + 2]) / 2, rel=1e-4)
    assert [h["progress"] for h in loop.history] == pytest.approx([1 / 12, 5 / 12, 9 / 12])


def test_the_learning_rate_follows_the_schedule_and_the_group():
    loop = make_loop()
    loop.optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "rate_factor": 10.0})
    loop.step(torch.zeros(5, 3), 0.5)
    rates = [group["lr"] for group in loop.optimizer.param_groups]
    assert rates == pytest.approx([0.1**1.5, 10 * 0.1**1.5])
    assert make_loop().run().history[-1]["learning_rate"] == pytest.approx((0.1 * 0.1 ** (4 / 6) + 0.1 ** (11 / 6)) / 2)


def test_exponential_decay_is_geometric_and_held_at_both_ends():
    assert exponential_decay(5e-4, 5e-5, 0.0) == pytest.approx(5e-4)
    assert exponential_decay(5e-4, 5e-5, 0.5) ** 2 == pytest.approx(5e-4 * 5e-5)
    assert exponential_decay(5e-4, 5e-5, 1.0) == pytest.approx(5e-5)
    assert exponential_decay(2.0, 8.0, -1.0) == 2.0
    assert exponential_decay(2.0, 8.0, 7.0) == 8.0


@pytest.mark.parametrize(("slope", "expected"), [(1e6, 0.5), (-1e6, -0.5), (0.2, 0.2)])
def test_large_gradients_are_scaled_down_and_small_ones_left(slope, expected):
    weight = nn.Parameter(torch.zeros(1))
    module = nn.ParameterList([weight])
    loop = TrainingLoop(
        module,
        torch.optim.SGD(module.parameters(), lr=1.0),
        batches=lambda generator: [None],
        loss=lambda batch, progress, generator: (slope * weight.sum(), {}),
        learning_rate=lambda progress: 1.0,
        n_epochs=1,
        generator=torch.Generator(),
        n_steps=1,
        largest_gradient=0.5,
    )
    loop.run()
    assert weight.item() == pytest.approx(-expected, rel=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_without_finite_gradient_is_skipped_and_the_next_taken(bad):
    spoilt = make_loop(n_epochs=1, spoil=lambda value, progress: value * (bad if progress == 0 else 1.0))
    clean = make_loop(n_epochs=1)
    parameters = dict(clean.module.named_parameters())
    start = {k: v.detach().clone() for k, v in parameters.items()}
    first, second = list(clean.batches(torch.Generator().manual_seed(5)))
    spoilt.step(first, 0.0)
    assert all(torch.equal(v, start[k]) for k, v in spoilt.module.named_parameters())
    assert not spoilt.optimizer.state
    spoilt.step(second, 0.5)
    assert all(torch.isfinite(v).all() for v in spoilt.module.parameters())
    assert not torch.equal(spoilt.module[0].weight, start["0.weight"])


def test_one_seed_gives_one_result_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    one, two = make_loop().run(), make_loop().run()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same_weights(one, two)
    assert one.history == two.history


# ---- checkpoints ----


class InterruptAt(Callback):
    """Stops the run at the n-th event of a kind, as Ctrl-C does."""

    def __init__(self, event, count):
        self.left = {event: count}

    def _count(self, event):
        if event in self.left:
            self.left[event] -= 1
            if self.left[event] == 0:
                raise KeyboardInterrupt

    def on_epoch_begin(self, loop):
        self._count("begin")

    def on_step_end(self, loop, record):
        self._count("step")

    def on_epoch_end(self, loop, record):
        self._count("end")


EVENTS = [("begin", 1), ("step", 1), ("begin", 2), ("step", 3), ("step", 4), ("end", 2), ("begin", 3), ("step", 6)]


@pytest.mark.parametrize("where", EVENTS)
@pytest.mark.parametrize("before_saving", [True, False])
def test_interrupted_anywhere_and_resumed_gives_the_same_bits(tmp_path, where, before_saving):
    reference = make_loop().run()
    saving, stop = Checkpoint(tmp_path, {"seed": 0}), InterruptAt(*where)
    with pytest.raises(KeyboardInterrupt):
        make_loop(callbacks=[stop, saving] if before_saving else [saving, stop]).run()
    resumed = make_loop(callbacks=[Checkpoint(tmp_path, {"seed": 0})])
    Checkpoint(tmp_path, {"seed": 0}).resume(resumed)
    skipped = resumed.epoch
    resumed.run()
    assert skipped == {"begin": where[1] - 1, "step": (where[1] - 1) // 2, "end": where[1] - before_saving}[where[0]]
    assert same_weights(resumed, reference)
    assert resumed.history == reference.history
    assert torch.equal(resumed.generator.get_state(), reference.generator.get_state())


def test_interrupted_twice(tmp_path):
    reference = make_loop(n_epochs=4).run()
    for stop in (InterruptAt("step", 3), InterruptAt("step", 4)):
        loop = make_loop(n_epochs=4, callbacks=[Checkpoint(tmp_path, {}), stop])
        Checkpoint(tmp_path, {}).resume(loop)
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    last = make_loop(n_epochs=4, callbacks=[Checkpoint(tmp_path, {})])
    Checkpoint(tmp_path, {}).resume(last)
    assert last.epoch == 2
    assert same_weights(last.run(), reference)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_killed_while_saving_the_older_checkpoint_survives(tmp_path, monkeypatch, call):
    import os

    make_loop(n_epochs=1, callbacks=[Checkpoint(tmp_path, {})]).run()
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def stop(*args):
        raise KeyboardInterrupt

    loop = make_loop(n_epochs=3, callbacks=[Checkpoint(tmp_path, {})])
    with monkeypatch.context() as patch:
        patch.setattr(os, call, stop)
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_finished_run_is_not_run_again(tmp_path):
    done = make_loop(callbacks=[Checkpoint(tmp_path, {})]).run()
    events = []
    again = make_loop(callbacks=[Recorder(events)])
    Checkpoint(tmp_path, {}).resume(again)
    again.run()
    assert events == []
    assert same_weights(again, done)
    assert again.history == done.history


def test_without_a_file_nothing_happens(tmp_path):
    loop = make_loop()
    checkpoint = Checkpoint(tmp_path / "new" / "folder", {"a": 1})
    checkpoint.resume(loop)
    assert loop.epoch == 0
    assert not checkpoint.exists()
    assert checkpoint.stored("a") is None
    make_loop(n_epochs=1, callbacks=[checkpoint]).run()
    assert checkpoint.exists()
    assert checkpoint.stored("a") == 1


def test_the_difference_to_another_run_is_named(tmp_path):
    kept = {"gamma": 4.0, "beta": 0.1, "pairs": [[0, 1]], "gone": 1, "seed": 3}
    make_loop(n_epochs=1, callbacks=[Checkpoint(tmp_path, kept)]).run()
    asked = {"gamma": 5.0, "beta": 0.1, "pairs": ((0, 1),), "added": 1, "seed": 4}
    other = Checkpoint(tmp_path, asked, derived=("seed",))
    loop = make_loop()
    start = {k: v.clone() for k, v in loop.module.state_dict().items()}
    words = "added: nothing there, 1 asked for; gamma: 4.0 there, 5.0 asked for; gone: 1 there, nothing asked for"
    with pytest.raises(ModelFileError, match=rf"belongs to another run: {words}\. Use the same .*another folder"):
        other.resume(loop)
    assert loop.epoch == 0
    assert all(torch.equal(v, start[k]) for k, v in loop.module.state_dict().items())


def test_what_follows_from_nothing_else_is_named(tmp_path):
    make_loop(n_epochs=1, callbacks=[Checkpoint(tmp_path, {"seed": 3})]).run()
    with pytest.raises(ModelFileError, match=r"another run: seed: 3 there, 4 asked for\."):
        Checkpoint(tmp_path, {"seed": 4}, derived=("seed",)).resume(make_loop())


def test_numbers_of_numpy_are_the_same_run(tmp_path):
    make_loop(n_epochs=1, callbacks=[Checkpoint(tmp_path, {"width": 8, "learn": True})]).run()
    loop = make_loop(n_epochs=1)
    Checkpoint(tmp_path, {"width": np.int64(8), "learn": np.bool_(True)}).resume(loop)
    assert loop.epoch == 1


def test_a_number_for_each_process_may_change_with_their_number(tmp_path):
    def checkpoint(batch_size):
        return Checkpoint(tmp_path, {"batch_size": batch_size}, per_process=("batch_size",))

    def loop_of(n_processes, **options):
        loop = make_loop(n_epochs=1, **options)
        loop.processes.n_processes = n_processes
        return loop

    loop_of(1, callbacks=[checkpoint(8)]).run()
    for n_processes, batch_size in ((1, 8), (2, 4), (4, 2), (2, 8)):
        loop = loop_of(n_processes)
        checkpoint(batch_size).resume(loop)
        assert loop.epoch == 1
    for n_processes, batch_size in ((1, 4), (2, 2), (4, 4)):
        with pytest.raises(ModelFileError, match=rf"another run: batch_size: 8 there, {batch_size} asked for\."):
            checkpoint(batch_size).resume(loop_of(n_processes))


def test_differences_of_long_values_are_told_by_what_differs():
    table = np.arange(24.0).reshape(12, 2)
    (told,) = differences({"positions": table.tolist()}, {"positions": (table + 0.002).tolist()})
    assert told == "positions: they differ by up to 0.002"
    (told,) = differences({"positions": table.tolist()}, {"positions": table[:3].tolist()})
    assert told == "positions: a table of 12 rows there, a table of 3 rows asked for"
    words = [f"Settings({', '.join(f'name_{k}={k}' for k in range(20))}, last={last})" for last in (1, 2)]
    (told,) = differences({"features": words[0]}, {"features": words[1]})
    assert told == "features: last=1) there, last=2) asked for"
    (told,) = differences({"a": "x" * 200}, {"a": None})
    assert told == f"a: {'x' * 80}... there, None asked for"


DAMAGE = {
    "cut off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "text": lambda data: b"no checkpoint at all",
    "pickle": lambda data: b"\x80\x04K\x01.",
    "flipped header": lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path, kind):
    checkpoint = Checkpoint(tmp_path, {})
    make_loop(n_epochs=1, callbacks=[checkpoint]).run()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with pytest.raises(ModelFileError, match=r"checkpoint\.safetensors is damaged .*Delete it to start anew"):
        checkpoint.resume(make_loop())


def test_another_safetensors_file_is_no_checkpoint(tmp_path):
    from safetensors.numpy import save_file

    save_file({}, tmp_path / "checkpoint.safetensors", metadata={"other": json.dumps({})})
    with pytest.raises(ModelFileError, match="is damaged"):
        Checkpoint(tmp_path, {}).resume(make_loop())


HEADERS = ([1], "x", {"fingerprint": None, "epoch": 1, "history": []}, {"fingerprint": {}, "epoch": "1", "history": []})


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_is_none_is_damage(tmp_path, header):
    from safetensors.numpy import save_file

    path = tmp_path / "checkpoint.safetensors"
    save_file({}, path, metadata={"doatrack-checkpoint": json.dumps(header)})
    damaged = "is damaged (its header lacks epoch, history, fingerprint). Delete it to start anew."
    for call in (lambda: Checkpoint(tmp_path, {}).resume(make_loop()), lambda: Checkpoint(tmp_path, {}).stored("seed")):
        with pytest.raises(ModelFileError, match=re.escape(damaged)):
            call()


@pytest.mark.parametrize("change", ["lost", "shape"])
def test_a_state_that_does_not_fit_is_damage(tmp_path, change):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    make_loop(n_epochs=1, callbacks=[Checkpoint(tmp_path, {})]).run()
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, "np") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    # torch loads states without the counter, as old ones are
    for name in [key for key in tensors if key.startswith(("module", "gen")) and not key.endswith("batches_tracked")]:
        other = {key: value for key, value in tensors.items() if key != name}
        save_file(other | ({name: np.zeros(7, np.uint8)} if change == "shape" else {}), path, metadata=metadata)
        with pytest.raises(
            ModelFileError, match=r"checkpoint\.safetensors is damaged \(.*\)\. Delete it to start anew"
        ):
            Checkpoint(tmp_path, {}).resume(make_loop())
