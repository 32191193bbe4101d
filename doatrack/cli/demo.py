"""`doatrack demo`: simulate, fit without labels, track an unseen talker, compare, draw."""

import contextlib
import dataclasses
import importlib.util
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from doatrack._files import atomic_write_bytes
from doatrack._validation import FloatArray, check_int
from doatrack.datasets import SimulatedScenes, SpeechFolder, write_scored_set
from doatrack.estimators import SRPPHAT, PhysicsVAETracker
from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.geometry import MicArray
from doatrack.metrics import (
    cone_coverage,
    mean_angular_error_deg,
    root_mean_square_angular_error_deg,
    share_within,
    truth_at_frames,
)
from doatrack.plotting import TrackDisplay
from doatrack.simulation import Scene, SceneSettings
from doatrack.tracking import Track

__all__ = ["DEMO_ARRAY", "MethodFigures", "run_demo"]

DEMO_ARRAY = "octahedron_6"
"""Six microphones, 5 cm from the origin along each axis: small, and 3-D, so that no direction is ambiguous."""

_OCTAHEDRON = 0.05 * np.concatenate([np.eye(3), -np.eye(3)])
_MARKER = "demo.json"  # what a folder holds that this command wrote before
_SCENE = "scene"
_N_CALIBRATION, _N_UNSEEN = 12, 12
_LEARNING = SceneSettings(duration_s=10.0, rt60_range=(0.2, 0.7), snr_db_range=(10.0, 30.0))
_UNSEEN = dataclasses.replace(_LEARNING, duration_s=15.0, moving_probability=1.0)


@dataclasses.dataclass(frozen=True)
class MethodFigures:
    """How far a method is off in the active frames of the unseen scenes, and the seconds it took."""

    mean_error_deg: float
    rmse_deg: float
    within_10_deg: float
    fit_s: float
    track_s: float


def run_demo(
    out: pathlib.Path, speech: pathlib.Path | None, seed: int, array: str, n_scenes: int, epochs: int, quiet: bool
) -> dict[str, MethodFigures]:
    """Run the demonstration, print its table and write its files; return the figures by method."""
    with _one_thread():
        return _run(out, speech, seed, array, n_scenes, epochs, _Display(quiet))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from a second thread, lose much on a busy machine, and sums become repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(
    out: pathlib.Path,
    speech: pathlib.Path | None,
    seed: int,
    array: str,
    n_scenes: int,
    epochs: int,
    show: "_Display",
) -> dict[str, MethodFigures]:
    began = time.perf_counter()
    mics = _find_array(array)
    check_int("seed", seed, 0, 2**32 - 1)
    check_int("n_scenes", n_scenes, 1)
    check_int("epochs", epochs, 1)
    voice = None if speech is None else SpeechFolder(speech)
    _prepare_folder(out)
    show.say(f"doatrack demo with {mics}, {'the synthetic talker' if speech is None else speech}, seed {seed}")
    if mics.ambiguity:
        show.say(f"Note: {mics.ambiguity}; expect large errors with this array.")
    show.say(f"1/4 Simulating rooms: {n_scenes} to learn from, {_N_CALIBRATION} to calibrate, {_N_UNSEEN} unseen")
    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(3)]
    sets = zip((_LEARNING, _UNSEEN, _UNSEEN), (n_scenes, _N_CALIBRATION, _N_UNSEEN), seeds, strict=True)
    learning, calibration, unseen = (
        list(show.over(SimulatedScenes(mics, settings, n, s, voice), f"rooms {k}/3"))
        for k, (settings, n, s) in enumerate(sets, start=1)
    )
    show.say(f"2/4 Fitting PhysicsVAETracker on {n_scenes} recordings of {_LEARNING.duration_s:g} s, without labels")
    tracker = PhysicsVAETracker(n_epochs=epochs, random_state=seed, verbose=0 if show.quiet else 1)
    fit_s = _seconds(lambda: tracker.fit([scene.waveform for scene in learning], mics))
    # Labels of simulated rooms, for one factor on the claimed uncertainty: directions do not change.
    tracker.calibrate([scene.waveform for scene in calibration], [scene.truth for scene in calibration])
    classical = SRPPHAT().fit([unseen[0].waveform], mics)
    show.say(f"3/4 Tracking a moving talker in {_N_UNSEEN} rooms of {_UNSEEN.duration_s:g} s, unheard so far")
    tracks: dict[str, list[Track]] = {}
    figures: dict[str, MethodFigures] = {}
    for name, method, spent in (("physics-vae", tracker, fit_s), ("srp-phat", classical, 0.0)):
        started = time.perf_counter()
        tracks[name] = [method.track(scene.waveform) for scene in show.over(unseen, name)]
        figures[name] = _figures(unseen, tracks[name], spent, time.perf_counter() - started)
    coverage = _coverage(unseen, tracks["physics-vae"])
    show.say(f"4/4 Writing {out}")
    written = _write(out, mics, unseen[0], tracker, {name: found[0] for name, found in tracks.items()})
    settings = {"seed": seed, "array": array, "speech": speech and str(speech), "n_scenes": n_scenes, "epochs": epochs}
    results = {name: dataclasses.asdict(found) for name, found in figures.items()}
    _write_json(out / _MARKER, {"settings": settings, "figures": results, "cone_coverage": coverage})
    show.result(figures, coverage)
    show.files(out, [*written, (_MARKER, "these figures and settings")], time.perf_counter() - began)
    return figures


