"""The benchmark of the self-check counts what was found, on one short scene."""

import json
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"


def test_every_fault_of_a_short_scene_is_counted(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    known = set(sys.modules)
    import setup_check

    file = tmp_path / "figures.json"
    options = ["--n-scenes", "1", "--duration", "3", "--speech", str(tmp_path / "none"), "--json", str(file)]
    setup_check.main(["--arrays", "respeaker_usb_4", *options])
    for name in set(sys.modules) - known:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    rows = {row["fault"]: row for row in json.loads(file.read_text())["rows"]}
    assert len(rows) == 11
    counts = ("right", "other", "unsure", "nothing", "hidden")
    assert all(sum(row[count] for count in counts) == 1 for row in rows.values())
    for fault in ("none", "channel inverted", "channel 60 dB too low", "channel holds other noise"):
        assert rows[fault]["right"] == 1
    assert rows["all moved by one"]["hidden"] == 1
    text = capsys.readouterr().out
    assert "| all moved by one | symmetry |" in text
    assert "False alarms: 0 of 1 recordings without a fault." in text


@pytest.mark.parametrize("page", ["benchmarks.md"])
def test_the_page_has_a_place_for_its_table(page):
    text = (FOLDER.parent / "docs" / page).read_text(encoding="utf-8")
    assert "python benchmarks/setup_check.py" in text
    assert text.count("<!-- setup_check:start -->") == text.count("<!-- setup_check:end -->") == 1
