"""The steps of `doatrack simulate`: which scenes, which of them are missing, writing them."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from doatrack.exceptions import AudioFileError, InvalidInputError, OutputExistsError

if TYPE_CHECKING:
    from doatrack.datasets import NoiseFolder, SimulatedScenes
    from doatrack.geometry import MicArray
    from doatrack.simulation import Scene, SceneSettings

__all__ = ["PlannedScene", "missing", "noise_folder", "plan", "talkers", "tidy", "write"]


class PlannedScene(NamedTuple):
    """A scene of a set: its name, and where it is simulated."""

    name: str
    scenes: "SimulatedScenes"
    number: int


def talkers(speech: pathlib.Path | None, split: str | None, by_chapter: bool) -> Any:
    """Return who talks; None is the synthetic talker.

    Raises
    ------
    InvalidInputError
        If something is asked of a speech folder that is not given.
    """
    from doatrack.datasets import LibriSpeech, SpeechFolder

    if speech is None:
        if split is not None or by_chapter:
            given = "--split names a part" if split is not None else "--by-chapter joins utterances"
            raise InvalidInputError(f"{given} of a speech folder: give the folder with --speech.")
        return None
    return LibriSpeech(speech, split=split) if by_chapter else SpeechFolder(speech, split)


def noise_folder(folder: pathlib.Path | None) -> "NoiseFolder | None":
    """Return the recorded noise, if there is any."""
    from doatrack.datasets import NoiseFolder

    return None if folder is None else NoiseFolder(folder)


def plan(
    array: "MicArray", settings: "SceneSettings", n_scenes: int, seed: int, speech: Any, noises: "NoiseFolder | None"
) -> list[PlannedScene]:
    """Return all scenes of a set; scene k is of the k-th kind of noise, which come in turn.

    Raises
    ------
    InvalidInputError
        If recorded noise is wanted and not given.
    """
    from doatrack.datasets import SimulatedScenes

    kinds = _kinds(settings.noise, noises)
    by_kind = {
        kind: SimulatedScenes(array, dataclasses.replace(settings, noise=kind), n_scenes, seed, speech, noises)
        for kind in kinds
    }
    digits = max(3, len(str(n_scenes - 1)))
    in_turn = [kinds[k % len(kinds)] for k in range(n_scenes)]
    return [PlannedScene(f"{kind}_{k:0{digits}d}", by_kind[kind], k) for k, kind in enumerate(in_turn)]


def _kinds(noise: str, noises: "NoiseFolder | None") -> list[str]:
    """Return the kinds of noise that scenes have in turn."""
    from doatrack.simulation.noise import NOISE_KINDS

    if noise == "recorded" and noises is None:
        raise InvalidInputError("--noise recorded needs recordings of noise: give their folder with --noise-dir.")
    if noise != "mixed":
        return [noise]
    return [kind for kind in NOISE_KINDS if kind != "none" and (kind != "recorded" or noises is not None)]


def missing(planned: Sequence[PlannedScene], folder: pathlib.Path) -> list[PlannedScene]:
    """Return the scenes that a folder does not hold yet, and remove what is left of incomplete ones.

    Raises
    ------
    OutputExistsError
        If it holds a scene of one of the names that is another one, or damaged.
    """
    complete = {scene.name for scene in planned if (folder / f"{scene.name}.wav").exists()}
    ours = {scene.name for scene in planned if _is_drawn(scene, folder)}
    for name in sorted(complete - ours):
        raise OutputExistsError(
            f"{folder / name}.* is not the scene that these options make. Give --resume the options of the call that "
            "was interrupted, or choose another folder."
        )
    for scene in planned:
        if scene.name in complete and (damage := _damage(scene, folder)):
            raise OutputExistsError(
                f"{folder / scene.name}.* is not the whole scene that these options make: {damage}. Give --resume the "
                "options of the call that was interrupted; if they are these, delete the scene's files, and they are "
                "made again."
            )
    tidy(folder, sorted(ours))
    return [scene for scene in planned if scene.name not in complete]


def _is_drawn(scene: PlannedScene, folder: pathlib.Path) -> bool:
    """Return whether the folder holds what was drawn from the scene's seed."""
    return _seed_in(folder / f"{scene.name}.json") == scene.scenes.seed_of(scene.number)