def _find_array(name: str) -> MicArray:
    if name == DEMO_ARRAY:
        return MicArray(_OCTAHEDRON, name=DEMO_ARRAY)
    return MicArray.from_json(name) if pathlib.Path(name).suffix == ".json" else MicArray.from_preset(name)


def _prepare_folder(out: pathlib.Path) -> None:
    """Make the folder, or take one that an earlier demonstration wrote; its scene would else not be replaced."""
    if out.exists() and not out.is_dir():
        raise InvalidInputError(f"--out must be a folder, and {out} is a file.")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARKER).is_file():
        raise OutputExistsError(f"{out} holds files that no demonstration wrote. Choose another folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / _MARKER, {"settings": "not finished"})
    for suffix in ("wav", "csv", "json"):
        (out / "set" / f"{_SCENE}.{suffix}").unlink(missing_ok=True)
    (out / "set" / "array.json").unlink(missing_ok=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _aligned(scenes: Sequence[Scene], tracks: Sequence[Track]) -> tuple[list[FloatArray], list[Any], list[Any]]:
    pairs = [truth_at_frames(scene.truth, track.times) for scene, track in zip(scenes, tracks, strict=True)]
    return [doa for doa, _ in pairs], [track.doa for track in tracks], [active for _, active in pairs]


def _figures(scenes: Sequence[Scene], tracks: Sequence[Track], fit_s: float, track_s: float) -> MethodFigures:
    counted = _aligned(scenes, tracks)
    return MethodFigures(
        mean_error_deg=mean_angular_error_deg(*counted),
        rmse_deg=root_mean_square_angular_error_deg(*counted),
        within_10_deg=share_within(*counted, tolerance_deg=10.0),
        fit_s=fit_s,
        track_s=track_s,
    )


def _coverage(scenes: Sequence[Scene], tracks: Sequence[Track]) -> float:
    doa_true, doa_pred, active = _aligned(scenes, tracks)
    return cone_coverage(doa_true, doa_pred, [track.credible_angle for track in tracks], active)


def _write(
    out: pathlib.Path, array: MicArray, scene: Scene, tracker: PhysicsVAETracker, tracks: dict[str, Track]
) -> list[tuple[str, str]]:
    """Write what the first unseen scene gave; return names and descriptions."""
    written = []
    if importlib.util.find_spec("matplotlib") is None:
        written.append(("no picture", "for one: pip install 'doatrack[plot]', or matplotlib"))
    else:
        _draw(out / "track.png", scene, tracks)
        written.append(("track.png", "the first unseen scene: both methods and the truth"))
    for name, track in tracks.items():
        track.to_csv(out / f"track_{name}.csv")
        written.append((f"track_{name}.csv", f"its directions over time by {name}, one row per frame"))
    tracker.save(out / "tracker.safetensors")
    write_scored_set(out / "set", [scene], array, [_SCENE])
    written.append(("tracker.safetensors", "the fitted tracker: doatrack.load reads it"))
    return [*written, ("set/", "the recording, its truth and array.json")]


def _draw(path: pathlib.Path, scene: Scene, tracks: dict[str, Track]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    fitted, classical = tracks["physics-vae"], tracks["srp-phat"]
    # Single frames of SRP-PHAT jump: points, since lines between them would hide everything else.
    for panel, angle in zip(axes, (classical.azimuth, classical.elevation), strict=True):
        heard = np.where(classical.activity, np.degrees(angle), np.nan)
        panel.plot(classical.times, heard, "x", color="tab:orange", ms=5, zorder=2, label="SRP-PHAT")
    display = TrackDisplay.from_track(fitted, truth=scene.truth)
    display.plot(axes, name="PhysicsVAETracker, fitted without labels", color="tab:blue")
    info = scene.info
    size = " x ".join(f"{side:.1f}" for side in info["room"])
    figure.suptitle(
        f"A moving talker in an unseen room: {size} m, reverberation time {info['rt60']:.2f} s, "
        f"{info['snr_db']:.0f} dB above the noise",
        fontsize=11,
    )
    figure.savefig(path, dpi=120)


def _write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    atomic_write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


class _Display:
    """What the command prints: stages and bars while it works, then the result."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        # Brackets in names of folders are no markup.
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._errors = Console(stderr=True)

    def say(self, text: str) -> None:
        if not self.quiet:
            self._console.print(text)

    def over(self, items: Sequence[Any], name: str) -> Iterable[Any]:
        """Iterate behind a bar, where there is a terminal."""
        if self.quiet or not self._errors.is_terminal:
            return iter(items)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return self._track(Progress(*columns, console=self._errors), items, name)

    @staticmethod
    def _track(bar: Progress, items: Sequence[Any], name: str) -> Iterable[Any]:
        with bar:
            yield from bar.track(items, description=name)

    def result(self, figures: dict[str, MethodFigures], coverage: float) -> None:
        sound = _N_UNSEEN * _UNSEEN.duration_s
        table = Table(title=f"Active frames of {_N_UNSEEN} unseen scenes with a moving talker")
        table.add_column("method")
        for heading in ("mean error", "RMSE", "within 10°", "fitting", f"tracking {sound:g} s"):
            table.add_column(heading, justify="right")
        for name, found in figures.items():
            angles = [f"{found.mean_error_deg:.1f}°", f"{found.rmse_deg:.1f}°", f"{100 * found.within_10_deg:.0f} %"]
            table.add_row(name, *angles, f"{found.fit_s:.1f} s" if found.fit_s else "none", f"{found.track_s:.1f} s")
        self._console.print(table)
        self._console.print(
            f"The 90 % cones of physics-vae hold the true direction in {100 * coverage:.0f} % of these frames "
            f"(their size was calibrated on {_N_CALIBRATION} other simulated rooms)."
        )

    def files(self, out: pathlib.Path, written: list[tuple[str, str]], seconds: float) -> None:
        self._console.print(f"\nWritten to {out} ({seconds:.0f} s in all):")
        for name, what in written:
            self._console.print(f"  {name:24} {what}")
        self._console.print("\nNext:")
        for line in (
            f"doatrack track {out}/set --method physics-vae --model {out}/tracker.safetensors --out tracks",
            "doatrack arrays                      # is your device known?",
            "doatrack demo --speech FOLDER        # the same with real speech",
        ):
            self._console.print(f"  {line}")
        self._console.print("Your own recordings: docs/own_recordings.md")
