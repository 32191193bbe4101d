"""Figures of tracks against known directions, of one source and of several."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doatrack._validation import FloatArray
    from doatrack.tracking import MultiTrack, Track

__all__ = ["Figures", "Scored", "evaluation", "print_figures"]

Figures = dict[str, int | float | None]
Scored = tuple[str, "FloatArray", "Track | MultiTrack"]

_DEGREES, _SHARE, _NUMBER = "{:.2f}", "{:.1%}", "{:.0f}"
_OF_ONE = {
    "mae_deg": ("MAE", _DEGREES),
    "rmse_deg": ("RMSE", _DEGREES),
    "median_deg": ("median", _DEGREES),
    "azimuth_mae_deg": ("azimuth", _DEGREES),
    "within_5_deg": ("within 5", _SHARE),
    "within_10_deg": ("within 10", _SHARE),
    "in_cone": ("in cone", _SHARE),
}
_OF_SEVERAL = {
    "ospa_deg": ("OSPA", _DEGREES),
    "recall": ("recall", _SHARE),
    "precision": ("precision", _SHARE),
    "f_score": ("F", _SHARE),
    "found_mae_deg": ("MAE of found", _DEGREES),
    "n_switches": ("switches", _NUMBER),
}


def evaluation(scored: "Sequence[Scored]") -> dict[str, Figures]:
    """Return figures by group (the part of a name before `_`) and for all, the last.

    Where a truth names several sources, or a track follows several, the figures are those of several in all groups.

    Parameters
    ----------
    scored : sequence of (name, truth rows (n_rows, 5) or (n_sources, n_rows, 5), Track or MultiTrack)
    """
    groups: dict[str, list[Scored]] = {}
    for scene in scored:
        groups.setdefault(scene[0].split("_")[0], []).append(scene)
    several = any(truth.ndim == 3 or track.doa.ndim == 3 for _, truth, track in scored)
    figures: Callable[[Sequence[Scored]], Figures] = _of_several if several else _of_one
    return {name: figures(part) for name, part in groups.items()} | {"all": figures(scored)}


def print_figures(groups: dict[str, Figures]) -> None:
    """Print a table with a row per group."""
    from rich.table import Table

    from doatrack.cli._run import table_console

    columns = _OF_SEVERAL if "ospa_deg" in groups["all"] else _OF_ONE
    table = Table("", "scenes", "frames", *(title for title, _ in columns.values()))
    for name, figures in groups.items():
        if name == "all" and len(groups) == 2:
            continue  # it would say the same as the only group
        cells = [_cell(figures[key], form) for key, (_, form) in columns.items()]
        table.add_row(name, str(figures["n_scenes"]), str(figures["n_frames"]), *cells)
    table_console().print(table)


def _of_one(scored: "Sequence[Scored]") -> Figures:
    import numpy as np

    from doatrack import metrics

    truths, doa = [truth for _, truth, _ in scored], [track.doa for _, _, track in scored]
    times = [track.times for _, _, track in scored]
    n_frames = sum(_n_counted(truth, track) for _, truth, track in scored)
    counts: Figures = {"n_scenes": len(scored), "n_frames": n_frames}
    if n_frames == 0:
        return counts | dict.fromkeys(_OF_ONE)
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
    return counts | dict(zip(_OF_ONE, values, strict=True))


def _n_counted(truth: "FloatArray", track: Any) -> int:
    import numpy as np

    from doatrack.metrics import truth_at_frames

    doa, active = truth_at_frames(truth, track.times)
    return int((active & np.isfinite(doa).all(axis=1)).sum())


def _of_several(scored: "Sequence[Scored]") -> Figures:
    from doatrack import metrics

    truths = [truth if truth.ndim == 3 else truth[None] for _, truth, _ in scored]
    tracks = [track for _, _, track in scored]
    doa = [track.doa if track.doa.ndim == 3 else track.doa[:, None] for track in tracks]
    active = [track.activity if track.activity.ndim == 2 else track.activity[:, None] for track in tracks]
    times = [track.times for track in tracks]
    n_frames = sum(_n_sounding(truth, track) for truth, track in zip(truths, tracks, strict=True))
    counts: Figures = {"n_scenes": len(scored), "n_frames": n_frames}
    if n_frames == 0:
        return counts | dict.fromkeys(_OF_SEVERAL)
    found = metrics.detect_sources(truths, doa, active_pred=active, frame_times=times)
    ospa = metrics.ospa_deg(truths, doa, active_pred=active, frame_times=times)
    values = (ospa, found.recall, found.precision, found.f_score, found.mean_error_deg, found.n_switches)
    # what has no denominator is unknown
    return counts | {key: value if value == value else None for key, value in zip(_OF_SEVERAL, values, strict=True)}


def _n_sounding(truth: "FloatArray", track: Any) -> int:
    """Return the number of frames in which any source sounds."""
    import numpy as np

    from doatrack.metrics import truth_at_frames

    return int(np.any([truth_at_frames(source, track.times)[1] for source in truth], axis=0).sum())


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
