import copy
import dataclasses
import errno
import json
import os
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import Ambiguity
from doatrack.metrics import angular_error
from doatrack.tracking import Track, is_track_csv

HEADER = "time_s,x,y,z,azimuth_deg,elevation_deg,concentration,credible_angle_deg,active"


def make_track(n_frames=20, seed=0):
    rng = np.random.default_rng(seed)
    doa = rng.normal(size=(n_frames, 3))
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    times = (np.arange(n_frames) * 3072 + 2048) / 16000
    return Track(times, doa, rng.gamma(1, 50, n_frames), rng.uniform(0, 3, n_frames), rng.random(n_frames) > 0.4)


unknown = st.just(float("nan"))


@st.composite
def hostile_tracks(draw):
    n = draw(st.integers(1, 6))
    steps = draw(st.lists(st.floats(1e-6, 1e4), min_size=n, max_size=n))
    times = draw(st.floats(-10, 1e6)) + np.cumsum(steps)
    vectors = draw(st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=n, max_size=n))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    doa = np.where(length > 1e-3, vectors / np.maximum(length, 1e-3), np.nan)
    concentration = draw(st.lists(st.one_of(unknown, st.floats(0, 1e308)), min_size=n, max_size=n))
    angle = draw(st.lists(st.one_of(unknown, st.floats(0, np.pi)), min_size=n, max_size=n))
    activity = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return Track(times, doa, concentration, angle, activity)


def assert_near(read, written):
    np.testing.assert_allclose(read.times, written.times, atol=1e-9, rtol=1e-15)
    np.testing.assert_allclose(read.doa, written.doa, atol=1e-8)
    np.testing.assert_allclose(read.concentration, written.concentration, rtol=1e-8)
    np.testing.assert_allclose(read.credible_angle, written.credible_angle, rtol=1e-6, atol=1e-300)
    np.testing.assert_array_equal(read.activity, written.activity)


@given(track=hostile_tracks())
def test_csv_and_json_give_the_track_back(tmp_path_factory, track):
    folder = tmp_path_factory.mktemp("tracks")
    track.to_csv(folder / "a.csv")
    assert_near(Track.from_csv(folder / "a.csv"), track)
    track.to_json(folder / "a.json")
    assert_near(Track.from_json(folder / "a.json"), track)


def test_csv_holds_numbers_in_documented_columns(tmp_path):
    track = Track(
        [0.128, 0.32, 0.512],
        [[-1, -0.0, 0], [0.6, 0, 0.8], [np.nan] * 3],
        [12.5, np.nan, 0],
        [np.pi / 2, np.nan, np.pi],
        [1, 0, 0],
    )
    track.to_csv(tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines == [
        HEADER,
        "0.128,-1.00000000,0.00000000,0.00000000,180.0000,0.0000,12.5,90,1",
        "0.32,0.60000000,0.00000000,0.80000000,0.0000,53.1301,nan,nan,0",
        "0.512,nan,nan,nan,nan,nan,0,180,0",
    ]
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    assert table.shape == (3, 9)


def test_reference_scorer_can_read_it(tmp_path):
    track = make_track()
    track.to_csv(tmp_path / "a.csv")
    columns = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1, usecols=(0, 1, 2, 3), ndmin=2)
    assert angular_error(track.doa, columns[:, 1:]).max() < 1e-7


def test_json_lines_are_strict_json_in_the_form_of_odas(tmp_path):
    track = Track([0.5, 0.75], [[0, 1, 0], [np.nan] * 3], [3.0, np.nan], [np.radians(30), np.nan], [True, False])
    track.to_json(tmp_path / "a.json")

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    first, second = (json.loads(t, parse_constant=refuse) for t in (tmp_path / "a.json").read_text().splitlines())
    assert first["timeStamp"] == 0.5
    (source,) = first["src"]
    assert source.pop("credible_angle_deg") == pytest.approx(30)
    assert source == {"id": 1, "tag": "", "x": 0, "y": 1, "z": 0, "activity": 1, "concentration": 3}
    assert second["src"][0] == {
        "id": 1, "tag": "", "x": None, "y": None, "z": None, "activity": 0,
        "concentration": None, "credible_angle_deg": None,
    }  # fmt: skip


