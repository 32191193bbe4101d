"""What every estimator promises. A new estimator is added to ESTIMATORS in conftest.py and must pass all of it."""

import inspect
import itertools
import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline

import doatrack
from doatrack import Cross3DTracker, MicArray, NeuralSRPTracker, Track
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.metrics import (
    angular_error,
    make_frame_scorer,
    mean_angular_error_scorer,
    share_within,
)


def supervised(estimator):
    return isinstance(estimator, (Cross3DTracker, NeuralSRPTracker))


def test_init_only_stores(estimator):
    signature = inspect.signature(type(estimator).__init__)
    given = set(signature.parameters) - {"self"}
    assert all(p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in signature.parameters.values())
    assert set(vars(estimator)) == given
    for name in given:
        marker = object()
        assert getattr(type(estimator)(**{name: marker}), name) is marker


def test_clone_copies_parameters_and_nothing_learned(estimator, corpus):
    estimator.set_params(array=corpus.array)
    fitted = clone(estimator).fit(corpus.signals, corpus.labels)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() == estimator.get_params()
    assert not [name for name in vars(copy) if name.endswith("_") and not name.startswith("_")]


def test_set_params_changes_what_fit_uses(estimator, corpus):
    estimator.set_params(hop_length=512).fit(corpus.signals, corpus.array, corpus.labels)
    assert len(estimator.predict(corpus.signals[0])) == 1 + (corpus.signals[0].shape[1] - 1024) // 512


def test_fit_returns_self_and_leaves_parameters_and_signals_alone(estimator, corpus):
    before, signals = estimator.get_params(), [s.copy() for s in corpus.signals]
    assert estimator.fit(signals, corpus.array, corpus.labels) is estimator
    assert estimator.get_params() == before
    assert all(np.array_equal(a, b) for a, b in zip(signals, corpus.signals, strict=True))


def test_every_way_of_giving_the_array_is_the_same(estimator, corpus):
    X, array = corpus.signals, corpus.array
    y = [corpus.truth(k) for k in range(4)]
    ways = [
        clone(estimator).fit(X, array, y),
        clone(estimator).fit(X, y, array=array),
        clone(estimator).fit(X, y, array),
        clone(estimator).set_params(array=array).fit(X, y),
    ]
    if not supervised(estimator):
        ways += [clone(estimator).fit(X, array), clone(estimator).set_params(array=array).fit(X)]
    answers = [way.predict(X[0]) for way in ways]
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_fit_without_an_array_says_how_to_give_one(estimator, corpus):
    with pytest.raises(InvalidInputError, match=r"fit\(signals, array\)"):
        estimator.fit(corpus.signals, corpus.labels)


def test_labels_are_asked_for_where_they_are_needed(estimator, corpus):
    if not supervised(estimator):
        estimator.fit(corpus.signals, corpus.array)
        return
    with pytest.raises(InvalidInputError, match=r"learns from known directions.*fit\(signals, array, doa\)"):
        estimator.fit(corpus.signals, corpus.array)
    assert not hasattr(estimator, "array_")


