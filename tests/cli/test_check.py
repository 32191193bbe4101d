import json

import numpy as np
import soundfile

from doatrack import MicArray
from doatrack.simulation import SceneSettings, simulate_scene

ARRAY = MicArray.from_preset("frl_octahedral_7")


def write(path, order=range(7), sign=None):
    settings = SceneSettings(duration_s=4.0, rt60_range=(0.2, 0.3), snr_db_range=(20, 20), moving_probability=1.0)
    waveform = simulate_scene(ARRAY, settings, seed=5).waveform[list(order)]
    if sign is not None:
        waveform[sign] *= -1
    soundfile.write(path, waveform.T, 16000, subtype="FLOAT")
    return path


def test_a_good_recording_ends_with_zero(doatrack, tmp_path):
    done = doatrack("check", write(tmp_path / "a.wav"), "--array", "frl_octahedral_7")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("frl_octahedral_7, 1 recording: Nothing wrong was found in")


def test_a_problem_is_explained_and_ends_with_one(doatrack, tmp_path):
    ARRAY.to_json(tmp_path / "array.json")
    done = doatrack("check", write(tmp_path / "a.wav", sign=2))
    assert done.exit_code == 1
    assert "1 problem found" in done.stdout
    assert "Channel 3 is inverted" in done.stdout


def test_the_order_that_is_proposed_is_accepted(doatrack, tmp_path):
    path = write(tmp_path / "a.wav", order=[3, 1, 2, 0, 5, 4, 6])
    line = ("check", path, "--array", "frl_octahedral_7")
    done = doatrack(*line, "--json")
    assert done.exit_code == 1
    (report,) = json.loads(done.stdout)
    assert report["files"] == [str(path)]
    (finding,) = report["findings"]
    proposed = ",".join(str(c + 1) for c in finding["details"]["channels"])
    assert f"--channels {proposed}" in doatrack(*line).stdout
    assert doatrack(*line, "--channels", proposed).exit_code == 0
    rotated = doatrack(*line, "--channels", "7,1-6")
    assert rotated.exit_code == 1
    again = rotated.stdout.split("Of the file: --channels ")[1].strip()
    assert doatrack(*line, "--channels", again).exit_code == 0


def test_wrong_use_ends_with_two(doatrack, tmp_path):
    path = write(tmp_path / "a.wav")
    assert "needs the geometry of the microphones" in doatrack("check", path).stderr
    assert doatrack("check", path).exit_code == 2
    assert doatrack("check", path, "--array", "tetrahedron_4").exit_code == 2
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros((100, 7)), 16000)
    short = doatrack("check", silence, "--array", "frl_octahedral_7")
    assert short.exit_code == 0
    assert "nothing can be said" in short.stdout
