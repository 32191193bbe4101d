"""LOCATA folders made from a known geometry: directions, microphones, activity, and every broken table."""

import datetime
import json
import shutil
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack import SRPPHAT, MicArray
from doatrack.datasets import LOCATA_ARRAYS, Locata, LocataRecording, is_locata
from doatrack.exceptions import DoatrackWarning, GeometryWarning, InvalidInputError
from doatrack.geometry import locata_to_unit, tdoa_far_field, unit_to_locata

MICS = MicArray.from_preset("locata_hearing_aids_4").positions
TURN = Rotation.from_euler("zyx", [40, -10, 5], degrees=True).as_matrix()
PLACE = np.array([1.0, -0.5, 1.2])
TIMES = np.arange(-0.004, 0.25, 1 / 120)
RECORDING = "dev/task1/recording1/dummy"
N_SAMPLES = 12000


def noise(n_mics=4, n_samples=N_SAMPLES, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, size=(n_mics, n_samples))


@pytest.fixture
def write(locata_corpus, tmp_path):
    """Return a function that writes a recording of the hearing aids; options replace the defaults."""

    def write_one(name=RECORDING, **options):
        mics = MicArray.from_preset(LOCATA_ARRAYS[name.rsplit("/", 1)[1]]).positions
        chosen = {
            "waveform": noise(len(mics)),
            "mics": mics,
            "position": PLACE,
            "rotation": TURN,
            "sources": {"loudspeaker1": PLACE + TURN @ [0.0, 2.0, 0.0]},
            "times": TIMES,
            "vad": {"loudspeaker1": np.arange(N_SAMPLES) >= 6000},
        } | options
        return locata_corpus.write_recording(tmp_path, name, chosen.pop("waveform"), **chosen)

    return write_one


def test_directions_microphones_and_labels_of_a_known_geometry(write, tmp_path):
    folder = write()
    corpus = Locata(tmp_path, tasks=[1], array="dummy")
    assert (len(corpus), corpus.names) == (1, ["task1_dev_recording1"])
    np.testing.assert_allclose(corpus.array.positions, MICS, atol=1e-9)
    assert corpus.array.name == "LOCATA dummy"
    [truth] = corpus.truths
    np.testing.assert_allclose(truth[:, 1:4], np.tile([0, 1, 0], (len(TIMES), 1)), atol=1e-9)
    np.testing.assert_allclose(truth[:, 0], TIMES, atol=1e-6)  # by the clocks: the tables begin 4 ms before the sound
    np.testing.assert_array_equal(truth[:, 4], TIMES >= 0.125)
    assert corpus.info(0) == {
        "task": 1,
        "recording": 1,
        "split": "dev",
        "array": "dummy",
        "sources": ["loudspeaker1"],
        "activity": {"loudspeaker1": "VAD_dummy_loudspeaker1.txt"},
        "start_s": 0.0,
        "array_moves": False,
    }
    assert json.dumps(corpus.info(0))
    path, rows = corpus[0]
    assert (path.path, corpus.paths) == (folder / "audio_array_dummy.wav", [path])
    np.testing.assert_array_equal(rows, truth)
    assert [p for p, _ in corpus] == corpus.paths


def test_the_look_direction_has_azimuth_zero_in_locatas_own_angles(write):
    azimuth, colatitude = unit_to_locata(LocataRecording(write()).truth[:, 1:4])
    np.testing.assert_allclose(azimuth, 0, atol=1e-9)
    np.testing.assert_allclose(colatitude, np.pi / 2, atol=1e-9)
    np.testing.assert_allclose(locata_to_unit(azimuth, colatitude)[0], [0, 1, 0], atol=1e-9)


angles = st.floats(-180, 180)


