import pathlib

import pytest

from doatrack.datasets import find_recordings
from doatrack.exceptions import InvalidInputError


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.WAV",
        "a.flac",
        "c.ogg",
        "notes.txt",
        ".hidden.wav",
        "inner/d.wav",
        ".git/e.wav",
        "only/deep/f.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_folder_stands_for_its_recordings(tree):
    assert names(find_recordings(tree)) == ["a.flac", "b.WAV", "c.ogg"]
    assert names(find_recordings(str(tree))) == ["a.flac", "b.WAV", "c.ogg"]


def test_recursive_leaves_out_what_is_hidden(tree):
    assert sorted(names(find_recordings(tree, recursive=True))) == ["a.flac", "b.WAV", "c.ogg", "d.wav", "f.wav"]


def test_the_order_given_is_kept_and_each_file_comes_once(tree):
    found = find_recordings([tree / "c.ogg", tree, tree / "inner" / ".." / "a.flac", tree / "inner"])
    assert names(found) == ["c.ogg", "a.flac", "b.WAV", "d.wav"]


def test_what_is_no_folder_is_left_to_the_reader(tree):
    assert find_recordings([tree / "notes.txt", "/nowhere/x.wav"]) == [
        tree / "notes.txt",
        pathlib.Path("/nowhere/x.wav"),
    ]


def test_nothing_named():
    with pytest.raises(InvalidInputError, match="at least one recording"):
        find_recordings([])


def test_folder_without_recordings_says_where_some_are(tree):
    with pytest.raises(InvalidInputError, match=r"only holds no recording .*There are some in .*deep"):
        find_recordings(tree / "only")
    with pytest.raises(InvalidInputError, match=r"folder\.wav holds no recording \(\.wav, \.flac, \.ogg\)\.$"):
        find_recordings(tree / "folder.wav")


def test_link_to_itself_is_left_to_the_reader(tmp_path):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert find_recordings(tmp_path / "loop.wav") == [tmp_path / "loop.wav"]
