"""A device through the real PortAudio: ALSA's own plug-in, which plays a file of samples as if it were heard."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

ASOUNDRC = """
pcm.mics { type file; slave.pcm "nowhere"; file "/dev/null"; infile "%s"; format "raw" }
pcm.nowhere { type null }
"""
READ = """
import json, sys
import numpy as np
from doatrack.live import DeviceSource, list_devices
parts, lost = [], 0
with DeviceSource("mics", 4, 16000) as source:
    while sum(part.shape[1] for part in parts) < 16000:
        chunk = source.read(5.0)
        parts.append(chunk.samples)
        lost += chunk.n_lost
np.save(sys.argv[1], np.concatenate(parts, axis=1)[:, :16000])
print(json.dumps([lost, [name for _, name, *_ in list_devices()]]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ALSA is Linux's")
def test_a_device_of_alsa_is_found_by_name_and_heard_whole(tmp_path, rng):
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"no sounddevice or PortAudio on this machine ({error})")
    sound = (rng.normal(size=(32000, 4)) / 9).astype(np.float32)
    (tmp_path / "sound.raw").write_bytes(sound.tobytes())
    (tmp_path / ".asoundrc").write_text(ASOUNDRC % (tmp_path / "sound.raw"))
    line = [sys.executable, "-c", READ, str(tmp_path / "heard.npy")]
    done = subprocess.run(line, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60)
    if "mics" not in done.stdout + done.stderr or "No such sound device" in done.stderr:
        pytest.skip(f"PortAudio here has no ALSA: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    lost, names = json.loads(done.stdout.splitlines()[-1])
    assert lost == 0
    assert "mics" in names
    heard = np.load(tmp_path / "heard.npy")
    # PortAudio may have read and thrown away some while it started
    first = int(np.flatnonzero((sound == heard[:, 0]).all(axis=1))[0])
    np.testing.assert_array_equal(heard[:, :15000], sound[first : first + 15000].T)
