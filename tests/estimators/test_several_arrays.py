"""Fitting to recordings of several arrays in one call: batches of one array each teach the same network."""

import numpy as np
import pytest
import torch

from doatrack import SRPPHAT, MicArray, NeuralSRPTracker
from doatrack.exceptions import InvalidInputError, ModelFileError, NoActivityError
from doatrack.training import TrainingLoop

OTHER = MicArray([[0.04, 0, 0], [-0.04, 0, 0.02], [0, 0.05, 0]], name="other")


@pytest.fixture(scope="module")
def others(signals):
    """Recordings of another array, of three microphones."""
    return [signals[0][:3, :12000], signals[1][1:, :12800]]


def weights(tracker):
    return {**tracker.encoder_.state_dict(), **{f"decoder {k}": v for k, v in tracker.decoder_.state_dict().items()}}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def test_a_list_of_the_same_array_is_the_array(quick, kind, signals, array):
    one, several = quick(**kind).fit(signals, array), quick(**kind).fit(signals, [array] * 3)
    assert same(one, several)
    assert one.history_ == several.history_


@pytest.mark.parametrize("teacher", ["physics", "smoother"])
def test_all_arrays_teach_and_the_first_is_served(quick, signals, others, array, teacher):
    heard, arrays = [signals[0], others[0], signals[1], others[1]], [array, OTHER, array, OTHER]
    tracker = quick(teacher=teacher, n_epochs=1).fit(heard, arrays)
    alone = quick(teacher=teacher, n_epochs=1).fit([signals[0], signals[1]], array)
    assert not same(tracker, alone)
    assert (tracker.array_, tracker.fitted_array_) == (array, array)
    assert [len(doa) for doa in tracker.predict(signals)] == [len(doa) for doa in alone.predict(signals)]
    with pytest.warns(match="learned with"):
        moved = tracker.for_array(OTHER)
    assert np.isfinite(moved.predict(others[0])).all()


def test_the_paper_s_encoder_learns_from_several_arrays_and_its_width_too(quick, signals, others, array):
    options = {"encoder": "paper", "teacher": "physics", "prior": "uniform", "width": 8, "learn_sigma": True}
    tracker = quick(**options).fit([*signals, *others], [array] * 3 + [OTHER] * 2)
    start = quick(**options, n_epochs=1, learning_rate=1e-12, final_learning_rate=1e-12).fit(signals, array)
    assert not torch.equal(tracker.decoder_.sigma, start.decoder_.sigma)
    assert not same(tracker, start)


def test_batches_are_of_one_array_and_in_random_order(quick, signals, others, array, monkeypatch):
    lessons = []
    step = TrainingLoop.step

    def noted(self, batch, *args):
        lessons.append((batch.lesson, batch.features.shape[2]))
        return step(self, batch, *args)

    monkeypatch.setattr(TrainingLoop, "step", noted)
    quick(batch_size=1, n_epochs=3).fit([*signals, *others], [array] * 3 + [OTHER] * 2)
    assert set(lessons) == {(0, 6), (1, 3)}
    assert lessons != sorted(lessons)
    epochs = np.array_split(np.array([lesson for lesson, _ in lessons]), 3)
    assert len({epoch.sum() for epoch in epochs}) == 1
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_an_interrupted_fit_goes_on_and_only_with_the_same_arrays(quick, signals, others, array, tmp_path):
    given = [*signals, *others], [array] * 3 + [OTHER] * 2
    reference = quick(n_epochs=3).fit(*given)
    step, count = TrainingLoop.step, []

    def interrupted(self, *args):
        count.append(1)
        if len(count) == 12:
            raise KeyboardInterrupt
        return step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quick(n_epochs=3, checkpoint=tmp_path).fit(*given)
    turned = MicArray(OTHER.positions[:, [1, 0, 2]])
    with pytest.raises(ModelFileError, match="arrays"):
        quick(n_epochs=3, checkpoint=tmp_path).fit(given[0], [array] * 3 + [turned] * 2)
    assert same(reference, quick(n_epochs=3, checkpoint=tmp_path).fit(*given))


def test_activity_goes_with_its_recording(quick, signals, others, array):
    heard, arrays = [signals[0], others[0]], [array, OTHER]
    counts = [len(quick().fit(signals[0], array).predict(x[:1].repeat(4, axis=0))) for x in heard]
    silent = [np.zeros(n, dtype=bool) for n in counts]
    loud = [np.ones(n, dtype=bool) for n in counts]
    only_first = quick().fit(heard, arrays, activity=[loud[0], silent[1]])
    assert same(only_first, quick().fit([signals[0]], array, activity=[loud[0]]))
    with pytest.raises(NoActivityError, match="No frame of the recordings is active"):
        quick().fit(heard, arrays, activity=silent)


