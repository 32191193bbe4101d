"""Make the pictures of the documentation: python docs/make_pictures.py (two minutes on 2 cores, no download)."""

import io
import pathlib

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.plotting import MicArrayDisplay, SRPMapDisplay, TrackDisplay
from doatrack.simulation import Scene, SceneSettings, simulate_scene

FOLDER = pathlib.Path(__file__).parent / "img"
TRAINING = SceneSettings(duration_s=10.0, rt60_range=(0.2, 0.7), snr_db_range=(10.0, 30.0))
SHOWN = SceneSettings(duration_s=12.0, rt60_range=(0.4, 0.4), snr_db_range=(20.0, 20.0), moving_probability=1.0)
N_SCENES, N_CALIBRATION, SHOWN_SEED = 48, 8, 1015


def main() -> None:
    """Fit a tracker without labels on simulated scenes, follow an unseen moving talker, and draw what there is."""
    array = MicArray.from_preset("tetrahedron_4")
    scenes = [simulate_scene(array, TRAINING, seed=seed) for seed in range(N_SCENES + N_CALIBRATION)]
    tracker = PhysicsVAETracker(random_state=0).fit([scene.waveform for scene in scenes[:N_SCENES]], array)
    held_out = scenes[N_SCENES:]
    tracker.calibrate([scene.waveform for scene in held_out], [scene.truth for scene in held_out])
    scene = simulate_scene(array, SHOWN, seed=SHOWN_SEED)
    track = tracker.track(scene.waveform)
    save(TrackDisplay.from_track(track, truth=scene.truth).plot().figure_, "track.png")
    save(draw_map(scene, array).figure_, "srp_map.png")
    save(MicArrayDisplay.from_array(array).plot().figure_, "mic_array.png")


def draw_map(scene: Scene, array: MicArray) -> SRPMapDisplay:
    """Draw the SRP-PHAT map of the active frame whose error is the median."""
    classical = SRPPHAT().fit(scene.waveform, array)
    predicted = classical.predict(scene.waveform)
    doa, active = truth_at_frames(scene.truth, classical.frame_times(len(predicted)))
    errors = np.where(active, angular_error(doa, predicted), np.inf)
    frame = int(np.argsort(errors)[active.sum() // 2])
    steered = classical.predict_map(scene.waveform)[frame]
    truth = doa[frame] / np.linalg.norm(doa[frame])
    return SRPMapDisplay.from_map(steered, classical.grid_, doa=predicted[frame], truth=truth).plot()


def save(figure: plt.Figure, name: str) -> None:
    """Save a picture with 256 colours: small enough for the repository."""
    plain = io.BytesIO()
    figure.savefig(plain, dpi=90)
    Image.open(plain).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
