"""`doatrack track`: recordings in, tracks out."""

import pathlib
from typing import Annotated

import typer

from doatrack.cli._arguments import (
    ArrayOption,
    AzimuthOption,
    ChannelsOption,
    ElevationOption,
    FeaturesOption,
    JobsOption,
    MethodOption,
    ModelOption,
    SmoothingOption,
    array_for,
    audio_files,
    check_jobs,
    given_array,
    parse_smoothing,
)
from doatrack.cli._run import running

__all__ = ["run_track"]


def run_track(
    paths: Annotated[
        list[pathlib.Path], typer.Argument(metavar="PATH", help="Recordings, or folders of WAV, FLAC or OGG files.")
    ],
    out: Annotated[pathlib.Path, typer.Option(metavar="DIR", help="Folder for the tracks; made if missing.")],
    array: ArrayOption = None,
    method: MethodOption = "physics-vae",
    model: ModelOption = None,
    channels: ChannelsOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    sources: Annotated[
        int, typer.Option(min=1, max=10, metavar="N", help="Sources at a time (physics-vae with maps, srp-phat).")
    ] = 1,
    smoothing: SmoothingOption = "smoother",
    features: FeaturesOption = None,
    json: Annotated[bool, typer.Option("--json", help="Also write NAME.json, one ODAS-like object per frame.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw NAME.png: azimuth and elevation over time.")] = False,
    jobs: JobsOption = 1,
) -> None:
    """Follow the source in each recording and write NAME.csv: one row per frame (0.192 s), silent ones too.

    Columns: time_s (s), x, y, z (unit vector: x front, y left, z up), azimuth_deg, elevation_deg (degrees),
    concentration, credible_angle_deg (90 %), active (0 or 1); unknown is nan. Recordings at other sample rates are
    resampled to 16 kHz. A recording that cannot be read is named and left out, and the exit code is 1.
    """
    with running(lambda: f"The tracks written so far are kept in {out}.") as failures:
        from doatrack.cli._outputs import TrackWriter
        from doatrack.cli._trackers import Trackers
        from doatrack.cli._tracking import track_each
        from doatrack.estimators._progress import progress_over

        check_jobs(jobs)
        way = parse_smoothing(smoothing)
        given = given_array(array)
        writer = TrackWriter(out, json=json, plot=plot)
        recordings = audio_files(paths, channels)
        writer.check([recording.path for recording in recordings])
        trackers = Trackers(method, model, azimuth, elevation, features)
        arrays = [array_for(recording.path, given) for recording in recordings]
        chosen = [
            trackers.of_several(trackers.for_array(each, recording.path), sources)
            for each, recording in zip(arrays, recordings, strict=True)
        ]
        tracks = track_each(chosen, recordings, way, jobs, f"The tracks written so far are kept in {out}.")
        with progress_over(range(len(recordings)), "tracking", 1) as indices:
            for k, found in zip(indices, tracks, strict=True):
                with failures.tolerate(recordings[k]):
                    if isinstance(found, Exception):
                        raise found
                    writer.write(found, recordings[k].path)
        typer.echo(f"{len(recordings) - failures.count} of {len(recordings)} tracks written to {out} ({method}).")
