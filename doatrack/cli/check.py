"""`doatrack check`: whether recordings agree with the array."""

import json as json_format
import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from doatrack.cli._arguments import ArrayOption, ChannelsOption, array_for, audio_files, given_array, missing_array
from doatrack.cli._run import SOME_FAILED, running

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.estimators import SetupReport
    from doatrack.geometry import MicArray

__all__ = ["run_check"]


def run_check(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(metavar="PATH", help="Recordings of one set-up, or folders of WAV, FLAC or OGG files."),
    ],
    array: ArrayOption = None,
    channels: ChannelsOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, channels counted from 0.")] = False,
) -> None:
    """Find wrong wiring and geometry from recordings alone: order of channels, signs, scale, dead channels.

    All recordings of one array are judged together; some seconds with sound from several directions are best. Each
    problem comes with how sure it is and what to do; notes say what these recordings cannot tell. The exit code is 0 if
    nothing was found and 1 if something was.
    """
    with running(lambda: "Nothing was changed."):
        from doatrack.estimators import check_setup

        given = given_array(array)
        groups: dict[MicArray, list[AudioFile]] = {}
        for recording in audio_files(paths, channels):
            its_array = array_for(recording.path, given)
            if its_array is None:
                raise missing_array("check", recording.path)
            groups.setdefault(its_array, []).append(recording)
        reports = [(its_array, files, check_setup(files, its_array)) for its_array, files in groups.items()]
        if json:
            values = [
                {"array": a.name, "files": [str(f.path) for f in files]} | report.to_dict()
                for a, files, report in reports
            ]
            typer.echo(json_format.dumps(values, indent=1))
        else:
            for its_array, files, report in reports:
                typer.echo(f"{its_array.name or 'array'}, {len(files)} recording{'s' * (len(files) > 1)}: {report}")
                _map_channels(report, channels)
    if any(report.findings for *_, report in reports):
        raise typer.Exit(SOME_FAILED)


def _map_channels(report: "SetupReport", channels: str | None) -> None:
    """Say what the report's channel numbers are in the file, where `--channels` chose some."""
    if channels is None or not report.findings:
        return
    from doatrack.audio import parse_channels

    chosen = parse_channels(channels)
    typer.echo(f"Channel numbers above count the chosen ones: 1 is channel {chosen[0] + 1} of the file, and so on.")
    for finding in report.findings:
        if finding.kind == "order":
            typer.echo(f"Of the file: --channels {','.join(str(chosen[c] + 1) for c in finding.details['channels'])}")
