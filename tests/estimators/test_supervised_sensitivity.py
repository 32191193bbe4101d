"""Every constructor parameter of the supervised trackers has an effect that can be seen from outside, or is refused.

As in test_sensitivity.py: the parameters come from the signature, and a new one fails until it has an entry here.
"""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone

from doatrack import Cross3DTracker, MicArray, NeuralSRPTracker
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MotionModel
from doatrack.training import TrainingLoop

QUICK = {
    "n_epochs": 2,
    "batch_size": 2,
    "crop_frames": 8,
    "win_length": 1024,
    "hop_length": 768,
    "random_state": 0,
    "verbose": 0,
}
QUICK_OF = {
    NeuralSRPTracker: {**QUICK, "width": 4, "pairs_per_step": 4},
    Cross3DTracker: {**QUICK, "resolution": (4, 8), "width": 4},
}
BOTH = {
    "array": MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.04, 0.01], [0.01, -0.02, 0.05]]),
    "width": 6,
    "n_epochs": 3,
    "batch_size": 1,
    "crop_frames": 4,
    "learning_rate": 0.02,
    "sample_rate": 8000,
    "win_length": 512,
    "hop_length": 512,
    "window": "rectangular",
    "speed_of_sound": 300.0,
    "motion": MotionModel(diffusion=0.5, jump_rate=2.0),
    "causal": True,
    "random_state": 1,
}
CHANGES = {
    NeuralSRPTracker: {**BOTH, "pair_order": "channels", "pairs_per_step": 1},
    Cross3DTracker: {**BOTH, "resolution": (8, 16)},
}
OWN_TEST = {"device", "devices", "num_nodes", "precision", "checkpoint", "warm_start", "verbose"}
CASES = [(cls, name) for cls, changes in CHANGES.items() for name in sorted(changes)]
classes = pytest.mark.parametrize("cls", CHANGES)


@pytest.fixture(scope="session")
def truth(signals, doa):
    rows = []
    for signal, u in zip(signals, doa, strict=True):
        times = np.arange(0, signal.shape[1] / 16000, 0.02)
        rows.append(np.column_stack([times, np.tile(u, (len(times), 1)), times * 16000 % 6400 < 3800]))
    return rows


def seen(tracker, signals):
    """Answers, tracks, weights and the score without truth, as one array."""
    parts = [doa.ravel() for doa in tracker.predict(signals)]
    parts += [np.concatenate([t.doa.ravel(), t.concentration]) for t in tracker.track(signals)]
    parts += [p.detach().numpy().ravel() for p in tracker.network_.parameters()]
    return np.concatenate([*parts, [tracker.score(signals)]])


def differs(a, b):
    return a.shape != b.shape or np.nanmax(np.abs(a - b)) > 1e-6


@pytest.fixture(scope="module")
def fitted(array, signals, truth):
    trackers = {cls: cls(array, **options).fit(signals, truth) for cls, options in QUICK_OF.items()}
    return {cls: (tracker, seen(tracker, signals)) for cls, tracker in trackers.items()}


@classes
def test_every_parameter_has_an_entry(cls):
    assert set(CHANGES[cls]) | OWN_TEST == set(inspect.signature(cls).parameters)


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_each_parameter_changes_what_is_seen(fitted, cls, name, signals, truth):
    tracker, before = fitted[cls]
    assert tracker.get_params()[name] != CHANGES[cls][name]
    changed = clone(tracker).set_params(**{name: CHANGES[cls][name]}).fit(signals, truth)
    assert differs(seen(changed, signals), before)


@classes
def test_nothing_else_changes_what_is_seen(fitted, cls, signals, truth):
    tracker, before = fitted[cls]
    assert np.array_equal(seen(clone(tracker).fit(signals, truth), signals), before, equal_nan=True)


FIXED = {"array", "width", "resolution", "random_state"}


@pytest.mark.parametrize(("cls", "name"), [case for case in CASES if case[1] not in FIXED])
def test_a_warm_start_follows_each_parameter_that_was_changed(fitted, cls, name, signals, truth):
    same, other = (clone(fitted[cls][0]).set_params(warm_start=True).fit(signals, truth) for _ in range(2))
    same.fit(signals, truth)
    other.set_params(**{name: CHANGES[cls][name]}).fit(signals, truth)
    assert differs(seen(other, signals), seen(same, signals))