def _damage(scene: PlannedScene, folder: pathlib.Path) -> str:
    """Say in words what of a scene that was written is missing, broken or of other options; empty if nothing is."""
    from doatrack.audio import audio_info

    if not (folder / f"{scene.name}.csv").exists():
        return "its .csv is missing"
    try:
        sound = audio_info(folder / f"{scene.name}.wav")
    except AudioFileError as error:
        return str(error).rstrip(".")
    settings, n_mics = scene.scenes.settings, scene.scenes.array.n_mics
    wanted = (n_mics, settings.n_samples, settings.sample_rate)
    found = (sound.n_channels, sound.n_samples, sound.sample_rate)
    if found != wanted:
        named = [
            f"{channels} channels of {samples} samples at {rate} Hz" for channels, samples, rate in (found, wanted)
        ]
        return f"its .wav has {named[0]}, and the options ask for {named[1]}"
    return _outside(_info_in(folder / f"{scene.name}.json"), settings)


def _outside(info: dict[str, Any], settings: "SceneSettings") -> str:
    """Say in words which number of a scene could not have been drawn with these settings."""
    ranges = {"rt60": (settings.rt60_range, 1e-4), "snr_db": (settings.snr_db_range, 0.01)}
    for name, ((low, high), rounding) in ranges.items():
        value = info.get(name)
        if isinstance(value, (int, float)) and not low - rounding <= value <= high + rounding:
            return f"its {name} is {value:g}, and the options ask for {low:g} to {high:g}"
    if info.get("n_sources", 1) != settings.n_sources:
        return f"it has {info.get('n_sources', 1)} talkers, and the options ask for {settings.n_sources}"
    return ""


def _seed_in(file: pathlib.Path) -> Any:
    """Return what a scene that was written is drawn from, or None if the file does not tell."""
    return _info_in(file).get("seed")


def _info_in(file: pathlib.Path) -> dict[str, Any]:
    """Return what a file tells of a scene, nothing if it cannot be read."""
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def write(planned: Sequence[PlannedScene], array: "MicArray", out: pathlib.Path, begun: list[str], jobs: int) -> None:
    """Simulate scenes and write them, one after the other; `begun` gets the names of those whose files are begun."""
    from doatrack.datasets import write_scored_set

    names = [scene.name for scene in planned]
    try:
        with _simulated(planned, jobs) as scenes:
            write_scored_set(out, _noted(scenes, names, begun), array, names)
    except OSError:
        tidy(out, begun)
        raise


@contextlib.contextmanager
def _simulated(planned: Sequence[PlannedScene], jobs: int) -> "Iterator[Iterator[Scene]]":
    """Yield scenes in order behind a progress bar; never more than a few are in memory."""
    from doatrack._parallel import in_parallel
    from doatrack.estimators._progress import progress_over

    made = in_parallel(_make, planned, jobs, "Scenes that were complete are kept: --resume makes the others.")
    with progress_over(planned, "simulating", 1) as steps:
        yield (scene for scene, _ in zip(made, steps, strict=True))


def _make(planned: PlannedScene) -> "Scene":
    return planned.scenes[planned.number]


def _noted(scenes: "Iterator[Scene]", names: list[str], begun: list[str]) -> "Iterator[Scene]":
    """Yield scenes and note whose files are being written from then on."""
    for name, scene in zip(names, scenes, strict=True):
        begun.append(name)
        yield scene


def tidy(folder: pathlib.Path, begun: Sequence[str]) -> int:
    """Remove the rest of a scene whose sound was not written any more; return how many scenes are complete."""
    complete = [name for name in begun if (folder / f"{name}.wav").exists()]
    for name in set(begun) - set(complete):
        for suffix in (".csv", ".json"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return len(complete)
