"""`doatrack simulate`: labelled recordings of talkers in rooms, for any array."""

import pathlib
from typing import Annotated

import typer

from doatrack.cli._arguments import JobsOption, check_jobs, parse_range, resolve_array
from doatrack.cli._run import running
from doatrack.cli._simulate_steps import missing, noise_folder, plan, talkers, tidy, write

__all__ = ["run_simulate"]


_OutArgument = Annotated[pathlib.Path, typer.Argument(metavar="OUT", help="Folder of the set; made if missing.")]
_ArrayOption = Annotated[
    str,
    typer.Option(
        metavar="PRESET_OR_JSON",
        help="The microphone array: a preset (see 'doatrack arrays') or a JSON file with mic_positions in metres.",
    ),
]
_NScenesOption = Annotated[int, typer.Option(min=1, metavar="N", help="How many scenes.")]
_SeedOption = Annotated[int, typer.Option(min=0, help="One seed, one set.")]
_NoiseOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="sensor (white, of each microphone), directional (a loudspeaker with white noise), recorded (a "
        "loudspeaker that plays --noise-dir), diffuse (from all sides), none, or mixed (all but none, in turn).",
    ),
]
_DurationOption = Annotated[float, typer.Option(metavar="S", help="Length of a scene in seconds.")]
_Rt60Option = Annotated[str, typer.Option(metavar="LOW-HIGH", help="Reverberation time in seconds.")]
_SnrOption = Annotated[str, typer.Option(metavar="LOW-HIGH", help="Signal-to-noise ratio in dB.")]
_MovingOption = Annotated[float, typer.Option(metavar="SHARE", help="Share of talkers who move, 0 to 1.")]
_SourcesOption = Annotated[int, typer.Option(min=1, max=10, metavar="N", help="Talkers at a time in each scene.")]
_ElevationOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LOW HIGH",
        help="Keep talkers between these elevations, in degrees: 0 90 for a flat array that lies on a table.",
    ),
]
_SpeechOption = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="DIR", help="Dry speech: WAV, FLAC or OGG files. Without it, a synthetic talker."),
]
_SplitOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only this split of the speech, as its index.csv names it.")
]
_ByChapterOption = Annotated[
    bool,
    typer.Option(
        "--by-chapter",
        help="The speech is LibriSpeech (names SPEAKER-CHAPTER-UTTERANCE): join utterances of one chapter, without "
        "pauses between, as the paper does.",
    ),
]
_NoiseDirOption = Annotated[
    pathlib.Path | None, typer.Option(metavar="DIR", help="Recorded noise: WAV, FLAC or OGG files.")
]
_ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a set that was interrupted, with the same options: make what is missing."
    ),
]


def run_simulate(
    out: _OutArgument,
    array: _ArrayOption,
    n_scenes: _NScenesOption = 16,
    seed: _SeedOption = 0,
    noise: _NoiseOption = "sensor",
    duration: _DurationOption = 20.0,
    rt60: _Rt60Option = "0.2-1.0",
    snr: _SnrOption = "5-30",
    moving: _MovingOption = 0.5,
    sources: _SourcesOption = 1,
    elevation: _ElevationOption = None,
    speech: _SpeechOption = None,
    split: _SplitOption = None,
    by_chapter: _ByChapterOption = False,
    noise_dir: _NoiseDirOption = None,
    jobs: JobsOption = 1,
    resume: _ResumeOption = False,
) -> None:
    """Simulate rooms with talkers and write a scored set, scene by scene.

    Per scene KIND_NUMBER: .wav (16 kHz, one channel per microphone), .csv (truth every 20 ms: time_s, x, y, z, active;
    with several talkers also source, their number from 0) and .json (room, rt60, SNR); array.json beside them. Files
    that exist are never written over: scenes with new names are added to a set of the same array.
    """
    begun: list[str] = []
    with running(lambda: f"{tidy(out, begun)} complete scenes are kept in {out}."):
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
        scenes = plan(chosen, settings, n_scenes, seed, talkers(speech, split, by_chapter), noise_folder(noise_dir))
        left = missing(scenes, out) if resume else scenes
        write(left, chosen, out, begun, jobs)
        typer.echo(f"{len(left)} scenes written to {out}.")
