"""Every constructor parameter has an effect that can be seen from outside, or is refused.

The parameters come from the signature: a new one fails until it has an entry here. What counts as seen are
answers, weights and files; what the history merely repeats of a parameter does not.
"""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MotionModel


def other_window(cls):
    """Whichever window is not the default, which may follow the benchmarks."""
    return {"hann": "rectangular", "rectangular": "hann"}[inspect.signature(cls).parameters["window"].default]


OTHER_ARRAY = MicArray([[0.06, 0, 0], [-0.05, 0.01, 0.0], [0, 0.04, 0.01], [0.01, -0.02, 0.05]])

SRP_CHANGES = {
    "array": OTHER_ARRAY,
    "grid": "rectangular",
    "n_directions": 600,
    "pairs": [(0, 1), (1, 2), (0, 3)],
    "refine": False,
    "n_sources": 2,
    "azimuth_range_deg": (-20.0, 20.0),
    "elevation_range_deg": (60.0, 90.0),
    "sample_rate": 8000,
    "win_length": 512,
    "hop_length": 512,
    "window": other_window(SRPPHAT),
    "lag_step": 0.9,
    "speed_of_sound": 300.0,
    "features": "whitened",
    "map_scale": 20.0,
    "motion": MotionModel(diffusion=0.5),
    "causal": True,
}

VAE_CHANGES = {
    "array": OTHER_ARRAY,
    "encoder": ("paper", {"teacher": "physics", "prior": "uniform"}),
    "teacher": "physics",
    "prior": "uniform",
    "features": "phat",
    "n_sources": 2,
    "width": 8,
    "n_directions": 300,
    "gamma": 3.0,
    "gamma_initial": 1.0,
    "sigma": 0.5,
    "sigma_initial": 3.0,
    "learn_sigma": True,
    "beta": 3.0,
    "motion_concentration": 5.0,
    "n_epochs": 3,
    "batch_size": 1,
    "crop_frames": 4,
    "pairs_per_step": 1,
    "learning_rate": 0.02,
    "final_learning_rate": 0.02,
    "azimuth_range_deg": (-20.0, 20.0),
    "elevation_range_deg": (60.0, 90.0),
    "sample_rate": 8000,
    "win_length": 512,
    "hop_length": 512,
    "window": other_window(PhysicsVAETracker),
    "speed_of_sound": 300.0,
    "map_scale": 20.0,
    "motion": MotionModel(diffusion=0.5),
    "causal": True,
    "random_state": 1,
}
# These are the physics' alone; the smoother teaches without them.
VAE_PHYSICS = {
    "prior",
    "gamma",
    "gamma_initial",
    "sigma",
    "sigma_initial",
    "learn_sigma",
    "beta",
    "motion_concentration",
}
# These change neither answers nor weights; each has a test of its own, here or in test_told_array.py.
VAE_OWN_TEST = {"check_positions", "device", "devices", "num_nodes", "precision", "checkpoint", "warm_start", "verbose"}
# These change how several sources are learned; test_several_sources.py has their tests.
VAE_SEVERAL_SOURCES = {"source_loss", "mixture_kl"}


def parameters(cls):
    return set(inspect.signature(cls).parameters)


def test_every_parameter_has_an_entry():
    assert set(SRP_CHANGES) == parameters(SRPPHAT)
    assert set(VAE_CHANGES) | VAE_OWN_TEST | VAE_SEVERAL_SOURCES == parameters(PhysicsVAETracker)


def seen(estimator, signals):
    """What can be seen of a fitted estimator from outside, as one array."""
    parts = [
        np.concatenate([t.doa.ravel(), t.credible_angle.ravel()])
        for smoothing in (None, "smoother")
        for t in estimator.track(signals, smoothing=smoothing)
    ]
    if isinstance(estimator, SRPPHAT):
        parts += [m.ravel() for m in estimator.predict_map(signals)]
    else:
        parts += [p.detach().numpy().ravel() for p in estimator.encoder_.parameters()]
        parts += [estimator.decoder_.sigma.detach().numpy().ravel()]
    return np.concatenate(parts)