@settings(max_examples=8)
@given(turn=st.tuples(angles, angles, angles), seen=st.tuples(angles, st.floats(-89, 89)), distance=st.floats(0.5, 5))
def test_any_turn_of_the_array_leaves_its_own_frame_alone(locata_corpus, tmp_path_factory, turn, seen, distance):
    rotation = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    azimuth, elevation = np.radians(seen)
    local = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    folder = locata_corpus.write_recording(
        tmp_path_factory.mktemp("corpus"),
        RECORDING,
        noise(n_samples=480),
        mics=MICS,
        position=PLACE,
        rotation=rotation,
        sources={"s": PLACE + distance * rotation @ local},
        times=TIMES[:3],
    )
    recording = LocataRecording(folder, activity="always")
    np.testing.assert_allclose(recording.truth[:, 1:4], np.tile(local, (3, 1)), atol=1e-6)
    np.testing.assert_allclose(recording.mic_positions, MICS, atol=1e-6)


def test_a_moving_array_and_a_moving_talker(write):
    n = len(TIMES)
    turning = Rotation.from_euler("z", np.linspace(0, 90, n)[:, None], degrees=True).as_matrix()
    walking = PLACE + np.linspace(0, 1, n)[:, None] * [0.3, 0.2, 0]
    talker = np.array([4.0, 1.0, 1.6])
    folder = write(
        "dev/task5/recording2/dummy", position=walking, rotation=turning, sources={"hendrik": talker}, vad={}
    )
    recording = LocataRecording(folder, activity="always")
    expected = np.stack([turn.T @ (talker - place) for turn, place in zip(turning, walking, strict=True)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(recording.truth[:, 1:4], expected, atol=1e-6)
    np.testing.assert_allclose(recording.array.positions, MICS, atol=1e-9)
    assert recording.info["array_moves"]
    assert recording.truth[:, 4].all()


def test_several_sources_have_a_table_each(write):
    seen = {"loudspeaker3": [1.0, 0, 0], "loudspeaker1": [0, 0, 1.0]}
    sources = {name: PLACE + 2 * TURN @ place for name, place in seen.items()}
    vad = {"loudspeaker3": np.ones(N_SAMPLES), "loudspeaker1": np.zeros(N_SAMPLES)}
    recording = LocataRecording(write("eval/task2/recording1/dummy", sources=sources, vad=vad))
    assert recording.sources == ["loudspeaker1", "loudspeaker3"]
    assert recording.truth.shape == (2, len(TIMES), 5)
    np.testing.assert_allclose(recording.truth[:, 0, 1:], [[0, 0, 1, 0], [1, 0, 0, 1]], atol=1e-9)
    np.testing.assert_array_equal(recording.truth_by_source["loudspeaker3"], recording.truth[1])


def test_sound_is_resampled_to_16_khz_in_the_order_of_channels(write, tmp_path):
    time = np.arange(N_SAMPLES) / 48000
    tones = 0.2 * np.sin(2 * np.pi * np.array([[400], [800], [1600], [3200]]) * time)
    write(waveform=tones)
    read = Locata(tmp_path / "dev", tasks=(1,), array="dummy").read(0)
    assert (read.dtype, read.shape) == (np.float32, (4, N_SAMPLES // 3))
    np.testing.assert_allclose(read[:, 500:-500], tones[:, ::3][:, 500:-500], atol=1e-3)


def test_only_valid_times_count_and_a_time_that_comes_twice_once(write):
    times = TIMES.copy()
    times[7] = times[6]
    valid = np.ones(len(times))
    valid[[0, 3]] = 0
    rows = LocataRecording(write(times=times, valid=valid)).truth
    np.testing.assert_allclose(rows[:, 0], np.delete(times, [0, 3, 7]), atol=1e-6)


def test_what_the_tracker_lost_is_left_out(write):
    place = np.tile(PLACE + TURN @ [0, 2.0, 0], (len(TIMES), 1))
    place[4] = np.nan
    rows = LocataRecording(write(sources={"loudspeaker1": place})).truth
    np.testing.assert_allclose(rows[:, 0], np.delete(TIMES, 4), atol=1e-6)
    assert np.isfinite(rows).all()
    lost = write("dev/task1/recording2/dummy", sources={"loudspeaker1": place * np.nan})
    with pytest.raises(InvalidInputError, match="no required time at which the array and a source are known: nothing"):
        _ = LocataRecording(lost).truth
    with pytest.raises(InvalidInputError, match="known after the leading silence: nothing is evaluated"):
        _ = LocataRecording(lost, leading_silence="cut").truth


def test_of_several_sources_the_lost_one_is_unknown(write):
    first = np.tile(PLACE + TURN @ [0, 2.0, 0], (len(TIMES), 1))
    second = first + 1.0
    first[4], second[[4, 7]] = np.nan, np.nan
    folder = write("dev/task2/recording1/dummy", sources={"a": first, "b": second}, vad={})
    rows = LocataRecording(folder, activity="always").truth
    np.testing.assert_allclose(rows[0, :, 0], np.delete(TIMES, 4), atol=1e-6)
    assert np.isfinite(rows[0]).all()
    assert np.isnan(rows[1, 6, 1:]).all()
    assert np.isfinite(np.delete(rows[1], 6, axis=0)).all()


def spoken(n_samples=N_SAMPLES, first=6000):
    return np.where(np.arange(n_samples) >= first, np.sin(np.arange(n_samples) * 0.2), 0)


def test_activity_from_the_source_is_aligned_by_clocks_and_delayed_by_the_way(write):
    place = PLACE + TURN @ [0, 3.43 * 3, 0]  # sound takes 30 ms
    folder = write(
        sources={"loudspeaker1": place}, vad={}, source_sounds={"loudspeaker1": spoken()}, source_start=-0.05
    )
    recording = LocataRecording(folder)
    onset = recording.truth[recording.truth[:, 4].argmax(), 0]
    assert onset == pytest.approx(0.125 - 0.05 + 0.03, abs=0.011)
    assert recording.info["activity"] == {"loudspeaker1": "energy of audio_source_loudspeaker1.wav"}
    (folder / "VAD_source_loudspeaker1.txt").write_text("VAD\n" + "0\n" * 9000 + "1\n" * 3000)
    labelled = LocataRecording(folder)
    assert labelled.info["activity"] == {"loudspeaker1": "VAD_source_loudspeaker1.txt"}
    assert labelled.truth[labelled.truth[:, 4].argmax(), 0] == pytest.approx(0.1875 - 0.05 + 0.03, abs=0.009)


def test_a_source_is_silent_outside_its_own_sound(write):
    sound = spoken(9000, first=0)
    folder = write(vad={}, source_sounds={"loudspeaker1": sound}, source_start=0.03)
    times, active = LocataRecording(folder).truth[:, [0, 4]].T
    heard = times[active == 1]
    assert heard.min() == pytest.approx(0.03 + 2 / 343, abs=0.01)
    assert heard.max() == pytest.approx(0.03 + 9000 / 48000 + 2 / 343, abs=0.01)


def test_labels_of_the_corpus_win_unless_energy_is_asked_for(write):
    folder = write(source_sounds={"loudspeaker1": spoken(first=0)})
    assert not LocataRecording(folder).truth[:5, 4].any()
    assert not LocataRecording(folder, activity="vad").truth[:5, 4].any()
    assert LocataRecording(folder, activity="energy").truth[3:-3, 4].all()
    assert LocataRecording(folder, activity="always").truth[:, 4].all()


def test_leading_silence_is_cut_from_sound_and_truth(write, tmp_path):
    waveform = noise()
    waveform[0] = 0.02 * waveform[0]
    waveform[0, 4800] = -0.9  # the rule looks at positive samples only
    waveform[0, 7200:] = 0.5 * np.sin(np.arange(4800) * 0.05)
    write(waveform=waveform)
    kept = Locata(tmp_path, tasks=(1,), array="dummy")
    cut = Locata(tmp_path, tasks=(1,), array="dummy", leading_silence="cut")
    start = cut.info(0)["start_s"]
    assert start == pytest.approx(0.15, abs=5e-4)
    assert cut.read(0).shape[1] == kept.read(0).shape[1] - round(start * 16000)
    np.testing.assert_allclose(cut.read(0)[:, 200:], kept.read(0)[:, 200 + round(start * 16000) :], atol=1e-3)
    later = kept.truths[0][kept.truths[0][:, 0] >= start]
    np.testing.assert_allclose(cut.truths[0][:, 0], later[:, 0] - start, atol=1e-6)
    np.testing.assert_array_equal(cut.truths[0][:, 1:], later[:, 1:])


def test_a_plane_wave_in_a_turned_array_is_found_where_the_truth_says(write, tmp_path):
    array = MicArray.from_preset("nao_head_12")
    local = np.array([0.48, 0.64, 0.6])
    n = 48000
    spectrum = np.fft.rfft(np.random.default_rng(3).normal(size=n))
    spectrum[np.fft.rfftfreq(n, 1 / 48000) > 7500] = 0
    arrival = -array.positions @ local / 343.0  # relative to the origin: tdoa is t_i - t_j
    i, j = array.mic_pairs.T
    np.testing.assert_allclose(arrival[i] - arrival[j], tdoa_far_field(array, local), atol=1e-12)
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(n, 1 / 48000) * arrival[:, None])
    waveform = 0.1 * np.fft.irfft(spectrum * delay, n)
    write(
        "dev/task3/recording1/benchmark2",
        waveform=waveform,
        sources={"talker": PLACE + 50 * TURN @ local},
        times=np.arange(0, 0.99, 1 / 120),
        vad={"talker": np.ones(n)},
    )
    corpus = Locata(tmp_path / "dev", tasks=(3,))
    tracker = SRPPHAT(n_directions=2048).fit(corpus.paths, corpus.array)
    assert -tracker.score(corpus.paths, corpus.truths) < 2.5  # degrees: 2048 directions are about 4.5 apart
    away = np.degrees(np.arccos(tracker.predict(corpus.paths)[0] @ local))
    assert away.max() < 2.5


def test_recordings_in_order_of_split_task_and_number(write, tmp_path):
    names = ["dev/task3/recording10", "dev/task3/recording2", "dev/task1/recording3", "eval/task1/recording1"]
    for name in names:
        write(f"{name}/dummy")
    write("dev/task3/recording2/benchmark2", waveform=noise(12))
    corpus = Locata(tmp_path, (3, 1), "dummy")
    assert corpus.names == [
        "task1_dev_recording3",
        "task3_dev_recording2",
        "task3_dev_recording10",
        "task1_eval_recording1",
    ]
    assert Locata(tmp_path, (1,), "dummy", split="eval").names == ["task1_eval_recording1"]
    assert Locata(tmp_path / "dev", (3,), "benchmark2").names == ["task3_dev_recording2"]
    shutil.move(tmp_path / "eval", tmp_path / "other")
    assert Locata(tmp_path / "other", (1,), "dummy").names == ["task1_recording1"]
    assert "n_recordings=3" in repr(Locata(tmp_path, (1, 3), "dummy"))


def test_recognised_by_its_folders(write, tmp_path):
    write()
    assert is_locata(tmp_path)
    assert is_locata(tmp_path / "dev")
    assert not is_locata(tmp_path / "dev" / "task1")
    assert not is_locata(tmp_path / "nowhere")


def test_a_recording_without_arrays_is_named(tmp_path):
    (tmp_path / "task1" / "recording1").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match=r"task 1 has no recording of dummy\.$"):
        Locata(tmp_path, (1,), "dummy")


def test_a_folder_without_sound_is_left_out_and_said(write, tmp_path):
    write()
    (write("dev/task1/recording2/dummy") / "audio_array_dummy.wav").unlink()
    with pytest.warns(DoatrackWarning, match=r"recording2/dummy is left out: it has no audio_array_dummy\.wav"):
        assert Locata(tmp_path, (1,), "dummy").names == ["task1_dev_recording1"]
    shutil.rmtree(tmp_path / "dev/task1/recording1")
    with (
        pytest.warns(DoatrackWarning, match="left out"),
        pytest.raises(InvalidInputError, match=r"holds no sound of dummy: every audio_array_dummy\.wav is missing"),
    ):
        Locata(tmp_path, (1,), "dummy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": (1, 7)}, "task must be at least 1 and at most 6, got 7"),
        ({"tasks": ()}, "tasks must name at least one task"),
        ({"tasks": 3}, r"tasks must be a sequence of numbers from 1 to 6, such as \(1, 3, 5\), got 3"),
        ({"tasks": "135"}, "tasks must be a sequence .*got '135'"),
        ({"tasks": (1, 3)}, r"holds no recording of task 3: there are tasks \[1\]\. Pass those in tasks"),
        ({"array": "benchmark"}, "array must be .*got 'benchmark'.*Did you mean 'benchmark2'"),
        ({"array": "dicit"}, "task 1 has no recording of dicit, only of dummy"),
        ({"split": "test"}, "split must be .*got 'test'"),
        ({"split": "eval"}, "is not the LOCATA corpus or of eval"),
        ({"activity": "webrtc"}, "activity must be .*got 'webrtc'.*always, auto, energy, vad"),
        ({"leading_silence": "cut off"}, "leading_silence must be .*Did you mean 'cut'"),
    ],
)
def test_wrong_options_are_refused_at_once(write, tmp_path, options, message):
    write()
    with pytest.raises(InvalidInputError, match=message):
        Locata(tmp_path, **({"tasks": (1,), "array": "dummy"} | options))


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InvalidInputError, match=r"LOCATA folder .*nowhere is not a folder"):
        Locata(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match=r"is not the LOCATA corpus: it must hold task1/recording1/benchmark2"):
        Locata(tmp_path)
    with pytest.raises(InvalidInputError, match="must end in task1-6/recordingN/ARRAY"):
        LocataRecording(tmp_path)
    with pytest.raises(InvalidInputError, match=r"array of .*got 'dumy'.*Did you mean 'dummy'"):
        LocataRecording(tmp_path / "task1/recording1/dumy")


