"""The soak of benchmarks/live_soak.py, for seconds instead of half an hour."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest

from doatrack import MicArray

pytest.importorskip("aiohttp", reason="the page needs aiohttp, the extra 'live'")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def live_soak(monkeypatch):
    if not pathlib.Path("/proc/self/statm").exists():
        pytest.skip("the memory in use is read from Linux's /proc")
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module("live_soak")
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_soak_of_seconds_loses_nothing(live_soak, tmp_path, capsys):
    options = ["--minutes", "0.3", "--speed", "30", "--array", "tetrahedron_4", "--method", "srp-phat"]
    live_soak.main([*options, "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert figures["n_frames"] == figures["n_frames_at_page"] == (18 * 16000 - 4096) // 3072 + 1
    assert figures["n_frames_lost"] == 0
    assert figures["times_exact"]
    assert figures["error_deg"] < 10
    assert len(figures["events"]) == 2
    assert "| frames lost | 0 |" in capsys.readouterr().out


def test_its_source_is_where_it_says(live_soak):
    array = MicArray([[0.3, 0.0, 0.0], [-0.3, 0.0, 0.0]])
    sound = np.concatenate(list(live_soak.blocks(array, 20)))
    # at first straight ahead: the front microphone hears it earlier, by 28 samples
    first, second = sound[3000:8000].T
    lags = np.arange(-40, 41)
    likeness = [np.dot(first[100:-100], np.roll(second, -lag)[100:-100]) for lag in lags]
    assert lags[int(np.argmax(likeness))] == round(0.6 / 343 * 16000)
