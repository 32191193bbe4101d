"""`doatrack evaluate`: how far a method is from the truth of a scored set or of the LOCATA corpus."""

import json as json_format
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doatrack.cli._arguments import (
    ArrayOption,
    AzimuthOption,
    ElevationOption,
    FeaturesOption,
    MethodOption,
    ModelOption,
    SmoothingOption,
    given_array,
    parse_smoothing,
)
from doatrack.cli._run import Failures, running, say
from doatrack.exceptions import AudioFileError, OutputExistsError

if TYPE_CHECKING:
    from doatrack.cli._figures import Figures, Scored
    from doatrack.cli._outputs import TrackWriter
    from doatrack.cli._trackers import Trackers
    from doatrack.datasets import Locata, ScoredSet
    from doatrack.estimators._smoothing import Smoothing

__all__ = ["run_evaluate"]

_MARK = "doatrack evaluate"


_FolderArgument = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="SET",
        help="Folder with array.json and, per scene, NAME.wav or .flac and NAME.csv; or the LOCATA corpus.",
    ),
]
_SourcesOption = Annotated[
    int | None,
    typer.Option(min=1, max=10, metavar="N", help="Sources at a time; as many as the truth names by default."),
]
_TasksOption = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Of LOCATA: which tasks, 1,3,5 by default; 2, 4 and 6 hold several sources."),
]
_LocataArrayOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of LOCATA: benchmark2 (robot head, by default), dicit, eigenmike or dummy."),
]
_LeadingSilenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT",
        help="Of LOCATA: keep (by default), or cut what precedes the first 15 % of the largest sample, as Cross3D "
        "and Neural-SRP are evaluated.",
    ),
]
_OutOption = Annotated[
    pathlib.Path | None, typer.Option(metavar="DIR", help="Also write the tracks, NAME.csv, into this folder.")
]
_JsonOption = Annotated[
    pathlib.Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to a JSON file.")
]


def run_evaluate(
    folder: _FolderArgument,
    method: MethodOption = "physics-vae",
    model: ModelOption = None,
    array: ArrayOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    smoothing: SmoothingOption = "smoother",
    features: FeaturesOption = None,
    sources: _SourcesOption = None,
    tasks: _TasksOption = None,
    locata_array: _LocataArrayOption = None,
    leading_silence: _LeadingSilenceOption = None,
    out: _OutOption = None,
    json: _JsonOption = None,
) -> None:
    """Track a scored set and print errors in degrees, overall and by the part of the names before '_'.

    MAE is the mean angle between estimate and truth, RMSE its root mean square, azimuth the mean error of the azimuth
    alone, within 5 and 10 the share of frames with at most that error, in cone the share inside the 90 % credible
    cone. Frames count where the talker is active.

    Where the truth names several sources: OSPA is the mean distance of the sets of sources, with 30 degrees for one
    that is missed or invented; recall and precision are the shares of true and of estimated sources that match within
    15 degrees, F is their harmonic mean, MAE that of the sources found, switches how often sources change numbers.
    """
    with running(lambda: "No figures were written." + (f" Tracks so far are in {out}." if out else "")) as failures:
        from doatrack.cli._figures import evaluation, print_figures
        from doatrack.cli._sets import open_set

        way = parse_smoothing(smoothing)
        scenes = open_set(folder, tasks, locata_array, leading_silence)
        writer = _writer(out, scenes.names)
        _check_figures_file(json)
        from doatrack.cli._trackers import Trackers

        trackers = Trackers(method, model, azimuth, elevation, features)
        tracker = _tracker_for(scenes, trackers, array, sources)
        scored = _track(scenes, tracker, way, writer, failures)
        if not scored:
            raise AudioFileError(f"No recording of {folder} could be tracked: there are no figures.")
        groups = evaluation(scored)
        print_figures(groups)
        if not groups["all"]["n_frames"]:
            say(
                f"Note: no frame of {folder} counts. Everywhere the truth is unknown (nan) or not active, or its times "
                "are not those of the recordings."
            )
        if failures.count:
            say(f"{failures.count} of {len(scenes)} scenes are left out of these figures.")
        if json is not None:
            given = {"set": str(folder), "method": method, "model": model and str(model)}
            _write_figures(json, given | {"smoothing": smoothing, "features": features}, groups)


def _writer(out: pathlib.Path | None, names: "Sequence[str]") -> "TrackWriter | None":
    """Return what writes the tracks, once it is sure that nothing of the user's is in the way."""
    from doatrack.cli._outputs import TrackWriter

    if out is None:
        return None
    writer = TrackWriter(out)
    writer.check([_track_name(name) for name in names])
    return writer


def _tracker_for(scenes: "ScoredSet | Locata", trackers: "Trackers", array: str | None, sources: int | None) -> Any:
    """Return the tracker for the array that is given or the set's, of the sources that are given or that it names."""
    given = given_array(array)
    tracker = trackers.for_array(scenes.array if given is None else given)
    return trackers.of_several(tracker, _n_sources(scenes) if sources is None else sources)


def _n_sources(scenes: "ScoredSet | Locata") -> int:
    """Return the largest number of sources that the truth of a recording names."""
    return max((len(truth) for truth in scenes.truths if truth.ndim == 3), default=1)


def _track_name(name: str) -> pathlib.Path:
    """Return what tracks of a scene are called after: names of LOCATA's sound files do not differ."""
    return pathlib.Path(f"{name}.wav")


def _track(
    scenes: "ScoredSet | Locata",
    tracker: Any,
    smoothing: "Smoothing",
    writer: "TrackWriter | None",
    failures: Failures,
) -> "list[Scored]":
    from doatrack.estimators._progress import progress_over

    paths, truths = scenes.paths, scenes.truths
    scored: list[Scored] = []
    with progress_over(range(len(scenes)), "tracking", 1) as indices:
        for k in indices:
            with failures.tolerate(paths[k]):
                track = tracker.track(paths[k], smoothing)
                scored.append((scenes.names[k], truths[k], track))
                if writer is not None:
                    writer.write(track, _track_name(scenes.names[k]))
    return scored


def _check_figures_file(path: pathlib.Path | None) -> None:
    from doatrack._files import check_folder

    if path is None:
        return
    check_folder("The folder of --json,", path.parent)
    if not (path.exists() or path.is_symlink()):
        return
    try:
        content = json_format.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("written_by") != _MARK:
        raise OutputExistsError(f"{path} exists and was not written by '{_MARK}', so it is not written over.")


def _write_figures(path: pathlib.Path, header: dict[str, Any], groups: "dict[str, Figures]") -> None:
    from doatrack._files import atomic_write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"written_by": _MARK, **header, "figures": groups}
    atomic_write_bytes(path, (json_format.dumps(content, indent=1, allow_nan=False) + "\n").encode())