def differs(a, b):
    return a.shape != b.shape or np.nanmax(np.abs(a - b)) > 1e-6


@pytest.fixture(scope="module")
def srp(array, signals):
    return SRPPHAT(array, n_directions=400, win_length=1024, hop_length=768).fit(signals)


@pytest.fixture(scope="module")
def srp_seen(srp, signals):
    return seen(srp, signals)


@pytest.fixture(scope="module")
def fitted_seen(fitted, signals):
    return seen(fitted, signals)


@pytest.mark.parametrize("name", sorted(SRP_CHANGES))
def test_each_parameter_of_srp_phat(srp, srp_seen, signals, name):
    assert not np.array_equal(srp.get_params()[name], SRP_CHANGES[name])
    changed = clone(srp).set_params(**{name: SRP_CHANGES[name]}).fit(signals)
    if name == "refine":
        # the map stays: only what is read off it changes
        assert np.array_equal(changed.predict_map(signals[0]), srp.predict_map(signals[0]))
        assert not np.allclose(changed.predict(signals[0]), srp.predict(signals[0]), atol=1e-3)
    assert differs(seen(changed, signals), srp_seen)


@pytest.mark.parametrize("name", sorted(VAE_CHANGES))
def test_each_parameter_of_the_tracker(fitted, fitted_seen, signals, array, name):
    value, more = (
        VAE_CHANGES[name] if isinstance(VAE_CHANGES[name], tuple) and name == "encoder" else (VAE_CHANGES[name], {})
    )
    assert fitted.get_params()[name] != value
    if name == "window":
        # the snapshots of other features have their own
        fitted = clone(fitted).set_params(features="phat").fit(signals, array)
        fitted_seen = seen(fitted, signals)
    if name in VAE_PHYSICS:
        fitted = clone(fitted).set_params(teacher="physics").fit(signals, array)
        fitted_seen = seen(fitted, signals)
    changed = clone(fitted).set_params(array=array, **more).set_params(**{name: value}).fit(signals)
    assert differs(seen(changed, signals), fitted_seen)


def test_nothing_else_changes_what_is_seen(fitted, fitted_seen, srp, srp_seen, signals, array):
    """The yardstick itself: the same parameters give the same bits."""
    assert np.array_equal(seen(clone(fitted).fit(signals, array), signals), fitted_seen)
    assert np.array_equal(seen(clone(srp).fit(signals), signals), srp_seen, equal_nan=True)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta", 3, None])
def test_device_is_used(quick, signals, array, device):
    with pytest.raises(InvalidInputError, match=r"device must name a torch device of this machine.*got"):
        quick(device=device).fit(signals, array)


def test_checkpoint_writes_its_folder_and_nothing_else(quick, signals, array, tmp_path):
    quick(checkpoint=tmp_path / "run").fit(signals, array)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(("verbose", "n_lines"), [(0, 0), (1, 0), (2, 2)])
def test_verbose_writes_a_line_per_epoch_where_there_is_no_terminal(quick, signals, array, capfd, verbose, n_lines):
    quick(verbose=verbose).fit(signals, array)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("learning_rate") == n_lines


def test_warm_start_goes_on_from_the_weights(quick, signals, array):
    warm = quick(warm_start=True).fit(signals, array)
    first = seen(warm, signals)
    assert len(warm.fit(signals, array).history_) == 4
    assert differs(seen(warm, signals), first)
    cold = quick().fit(signals, array).fit(signals, array)
    assert len(cold.history_) == 2
    assert not differs(seen(cold, signals), first)
    # it goes on, it does not begin again with twice the epochs
    assert differs(seen(warm, signals), seen(quick(n_epochs=4).fit(signals, array), signals))


