"""Draw the pictures of docs/how_it_works.md: python docs/make_guide_pictures.py (minutes on 2 cores, no download)."""

import io
import pathlib

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.plotting import ReliabilityDisplay, RiskCoverageDisplay, SRPMapDisplay
from doatrack.simulation import Scene, SceneSettings, simulate_scene
from doatrack.tracking import Track

FOLDER = pathlib.Path(__file__).parent / "img"
ROOM = {"duration_s": 8.0, "rt60_range": (0.5, 0.5)}
LOUDSPEAKER = SceneSettings(noise="directional", snr_db_range=(8.0, 8.0), **ROOM)
WALKING = SceneSettings(snr_db_range=(15.0, 15.0), moving_probability=1.0, **ROOM)
JUDGED = SceneSettings(duration_s=8.0, snr_db_range=(5.0, 30.0))
LOUDSPEAKER_SEED, WALKING_SEED, FIRST_SEED, N_JUDGED = 24, 7, 900, 60
WAYS = {None: "tab:green", "filter": "tab:orange", "smoother": "tab:blue"}


def main() -> None:
    """Draw one frame with and without nulling of noise, one track joined in three ways, and what cones hold."""
    array = MicArray.from_preset("nao_head_12")
    save(draw_maps(simulate_scene(array, LOUDSPEAKER, seed=LOUDSPEAKER_SEED), array), "guide_maps.png")
    walking = simulate_scene(array, WALKING, seed=WALKING_SEED)
    save(draw_joined(walking, SRPPHAT(features="whitened").fit(walking.waveform, array)), "guide_joined.png")
    tracker = PhysicsVAETracker.from_pretrained("nao_head_12")
    scenes = [simulate_scene(array, JUDGED, seed=seed) for seed in range(FIRST_SEED, FIRST_SEED + N_JUDGED)]
    save(draw_cones(scenes, tracker), "guide_cones.png")


def draw_maps(scene: Scene, array: MicArray) -> plt.Figure:
    """Draw the maps of the active frame in which plain SRP-PHAT is farthest from the talker."""
    figure = plt.figure(figsize=(9, 6.4), layout="constrained")
    trackers = {name: SRPPHAT(features=name).fit(scene.waveform, array) for name in ("phat", "whitened")}
    plain = trackers["phat"].predict(scene.waveform)
    doa, active = truth_at_frames(scene.truth, trackers["phat"].frame_times(len(plain)))
    frame = int(np.argmax(np.where(active, angular_error(doa, plain), -1.0)))
    for axes, (name, tracker) in zip(figure.subplots(2), trackers.items(), strict=True):
        steered = tracker.predict_map(scene.waveform)[frame]
        estimate, truth = tracker.predict(scene.waveform)[frame], doa[frame] / np.linalg.norm(doa[frame])
        SRPMapDisplay.from_map(steered, tracker.grid_, doa=estimate, truth=truth).plot(axes)
        error = -tracker.score(scene.waveform, scene.truth)
        axes.set_title(f'features="{name}"; all frames: {error:.1f} degrees', fontsize="medium", loc="right")
        print(f"map, {name}: {error:.2f} degrees")
    return figure


def draw_joined(scene: Scene, tracker: SRPPHAT) -> plt.Figure:
    """Draw the azimuth of single frames, the filter and the smoother."""
    axes = plt.figure(figsize=(9, 4), layout="constrained").subplots()
    tracks = {way: tracker.track(scene.waveform, smoothing=way) for way in WAYS}
    doa, active = truth_at_frames(scene.truth, tracks[None].times)
    azimuth = np.degrees(np.unwrap(np.arctan2(doa[:, 1], doa[:, 0])))
    axes.plot(tracks[None].times, azimuth, "--", color="0.3", label="truth")
    for way, color in WAYS.items():
        error = np.degrees(angular_error(doa, tracks[way].doa))[active].mean()
        label = f"{'each frame' if way is None else way}: {error:.1f} degrees"
        near = azimuth + (np.degrees(tracks[way].azimuth) - azimuth + 180) % 360 - 180
        axes.plot(tracks[way].times, near, "." if way is None else "-", color=color, label=label)
        print("joined,", label)
    span = np.ptp(azimuth)
    axes.set_ylim(azimuth.min() - 0.3 * span - 10, azimuth.max() + 0.3 * span + 10)
    for start, stop in _silences(tracks[None], active):
        axes.axvspan(start, stop, color="0.9", lw=0)
    axes.set(xlabel="Time (s)", ylabel="Azimuth (degrees)")
    axes.legend(fontsize="small")
    return axes.figure


def _silences(track: Track, active: np.ndarray) -> list[tuple[float, float]]:
    half = np.diff(track.times).mean() / 2
    return [(time - half, time + half) for time in track.times[~active]]


def draw_cones(scenes: list[Scene], tracker: PhysicsVAETracker) -> plt.Figure:
    """Draw what cones of all levels hold, and the error of the frames that are sure."""
    figure = plt.figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    truth = [scene.truth for scene in scenes]
    for way, color in WAYS.items():
        tracks = [tracker.track(scene.waveform, smoothing=way) for scene in scenes]
        name, law = way or "each frame", tracker.calibration_[way or "frame"].of_believed()
        made = ReliabilityDisplay.from_tracks(tracks, truth, calibration=law)
        made.plot(left, name=name, color=color)
        RiskCoverageDisplay.from_tracks(tracks, truth).plot(right, name=name, color=color)
        off = 100 * np.abs(made.coverage - made.levels).max()
        print(f"cones, {name}: {off:.1f} points off at most")
    return figure


def save(figure: plt.Figure, name: str) -> None:
    """Save a picture with 256 colours: small enough for the repository."""
    plain = io.BytesIO()
    figure.savefig(plain, dpi=90)
    Image.open(plain).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