def edit(file, change):
    lines = file.read_text().split("\n")
    file.write_text("\n".join(change(lines)))


def cell(line, column, text):
    """Return a change of one cell, in a line counted from 1."""

    def change(lines):
        cells = lines[line - 1].split("\t")
        cells[lines[0].split("\t").index(column)] = text
        return [*lines[: line - 1], "\t".join(cells), *lines[line:]]

    return change


def rename(column, other):
    return lambda lines: ["\t".join(other if name == column else name for name in lines[0].split("\t")), *lines[1:]]


BROKEN = [
    ("required_time.txt", rename("valid_flag", "valid"), "has no column 'valid_flag'"),
    ("required_time.txt", cell(4, "valid_flag", "2"), "line 4, column 'valid_flag': must be 0 or 1, got 2"),
    ("required_time.txt", lambda lines: lines[:1], "has no rows under its header"),
    (
        "required_time.txt",
        cell(5, "month", "13"),
        "line 5, column 'month': must be a whole number from 1 to 12, got 13",
    ),
    ("required_time.txt", cell(5, "minute", "0.5"), "line 5, column 'minute': must be a whole number"),
    ("required_time.txt", cell(5, "second", "nan"), "line 5, column 'second': must be a number from 0 to 61, got nan"),
    ("required_time.txt", cell(5, "second", "x"), "line 5, column 'second': expected a number"),
    ("required_time.txt", cell(3, "second", "25.01"), "line 3, columns 'year' to 'second': times must not go back"),
    ("position_array_dummy.txt", rename("rotation_23", "r23"), "has no column 'rotation_23'"),
    ("position_array_dummy.txt", rename("mic4_y", "mic5_y"), "has no column 'mic4_y'"),
    (
        "position_array_dummy.txt",
        cell(6, "rotation_11", "3"),
        "line 6, columns 'rotation_11' to 'rotation_33': must be",
    ),
    ("position_array_dummy.txt", lambda lines: lines[:-2], "must have as many rows as required_time.txt beside it"),
    ("position_source_loudspeaker1.txt", rename("y", "Y"), "has no column 'y'"),
    ("position_source_loudspeaker1.txt", cell(3, "z", ""), "line 3, column 'z': expected a number or nan, got ''"),
    ("position_source_loudspeaker1.txt", cell(32, "second", "25.5"), r"line 32, .*time must be that of the same line"),
    (
        "position_source_loudspeaker1.txt",
        lambda lines: [*lines[:-2], lines[-2] + "\t7", ""],
        "line 32: there must be at",
    ),
    ("audio_array_timestamps_dummy.txt", rename("hour", "h"), "has no column 'hour'"),
    ("audio_array_timestamps_dummy.txt", lambda lines: lines[:-2], "one row per sample.*11999 rows for 12000"),
    (
        "audio_array_timestamps_dummy.txt",
        cell(482, "second", "25.0"),
        "line 482, .*times must increase from row to row",
    ),
    ("audio_array_timestamps_dummy.txt", cell(482, "second", "25.068"), "line 482, .*times must increase"),
    ("audio_array_timestamps_dummy.txt", cell(12001, "second", "25.0"), "line 12001, .*times must increase"),
    ("audio_array_timestamps_dummy.txt", cell(482, "second", "?"), r"line 482, column 'second': expected .*got '\?'"),
    ("audio_array_timestamps_dummy.txt", cell(2, "day", "31"), "column 'day': there is no 2017-9-31"),
    ("VAD_dummy_loudspeaker1.txt", rename("VAD", "vad"), "has no column 'VAD'"),
    ("VAD_dummy_loudspeaker1.txt", cell(9, "VAD", "0.5"), "line 9, column 'VAD': must be 0 or 1, got 0.5"),
    ("VAD_dummy_loudspeaker1.txt", cell(9, "VAD", "on"), "column 'VAD': cannot be read as one 0 or 1 per line"),
    ("VAD_dummy_loudspeaker1.txt", lambda lines: lines[:-2], "one row per sample.*11999 rows for 12000"),
]