def test_json_of_odas_itself_is_read(tmp_path):
    line = '{"timeStamp": 2, "src": [{"id": 9, "tag": "dynamic", "x": 0.6, "y": 0.0, "z": 0.8, "activity": 1.0}]}'
    (tmp_path / "odas.json").write_text(line + "\n\n")
    track = Track.from_json(tmp_path / "odas.json")
    assert track == Track([2], [[0.6, 0, 0.8]], [np.nan], [np.nan], [True])


def test_dataframe_has_the_columns_of_the_file():
    track = make_track()
    frame = track.to_dataframe()
    assert ",".join(frame.columns) == HEADER
    assert frame["active"].dtype == bool
    np.testing.assert_allclose(frame["azimuth_deg"], np.degrees(track.azimuth))
    np.testing.assert_allclose(frame["credible_angle_deg"], np.degrees(track.credible_angle))


def test_missing_pandas_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_dataframe needs pandas: pip install pandas"):
        make_track().to_dataframe()


def test_azimuth_and_elevation_follow_the_convention():
    track = Track([0, 1, 2], [[0, 1, 0], [-1, 0, 0], [0, 0, -1]], [np.nan] * 3, [np.nan] * 3, [True] * 3)
    np.testing.assert_allclose(np.degrees(track.azimuth), [90, 180, 0])
    np.testing.assert_allclose(np.degrees(track.elevation), [0, 0, -90])


def test_tracks_are_values():
    track = make_track()
    assert track == make_track()
    assert track != make_track(seed=1)
    assert track != "track"
    for same in (track, pickle.loads(pickle.dumps(track)), copy.deepcopy(track)):
        assert same == track
        with pytest.raises(ValueError, match="read-only"):
            same.doa[0] = 0
    with pytest.raises(AttributeError):
        track.times = np.zeros(20)


