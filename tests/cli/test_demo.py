import dataclasses
import importlib.util
import json

import numpy as np
import pytest

import doatrack.cli.demo
from doatrack.cli.demo import DEMO_ARRAY, run_demo
from doatrack.datasets import ScoredSet
from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.tracking import Track


@pytest.fixture(scope="module", autouse=True)
def few_scenes():
    patch = pytest.MonkeyPatch()
    patch.setattr("doatrack.cli.demo._N_CALIBRATION", 1)
    patch.setattr("doatrack.cli.demo._N_UNSEEN", 2)
    for name in ("_LEARNING", "_UNSEEN"):
        settings = getattr(doatrack.cli.demo, name)
        patch.setattr(doatrack.cli.demo, name, dataclasses.replace(settings, duration_s=2.0, rt60_range=(0.2, 0.3)))
    yield
    patch.undo()


def small(out, **changes):
    options = {"speech": None, "seed": 0, "array": DEMO_ARRAY, "n_scenes": 2, "epochs": 1, "quiet": True} | changes
    return run_demo(out, **options)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo_out"
    return out, small(out)


def test_demo_writes_what_it_says(shown):
    out, figures = shown
    assert set(figures) == {"physics-vae", "srp-phat"}
    scored = ScoredSet(out / "set")
    tracker = doatrack.load(out / "tracker.safetensors")
    assert tracker.array_ == scored.array
    track = Track.from_csv(out / "track_physics-vae.csv")
    assert np.allclose(track.doa, tracker.track(scored.paths[0]).doa, atol=1e-4)
    assert Track.from_csv(out / "track_srp-phat.csv").n_frames == track.n_frames
    assert (out / "track.png").read_bytes().startswith(b"\x89PNG")
    noted = json.loads((out / "demo.json").read_text())
    assert noted["figures"]["physics-vae"]["mean_error_deg"] == figures["physics-vae"].mean_error_deg


def test_demo_repeats_into_its_own_folder_and_depends_on_the_seed(shown, tmp_path, capsys):
    out, figures = shown
    again = small(out)
    assert again["physics-vae"].mean_error_deg == figures["physics-vae"].mean_error_deg
    printed = capsys.readouterr().out
    assert f"{again['physics-vae'].mean_error_deg:.1f}°" in printed
    assert "1/4" not in printed
    other = small(tmp_path / "other", seed=1, quiet=False)
    assert other["srp-phat"].mean_error_deg != figures["srp-phat"].mean_error_deg
    assert "1/4" in capsys.readouterr().out


def test_demo_leaves_the_files_of_others_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="no demonstration wrote"):
        small(tmp_path)
    with pytest.raises(InvalidInputError, match="must be a folder"):
        small(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"speech": "nowhere"}, "nowhere"), ({"array": "respeakr_usb_4"}, "respeaker_usb_4"), ({"epochs": 0}, "epochs")],
)
def test_demo_says_what_is_wrong_before_it_starts(tmp_path, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        small(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_demo_does_without_matplotlib(tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name))
    small(tmp_path / "out")
    assert not (tmp_path / "out" / "track.png").exists()
    assert "doatrack[plot]" in capsys.readouterr().out