@pytest.mark.parametrize(("file", "change", "message"), BROKEN)
def test_a_broken_table_is_named_with_line_and_column(write, file, change, message):
    folder = write()
    edit(folder / file, change)
    with pytest.raises(InvalidInputError, match=message) as caught:
        _ = LocataRecording(folder).truth
    assert str(folder / file) in str(caught.value)


@pytest.mark.parametrize(
    "file",
    ["required_time.txt", "position_array_dummy.txt", "audio_array_timestamps_dummy.txt", "audio_array_dummy.wav"],
)
def test_a_missing_file_is_named(write, file):
    folder = write()
    (folder / file).unlink()
    with pytest.raises(InvalidInputError, match=rf"{file} (is missing|does not exist)"):
        _ = LocataRecording(folder).truth


def test_directions_that_are_secret_or_without_activity(write):
    folder = write()
    (folder / "VAD_dummy_loudspeaker1.txt").unlink()
    with pytest.raises(InvalidInputError, match=r"none of VAD_dummy_loudspeaker1\.txt, .*\.wav is there.*\"always\""):
        _ = LocataRecording(folder).truth
    with pytest.raises(
        InvalidInputError, match=r"none of VAD_dummy_loudspeaker1\.txt, VAD_source_loudspeaker1\.txt is"
    ):
        _ = LocataRecording(folder, activity="vad").truth
    (folder / "position_source_loudspeaker1.txt").unlink()
    recording = LocataRecording(folder)
    assert (recording.sources, recording.read().shape) == ([], (4, N_SAMPLES // 3))
    with pytest.raises(InvalidInputError, match=r"has no position_source_\*\.txt, so directions are not known"):
        _ = recording.truth


def test_nothing_evaluated_and_a_source_in_the_origin(write):
    with pytest.raises(InvalidInputError, match="'valid_flag': is 0 in every row"):
        _ = LocataRecording(write(valid=np.zeros(len(TIMES)))).truth
    inside = write("dev/task1/recording2/dummy", sources={"loudspeaker1": PLACE})
    with pytest.raises(InvalidInputError, match="line 2, columns 'x', 'y', 'z': the source lies in the array's origin"):
        _ = LocataRecording(inside).truth


def test_another_number_of_channels(write, tmp_path):
    folder = write(waveform=noise(3))
    with pytest.raises(InvalidInputError, match=r"audio_array_dummy\.wav must have 4 channels, .*got the shape \(3,"):
        Locata(tmp_path, (1,), "dummy").read(0)
    with pytest.raises(InvalidInputError, match=r"audio_array_dummy\.wav must have 4 channels, .*of dummy, got 3"):
        _ = LocataRecording(folder).truth


def test_silence_has_no_onset_to_cut(write):
    assert LocataRecording(write(waveform=np.zeros((4, N_SAMPLES))), leading_silence="cut").path.start == 0


def test_microphones_that_do_not_fit_are_told(write, tmp_path):
    turning = Rotation.from_euler("z", np.linspace(0, 90, len(TIMES))[:, None], degrees=True).as_matrix()
    folder = write("dev/task5/recording1/dummy", rotation=turning)
    names = [f"rotation_{i}{j}" for i in "123" for j in "123"]
    edit(
        folder / "position_array_dummy.txt",
        lambda lines: [lines[0].replace("\t".join(names), "\t".join(n[:-2] + n[:-3:-1] for n in names)), *lines[1:]],
    )
    with pytest.warns(GeometryWarning, match="microphones move by up to .* in the array's own frame. Check the rotat"):
        _ = LocataRecording(folder).mic_positions
    with pytest.warns(GeometryWarning, match=r"microphones lie up to 0\.05 m from those of the preset 'locata_hearing"):
        _ = LocataRecording(write(mics=MICS + np.array([0, 0, 0.05]))).array
    write("dev/task1/recording2/dummy")
    write("dev/task1/recording3/dummy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        corpus = Locata(tmp_path, (1,), "dummy")
        _ = [recording.mic_positions for recording in corpus.recordings]
    with pytest.warns(
        GeometryWarning, match=r"recording1/dummy: microphones lie up to 0\.05 m from those of the other"
    ):
        np.testing.assert_allclose(corpus.array.positions, MICS, atol=1e-9)


def test_times_over_midnight_go_on(write, locata_corpus):
    begin = datetime.datetime(2017, 12, 31, 23, 59, 59, 900000)
    folder = write(vad={}, times=np.array([0.0, 0.05, 0.2]))
    rows = locata_corpus.calendar([0.0, 0.05, 0.2], begin)
    assert rows[2][:5] == [2018, 1, 1, 0, 0]
    for name in ("required_time.txt", "position_array_dummy.txt", "position_source_loudspeaker1.txt"):
        for line, row in enumerate(rows, start=2):
            for column, value in zip(locata_corpus.TIME, row, strict=True):
                edit(folder / name, cell(line, column, f"{value:.16g}"))
    soundfile.write(folder / "audio_array_dummy.wav", np.zeros((2, 4)), 48000)
    clock = locata_corpus.calendar([0.0, 1 / 48000], begin)
    locata_corpus.write_table(folder / "audio_array_timestamps_dummy.txt", locata_corpus.TIME, clock)
    truth = LocataRecording(folder, activity="always").truth
    np.testing.assert_allclose(truth[:, 0], [0.0, 0.05, 0.2], atol=1e-6)