def test_partial_fit_keeps_the_array(quick, signals, others, array):
    tracker = quick().fit(signals, array)
    before = {name: value.clone() for name, value in weights(tracker).items()}
    tracker.partial_fit(others, [OTHER] * 2)
    assert (tracker.array_, tracker.fitted_array_) == (array, array)
    assert any(not torch.equal(before[name], value) for name, value in weights(tracker).items())
    assert quick().partial_fit([others[0], signals[0]], array=[OTHER, array]).array_ == OTHER


def test_warm_start_goes_on_with_its_array_in_first_place(quick, signals, others, array):
    tracker = quick(warm_start=True).fit(signals, array)
    assert tracker.fit([signals[0], others[0]], [array, OTHER]).array_ == array
    with pytest.raises(InvalidInputError, match="goes on with the array it was fitted for"):
        tracker.fit([others[0], signals[0]], [OTHER, array])
    assert tracker.array_ == array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, a: (x[:2], a), "got 3 arrays for 2 recordings. Give one MicArray if all are of the same array"),
        (lambda x, a: (x[0], a[:1]), "goes with a list of recordings, got 1 arrays for one recording"),
        (lambda x, a: (x, [*a[:2], "nao_head_12"]), "a MicArray per recording, got 'nao_head_12' at place 2"),
        (lambda x, a: ([*x[:2], x[2][:2]], a), "recording 2 must have 4 channels"),
        (lambda x, a: (x, a, a), "two arrays, in second and third place"),
    ],
)
def test_wrong_lists_are_named(quick, signals, array, change, message):
    tracker = quick()
    with pytest.raises(InvalidInputError, match=message):
        tracker.fit(*change(signals, [array, OTHER if "got 3" in message else array, array]))
    assert not hasattr(tracker, "array_")


@pytest.mark.parametrize("cls", [SRPPHAT, NeuralSRPTracker])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_trackers_say_that_they_take_one_array(cls, method, signals, array):
    if hasattr(cls, method):
        with pytest.raises(InvalidInputError, match=f"{cls.__name__} is fitted to recordings of one array, got a list"):
            getattr(cls(), method)(signals, [array] * 3)


def test_fresh_recordings_are_of_one_array(quick, array):
    from doatrack.datasets import SimulatedScenes
    from doatrack.simulation import SceneSettings

    scenes = SimulatedScenes(array, SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3)), n_scenes=2, seed=0)
    with pytest.raises(InvalidInputError, match="made anew in every epoch are of one array, got 2 arrays"):
        quick().fit(scenes, [array, OTHER])


@pytest.mark.slow
def test_several_processes_take_the_steps_of_one(quick, signals, others, array):
    pytest.importorskip("lightning_fabric")
    given = [*signals, *others], [array] * 3 + [OTHER] * 2
    one = quick(batch_size=2).fit(*given)
    two = quick(batch_size=1, devices=2).fit(*given)
    for a, b in zip(weights(one).values(), weights(two).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_arrays_may_come_in_a_tuple_or_an_array_of_objects(quick, signals, others, array):
    heard, arrays = [signals[0], others[0]], [array, OTHER]
    objects = np.array([*arrays, None], dtype=object)[:2]
    wanted = quick(n_epochs=1).fit(heard, arrays)
    for given in (tuple(arrays), objects):
        # not silently the constructor's
        assert same(wanted, quick(n_epochs=1).set_params(array=OTHER).fit(heard, given))


@pytest.mark.parametrize("given", [[], "tetrahedron_4", np.zeros((4, 3))])
def test_what_is_no_array_is_named(quick, signals, given):
    with pytest.raises(InvalidInputError, match=f"needs the geometry.*and as y a {type(given).__name__}"):
        quick(n_epochs=1).fit(signals, given)


def test_the_array_that_nothing_was_heard_of_is_not_called_the_fitted_one(quick, signals, others, array):
    tracker = quick(n_epochs=1).fit(signals, array)
    with pytest.warns(match="learned with"):
        moved = tracker.for_array(OTHER)
    assert moved.partial_fit(signals[:1], [array]).fitted_array_ == array
    assert moved.partial_fit([signals[0], others[0]], [array, OTHER]).fitted_array_ == OTHER


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_learning_has_gradients_wherever_it_is_called(quick, signals, array, without_gradients):
    wanted = quick(n_epochs=1).fit(signals, array).partial_fit(signals)
    with without_gradients():
        tracker = quick(n_epochs=1).fit(signals, array).partial_fit(signals)
    assert same(wanted, tracker)
    tracker.partial_fit(signals)
