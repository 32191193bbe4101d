"""`doatrack reproduce`."""

import json

import numpy as np
import soundfile


def test_without_names_experiments_and_methods_are_listed(doatrack):
    listed = doatrack("reproduce")
    assert listed.exit_code == 0
    for name in ("exp1", "exp2-published", "exp2-continuous", "exp3", "rooms", "table5", "table6", "figure3"):
        assert name in listed.stdout
    assert "neural-srp" in listed.stdout


def test_an_experiment_writes_its_tables_and_goes_on(doatrack, tmp_path):
    command = ["reproduce", "exp1", "--scale", "smoke", "--out", tmp_path / "run", "--methods", "srp-phat, physics-vae"]
    first = doatrack(*command)
    assert first.exit_code == 0
    assert first.stdout.strip() == (tmp_path / "run" / "exp1.md").read_text().strip()
    assert "training physics-vae on 3 scenes" in first.stderr
    content = (tmp_path / "run" / "exp1.json").read_bytes()
    again = doatrack(*command)
    assert "training" not in again.stderr
    assert (tmp_path / "run" / "exp1.json").read_bytes() == content
    assert {row["label"] for row in json.loads(content)["rows"]} == {
        "SRP-PHAT, our defaults",
        "PhysicsVAETracker, our defaults",
    }


def test_librispeech_gives_other_talkers_to_test_on(doatrack, tmp_path):
    for subset, speaker in (("train-clean-100", "19"), ("test-clean", "61")):
        chapter = tmp_path / "LibriSpeech" / subset / speaker / "1"
        chapter.mkdir(parents=True)
        tone = 0.1 * np.sin(np.arange(40000) * (0.1 + 0.01 * int(speaker)))
        soundfile.write(chapter / f"{speaker}-1-0000.flac", tone, 16000)
    command = ["reproduce", "exp1", "--scale", "smoke", "--out", tmp_path / "run", "--methods", "srp-phat"]
    assert doatrack(*command, "--speech", tmp_path / "LibriSpeech").exit_code == 0
    learned, tested = json.loads((tmp_path / "run" / "settings.json").read_text())["talkers"]
    assert "train-clean-100" in learned
    assert "test-clean" in tested


def test_tables_of_a_folder_without_running_anything(doatrack, tmp_path):
    out = ["--out", tmp_path / "run"]
    empty = doatrack("reproduce", "tables", *out)
    assert empty.exit_code == 2
    assert "is not the folder of a run" in empty.stderr
    ran = doatrack("reproduce", "exp1", "--scale", "smoke", "--methods", "srp-phat", "--quiet", *out)
    (tmp_path / "run" / "exp1.md").unlink()
    written = doatrack("reproduce", "tables", *out)
    assert (written.exit_code, written.stdout, written.stderr) == (0, ran.stdout, "")
    assert (tmp_path / "run" / "exp1.md").exists()
    (tmp_path / "run" / "parts" / "sensor").rename(tmp_path / "elsewhere")
    assert "Nothing is finished in" in doatrack("reproduce", "tables", *out).stderr


def test_wrong_use(doatrack, tmp_path):
    out = ["--out", tmp_path / "run"]
    for arguments, message in (
        (["exp12"], "experiment must be one of the known names"),
        (["exp1", "--scale", "papr"], "Did you mean 'paper'"),
        (["exp1", "--methods", "crossed"], "--methods must be one of the known names"),
        (["exp1", "--scale", "smoke", "--start", "neural-srp"], "--start must be METHOD=FILE"),
        (["exp1", "--scale", "smoke", "--start", "srp-phat=a"], "--start must be one of the known names"),
        (["exp1", "--scale", "smoke", "--epochs-factor", "0"], "epochs_factor must be above 0"),
        (["exp1", "--scale", "smoke", "--speech", tmp_path / "none"], "is not a folder"),
        (["rooms", "--scale", "smoke"], "give their folder, --rooms"),
    ):
        refused = doatrack("reproduce", *arguments, *out)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert not (tmp_path / "run" / "exp1.json").exists()


def test_a_folder_of_another_run_is_refused(doatrack, tmp_path):
    command = ["reproduce", "exp1", "--scale", "smoke", "--out", tmp_path, "--methods", "srp-phat", "--quiet"]
    assert doatrack(*command).exit_code == 0
    refused = doatrack(*command, "--seed", 1)
    assert refused.exit_code == 2
    assert "other settings: seed differ" in refused.stderr
