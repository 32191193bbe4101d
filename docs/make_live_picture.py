"""Make the picture of the live page: python docs/make_live_picture.py (needs Chromium and the extra live)."""

import math
import pathlib
import shutil
import subprocess
import tempfile
import time

import soundfile

from doatrack import MicArray, PhysicsVAETracker
from doatrack.live import FileSource, LiveEvent, LiveFrame, LiveServer, follow
from doatrack.simulation import SceneSettings, simulate_scene

PICTURE = pathlib.Path(__file__).parent / "img" / "live.png"
SHOWN = SceneSettings(
    duration_s=60.0,
    rt60_range=(0.3, 0.3),
    snr_db_range=(20.0, 20.0),
    moving_probability=1.0,
    amplitude_range=(1.0, 2.0),
)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


def main() -> None:
    """Follow a simulated talker as fast as it can be tracked, and photograph the page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("No Chromium on this machine.")
    tracker = PhysicsVAETracker.from_pretrained("nao_head_12").set_params(causal=True)
    scene = simulate_scene(MicArray.from_preset("nao_head_12"), SHOWN, seed=4)
    with tempfile.TemporaryDirectory() as folder, LiveServer(port=0) as server:
        soundfile.write(f"{folder}/talker.wav", scene.waveform.T, 16000)

        def output(message: LiveFrame | LiveEvent) -> None:
            if not isinstance(message, LiveEvent) or message.kind != "end":
                server(message)

        with FileSource(f"{folder}/talker.wav", math.inf) as source:
            source.name = "talker.wav"
            follow(source, tracker.stream(), [output])
        line = [browser, *FLAGS, f"--user-data-dir={folder}/browser", "--window-size=1280,760", "--timeout=2500"]
        subprocess.run([*line, f"--screenshot={PICTURE}", server.url], check=True, stderr=subprocess.DEVNULL)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
