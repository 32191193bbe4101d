"""Truth, weights and signals of the wrong kind are refused in words, and never turned into a figure."""

import numpy as np
import pytest
import torch

import doatrack
from doatrack import SRPPHAT
from doatrack.exceptions import InvalidInputError, ModelFileError
from doatrack.persistence import read_model_file, write_model_file


@pytest.fixture(scope="module")
def fitted(array, signals):
    return SRPPHAT(n_directions=64, win_length=1024, hop_length=768).fit(signals[0], array)


@pytest.fixture(scope="module")
def facing(fitted, signals):
    """Truth: always in front."""
    return np.tile([1.0, 0, 0], (len(fitted.predict(signals[0])), 1))


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (2.0, r"sample_weight of waveform must have the shape \(n_frames\), got \(\)"),
        ([1.0], r"sample_weight of waveform must have .* got"),
        (np.ones((3, 1)), "sample_weight of waveform must have the shape"),
        (np.array(["a", "b"]), "sample_weight of waveform must be an array of real numbers"),
    ],
)
def test_weights_that_are_not_one_per_frame(fitted, signals, facing, labelled, weight, message):
    with pytest.raises(InvalidInputError, match=message):
        fitted.score(signals[0], facing if labelled else None, weight)


@pytest.mark.parametrize(("bad", "message"), [(-1.0, "at least 0"), (np.nan, "finite")])
def test_weights_without_truth_are_checked_too(fitted, signals, facing, bad, message):
    with pytest.raises(InvalidInputError, match=f"sample_weight of waveform must be {message}"):
        fitted.score(signals[0], sample_weight=np.full(len(facing), bad))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y: "front", "The truth of waveform must be an array of real numbers, got str"),
        (lambda y: y + 1j, "The truth of waveform must be an array of real numbers, got complex"),
        (lambda y: 2 * y, "The truth of waveform must hold unit vectors .* length 2"),
        (lambda y: 0 * y, "The truth of waveform must hold unit vectors .* length 0"),
        (lambda y: np.ma.masked_array(y, mask=True), "The truth of waveform must hold a value everywhere"),
    ],
)
def test_truth_that_is_none(fitted, signals, facing, make, message):
    with pytest.raises(InvalidInputError, match=message):
        fitted.score(signals[0], make(facing))


def test_truth_may_be_a_tensor_that_learns(fitted, signals, facing):
    expected = fitted.score(signals[0], facing)
    assert fitted.score(signals[0], torch.tensor(facing, requires_grad=True)) == expected


def test_truth_rows_far_apart_are_directions_in_between(fitted, signals):
    # a chord of a quarter turn is down to 0.71 long
    turns = np.arange(60) * np.pi / 2
    rows = np.column_stack([0.07 * np.arange(60), np.cos(turns), np.sin(turns), 0 * turns, 0 * turns + 1])
    assert -180 <= fitted.score(signals[0], rows, np.ones(len(fitted.predict(signals[0])))) < 0


def test_no_frame_counts_where_weights_and_truth_leave_none(fitted, signals):
    rows = [[0.0, 1, 0, 0, 0], [4.0, 0, 1, 0, 0]]
    with pytest.raises(InvalidInputError, match="No frame counts"):
        fitted.score(signals[0], rows, np.ones(len(fitted.predict(signals[0]))))


@pytest.mark.parametrize("name", ["y", "sample_weight"])
def test_something_else_than_one_entry_per_recording(fitted, signals, name):
    with pytest.raises(InvalidInputError, match=f"{name} must hold one entry per recording, 2, got int"):
        fitted.score(list(signals[:2]), **{name: 5})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "must be finite, got"),
        (0.3, "must hold booleans, or 0 and 1, got 0.3"),
        (-1, "must hold booleans, or 0 and 1, got -1"),
        ("False", "must be an array of real numbers"),
    ],
)
def test_activity_that_is_neither_true_nor_false_is_no_sound(quick, signals, array, value, message):
    given = np.full(1 + (signals[0].shape[1] - 1024) // 768, value)
    with pytest.raises(InvalidInputError, match=f"The activity of waveform {message}"):
        quick().fit(signals[0], array, activity=given)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("params", {"win_length": -5}),
        ("params", {"hop_length": "x"}),
        ("params", {"speed_of_sound": 10**400}),
        ("array", {"mic_positions": [[10**400, 0, 0], [0, 0, 0]]}),
        ("array", None),
    ],
)
def test_model_file_that_cannot_track_is_refused_when_loaded(fitted, tmp_path, part, change):
    path = tmp_path / "m.safetensors"
    fitted.save(path)
    header, tensors = read_model_file(path)
    header.pop("format_version")
    header[part] = None if change is None else header[part] | change
    write_model_file(path, header, tensors)
    with pytest.raises(ModelFileError, match="does not hold a complete SRPPHAT"):
        doatrack.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_when_loaded(tmp_path, value):
    path = tmp_path / "failed.safetensors"
    tracker = doatrack.PhysicsVAETracker.from_pretrained()
    with torch.no_grad():
        next(tracker.encoder_.parameters()).fill_(value)
    tracker.save(path)
    with pytest.raises(ModelFileError, match=r"NaN or infinite, in 'encoder.*Fit anew, with a lower learning_rate"):
        doatrack.load(path)


@pytest.mark.parametrize("name", ["SRPPHAT2", "SupervisedTracker", "LearnedTracker"])
def test_estimators_that_are_none_are_not_offered(fitted, tmp_path, name):
    path = tmp_path / "m.safetensors"
    fitted.save(path)
    header, tensors = read_model_file(path)
    header.pop("format_version")
    write_model_file(path, header | {"estimator": name}, tensors)
    with pytest.raises(ModelFileError, match="unknown estimator") as caught:
        doatrack.load(path)
    assert "LearnedTracker" not in str(caught.value).replace(repr(name), "")


def test_a_file_with_another_calibration_says_what_can_be_done(fitted, tmp_path):
    path = tmp_path / "older.safetensors"
    fitted.save(path)
    header, tensors = read_model_file(path)
    header.pop("format_version")
    write_model_file(path, header | {"calibration": {"none": {"scale": 1.0}}}, tensors)
    with pytest.raises(ModelFileError) as caught:
        doatrack.load(path)
    message = str(caught.value)
    assert "does not hold a complete SRPPHAT (InvalidInputError: A calibration has levels, " in message
    assert message.endswith(
        "got scale). If another version of doatrack wrote it: read it with that version, or fit or calibrate anew with "
        "this one."
    )
    assert ".." not in message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "path must be a path, got None of type NoneType"),
        (3, "path must be a path, got 3 of type int"),
        (b"model", "path must be a path, got b'model' of type bytes"),
        ("", r"path must name a file or folder, got ''\. The current folder is '\.'"),
        ("a\0b", "path must name a file or folder"),
    ],
)
def test_what_is_no_path_is_not_loaded(path, message):
    with pytest.raises(InvalidInputError, match=message):
        doatrack.load(path)


@pytest.mark.parametrize("checkpoint", ["", 5])
def test_a_checkpoint_without_a_name_does_not_mean_the_current_folder(quick, signals, array, checkpoint):
    with pytest.raises(InvalidInputError, match="checkpoint must"):
        quick(checkpoint=checkpoint).fit(signals[0], array)
