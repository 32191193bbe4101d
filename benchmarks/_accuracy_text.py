"""The report of `accuracy.py`: tables of errors, and which targets are met."""

import pathlib
from typing import Any

from _report import environment_line, markdown_table

N_RESAMPLES = 4000
TOLERANCE = 0.01
TARGET_SRP = {"bench_nao:omni": 5.7, "bench_nao:directional": 16.1, "bench_rooms": 5.1}


def accuracy_text(
    env: dict[str, Any],
    results: dict[str, list[dict[str, Any]]],
    azimuths: list[dict[str, Any]],
    checked: list[float],
    script: pathlib.Path,
) -> str:
    """Return the tables of all sets and recordings, of targets, and how far the reference script differs."""
    parts = [environment_line(env), _reading()]
    for name, rows in results.items():
        head = f"**{name}**: {rows[0]['n_scenes']} scenes, {rows[0]['n_frames']} active frames"
        parts += [head, _set_table(rows)]
    if azimuths:
        parts += [
            "**Real recordings** of one talker (ReSpeaker USB 4, planar): azimuth error in degrees of the maximum of "
            "the map summed over active frames (for trackers: of their posteriors, as von Mises-Fisher).",
            _recordings_table(azimuths),
        ]
    targets = _targets(results, azimuths)
    if targets:
        parts.append(markdown_table(["target", "reached", "met"], targets))
    if checked:
        parts.append(
            f"Largest difference to `{script.name}` in any of these figures: {max(checked):.1g} (at most {TOLERANCE})."
        )
    return "\n\n".join(parts)


def _reading() -> str:
    return (
        "Degrees over active frames, frame by frame, no smoothing; window 4096, hop 3072, 2048 directions. "
        f"Difference: MAE minus that of the best SRPPHAT row, with a 90 % interval from {N_RESAMPLES} draws of scenes "
        "in pairs. Correlation: Spearman's, of error and 90 % credible angle. Coverage: share of active frames whose "
        "90 % cone holds the truth."
    )


def _set_table(rows: list[dict[str, Any]]) -> str:
    header = ["method", "MAE", "RMSE", "median", "within 5", "within 10", "difference", "correlation", "coverage"]
    return markdown_table(header, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["difference_90_deg"]
    known = "rank_correlation" in row
    return [
        row["method"],
        *(f"{row[key]:.2f}" for key in ("mae_deg", "rmse_deg", "median_deg")),
        *(f"{100 * row[key]:.1f} %" for key in ("within_5", "within_10")),
        "best SRPPHAT" if row["is_best_baseline"] else f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})",
        f"{row['rank_correlation']:.2f}" if known else "-",
        f"{100 * row['coverage_90']:.1f} %" if known else "-",
    ]


def _recordings_table(azimuths: list[dict[str, Any]]) -> str:
    names = [file["name"] for file in azimuths[0]["files"]]
    rows = [[row["method"], *(f"{file['azimuth_error_deg']:+.1f}" for file in row["files"])] for row in azimuths]
    return markdown_table(["method", *names], rows)


def _targets(results: dict[str, list[dict[str, Any]]], azimuths: list[dict[str, Any]]) -> list[list[str]]:
    """Return rows (target, reached, met) for the sets that have targets."""
    rows = []
    for name, limit in TARGET_SRP.items():
        if name in results:
            mae = min(row["mae_deg"] for row in results[name] if row["is_baseline"])
            rows.append(_target(f"best SRPPHAT, {name}: MAE at most {limit}", f"{mae:.2f}", round(mae, 1) <= limit))
    shipped = [row for row in results.get("bench_nao:omni", []) if row["method"].startswith("PhysicsVAETracker, ship")]
    if shipped:
        rows += _shipped_targets(shipped[0])
    for row in azimuths:
        if row["method"] in ("SRPPHAT, rectangular, refined", "PhysicsVAETracker, shipped"):
            worst = max(abs(file["azimuth_error_deg"]) for file in row["files"])
            rows.append(_target(f"{row['method']}, recordings: within 5 of azimuth", f"{worst:.1f}", worst <= 5))
    return rows


def _shipped_targets(row: dict[str, Any]) -> list[list[str]]:
    difference, rank, coverage = row["difference_deg"], row["rank_correlation"], 100 * row["coverage_90"]
    start = "shipped tracker, bench_nao:omni"
    return [
        _target(f"{start}: MAE at most 4.5", f"{row['mae_deg']:.2f}", row["mae_deg"] <= 4.5),
        _target(f"{start}: RMSE at most 8", f"{row['rmse_deg']:.2f}", row["rmse_deg"] <= 8),
        _target(f"{start}: below the best SRPPHAT", f"{difference:+.2f}", difference < 0),
        _target(f"{start}: rank correlation at least 0.3", f"{rank:.2f}", rank >= 0.3),
        _target(f"{start}: coverage 80 to 97 %", f"{coverage:.1f} %", 80 <= coverage <= 97),
    ]


def _target(what: str, reached: str, met: bool) -> list[str]:
    return [what, reached, "yes" if met else "**no**"]
