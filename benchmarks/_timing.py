"""Timing one method beside another on the same frames, and how far their directions are apart."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.metrics import angular_error

Spectra = NDArray[np.complex128]
TIME_HEADER = ["method", "threads", "ms per frame", "processor ms", "times faster", "by processor time"]


def spread(indices: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return `count` of the indices, evenly spread."""
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)]


def time_all(label: str, predict: Callable[[], Any], frames: NDArray[np.intp], repeats: int) -> dict[str, Any]:
    predict()  # builds the tables
    doa, seconds = fastest(predict, repeats)
    return {"method": label, "seconds_per_frame": seconds / len(frames), "doa": doa, "frames": frames}


def time_each(
    label: str, locate: Callable[[Spectra], Any], spectra: Spectra, frames: NDArray[np.intp], repeats: int
) -> dict[str, Any]:
    """Time one call per frame; the fastest call counts, which favours this method on a busy machine."""
    runs = [fastest(lambda frame=frame: locate(spectra[frame]), repeats) for frame in frames]
    seconds = np.min([seconds for _, seconds in runs], axis=0)
    return {"method": label, "seconds_per_frame": seconds, "doa": np.array([doa for doa, _ in runs]), "frames": frames}


def fastest(function: Callable[[], Any], repeats: int) -> tuple[Any, NDArray[np.float64]]:
    """Return the result and the least (elapsed, processor) seconds.

    A call of milliseconds finds a quiet moment on a busy machine, one of seconds does not: processor time, summed
    over threads, is fair to both.
    """
    seconds = np.full(2, np.inf)
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        result = function()
        seconds = np.minimum(seconds, np.array([time.perf_counter(), time.process_time()]) - began)
    return result, seconds


def figures_of(
    run: dict[str, Any], truth: NDArray[np.float64], active: NDArray[np.bool_], chosen: NDArray[np.intp]
) -> dict[str, Any]:
    row = dict(zip(run["frames"].tolist(), run["doa"], strict=True))
    doa = np.array([row[frame] for frame in chosen.tolist()])
    elapsed, processor = run["seconds_per_frame"].tolist()
    figures: dict[str, Any] = {"method": run["method"], "elapsed_s": elapsed, "processor_s": processor}
    figures["doa"] = doa.tolist()
    figures["error_deg"] = float(np.degrees(angular_error(truth[chosen], doa)).mean())
    if len(run["frames"]) == len(truth):
        figures["error_all_deg"] = float(np.degrees(angular_error(truth[active], run["doa"][active])).mean())
    return figures


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Compare with pyroomacoustics as it comes, the last row of each thread count (and kind, where rows have one)."""
    for row in rows:
        group = row["threads"], row.get("kind")
        reference = [other for other in rows if (other["threads"], other.get("kind")) == group][-1]
        row["times_faster"] = {kind: reference[f"{kind}_s"] / row[f"{kind}_s"] for kind in ("elapsed", "processor")}
        row["difference_deg"] = float(np.degrees(angular_error(reference["doa"], row["doa"])).max())


def time_cells(row: dict[str, Any]) -> list[str]:
    """Return what a table says below `TIME_HEADER`."""
    times = [f"{1000 * row[f'{kind}_s']:.2f}" for kind in ("elapsed", "processor")]
    ratios = [f"{ratio:.1f}" if ratio < 50 else f"{ratio:.0f}" for ratio in row["times_faster"].values()]
    return [row["method"], str(row["threads"]), *times, *ratios]
