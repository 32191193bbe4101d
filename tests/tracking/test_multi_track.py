import copy
import json
import pickle

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.tracking import MultiTrack, Track, is_track_csv


@pytest.fixture
def tracks(rng):
    doa = rng.normal(size=(5, 3, 3))
    doa /= np.linalg.norm(doa, axis=-1, keepdims=True)
    concentration, angle = rng.uniform(1, 100, (5, 3)), rng.uniform(0, 1, (5, 3))
    doa[2, 1], concentration[2, 1], angle[2, 1] = np.nan, np.nan, np.nan
    return MultiTrack(0.1 + 0.2 * np.arange(5), doa, concentration, angle, rng.random((5, 3)) < 0.5)


def test_it_is_a_sequence_of_tracks(tracks):
    assert (len(tracks), tracks.n_sources, tracks.n_frames) == (3, 3, 5)
    for k, track in enumerate(tracks):
        assert isinstance(track, Track)
        np.testing.assert_array_equal(track.doa, tracks.doa[:, k])
        np.testing.assert_array_equal(track.activity, tracks.activity[:, k])
    assert tracks[-1] == tracks[2]
    assert MultiTrack.from_tracks(list(tracks)) == tracks
    assert MultiTrack.from_tracks([tracks[0], tracks[2]]) != tracks
    assert copy.deepcopy(tracks) == tracks
    assert pickle.loads(pickle.dumps(tracks)) == tracks


def test_its_arrays_are_its_own(tracks):
    given = np.array(tracks.doa)
    other = MultiTrack(tracks.times, given, tracks.concentration, tracks.credible_angle, tracks.activity)
    given[:] = 0
    assert other == tracks
    with pytest.raises(ValueError, match="read-only"):
        other.doa[0, 0, 0] = 1.0


def test_files_keep_it(tracks, tmp_path):
    tracks.to_csv(tmp_path / "a.csv")
    tracks.to_json(tmp_path / "a.json")
    assert is_track_csv(tmp_path / "a.csv")
    back = MultiTrack.from_csv(tmp_path / "a.csv")
    for name in ("times", "doa", "concentration", "credible_angle", "activity"):
        np.testing.assert_allclose(getattr(back, name), getattr(tracks, name), atol=1e-6)
    np.testing.assert_allclose(MultiTrack.from_json(tmp_path / "a.json").doa, tracks.doa)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("time_s,source,x,y,z,azimuth_deg")
    assert [line.split(",")[1] for line in lines[1:5]] == ["0", "1", "2", "0"]
    frame = json.loads((tmp_path / "a.json").read_text().splitlines()[2])
    assert [source["id"] for source in frame["src"]] == [1, 2, 3]
    assert frame["src"][1]["x"] is None


def test_a_file_of_one_source_is_another_thing(tracks, tmp_path):
    tracks.to_json(tmp_path / "a.json")
    with pytest.raises(InvalidInputError, match=r"a\.json, line 1: expected one frame of one source"):
        Track.from_json(tmp_path / "a.json")
    tracks[0].to_csv(tmp_path / "one.csv")
    with pytest.raises(InvalidInputError, match=r"one\.csv has no column 'source'"):
        MultiTrack.from_csv(tmp_path / "one.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the same number of sources in every line, at least one"),
        ('{"timeStamp": 0.1, "src": []}\n', "the same number of sources"),
        ('{"timeStamp": 0.1, "src": [{"x": 1, "y": 0, "z": 0}]}\n', "line 1: expected one frame of sources"),
    ],
)
def test_broken_json_is_named(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidInputError, match=rf"a\.json.*{message}"):
        MultiTrack.from_json(tmp_path / "a.json")


def test_data_frame(tracks):
    pytest.importorskip("pandas")
    table = tracks.to_dataframe()
    assert table["source"].tolist() == [0, 1, 2] * 5
    assert table["time_s"].is_monotonic_increasing
    np.testing.assert_array_equal(table["x"].to_numpy().reshape(5, 3), tracks.doa[..., 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doa": np.zeros((5, 3, 3))}, "doa must hold unit vectors"),
        ({"doa": np.zeros((5, 0, 3))}, "doa must hold at least one source"),
        ({"concentration": np.ones((5, 2))}, r"concentration must have the shape \(n_frames, 3\)"),
        ({"times": [0, 1, 2]}, "doa must have as many rows as times"),
        ({"activity": np.full((5, 3), 2)}, "activity must hold booleans"),
    ],
)
def test_bad_input(tracks, change, message):
    values = {name: getattr(tracks, name) for name in ("times", "doa", "concentration", "credible_angle", "activity")}
    with pytest.raises(InvalidInputError, match=message):
        MultiTrack(**values | change)


def test_tracks_of_different_times_do_not_go_together(tracks):
    later = Track(
        tracks.times + 1, *(getattr(tracks[0], n) for n in ("doa", "concentration", "credible_angle", "activity"))
    )
    for given in ([], [tracks[0], later]):
        with pytest.raises(InvalidInputError, match="at least one, all with the same times"):
            MultiTrack.from_tracks(given)
