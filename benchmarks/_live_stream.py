"""What a live stream costs, and what a second thread saves."""

import argparse
import warnings
from typing import Any

import numpy as np
import torch
from _report import markdown_table
from _scaling import noise, untrained
from _timing import fastest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.exceptions import LookAheadWarning
from doatrack.features import GCCFeatures

CHUNK = 1536  # samples of a live stream at a time: half a hop
RATE = 16000
Row = dict[str, Any]


def measure_live(args: argparse.Namespace) -> list[Row]:
    """Return what streams cost, filter included, fed chunk by chunk."""
    shipped = PhysicsVAETracker.from_pretrained().set_params(causal=True)
    array, signal = shipped.array_, noise(shipped.array_.n_mics, 1.0 if args.quick else 20.0)
    trackers: dict[str, Any] = {
        "PhysicsVAETracker, shipped, causal": shipped,
        "PhysicsVAETracker, shipped, causal, dereverberation": PhysicsVAETracker.from_pretrained().set_params(
            causal=True, features=GCCFeatures(dereverberation=True)
        ),
        "SRPPHAT, causal": untrained(SRPPHAT(causal=True), array),
        'SRPPHAT, features "whitened", causal': untrained(SRPPHAT(features="whitened", causal=True), array),
        "PhysicsVAETracker.paper, causal": untrained(PhysicsVAETracker.paper().set_params(causal=True), array),
    }
    few = MicArray.from_preset("tetrahedron_4")
    for name, chosen in (("", None), (", no dereverberation", False)):
        features = GCCFeatures(causal=True, dereverberation=chosen)
        trackers[f'4 microphones: SRPPHAT, "whitened", causal{name}'] = untrained(SRPPHAT(features=features), few)
    repeats = 1 if args.quick else max(3, args.repeats)
    return [
        {"method": name, **_streamed(tracker, signal[: tracker.array_.n_mics], repeats)}
        for name, tracker in trackers.items()
    ]


def _streamed(tracker: Any, signal: NDArray[np.float32], repeats: int) -> Row:
    chunks = np.split(signal, range(CHUNK, signal.shape[1], CHUNK), axis=1)

    def follow() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LookAheadWarning)  # the paper's encoder looks ahead whatever is set
            stream = tracker.stream()
        for chunk in chunks:
            stream.push(chunk)
        stream.finish()
        return int(stream.n_frames)

    n_frames, (elapsed, processor) = fastest(follow, repeats)
    seconds = signal.shape[1] / RATE
    return {
        "rtf": float(elapsed / seconds),
        "rtf_processor": float(processor / seconds),
        "frame_s": float(processor / n_frames),
    }


def measure_threads(args: argparse.Namespace) -> list[Row]:
    """Return what SRPPHAT costs with one thread and with two."""
    array = MicArray.from_preset("tetrahedron_4" if args.quick else "nao_head_12")
    signal, rows = noise(array.n_mics, 1.0 if args.quick else 20.0), []
    for refine in (True, False):
        tracker = untrained(SRPPHAT(refine=refine), array)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                tracker.predict(signal)
                elapsed, processor = fastest(lambda: tracker.predict(signal), args.repeats)[1]  # noqa: B023
            seconds = signal.shape[1] / RATE
            name = f"SRPPHAT, {'refined' if refine else 'grid'}"
            rows.append({"method": name, "threads": threads, "rtf": elapsed / seconds})
            rows[-1]["rtf_processor"] = processor / seconds
    torch.set_num_threads(args.threads)
    return rows


def live_table(rows: list[Row]) -> str:
    header = ["stream", "real-time factor", "by processor time", "processor ms per frame"]
    cells = [
        [row["method"], f"{row['rtf']:.4f}", f"{row['rtf_processor']:.4f}", f"{1000 * row['frame_s']:.2f}"]
        for row in rows
    ]
    return markdown_table(header, cells)


def threads_table(rows: list[Row]) -> str:
    header = ["method", "threads", "real-time factor", "by processor time"]
    cells = [
        [row["method"], str(row["threads"]), *(f"{row[key]:.4f}" for key in ("rtf", "rtf_processor"))] for row in rows
    ]
    return markdown_table(header, cells)