@classes
def test_warm_start_goes_on_from_the_weights(fitted, cls, signals, truth):
    warm = clone(fitted[cls][0]).set_params(warm_start=True).fit(signals, truth)
    assert not differs(seen(warm, signals), fitted[cls][1])
    assert len(warm.fit(signals, truth).history_) == 4
    assert differs(seen(warm, signals), fitted[cls][1])


@classes
@pytest.mark.parametrize("device", ["nonsense", "meta", 3])
def test_device_is_used(fitted, cls, signals, truth, device):
    with pytest.raises(InvalidInputError, match=r"device must name a torch device of this machine.*got"):
        clone(fitted[cls][0]).set_params(device=device).fit(signals, truth)


@classes
@pytest.mark.parametrize(("verbose", "n_lines"), [(0, 0), (1, 0), (2, 2)])
def test_verbose_writes_a_line_per_epoch_where_there_is_no_terminal(
    fitted, cls, signals, truth, capfd, verbose, n_lines
):
    clone(fitted[cls][0]).set_params(verbose=verbose).fit(signals, truth)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("error_deg") == n_lines


@classes
@pytest.mark.parametrize("moment", [1, 3, 4])
def test_a_run_that_was_stopped_is_resumed_bit_for_bit(fitted, cls, signals, truth, tmp_path, moment):
    kept = clone(fitted[cls][0]).set_params(checkpoint=tmp_path / "run")
    step, calls = TrainingLoop.step, []

    def stopped(loop, *values):
        result = step(loop, *values)
        calls.append(1)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            kept.fit(signals, truth)
    assert not hasattr(kept, "network_")
    resumed = clone(kept).fit(signals, truth)
    assert not differs(seen(resumed, signals), fitted[cls][1])
    assert resumed.history_ == fitted[cls][0].history_
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]


@classes
def test_another_truth_is_another_run(fitted, cls, signals, truth, tmp_path):
    from doatrack.exceptions import ModelFileError

    kept = clone(fitted[cls][0]).set_params(checkpoint=tmp_path).fit(signals, truth)
    turned = [np.column_stack([rows[:, 0], -rows[:, 1:4], rows[:, 4]]) for rows in truth]
    with pytest.raises(ModelFileError, match="another run: recordings: 3 recordings with the checksum"):
        clone(kept).fit(signals, turned)


REFUSED = {
    "width": (0, r"width must be at least \d, got 0"),
    "n_epochs": (0, r"n_epochs must be at least 1"),
    "batch_size": (1.5, r"batch_size must be a whole number, got 1.5"),
    "crop_frames": (0, r"crop_frames must be at least 1"),
    "learning_rate": (0, r"learning_rate must be above 0"),
    "motion": (3.0, r"motion must be a"),
    "verbose": ("loud", r"verbose must be a whole number, got 'loud'"),
    "warm_start": ("yes", r"warm_start must be"),
    "random_state": ("five", r"random_state must be None, a whole number"),
}


@classes
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_senseless_values_are_refused_at_fit(fitted, cls, name, signals, truth):
    value, message = REFUSED[name]
    with pytest.raises(InvalidInputError, match=message):
        clone(fitted[cls][0]).set_params(**{name: value}).fit(signals, truth)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pair_order", "any", r"pair_order must be one of .*Choose from: canonical, channels"),
        ("pairs_per_step", 0, r"pairs_per_step must be at least 1"),
    ],
)
def test_senseless_values_of_neural_srp(fitted, name, value, message, signals, truth):
    with pytest.raises(InvalidInputError, match=message):
        clone(fitted[NeuralSRPTracker][0]).set_params(**{name: value}).fit(signals, truth)


@classes
def test_published_settings(cls):
    tracker = cls.paper(random_state=3)
    assert (tracker.n_epochs, tracker.learning_rate, tracker.crop_frames, tracker.batch_size) == (80, 1e-4, 103, 16)
    assert (tracker.win_length, tracker.hop_length, tracker.window, tracker.random_state) == (4096, 3072, "hann", 3)
    assert torch.is_tensor(next(tracker._build().parameters()))
