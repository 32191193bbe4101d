"""Fitting from files, silence, given activity, adapting, seeds: what the tracker promises besides the contract."""

import inspect
import json
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
import torch

import doatrack
from doatrack import MicArray, PhysicsVAETracker
from doatrack.distributions import ConeCalibration
from doatrack.exceptions import ArrayMismatchWarning, InvalidInputError, NoActivityError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def weights(tracker):
    return torch.cat([p.detach().ravel() for p in tracker.encoder_.parameters()])


def n_frames(signal):
    return 1 + (signal.shape[1] - 1024) // 768


# ---- history and learning ----


def test_history_has_a_record_per_epoch(quick, kind, signals, array):
    tracker = quick(**kind, n_epochs=3).fit(signals, array)
    assert [record["epoch"] for record in tracker.history_] == [1, 2, 3]
    names = {"epoch", "loss", "physics", "kl", "gamma", "sigma", "beta", "learning_rate"}
    for record in tracker.history_:
        assert set(record) == names
        assert all(isinstance(value, (int, float)) and np.isfinite(value) for value in record.values())
        assert record["physics"] > 0
        assert record["kl"] >= 0
    json.dumps(tracker.history_)


def test_history_follows_the_schedules(quick, signals, array):
    tracker = quick(
        teacher="physics", n_epochs=20, batch_size=100, gamma=8.0, gamma_initial=2.0, sigma=0.5, sigma_initial=2.0,
        beta=0.2,
        learning_rate=1e-3, final_learning_rate=1e-4,
    ).fit(signals, array)  # fmt: skip
    gamma, sigma, beta, rate = (
        np.array([r[k] for r in tracker.history_]) for k in ("gamma", "sigma", "beta", "learning_rate")
    )
    assert gamma[0] == pytest.approx(2.0)
    assert sigma[0] == pytest.approx(2.0, rel=1e-5)
    assert gamma[:11] == pytest.approx(np.geomspace(2.0, 8.0, 11))
    assert sigma[:11] == pytest.approx(np.geomspace(2.0, 0.5, 11), rel=1e-5)
    assert gamma[10:] == pytest.approx(np.full(10, 8.0))
    assert beta == pytest.approx([0.02] + [0.2] * 19)
    assert rate == pytest.approx(1e-3 * 0.1 ** (np.arange(20) / 20))


def test_the_loss_falls(quick, kind, signals, array, rng):
    """With whole recordings, all pairs and constant schedules, every epoch is the same task."""
    noisy = [s + 0.7 * rng.normal(size=s.shape) for s in signals]
    active = [np.ones(n_frames(s), bool) for s in signals]
    whole = {"crop_frames": 100, "pairs_per_step": 100, "batch_size": 1, "n_epochs": 25, "beta": 0.0}
    constant = {"gamma": 2.0, "gamma_initial": 2.0, "sigma": 2.0, "sigma_initial": 2.0, "learning_rate": 0.01}
    tracker = quick(**(kind | whole | constant)).fit(noisy, array, activity=active)
    losses = [record["loss"] for record in tracker.history_]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 3e-3


def test_silence_teaches_nothing(quick, kind, array):
    rng = np.random.default_rng(0)
    steady = 0.1 * rng.normal(size=(4, 16000))
    for silent in (np.zeros((4, 16000)), steady):
        with pytest.raises(
            NoActivityError, match=r"No frame of the recordings is active.*Record with sound, or pass activity="
        ):
            quick(**kind).fit([silent], array)
    # somebody who knows better is believed
    told = quick(**kind).fit([steady], array, activity=[np.ones(n_frames(steady), bool)])
    assert len(told.history_) == 2
    with pytest.raises(NoActivityError):
        quick(**kind).fit([steady], array, activity=[np.zeros(n_frames(steady), bool)])


def test_a_silent_recording_among_others_changes_nothing(quick, signals, array):
    with_silence = quick(batch_size=8).fit([*signals, np.zeros((4, 16000))], array)
    assert torch.equal(weights(with_silence), weights(quick(batch_size=8).fit(signals, array)))


