import numpy as np
import pytest

from doatrack.datasets import read_truth, write_truth
from doatrack.exceptions import InvalidInputError

HEADER = "time_s,x,y,z,active\n"


def test_round_trip_to_six_digits(tmp_path, rng):
    doa = rng.normal(size=(50, 3))
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    rows = np.column_stack([np.arange(50) * 0.02, doa, rng.integers(0, 2, 50)])
    rows[7, 1:] = np.nan
    write_truth(tmp_path / "a.csv", rows)
    np.testing.assert_allclose(read_truth(tmp_path / "a.csv"), rows, rtol=0, atol=5e-7)


def test_columns_may_stand_in_any_order_among_others(tmp_path):
    (tmp_path / "a.csv").write_text("active,z,note,y,x,time_s\n1,1,hello,0,0,0.5\n")
    assert read_truth(tmp_path / "a.csv").tolist() == [[0.5, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,x,y,z\n0,1,0,0\n", "has no column 'active'"),
        (HEADER, "has no rows"),
        (HEADER + "0,1,0,zero,1\n", "line 2, column 'z': .*'zero'"),
        (HEADER + "0,1,0,0,1\n0,1,0,0,1\n", "column 'time_s'"),
        (HEADER + "nan,1,0,0,1\n", "column 'time_s'"),
        (HEADER + "0,1,1,0,1\n", r"columns 'x', 'y', 'z' must hold unit vectors .*1\.414"),
        (HEADER + "0,1,0,0,0.5\n", r"column 'active' must be 0, 1 or nan, got 0\.5"),
    ],
)
def test_errors_name_file_and_column(tmp_path, text, message):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_truth(file)
    assert str(file) in str(caught.value)


def test_wrong_rows_are_not_written(tmp_path):
    with pytest.raises(InvalidInputError, match="unit vectors"):
        write_truth(tmp_path / "a.csv", [[0, 2, 0, 0, 1]])
    with pytest.raises(InvalidInputError, match=r"shape \(n_rows, 5\)"):
        write_truth(tmp_path / "a.csv", [[0, 1, 0, 0]])
    assert not (tmp_path / "a.csv").exists()


def two_sources():
    rows = np.array([[0.0, 1, 0, 0, 1], [0.02, 1, 0, 0, 0], [0.04, 0, 1, 0, 1]])
    other = rows.copy()
    other[:, 1:4], other[:, 4] = [0, 0, 1], [0, 1, np.nan]
    return np.stack([rows, other])


def test_several_sources_are_written_and_read(tmp_path):
    write_truth(tmp_path / "a.csv", two_sources())
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "time_s,source,x,y,z,active"
    assert lines[2] == "0.000000,1,0.000000,0.000000,1.000000,0"
    np.testing.assert_allclose(read_truth(tmp_path / "a.csv"), two_sources())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(",1,0.000000,0", ",2,0.000000,0"), "column 'source' must number the sources 0, 1"),
        (lambda text: text.rsplit("\n", 2)[0], "time_s must be the same for every source"),
        (lambda text: text.replace("0.020000,1", "0.000000,1"), "must increase"),
        (lambda text: text.splitlines()[0], "no rows|source"),
    ],
)
def test_broken_files_of_several_sources_are_named(tmp_path, change, message):
    path = tmp_path / "a.csv"
    write_truth(path, two_sources())
    path.write_text(change(path.read_text()))
    with pytest.raises(InvalidInputError, match=rf"a\.csv.*({message})"):
        read_truth(path)


def test_sources_with_different_times_are_not_written(tmp_path):
    rows = two_sources()
    rows[1, :, 0] += 0.01
    with pytest.raises(InvalidInputError, match="time_s must be the same for every source"):
        write_truth(tmp_path / "a.csv", rows)
    assert not (tmp_path / "a.csv").exists()
