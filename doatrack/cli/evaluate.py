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
    parse_smoothing,
    resolve_array,
)
from doatrack.cli._run import Failures, running, say, table_console
from doatrack.exceptions import AudioFileError, InvalidInputError, OutputExistsError

if TYPE_CHECKING:
    from doatrack._validation import FloatArray
    from doatrack.cli._outputs import TrackWriter
    from doatrack.datasets import Locata, ScoredSet
    from doatrack.estimators._smoothing import Smoothing
    from doatrack.tracking import Track

__all__ = ["evaluation", "run_evaluate"]

_MARK = "doatrack evaluate"

Figures = dict[str, int | float | None]
Scored = tuple[str, "FloatArray", "Track"]


def run_evaluate(
    folder: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="SET",
            help="Folder with array.json and, per scene, NAME.wav or .flac and NAME.csv; or the LOCATA corpus.",
        ),
    ],
    method: MethodOption = "physics-vae",
    model: ModelOption = None,
    array: ArrayOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    smoothing: SmoothingOption = "smoother",
    features: FeaturesOption = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="LIST", help="Of LOCATA: which of the tasks 1, 3 and 5 (all by default).")
    ] = None,
    locata_array: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of LOCATA: benchmark2 (robot head, by default), dicit, eigenmike or dummy."),
    ] = None,
    leading_silence: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Of LOCATA: keep (by default), or cut what precedes the first 15 % of the largest sample, as Cross3D "
            "and Neural-SRP are evaluated.",
        ),
    ] = None,
    out: Annotated[
        pathlib.Path | None, typer.Option(metavar="DIR", help="Also write the tracks, NAME.csv, into this folder.")
    ] = None,
    json: Annotated[
        pathlib.Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to a JSON file.")
    ] = None,
) -> None:
    """Track a scored set and print errors in degrees, overall and by the part of the names before '_'.

    MAE is the mean angle between estimate and truth, RMSE its root mean square, azimuth the mean error of the azimuth
    alone, within 5 and 10 the share of frames with at most that error, in cone the share inside the 90 % credible
    cone. Frames count where the talker is active.
    """
    with running(lambda: "No figures were written." + (f" Tracks so far are in {out}." if out else "")) as failures:
        from doatrack.cli._outputs import TrackWriter
        from doatrack.cli._sets import open_set
        from doatrack.cli._trackers import Trackers

        way = parse_smoothing(smoothing)
        scenes = open_set(folder, tasks, locata_array, leading_silence)
        writer = None if out is None else TrackWriter(out)
        if writer is not None:
            writer.check([_track_name(name) for name in scenes.names])
        _check_figures_file(json)
        tracker = Trackers(method, model, azimuth, elevation, features).for_array(
            scenes.array if array is None else resolve_array(array)
        )
        scored = _track(scenes, tracker, way, writer, failures)
        if not scored:
            raise AudioFileError(f"No recording of {folder} could be tracked: there are no figures.")
        groups = evaluation(scored)
        _print(groups)
        if failures.count:
            say(f"{failures.count} of {len(scenes)} scenes are left out of these figures.")
        if json is not None:
            _write_figures(
                json,
                {
                    "set": str(folder),
                    "method": method,
                    "model": model and str(model),
                    "smoothing": smoothing,
                    "features": features,
                },
                groups,
            )


def evaluation(scored: "Sequence[Scored]") -> dict[str, Figures]:
    """Return figures by group (the part of a name before `_`) and for all, the last.

    Parameters
    ----------
    scored : sequence of (name, truth rows (n_rows, 5), Track)
    """
    groups: dict[str, list[Scored]] = {}
    for scene in scored:
        groups.setdefault(scene[0].split("_")[0], []).append(scene)
    return {name: _figures(part) for name, part in groups.items()} | {"all": _figures(scored)}


def _figures(scored: "Sequence[Scored]") -> Figures:
    import numpy as np

    from doatrack import metrics

    truths, doa = [truth for _, truth, _ in scored], [track.doa for _, _, track in scored]
    times = [track.times for _, _, track in scored]
    n_frames = sum(_n_counted(truth, track) for _, truth, track in scored)
    counts: Figures = {"n_scenes": len(scored), "n_frames": n_frames}
    names = ("mae_deg", "rmse_deg", "median_deg", "azimuth_mae_deg", "within_5_deg", "within_10_deg", "in_cone")
    if n_frames == 0:
        return counts | dict.fromkeys(names)
    angles = [track.credible_angle for _, _, track in scored]
    known = all(np.isfinite(angle).all() for angle in angles)
    values = (
        metrics.mean_angular_error_deg(truths, doa, frame_times=times),
        metrics.root_mean_square_angular_error_deg(truths, doa, frame_times=times),
        metrics.median_angular_error_deg(truths, doa, frame_times=times),
        metrics.mean_azimuth_error_deg(truths, doa, frame_times=times),
        metrics.share_within(truths, doa, tolerance_deg=5.0, frame_times=times),
        metrics.share_within(truths, doa, tolerance_deg=10.0, frame_times=times),
        metrics.cone_coverage(truths, doa, angles, frame_times=times) if known else None,
    )
    return counts | dict(zip(names, values, strict=True))


def _n_counted(truth: "FloatArray", track: "Track") -> int:
    import numpy as np

    from doatrack.metrics import truth_at_frames

    doa, active = truth_at_frames(truth, track.times)
    return int((active & np.isfinite(doa).all(axis=1)).sum())


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
    several = [name for name, truth in zip(scenes.names, truths, strict=True) if truth.ndim == 3]
    if several:
        raise InvalidInputError(
            f"The truth of {several[0]} names several sources, and figures are of one. Score it in Python with "
            "doatrack.metrics.detect_sources and ospa_deg (docs/several_sources.md)."
        )
    scored: list[Scored] = []
    with progress_over(range(len(scenes)), "tracking", 1) as indices:
        for k in indices:
            with failures.tolerate(paths[k]):
                track = tracker.track(paths[k], smoothing)
                scored.append((scenes.names[k], truths[k], track))
                if writer is not None:
                    writer.write(track, _track_name(scenes.names[k]))
    return scored


def _print(groups: dict[str, Figures]) -> None:
    from rich.table import Table

    table = Table("", "scenes", "frames", "MAE", "RMSE", "median", "azimuth", "within 5", "within 10", "in cone")
    for name, figures in groups.items():
        if name == "all" and len(groups) == 2:
            continue  # it would say the same as the only group
        degrees = [_cell(figures[key], "{:.2f}") for key in ("mae_deg", "rmse_deg", "median_deg", "azimuth_mae_deg")]
        shares = [_cell(figures[key], "{:.1%}") for key in ("within_5_deg", "within_10_deg", "in_cone")]
        table.add_row(name, str(figures["n_scenes"]), str(figures["n_frames"]), *degrees, *shares)
    table_console().print(table)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _check_figures_file(path: pathlib.Path | None) -> None:
    if path is None or not (path.exists() or path.is_symlink()):
        return
    try:
        content = json_format.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("written_by") != _MARK:
        raise OutputExistsError(f"{path} exists and was not written by '{_MARK}', so it is not written over.")


def _write_figures(path: pathlib.Path, header: dict[str, Any], groups: dict[str, Figures]) -> None:
    from doatrack._files import atomic_write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"written_by": _MARK, **header, "figures": groups}
    atomic_write_bytes(path, (json_format.dumps(content, indent=1, allow_nan=False) + "\n").encode())