def test_given_activity_changes_what_is_learned(quick, kind, signals, array):
    everything = [np.ones(n_frames(s), bool) for s in signals]
    half = [np.arange(n_frames(s)) < n_frames(s) // 2 for s in signals]
    learned = [weights(quick(**kind).fit(signals, array, activity=a)) for a in (None, everything, half)]
    assert not torch.allclose(learned[0], learned[1], atol=1e-5)
    assert not torch.allclose(learned[1], learned[2], atol=1e-5)
    estimated = [t.activity for t in quick(**kind).fit(signals, array).track(signals)]
    same = weights(quick(**kind).fit(signals, array, activity=estimated))
    assert torch.equal(same, learned[0])


def test_activity_of_another_length_names_the_recording(quick, signals, array):
    wrong = [np.ones(n_frames(s), bool) for s in signals]
    wrong[1] = wrong[1][:-1]
    with pytest.raises(
        InvalidInputError, match=rf"activity of recording 1 .*\({n_frames(signals[1])},\), got the shape"
    ):
        quick().fit(signals, array, activity=wrong)
    with pytest.raises(InvalidInputError, match=r"activity must hold one entry per recording, 3, got 2"):
        quick().fit(signals, array, activity=wrong[:2])


def test_the_short_recording_of_a_list_is_named(quick, signals, array):
    with pytest.raises(InvalidInputError, match=r"recording 1 must be at least one frame long, 1024 samples"):
        quick().fit([signals[0], signals[1][:, :1000]], array)


REFUSED = {
    "silence": lambda s: [np.zeros((4, 16000))],
    "NaN": lambda s: [s[0], s[1] * np.nan],
    "too short": lambda s: [s[0][:, :1000]],
    "channels": lambda s: [s[0][:3]],
    "no file": lambda s: ["/no/such/file.wav"],
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("call", ["fit", "partial_fit", "warm fit"])
def test_refused_recordings_leave_a_fitted_tracker_as_it_was(quick, signals, array, why, call):
    tracker = quick(random_state=3).fit(signals, array)
    before, history = tracker.predict(signals[0]), list(tracker.history_)
    tracker.set_params(warm_start=call == "warm fit")
    with pytest.raises((doatrack.exceptions.DoatrackError, OSError)):
        getattr(tracker, call.split()[-1])(REFUSED[why](signals), array)
    assert np.array_equal(tracker.predict(signals[0]), before)
    assert tracker.history_ == history
    unfitted = quick()
    with pytest.raises((doatrack.exceptions.DoatrackError, OSError)):
        unfitted.fit(REFUSED[why](signals), array)
    assert not hasattr(unfitted, "encoder_")


# ---- seeds ----


def test_random_state_may_be_a_number_a_generator_or_none(quick, signals, array):
    number = weights(quick(random_state=5).fit(signals, array))
    assert torch.equal(number, weights(quick(random_state=5).fit(signals, array)))
    assert not torch.equal(number, weights(quick(random_state=6).fit(signals, array)))
    drawn = [weights(quick(random_state=np.random.RandomState(5)).fit(signals, array)) for _ in range(2)]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], number)
    shared = np.random.RandomState(5)
    first, second = (weights(quick(random_state=shared).fit(signals, array)) for _ in range(2))
    assert torch.equal(first, number)
    assert not torch.equal(second, number)
    one, other = (weights(quick(random_state=None).fit(signals, array)) for _ in range(2))
    assert not torch.equal(one, other)
    with pytest.raises(InvalidInputError, match="random_state must be None, a whole number"):
        quick(random_state="five").fit(signals, array)


def test_fitting_leaves_global_generators_alone(quick, kind, signals, array):
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    quick(**kind).fit(signals, array).predict(signals)
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


# ---- adapting ----


def test_partial_fit_adapts(quick, kind, signals, array):
    tracker = quick(**kind, gamma=5.0, gamma_initial=1.0).fit(signals, array)
    before, history = weights(tracker), list(tracker.history_)
    assert tracker.partial_fit(signals[1]) is tracker
    assert not torch.equal(weights(tracker), before)
    assert tracker.history_[:2] == history
    assert len(tracker.history_) == 3
    # schedules stay at their ends
    assert tracker.history_[2]["gamma"] == pytest.approx(5.0)
    assert tracker.history_[2]["learning_rate"] == pytest.approx(tracker.final_learning_rate)
    tracker.partial_fit(signals, array=array).partial_fit(signals, array)
    assert len(tracker.history_) == 5


def test_partial_fit_of_the_same_is_the_same(quick, signals, array):
    one, two = (quick().fit(signals, array).partial_fit(signals[:2]) for _ in range(2))
    assert torch.equal(weights(one), weights(two))


def test_partial_fit_of_a_new_tracker_starts_anew(quick, signals, array):
    new = quick().partial_fit(signals, array)
    assert len(new.history_) == 1
    assert new.predict(signals[0]).shape == (n_frames(signals[0]), 3)
    assert len(quick(array=array).partial_fit(signals).history_) == 1
    for nothing in ({}, {"array": "nao"}):
        with pytest.raises(InvalidInputError, match=r"partial_fit of a new tracker needs the geometry"):
            quick(**nothing).partial_fit(signals)


@pytest.mark.parametrize("call", ["partial_fit", "warm fit"])
def test_adapting_to_another_array_goes_through_for_array(quick, signals, array, call):
    tracker = quick(warm_start=True).fit(signals, array)
    other = MicArray(array.positions[::-1] * 1.1)
    with pytest.raises(InvalidInputError, match=r"got another one. Use for_array\(array\) first"):
        getattr(tracker, call.split()[-1])(signals, other)
    assert tracker.array_ == array
    with pytest.warns(ArrayMismatchWarning, match="not guaranteed"):
        moved = tracker.for_array(other)
    moved.partial_fit(signals, other)
    assert len(moved.history_) == 3
    assert len(tracker.history_) == 2


