import errno
import os
import stat

import numpy as np
import pytest

from doatrack._files import atomic_write_bytes, check_folder, read_number_table, read_text_table
from doatrack.exceptions import InvalidInputError


def test_writes_and_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a.bin"
    atomic_write_bytes(path, b"one")
    atomic_write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    atomic_write_bytes(tmp_path / "ours", b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    atomic_write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match=r"model cannot be written: No space left on device.*unchanged") as caught:
        atomic_write_bytes(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_interruption_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; create it"):
        atomic_write_bytes(tmp_path / "nowhere" / "a", b"")


def test_folder_in_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a cannot be written: Is a directory"):
        atomic_write_bytes(tmp_path / "a", b"")


def test_table_takes_columns_by_name(tmp_path):
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xef\xbb\xbfz, x,y\r\n1,2,nan\r\n\r\n4,5,6\r\n")
    np.testing.assert_array_equal(read_number_table(file, ["x", "y"]), [[2, np.nan], [5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n1,2\n", "has no column 'z'.*names x,y"),
        (b"", "has no column 'x'.*names nothing"),
        (b"x,y,z\n1,2,3\n1,two,3\n", "line 3, column 'y'.*'two'"),
        (b"x,y,z\n1,2\n", "line 2, column 'z'.*''"),
        (b"x,y,z\n1,2,3\n1,5,2,3\n", "line 3: there must be at most 3 cells.*got 4: 1,5,2,3"),
        (b"\xff\xfe\x00", "cannot be read as a CSV file"),
        (b'x,y,z\n"' + b"1" * 200_000 + b'",2,3\n', "cannot be read as a CSV file"),
    ],
)
def test_bad_table_names_file_line_and_column(tmp_path, content, message):
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_number_table(file, ["x", "y", "z"])
    assert str(file) in str(caught.value)


def test_other_delimiters_and_long_tables(tmp_path):
    file = tmp_path / "t.txt"
    names = [f"mic{k}_x" for k in range(40)]
    file.write_text("\t".join(names) + "\n" + "\t".join(map(str, range(40))) + "\n")
    assert read_number_table(file, ["mic7_x", "mic3_x"], delimiter="\t").tolist() == [[7, 3]]
    with pytest.raises(InvalidInputError, match=r"has no column 'y'.*names mic0_x mic1_x.*mic23_x and 16 more\.$"):
        read_number_table(file, ["y"], delimiter="\t")


def test_more_cells_than_columns_are_not_dropped(tmp_path):
    file = tmp_path / "index.csv"
    file.write_text("file,split\nrain, heavy.ogg,train\n")
    with pytest.raises(InvalidInputError, match=r"index\.csv, line 2: .*got 3: rain, heavy\.ogg,train.*quotes"):
        read_text_table(file, ["file"])


def test_missing_table(tmp_path):
    with pytest.raises(InvalidInputError, match=r"t\.csv does not exist"):
        read_number_table(tmp_path / "t.csv", ["x"])


def test_text_table_gives_all_columns_and_empty_cells(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text('file,split,speaker\n"a,b.ogg",train\n\nc.ogg,valid,7,,\n')
    assert read_text_table(file, ["file"]) == [
        {"file": "a,b.ogg", "split": "train", "speaker": ""},
        {"file": "c.ogg", "split": "valid", "speaker": "7"},
    ]
    with pytest.raises(InvalidInputError, match="has no column 'sex'"):
        read_text_table(file, ["sex"])


def test_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe cannot be written: it is a device or a pipe, not a file"):
        atomic_write_bytes(tmp_path / "pipe", b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("path", [None, 3, b"a", "", "a\0b"])
def test_what_is_no_path_is_refused(path):
    for call in (lambda: atomic_write_bytes(path, b""), lambda: read_number_table(path, ["a"])):
        with pytest.raises(InvalidInputError, match=r"path must (be a path|name a file)"):
            call()


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(NotADirectoryError, match=r"a is a file: b cannot be written into it\. Name a folder"):
        atomic_write_bytes(tmp_path / "a" / "b", b"")
    for path, which in ((tmp_path / "a", "it"), (tmp_path / "a" / "b" / "c", str(tmp_path / "a"))):
        with pytest.raises(
            InvalidInputError, match=rf"out .* must be a folder, but {which} is a file\. Choose another"
        ):
            check_folder("out", path)
    assert check_folder("out", str(tmp_path / "b" / "c")) == tmp_path / "b" / "c"
    assert sorted(os.listdir(tmp_path)) == ["a"]


@pytest.mark.parametrize("path", [None, 3, "", "a\0b"])
def test_no_reader_takes_what_is_no_path(path):
    from doatrack import MicArray, MultiTrack, NeuralSRPTracker, Track
    from doatrack.audio import AudioFile
    from doatrack.datasets import LibriSpeech, NoiseFolder, SpeechFolder
    from doatrack.live import FileSource

    pair = MicArray([[0.05, 0, 0], [-0.05, 0, 0]])
    readers = (
        *(Track.from_csv, Track.from_json, MultiTrack.from_csv, MultiTrack.from_json, MicArray.from_json),
        *(AudioFile, FileSource, SpeechFolder, NoiseFolder, LibriSpeech),
        lambda path: NeuralSRPTracker.from_reference(path, pair),
    )
    for reader in readers:
        with pytest.raises(InvalidInputError, match=r"path must (be a path|name a file)"):
            reader(path)