@pytest.mark.parametrize("name", sorted(set(VAE_CHANGES) - {"array", "encoder", "width", "random_state"}))
def test_a_warm_start_follows_each_parameter_that_was_changed(quick, signals, array, name):
    """Nothing of the first fit may be kept where a parameter says otherwise."""
    needed = {"teacher": "physics"} if name in VAE_PHYSICS else {"features": "phat"} if name == "window" else {}
    same, other = (quick(warm_start=True, **needed).fit(signals, array) for _ in range(2))
    same.fit(signals, array)
    other.set_params(**{name: VAE_CHANGES[name]}).fit(signals, array)
    assert differs(seen(other, signals), seen(same, signals))


@pytest.mark.parametrize("change", [{"width": 8}, {"encoder": "paper", "teacher": "physics", "prior": "uniform"}])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_weights_that_cannot_follow_are_not_forgotten(quick, signals, array, change, call):
    tracker = quick(warm_start=True).fit(signals, array)
    before = [p.detach().clone() for p in tracker.encoder_.parameters()]
    tracker.set_params(**change)
    with pytest.raises(InvalidInputError, match=r"do not fit encoder=.*start anew with fit and warm_start=False"):
        getattr(tracker, call)(signals, array)
    assert all(
        np.array_equal(a.numpy(), b.detach().numpy())
        for a, b in zip(before, tracker.encoder_.parameters(), strict=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker.set_params(warm_start=False).fit(signals, array)


REFUSED = {
    "encoder": ("conv", r"encoder must be one of .*Choose from: map, paper"),
    "prior": ("moton", r"prior must be one of .*Did you mean 'motion'"),
    "width": (2, r"width must be at least 4, got 2"),
    "n_directions": (3, r"n_directions must be at least 16, got 3"),
    "gamma": (0.0, r"gamma must be above 0, got 0"),
    "gamma_initial": (-1.0, r"gamma_initial must be above 0"),
    "sigma": ("wide", r"sigma must be a number, got 'wide'"),
    "sigma_initial": (float("nan"), r"sigma_initial must be finite"),
    "beta": (-0.1, r"beta must be at least 0, got -0.1"),
    "motion_concentration": (-1, r"motion_concentration must be at least 0"),
    "n_epochs": (0, r"n_epochs must be at least 1"),
    "batch_size": (1.5, r"batch_size must be a whole number, got 1.5"),
    "devices": (0, r"devices must be at least 1, got 0"),
    "num_nodes": (2, r"num_nodes=2 needs a process for each device on every machine.*torchrun --nnodes 2"),
    "precision": ("16-mixed", r"precision must be one of 32-true, bf16-mixed.*got '16-mixed'|precision must be one of"),
    "crop_frames": (0, r"crop_frames must be at least 1"),
    "pairs_per_step": (0, r"pairs_per_step must be at least 1"),
    "learning_rate": (0, r"learning_rate must be above 0"),
    "final_learning_rate": (float("inf"), r"final_learning_rate must be finite"),
    "verbose": ("loud", r"verbose must be a whole number, got 'loud'"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_senseless_values_are_refused_at_fit(quick, signals, array, name):
    value, message = REFUSED[name]
    with pytest.raises(InvalidInputError, match=message):
        quick(**{name: value}).fit(signals, array)


def test_what_the_papers_encoder_cannot_follow_is_refused(quick, signals, array):
    with pytest.raises(InvalidInputError, match=r"prior='motion' needs a posterior over a grid"):
        quick(encoder="paper", teacher="physics").fit(signals, array)
    with pytest.raises(InvalidInputError, match=r"teacher='smoother' needs an encoder that makes maps"):
        quick(encoder="paper", prior="uniform").fit(signals, array)
    for name in ("azimuth_range_deg", "elevation_range_deg"):
        with pytest.raises(InvalidInputError, match=r"search region .* needs a posterior over a grid"):
            quick(encoder="paper", teacher="physics", prior="uniform", **{name: (0.0, 45.0)}).fit(signals, array)
