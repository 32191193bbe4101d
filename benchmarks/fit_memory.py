"""Peak memory and time of PhysicsVAETracker.fit for growing corpora on disk: memory should not grow."""

import argparse
import ctypes
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish

from doatrack import MicArray, PhysicsVAETracker
from doatrack.datasets import write_scored_set
from doatrack.simulation import SceneSettings, simulate_scene

N_DIFFERENT = 5
FLAT = 0.1  # growth of the peak from the smallest to the largest corpus that still counts as none


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    if args.child is not None:
        _fit_one(args)
        return
    env = environment([args.threads])
    with tempfile.TemporaryDirectory(prefix="doatrack-benchmark-") as name:
        folder = pathlib.Path(name)
        _make_corpus(folder, args, max(args.sizes))
        rows = [min((_measure(folder, args, n) for _ in range(args.repeats)), key=_time) for n in [0, *args.sizes]]
    publish(args, _text(args, env, rows), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "fit_memory")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 40, 80, 160], help="default: 20 40 80 160")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of a recording (default: %(default)s)")
    parser.add_argument("--array", default="nao_head_12", help="preset of the microphones (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the corpus (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="fits per size; the fastest counts (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _make_corpus(folder: pathlib.Path, args: argparse.Namespace, n_files: int) -> None:
    """Simulate a few recordings and copy them."""
    array = MicArray.from_preset(args.array)
    settings = SceneSettings(duration_s=args.duration, rt60_range=(0.2, 0.4))
    names = [f"{k:04d}" for k in range(min(N_DIFFERENT, n_files))]
    write_scored_set(folder, [simulate_scene(array, settings, seed=k) for k in range(len(names))], array, names)
    for k in range(len(names), n_files):
        shutil.copyfile(folder / f"{names[k % len(names)]}.wav", folder / f"{k:04d}.wav")


def _measure(folder: pathlib.Path, args: argparse.Namespace, n_files: int) -> dict[str, Any]:
    """Fit in a process of its own, whose memory nothing else has touched."""
    options = ["--child", str(n_files), "--folder", str(folder), "--epochs", str(args.epochs)]
    command = [sys.executable, __file__, *options, "--threads", str(args.threads), "--array", args.array]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    row["audio_s"] = n_files * args.duration
    row["corpus_mb"] = sum((folder / f"{k:04d}.wav").stat().st_size for k in range(n_files)) / 1e6
    return row


def _fit_one(args: argparse.Namespace) -> None:
    """Fit on the first files of the folder (0: none, the imports alone) and print what it took."""
    torch.set_num_threads(args.threads)
    paths = [args.folder / f"{k:04d}.wav" for k in range(args.child)]
    began = time.perf_counter(), time.process_time()
    if paths:
        tracker = PhysicsVAETracker(n_epochs=args.epochs, random_state=0, verbose=0)
        tracker.fit(paths, MicArray.from_preset(args.array))
    took = np.array([time.perf_counter(), time.process_time()]) - began
    row = {"n_recordings": args.child, "elapsed_s": took[0], "processor_s": took[1], "peak_mb": _peak_mb()}
    print(json.dumps(row | {"in_use_mb": _in_use_mb()}))


def _peak_mb() -> float:
    """Return the most memory this process has held; ru_maxrss may be inherited from the parent, VmHWM is not."""
    if (peak := _status_mb("VmHWM")) is not None:
        return peak
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 1e6 if sys.platform == "darwin" else largest * 1024 / 1e6


def _in_use_mb() -> float | None:
    """Return what is still held after fit once the C library has given back what is free; None if unknown."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return None
    return _status_mb("VmRSS")


def _status_mb(key: str) -> float | None:
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6


def _time(row: dict[str, Any]) -> float:
    return float(row["elapsed_s"])


def _text(args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    header = ["recordings", "audio, min", "files, MB", "peak memory, MB", "in use after, MB"]
    header += ["time / audio", "processor time / audio"]
    cells = [
        [
            str(row["n_recordings"]) if row["n_recordings"] else "0 (imports)",
            f"{row['audio_s'] / 60:.1f}",
            f"{row['corpus_mb']:.0f}",
            f"{row['peak_mb']:.0f}",
            "-" if row["in_use_mb"] is None else f"{row['in_use_mb']:.0f}",
            *([f"{row[k] / row['audio_s']:.3f}" for k in ("elapsed_s", "processor_s")] if row["audio_s"] else "--"),
        ]
        for row in rows
    ]
    growth = rows[-1]["peak_mb"] / rows[1]["peak_mb"] - 1
    times = rows[-1]["n_recordings"] / rows[1]["n_recordings"]
    return "\n\n".join(
        [
            environment_line(env),
            f"PhysicsVAETracker(n_epochs={args.epochs}), {args.array}, recordings of {args.duration:g} s in files "
            f"({N_DIFFERENT} simulated ones, copied), each fit in a process of its own. Time covers reading the files, "
            f"correlations and {args.epochs} pass(es). In use after: what the process holds once the C library "
            "has given free memory back; the peak has working memory and free but fragmented memory on top.",
            markdown_table(header, cells),
            f"Target: memory independent of the corpus. From the smallest to the largest, {times:g} times the audio, "
            f"the peak changes by {100 * growth:+.1f} % ({'flat' if growth < FLAT else 'not flat'}: "
            f"{'under' if growth < FLAT else 'over'} {100 * FLAT:.0f} %).",
        ]
    )


if __name__ == "__main__":
    main()