def test_partial_fit_leaves_the_checkpoint_alone(quick, signals, array, tmp_path):
    tracker = quick(checkpoint=tmp_path).fit(signals, array)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    tracker.partial_fit(signals)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


# ---- saving ----


def test_a_loaded_tracker_is_the_saved_one(quick, kind, signals, array, tmp_path):
    tracker = quick(**kind).fit(signals, array)
    tracker.calibration_ = {"frame": ConeCalibration(scale=0.37)}
    tracker.save(tmp_path / "model")
    loaded = doatrack.load(tmp_path / "model")
    for one, other in zip(tracker.track(signals), loaded.track(signals), strict=True):
        assert np.array_equal(one.doa, other.doa)
        assert np.array_equal(one.credible_angle, other.credible_angle)
    assert loaded.score(signals) == tracker.score(signals)
    assert loaded.history_ == tracker.history_
    of_the_run = {"verbose": 0, "checkpoint": None}
    assert loaded.get_params() | of_the_run == tracker.get_params() | of_the_run
    assert loaded.fitted_array_ == array
    shapes = [{k: v.shape for k, v in t.encoder_.state_dict().items()} for t in (tracker, loaded)]
    assert shapes[0] == shapes[1]
    # and it learns on as the saved one would
    assert torch.equal(weights(loaded.partial_fit(signals)), weights(tracker.partial_fit(signals)))


# ---- files ----


def test_files_are_read_as_arrays_and_a_bad_one_is_named(quick, signals, array, tmp_path):
    paths = []
    for k, signal in enumerate(signals):
        paths.append(tmp_path / f"{k}.wav")
        soundfile.write(paths[-1], signal.T, 16000, subtype="FLOAT")
    assert torch.equal(weights(quick().fit(paths, array)), weights(quick().fit(signals, array)))
    (tmp_path / "bad.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(doatrack.exceptions.AudioFileError, match=r"bad\.wav"):
        quick().fit([*paths, tmp_path / "bad.wav"], array)


MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from doatrack import MicArray, PhysicsVAETracker
array = MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.06, 0.01], [0.01, -0.02, 0.06]])
tracker = PhysicsVAETracker(n_directions=100, width=4, n_epochs=1, random_state=0, verbose=0)
for count in (2, 2, 8):
    tracker.fit([sys.argv[1]] * count, array)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kilobytes on Linux only")
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Four times as many recordings of 8 MB each: 48 MB more, if they were held."""
    rng = np.random.default_rng(0)
    n = 32 * 16000
    noise = 0.1 * rng.standard_normal((n, 4), dtype=np.float32) * (np.arange(n) % 16000 < 9000)[:, None]
    soundfile.write(tmp_path / "long.wav", noise, 16000)
    child = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "long.wav")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "1"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    _, few, many = (int(line) / 1024 for line in child.stdout.split())
    assert many - few < 12, f"{few:.0f} MB, then {many:.0f} MB"


# ---- the paper ----


def test_the_papers_setting():
    tracker = PhysicsVAETracker.paper(random_state=4)
    known = {
        "encoder": "paper", "prior": "uniform", "learn_sigma": True, "n_epochs": 300, "batch_size": 16,
        "learning_rate": 5e-4, "final_learning_rate": 5e-5, "win_length": 4096, "hop_length": 3072,
        "sample_rate": 16000, "crop_frames": 103, "random_state": 4, "width": None,
    }  # fmt: skip
    params = tracker.get_params()
    assert {name: params[name] for name in known} == known
    assert params["gamma"] > 1
    assert not hasattr(tracker, "encoder_")
    # 103 frames of 4096 samples every 3072 are the paper's 20 s
    assert (tracker.crop_frames - 1) * 3072 + 4096 <= 20 * 16000 < tracker.crop_frames * 3072 + 4096


def test_the_papers_network_and_schedule(signals, array):
    tracker = PhysicsVAETracker.paper(array, random_state=0).set_params(
        n_epochs=1, win_length=1024, hop_length=768, verbose=0
    )
    tracker.fit(signals[:1])
    assert 0.885e6 <= sum(p.numel() for p in tracker.encoder_.parameters()) < 0.895e6
    assert [name for name, p in tracker.decoder_.named_parameters() if p.requires_grad] == ["raw_sigma"]
    assert tracker.decoder_.sigma.item() != pytest.approx(tracker.sigma, abs=1e-7)
    assert tracker.history_[0]["beta"] == pytest.approx(0.1 * tracker.beta)
    assert set(inspect.signature(PhysicsVAETracker.paper).parameters) == {"array", "random_state"}


def test_adapting_a_moved_tracker_makes_the_new_array_its_own(quick, signals, array):
    other = array.rotate([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    with pytest.warns(ArrayMismatchWarning):
        moved = quick().fit(signals, array).for_array(other)
    assert moved.fitted_array_ == array
    moved.partial_fit(signals)
    assert moved.fitted_array_ == other
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moved.for_array(other)