def test_a_track_does_not_change_with_the_arrays_it_was_made_from():
    times, doa = np.array([0.0, 1.0]), np.array([[1.0, 0, 0], [0, 1.0, 0]])
    track = Track(times, doa, [1, 1], [1, 1], [True, True])
    doa[0], times[0] = [0, 0, 1], -5
    assert track.times[0] == 0
    assert track.doa[0, 0] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": [0.0, 0.0]}, "times must increase from row to row, got 0 s after 0 s in row 1"),
        ({"times": [0.0, np.nan]}, "times must be finite"),
        ({"times": [0.0]}, "doa must have as many rows as times, got 2 and 1"),
        ({"doa": [[1.0, 0, 0], [2.0, 0, 0]]}, "doa must hold unit vectors .*, got one of length 2"),
        ({"doa": [1.0, 0, 0]}, r"doa must have the shape \(n_frames, 3\), got \(3,\)"),
        ({"concentration": [1.0, -1.0]}, r"concentration must be finite, at least 0, or NaN .*, got -1 in frame 1"),
        ({"concentration": [np.inf, 1]}, "concentration must be finite, at least 0, or NaN .*, got inf in frame 0"),
        ({"concentration": [1.0]}, "concentration must have as many rows as times, got 1 and 2"),
        ({"credible_angle": [0.1, 20.0]}, "credible_angle must be .* at most 3.1416, .* got 20 .*convert degrees"),
        ({"activity": [0.0, 0.5]}, "activity must hold booleans, or 0 and 1, got 0.5"),
        ({"activity": [True, True, True]}, "activity must have as many rows as times, got 3 and 2"),
        ({"activity": [True, np.nan]}, "activity must hold booleans, or 0 and 1, got nan"),
    ],
)
def test_wrong_values_are_named(change, message):
    values = {
        "times": [0.0, 1.0],
        "doa": [[1.0, 0, 0], [0, 1.0, 0]],
        "concentration": [1.0, 2.0],
        "credible_angle": [0.1, 0.2],
        "activity": [True, False],
    }
    Track(**values)
    with pytest.raises(InvalidInputError, match=message):
        Track(**values | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,x,y,z\n0,1,0,0\n", "has no column 'concentration'"),
        (HEADER + "\n0,1,0,0,0,0,1,10,2\n", r"bad\.csv: activity must hold booleans, or 0 and 1, got 2"),
        (HEADER + "\n0,1,0,0,0,0,1,10,maybe\n", r"bad\.csv, line 2, column 'active': expected a number"),
        (HEADER + "\n1,1,0,0,0,0,1,10,1\n0,1,0,0,0,0,1,10,1\n", r"bad\.csv: times must increase"),
    ],
)
def test_wrong_csv_files_are_named(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        Track.from_csv(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    "line",
    [
        "time_s,x,y,z",
        "[1, 2]",
        "[" * 100_000,
        '{"timeStamp": 1, "src": []}',
        '{"timeStamp": 1, "src": [{"x": 1, "y": 0, "z": 0}]}',
        '{"timeStamp": "1", "src": [{"x": 1, "y": 0, "z": 0, "activity": 1}]}',
        '{"timeStamp": 1, "src": [{"x": 1, "y": 0, "z": 0, "activity": 1}, {"x": 0, "y": 1, "z": 0, "activity": 1}]}',
    ],
)
def test_wrong_json_files_are_named(tmp_path, line):
    make_track(1).to_json(tmp_path / "bad.json")
    with open(tmp_path / "bad.json", "a") as file:
        file.write(line)
    with pytest.raises(InvalidInputError, match=r"bad\.json, line 2: expected one frame of one source"):
        Track.from_json(tmp_path / "bad.json")


def test_missing_files_are_named(tmp_path):
    for read in (Track.from_csv, Track.from_json):
        with pytest.raises(InvalidInputError, match="nothing does not exist"):
            read(tmp_path / "nothing")


def test_own_files_are_recognised(tmp_path):
    make_track().to_csv(tmp_path / "own.csv")
    assert is_track_csv(tmp_path / "own.csv")
    (tmp_path / "truth.csv").write_text("time_s,x,y,z,active\n0,1,0,0,1\n")
    (tmp_path / "longer.csv").write_text(HEADER + ",note\n")
    (tmp_path / "binary.csv").write_bytes(b"\x00\xff" * 500)
    (tmp_path / "empty.csv").write_bytes(b"")
    for other in ("truth.csv", "longer.csv", "binary.csv", "empty.csv", "missing.csv", "."):
        assert not is_track_csv(tmp_path / other)


@pytest.mark.parametrize("writer", ["to_csv", "to_json"])
def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch, writer):
    path = tmp_path / "a"
    getattr(make_track(), writer)(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        getattr(make_track(seed=1), writer)(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a"]


def test_an_empty_track_writes_a_header(tmp_path):
    track = Track([], np.zeros((0, 3)), [], [], [])
    track.to_csv(tmp_path / "a.csv")
    assert Track.from_csv(tmp_path / "a.csv") == track
    assert repr(track) == "Track(no frames)"


def test_an_ambiguous_track_offers_the_other_directions(tmp_path):
    doa = [[0.6, 0, 0.8], [0, 1.0, 0], [np.nan] * 3]
    flat = Ambiguity("mirror", (0.0, 0.0, 1.0))
    track = Track([0.1, 0.2, 0.3], doa, [1.0] * 3, [0.1] * 3, [True] * 3, flat)
    np.testing.assert_array_equal(track.alternatives[:, 0], [[0.6, 0, -0.8], [0, 1.0, 0], [np.nan] * 3])
    assert pickle.loads(pickle.dumps(track)).ambiguity == flat
    plain = Track([0.1, 0.2, 0.3], doa, [1.0] * 3, [0.1] * 3, [True] * 3)
    assert plain == track
    assert plain.alternatives.shape == (3, 0, 3)
    line = dataclasses.replace(track, ambiguity=Ambiguity("cone", (1.0, 0.0, 0.0)))
    assert line.alternatives.shape == (3, 35, 3)
    np.testing.assert_allclose(line.alternatives[0] @ [1.0, 0, 0], 0.6)
    with pytest.raises(InvalidInputError, match="ambiguity must be an Ambiguity, got str"):
        dataclasses.replace(track, ambiguity="mirror")


def test_a_track_of_own_frames_is_the_checked_one_and_as_frozen():
    checked = make_track()
    columns = [np.array(getattr(checked, name)) for name in ("times", "doa", "concentration", "credible_angle")]
    columns.append(np.array(checked.activity))
    own = Track._of_frames(tuple(columns), checked.ambiguity)
    assert own == checked
    assert own.ambiguity == checked.ambiguity
    columns[1][:] = 0.0  # its own copy
    assert own == checked
    with pytest.raises(ValueError, match="read-only"):
        own.doa[0] = 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.times = checked.times
