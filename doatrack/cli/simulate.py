"""`doatrack simulate`: labelled recordings of talkers in rooms, for any array."""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doatrack.cli._arguments import check_jobs, parse_range, resolve_array
from doatrack.cli._run import running
from doatrack.exceptions import InvalidInputError

if TYPE_CHECKING:
    from doatrack.datasets import NoiseFolder, SimulatedScenes
    from doatrack.geometry import MicArray
    from doatrack.simulation import Scene

__all__ = ["run_simulate"]


def run_simulate(
    out: Annotated[pathlib.Path, typer.Argument(metavar="OUT", help="Folder of the set; made if missing.")],
    array: Annotated[
        str,
        typer.Option(
            metavar="PRESET_OR_JSON",
            help="The microphone array: a preset (see 'doatrack arrays') or a JSON file with mic_positions in metres.",
        ),
    ],
    n_scenes: Annotated[int, typer.Option(min=1, metavar="N", help="How many scenes.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="One seed, one set.")] = 0,
    noise: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="sensor (white, of each microphone), directional (a loudspeaker with white noise), recorded (a "
            "loudspeaker that plays --noise-dir), diffuse (from all sides), none, or mixed (all but none, in turn).",
        ),
    ] = "sensor",
    duration: Annotated[float, typer.Option(metavar="S", help="Length of a scene in seconds.")] = 20.0,
    rt60: Annotated[str, typer.Option(metavar="LOW-HIGH", help="Reverberation time in seconds.")] = "0.2-1.0",
    snr: Annotated[str, typer.Option(metavar="LOW-HIGH", help="Signal-to-noise ratio in dB.")] = "5-30",
    moving: Annotated[float, typer.Option(metavar="SHARE", help="Share of talkers who move, 0 to 1.")] = 0.5,
    sources: Annotated[int, typer.Option(min=1, max=10, metavar="N", help="Talkers at a time in each scene.")] = 1,
    elevation: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Keep talkers between these elevations, in degrees: 0 90 for a flat array that lies on a table.",
        ),
    ] = None,
    speech: Annotated[
        pathlib.Path | None,
        typer.Option(metavar="DIR", help="Dry speech: WAV, FLAC or OGG files. Without it, a synthetic talker."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this split of the speech, as its index.csv names it.")
    ] = None,
    by_chapter: Annotated[
        bool,
        typer.Option(
            "--by-chapter",
            help="The speech is LibriSpeech (names SPEAKER-CHAPTER-UTTERANCE): join utterances of one chapter, without "
            "pauses between, as the paper does.",
        ),
    ] = False,
    noise_dir: Annotated[
        pathlib.Path | None, typer.Option(metavar="DIR", help="Recorded noise: WAV, FLAC or OGG files.")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="J", help="Processes at a time; -1 is one per core.")] = 1,
) -> None:
    """Simulate rooms with talkers and write a scored set, scene by scene.

    Per scene KIND_NUMBER: .wav (16 kHz, one channel per microphone), .csv (truth every 20 ms: time_s, x, y, z, active;
    with several talkers also source, their number from 0) and .json (room, rt60, SNR); array.json beside them. Files
    that exist are never written over: scenes with new names are added to a set of the same array.
    """
    begun: list[str] = []
    with running(lambda: f"{_tidy(out, begun)} complete scenes are kept in {out}."):
        from doatrack.datasets import NoiseFolder
        from doatrack.simulation import SceneSettings

        chosen = resolve_array(array)
        check_jobs(jobs)
        settings = SceneSettings(
            duration_s=duration,
            rt60_range=parse_range("--rt60", rt60),
            snr_db_range=parse_range("--snr", snr),
            noise=noise,
            moving_probability=moving,
            elevation_range_deg=elevation,
            n_sources=sources,
        )
        talkers = _talkers(speech, split, by_chapter)
        noises = None if noise_dir is None else NoiseFolder(noise_dir)
        kinds = _kinds(noise, noises)
        by_kind = {kind: _scenes(chosen, settings, kind, n_scenes, seed, talkers, noises) for kind in set(kinds)}
        planned = [(kind, by_kind[kind]) for kind in itertools.islice(itertools.cycle(kinds), n_scenes)]
        _write(planned, chosen, out, begun, jobs)
        typer.echo(f"{n_scenes} scenes written to {out}.")


def _talkers(speech: pathlib.Path | None, split: str | None, by_chapter: bool) -> Any:
    """Return who talks; None is the synthetic talker."""
    from doatrack.datasets import LibriSpeech, SpeechFolder

    if speech is None:
        if split is not None or by_chapter:
            given = "--split names a part" if split is not None else "--by-chapter joins utterances"
            raise InvalidInputError(f"{given} of a speech folder: give the folder with --speech.")
        return None
    return LibriSpeech(speech, split=split) if by_chapter else SpeechFolder(speech, split)


def _write(
    planned: "list[tuple[str, SimulatedScenes]]", array: "MicArray", out: pathlib.Path, begun: list[str], jobs: int
) -> None:
    """Simulate scene k of the k-th kind and write it, one after the other."""
    from doatrack.datasets import write_scored_set

    digits = max(3, len(str(len(planned) - 1)))
    names = [f"{kind}_{k:0{digits}d}" for k, (kind, _) in enumerate(planned)]
    try:
        with _simulated([(scenes, k) for k, (_, scenes) in enumerate(planned)], jobs) as scenes:
            write_scored_set(out, _noted(scenes, names, begun), array, names)
    except OSError:
        _tidy(out, begun)
        raise


def _kinds(noise: str, noises: "NoiseFolder | None") -> list[str]:
    """Return the kinds of noise that scenes have in turn."""
    from doatrack.simulation.noise import NOISE_KINDS

    if noise == "recorded" and noises is None:
        raise InvalidInputError("--noise recorded needs recordings of noise: give their folder with --noise-dir.")
    if noise != "mixed":
        return [noise]
    return [kind for kind in NOISE_KINDS if kind != "none" and (kind != "recorded" or noises is not None)]


def _scenes(
    array: Any, settings: Any, kind: str, n_scenes: int, seed: int, talkers: Any, noises: Any
) -> "SimulatedScenes":
    from doatrack.datasets import SimulatedScenes

    return SimulatedScenes(array, dataclasses.replace(settings, noise=kind), n_scenes, seed, talkers, noises)


@contextlib.contextmanager
def _simulated(tasks: "list[tuple[SimulatedScenes, int]]", jobs: int) -> "Iterator[Iterator[Scene]]":
    """Yield scenes in order behind a progress bar; never more than a few are in memory."""
    from doatrack._parallel import in_parallel
    from doatrack.estimators._progress import progress_over

    made = in_parallel(_make, tasks, jobs, "Scenes that were complete are kept.")
    with progress_over(tasks, "simulating", 1) as steps:
        yield (scene for scene, _ in zip(made, steps, strict=True))


def _make(task: "tuple[SimulatedScenes, int]") -> "Scene":
    scenes, index = task
    return scenes[index]


def _noted(scenes: "Iterator[Scene]", names: list[str], begun: list[str]) -> "Iterator[Scene]":
    """Yield scenes and note whose files are being written from then on."""
    for name, scene in zip(names, scenes, strict=True):
        begun.append(name)
        yield scene


def _tidy(folder: pathlib.Path, begun: list[str]) -> int:
    """Remove the rest of a scene whose sound was not written any more; return how many scenes are complete."""
    complete = [name for name in begun if (folder / f"{name}.wav").exists()]
    for name in set(begun) - set(complete):
        for suffix in (".csv", ".json"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return len(complete)