def test_predict_is_pure_and_repeatable(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    before = pickle.dumps(estimator)
    first = estimator.predict(corpus.signals)
    second = estimator.predict(corpus.signals)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert pickle.dumps(estimator) == before


def test_fitting_twice_gives_the_same_bits(estimator, corpus):
    one, two = (
        clone(estimator).fit(corpus.signals, corpus.array, corpus.labels).predict(corpus.signals[0]) for _ in range(2)
    )
    assert np.array_equal(one, two)


def test_the_answer_mirrors_the_container(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    one = corpus.signals[0]
    alone = estimator.predict(one)
    assert isinstance(alone, np.ndarray)
    assert alone.shape == (1 + (one.shape[1] - 1024) // 768, 3)
    assert np.array_equal(estimator.predict(one[None]), alone[None])
    listed = estimator.predict([one, corpus.signals[1]])
    assert isinstance(listed, list)
    assert np.array_equal(listed[0], alone)
    tensor = estimator.predict(torch.from_numpy(one))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), alone)
    batch = estimator.predict(torch.from_numpy(np.stack([one, one])))
    assert batch.shape == (2, *alone.shape)
    assert isinstance(estimator.track(one), Track)
    assert isinstance(estimator.track(one[None]), list)


def test_files_give_the_same_answer_as_arrays(estimator, corpus, tmp_path):
    import soundfile

    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    path = tmp_path / "one.wav"
    soundfile.write(path, corpus.signals[0].T, 16000, subtype="FLOAT")
    assert np.array_equal(estimator.predict(path), estimator.predict(corpus.signals[0]))
    assert np.array_equal(estimator.predict([str(path)])[0], estimator.predict(corpus.signals[0]))
    refitted = clone(estimator).fit([path], corpus.array, corpus.labels[:1])
    from_array = clone(estimator).fit([corpus.signals[0]], corpus.array, corpus.labels[:1])
    assert np.array_equal(refitted.predict(path), from_array.predict(corpus.signals[0]))


def test_directions_are_unit_vectors_with_one_row_per_frame(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    for k, doa in enumerate(estimator.predict(corpus.signals)):
        assert doa.shape == corpus.truth(k).shape
        assert np.allclose(np.linalg.norm(doa, axis=1), 1, atol=1e-9)
        assert len(estimator.frame_times(len(doa))) == len(doa)


@pytest.mark.parametrize("n_frames", [1, 2, 4, 6])
def test_short_recordings_give_rows_too(estimator, corpus, n_frames):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    short = corpus.signals[0][:, : 1024 + 768 * (n_frames - 1) + 5]
    assert estimator.predict(short).shape == (n_frames, 3)
    assert len(estimator.track(short).times) == n_frames


def test_float64_and_int16_agree_with_float32(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    one = corpus.signals[0] / np.abs(corpus.signals[0]).max()
    reference = estimator.predict(one)
    assert np.array_equal(estimator.predict(one.astype(np.float64)), reference)
    integers = estimator.predict(np.round(one * 32767).astype(np.int16))
    active = estimator.track(one).activity
    assert np.degrees(np.median(angular_error(reference[active], integers[active]))) < 1.0


def test_pickle_and_file_give_the_same_bits(estimator, corpus, tmp_path):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    reference = estimator.track(corpus.signals[0])
    path = tmp_path / "model.safetensors"
    estimator.save(path)
    for other in (pickle.loads(pickle.dumps(estimator)), doatrack.load(path)):
        track = other.track(corpus.signals[0])
        assert np.array_equal(track.doa, reference.doa)
        assert np.array_equal(track.concentration, reference.concentration, equal_nan=True)
        assert np.array_equal(track.activity, reference.activity)
        assert type(other) is type(estimator)
        assert other.array_ == corpus.array
        assert other.frame_times(3).tolist() == estimator.frame_times(3).tolist()


def test_unfitted_estimators_say_so(estimator, corpus, tmp_path):
    for call in (estimator.predict, estimator.track, estimator.score):
        with pytest.raises(NotFittedError, match=type(estimator).__name__):
            call(corpus.signals)
    with pytest.raises(NotFittedError):
        estimator.save(tmp_path / "model.safetensors")
    with pytest.raises(NotFittedError):
        estimator.for_array(corpus.array)


def test_what_is_no_path_is_not_saved_to(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    for path in (None, "", 3):
        with pytest.raises(InvalidInputError, match=r"path must (be a path|name a file)"):
            estimator.save(path)


def test_order_of_channels_with_their_positions_changes_nothing(estimator, corpus):
    order = [2, 0, 3, 1]
    one = clone(estimator).fit(corpus.signals, corpus.array, corpus.labels)
    other = clone(estimator).fit([s[order] for s in corpus.signals], corpus.array.select(order), corpus.labels)
    for a, b in zip(one.predict(corpus.signals), other.predict([s[order] for s in corpus.signals]), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_rotating_the_array_rotates_the_answer(estimator, corpus):
    """Within the grid's spacing where directions are summed from correlations; the paper's encoder learns positions."""
    if estimator.get_params().get("encoder") == "paper" or supervised(estimator):
        pytest.skip("a network that gives directions itself learns how they turn from arrays that turn")
    rotation = Rotation.from_euler("zyx", [70, 25, -40], degrees=True).as_matrix()
    one = clone(estimator).fit(corpus.signals, corpus.array, corpus.labels)
    # the recordings stay: the same delays mean a turned direction
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = one.for_array(corpus.array.rotate(rotation))
    for k, signal in enumerate(corpus.signals):
        active = one.track(signal).activity
        turned = one.predict(signal)[active] @ rotation.T
        error = np.degrees(angular_error(turned, other.predict(signal)[active]))
        # two grids, each off by at most half its spacing
        assert np.median(error) < np.degrees(one.grid_.spacing), k


def test_clean_plane_waves_are_found(estimator, corpus):
    """All start from physics: even a moment of learning must not destroy it."""
    if estimator.get_params().get("encoder") == "paper" or supervised(estimator):
        pytest.skip("a network that gives directions itself starts from random weights")
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    assert estimator.score(corpus.signals, [corpus.rows(k) for k in range(4)]) > -2.0


def test_score_with_and_without_truth(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    truth = [corpus.truth(k) for k in range(4)]
    with_truth = estimator.score(corpus.signals, truth)
    assert -180 <= with_truth <= 0
    turned = estimator.score(corpus.signals, [-t for t in truth])
    assert with_truth + turned == pytest.approx(-180, abs=0.5)
    rows = estimator.score(corpus.signals, [corpus.rows(k) for k in range(4)])
    assert -180 <= rows <= 0
    assert np.isfinite(estimator.score(corpus.signals))
    zeros = [np.zeros(len(t)) for t in truth]
    zeros[0][3] = 1.0
    single = estimator.score(corpus.signals, truth, sample_weight=zeros)
    assert single == pytest.approx(-np.degrees(angular_error(truth[0][3], estimator.predict(corpus.signals)[0][3])))


def test_weights_do_not_make_silent_frames_count(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    rows = corpus.rows(0).copy()
    rows[rows[:, 4] == 0, 1:4] *= -1  # where nobody knows better
    frames = np.ones(len(corpus.truth(0)))
    weighted = estimator.score(corpus.signals[0], rows, sample_weight=frames)
    assert weighted == pytest.approx(estimator.score(corpus.signals[0], rows))


def test_grid_search_without_labels(estimator, corpus):
    if supervised(estimator):
        pytest.skip("it learns from labels")
    estimator.set_params(array=corpus.array)
    search = GridSearchCV(estimator, {"hop_length": [768, 1024]}, cv=2, error_score="raise").fit(corpus.signals)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(corpus.signals[0]).shape[1] == 3


def test_grid_search_with_labels_over_the_frame_length(estimator, corpus):
    estimator.set_params(array=corpus.array)
    rows = [corpus.rows(k) for k in range(4)]
    search = GridSearchCV(estimator, {"win_length": [512, 1024]}, cv=2, error_score="raise").fit(corpus.signals, rows)
    assert (search.cv_results_["mean_test_score"] < 0).all()


def test_cross_validate_with_scorers_on_different_lengths(estimator, corpus):
    estimator.set_params(array=corpus.array)
    scoring = {"mae": mean_angular_error_scorer, "near": make_frame_scorer(share_within, greater_is_better=True)}
    rows = [corpus.rows(k) for k in range(4)]
    result = cross_validate(estimator, corpus.signals, rows, scoring=scoring, cv=2, error_score="raise")
    assert (result["test_mae"] <= 0).all()
    assert ((result["test_near"] >= 0) & (result["test_near"] <= 1)).all()


def test_pipeline(estimator, corpus):
    from sklearn.preprocessing import FunctionTransformer

    louder = FunctionTransformer(lambda signals: [0.5 * s for s in signals])
    pipeline = Pipeline([("louder", louder), ("tracker", estimator.set_params(array=corpus.array))])
    pipeline.fit(corpus.signals, corpus.labels)
    assert len(pipeline.predict(corpus.signals)) == 4
    assert np.isfinite(pipeline.score(corpus.signals))


def test_silence_gives_inactive_rows(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    track = estimator.track(np.zeros((4, 6000)))
    assert not track.activity.any()
    assert np.isfinite(track.doa).all()


def test_moving_to_another_array_keeps_the_original(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    before = estimator.predict(corpus.signals[0])
    other_array = MicArray(np.vstack([corpus.array.positions, [[-0.03, -0.03, -0.05]]]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = estimator.for_array(other_array)
    assert other.array_ == other_array
    assert other.predict(np.random.default_rng(0).normal(size=(5, 5000))).shape == (6, 3)
    assert np.array_equal(estimator.predict(corpus.signals[0]), before)


BAD_SIGNALS = {
    "NaN": (lambda s: np.where(np.arange(s.shape[1]) == 7, np.nan, s), r"finite samples, got 4 NaN"),
    "infinite": (lambda s: np.where(np.arange(s.shape[1]) == 7, np.inf, s), r"0 NaN and 4 infinite"),
    "huge": (lambda s: s * 1e20, r"beyond what can be processed in single precision"),
    "int64": (lambda s: np.full(s.shape, 2**40), r"beyond the range of 32-bit audio"),
    "int64 below": (lambda s: np.full(s.shape, np.iinfo(np.int64).min), r"beyond the range of 32-bit audio"),
    "unsigned": (lambda s: np.zeros(s.shape, dtype=np.uint8), r"unsigned integers"),
    "text": (lambda s: np.full(s.shape, "a"), r"real samples"),
    "complex": (lambda s: s * 1j, r"real samples"),
    "channels": (lambda s: s[:3], r"must have 4 channels, one per microphone, got the shape \(3, "),
    "transposed": (lambda s: s.T, r"looks transposed"),
    "too short": (lambda s: s[:, :1023], r"at least one frame long, 1024 samples"),
    "one axis": (lambda s: s[0], r"got \(26000,\)"),
    "empty batch": (lambda s: s[None][:0], r"at least one recording"),
    "empty list": (lambda s: [], r"at least one recording, got an empty list"),
    "number": (lambda s: 3, r"an array, a list of arrays, or paths"),
}


@pytest.mark.parametrize("kind", BAD_SIGNALS)
def test_bad_signals_are_refused_with_the_reason(estimator, corpus, kind):
    spoil, message = BAD_SIGNALS[kind]
    fitted = clone(estimator).fit(corpus.signals, corpus.array, corpus.labels)
    bad = spoil(corpus.signals[0])
    with pytest.raises(InvalidInputError, match=message):
        fitted.predict(bad)
    # the classical methods read nothing while fitting
    if not (kind == "too short" and type(estimator).__name__ in ("SRPPHAT", "MUSIC", "DML", "ESPRIT")):
        with pytest.raises(InvalidInputError, match=message):
            clone(estimator).fit(bad, corpus.array, corpus.labels[0])


def test_the_bad_recording_of_a_list_is_named(estimator, corpus):
    fitted = estimator.fit(corpus.signals, corpus.array, corpus.labels)
    with pytest.raises(InvalidInputError, match="recording 1"):
        fitted.predict([corpus.signals[0], corpus.signals[1] * np.nan])


BAD_PARAMETERS = {
    "window": ("hamming", r"window must be one of the known names, got 'hamming'"),
    "hop_length": (0, r"hop_length must be at least 1, got 0"),
    "win_length": (10.5, r"win_length must be a whole number, got 10.5"),
    "speed_of_sound": (3.43, r"speed_of_sound must be at least 100 and at most 10000, got 3.43"),
    "sample_rate": ("16k", r"sample_rate must be a whole number"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_are_refused_at_fit(estimator, corpus, name):
    value, message = BAD_PARAMETERS[name]
    estimator.set_params(**{name: value})
    with pytest.raises(InvalidInputError, match=message):
        estimator.fit(corpus.signals, corpus.array, corpus.labels)


def test_truth_of_another_number_or_length_is_refused(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    with pytest.raises(InvalidInputError, match="one entry per recording, 4, got 3"):
        estimator.score(corpus.signals, [corpus.truth(k) for k in range(3)])
    with pytest.raises(InvalidInputError, match="one unit vector per frame"):
        estimator.score(corpus.signals[0], corpus.truth(0)[:-1])


def test_score_of_silence_without_truth_is_refused(estimator, corpus):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    with pytest.raises(NoActivityError, match="score without truth needs active frames"):
        estimator.score(np.zeros((4, 6000)))


def test_parameters_set_after_fit_act_at_once_whatever_was_called_before(estimator, corpus):
    fresh = clone(estimator).fit(corpus.signals, corpus.array, corpus.labels)
    used = clone(estimator).fit(corpus.signals, corpus.array, corpus.labels)
    used.predict(corpus.signals[0])
    for fitted in (fresh, used):
        fitted.set_params(hop_length=500, speed_of_sound=330.0)
    assert np.array_equal(fresh.predict(corpus.signals[0]), used.predict(corpus.signals[0]))
    track = used.track(corpus.signals[0])
    assert np.allclose(np.diff(track.times), 500 / 16000)
    assert len(track.times) == 1 + (corpus.signals[0].shape[1] - 1024) // 500


def test_another_grid_after_fit_acts_at_once_whatever_joins_the_frames(estimator, corpus):
    parameters, region = estimator.get_params(), {"elevation_range_deg": (-60, 60)}
    changes = [change for change in ({"n_directions": 400}, region) if set(change) <= set(parameters)]
    if not changes or parameters.get("encoder") == "paper":
        pytest.skip("it searches no grid, or no part of it")
    signals = corpus.signals[0]
    fitted = estimator.set_params(causal=True).fit(corpus.signals, corpus.array, corpus.labels)
    kept = pickle.dumps(fitted)
    ways = [
        *((way, partial(fitted.track, signals, smoothing=way)) for way in (None, "filter", "smoother")),
        ("filter", lambda: fitted.stream().push(signals)),
    ]
    for change, (way, call) in itertools.product(changes, ways):
        fitted.set_params(**dict.fromkeys(region), **{"n_directions": 1500} if "n_directions" in parameters else {})
        fitted.predict(signals)
        fitted.set_params(**change)
        found = call()
        fresh = pickle.loads(kept).set_params(**change)
        expected = fresh.track(signals, smoothing=way)
        np.testing.assert_allclose(found.doa, expected.doa[: found.n_frames], atol=1e-5)


def test_a_refit_that_breaks_off_leaves_the_tracker_as_it_was(learned, corpus, monkeypatch):
    learned.fit(corpus.signals, corpus.array, corpus.labels)
    before = learned.predict(corpus.signals[0])

    def stop_at_the_end(loop, event, *values):
        if event == "on_epoch_end":
            raise KeyboardInterrupt

    for go_on in (False, True):
        learned.set_params(warm_start=go_on)
        with monkeypatch.context() as patch:
            patch.setattr("doatrack.training.loop.TrainingLoop._tell", stop_at_the_end)
            with pytest.raises(KeyboardInterrupt):
                learned.fit(corpus.signals[1:], corpus.array, corpus.labels[1:])
        assert np.array_equal(learned.predict(corpus.signals[0]), before)
