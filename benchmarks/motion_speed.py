"""Time per frame of the sparse motion step beside the product with the full transition matrix, and their difference."""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import DirectionGrid
from doatrack.tracking import MotionModel, SwitchingMotion, Transition

TARGET = 0.25  # of the time of the dense product


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    env = environment(args.threads, [])
    rows = []
    for name, grid in _grids(args.n_azimuths):
        for motion, label in ((MotionModel(), "one mode"), (SwitchingMotion.turning_head(), "turning head")):
            began = time.perf_counter()
            transition = motion.transition(grid, args.step)
            shared = {"grid": name, "motion": label, "building_s": time.perf_counter() - began}
            rows += [shared | row for row in _rows(transition, args)]
    publish(args, _text(args, env, rows), {"environment": env, "rows": rows})


def _rows(transition: Transition, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure in both precisions, one recording at a time and several at once."""
    rows = []
    for kind in (np.float32, np.float64):
        for threads in args.threads:
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                for n_recordings in (1, args.recordings):
                    row = _measure(transition, np.dtype(kind), n_recordings, args.repeats)
                    rows.append({"threads": threads, "recordings": n_recordings} | row)
    return rows


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "motion_speed")
    parser.add_argument("--n-azimuths", type=int, default=64, help="grids have n * n / 2 directions (%(default)s)")
    parser.add_argument("--step", type=float, default=0.192, help="seconds from frame to frame (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=200, help="the minimum counts (default: %(default)s)")
    parser.add_argument("--recordings", type=int, default=16, help="of the rows with several at once (%(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="(default: 1)")
    return parser.parse_args(argv)


def _grids(n_azimuths: int) -> list[tuple[str, DirectionGrid]]:
    size = n_azimuths * (n_azimuths // 2)
    return [
        (f"quasi-uniform, {size}", DirectionGrid.quasi_uniform(size)),
        (f"rectangular, {n_azimuths} x {n_azimuths // 2}", DirectionGrid.rectangular(n_azimuths, n_azimuths // 2)),
    ]


def _measure(transition: Transition, kind: np.dtype[Any], n_recordings: int, repeats: int) -> dict[str, Any]:
    matrix = transition.dense().astype(kind)
    columns = np.ascontiguousarray(matrix.T)  # either order in memory; the faster counts
    tensor = torch.from_numpy(matrix)
    now = np.random.default_rng(0).random((n_recordings, len(matrix))).astype(kind)
    now /= now.sum(axis=1, keepdims=True)
    as_tensor, upright = torch.from_numpy(now), np.ascontiguousarray(now.T)
    dense = {
        "NumPy": _fastest(lambda: now @ matrix, repeats),
        "NumPy, transposed": _fastest(lambda: (columns @ upright).T, repeats),
        "torch": _fastest(lambda: as_tensor @ tensor, repeats),
    }
    best = min(dense, key=lambda name: dense[name][1])
    states = now.reshape(-1, *transition.state_shape) if n_recordings > 1 else now.reshape(transition.state_shape)
    sparse, seconds = _fastest(lambda: transition.forward(states), repeats)
    return {
        "precision": str(kind),
        "entries_per_direction": transition.n_entries / transition.n_directions,
        "sparse_s": seconds / n_recordings,
        "dense_s": dense[best][1] / n_recordings,
        "dense_by": best,
        "share": seconds / dense[best][1],
        "difference": float(np.abs(sparse.reshape(now.shape) - np.asarray(dense[best][0])).sum(axis=1).max()),
    }


def _fastest(function: Callable[[], Any], repeats: int) -> tuple[NDArray[Any], float]:
    seconds = np.inf
    for _ in range(repeats):
        began = time.perf_counter()
        result = function()
        seconds = min(seconds, time.perf_counter() - began)
    return result, seconds


def _text(args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    header = [
        "grid",
        "motion",
        "precision",
        "threads",
        "at once",
        "entries per direction",
        "building, s",
        "sparse, ms",
        "dense, ms",
        "sparse / dense",
        "difference",
    ]
    cells = [
        [
            row["grid"],
            row["motion"],
            row["precision"],
            str(row["threads"]),
            str(row["recordings"]),
            f"{row['entries_per_direction']:.0f}",
            f"{row['building_s']:.2f}",
            f"{1000 * row['sparse_s']:.3f}",
            f"{1000 * row['dense_s']:.3f} ({row['dense_by']})",
            f"{row['share']:.3f}",
            f"{row['difference']:.0e}",
        ]
        for row in rows
    ]
    counted = [row for row in rows if row["threads"] == min(args.threads)]
    worst = {kind: max(row["share"] for row in counted if row["precision"] == kind) for kind in ("float64", "float32")}
    return "\n".join(
        [
            environment_line(env),
            "",
            f"One step of the motion over {args.step:g} s, time per recording, for one or several at once. One mode: "
            "`MotionModel()`; turning head: `SwitchingMotion.turning_head()`, three modes. Dense: the same matrix of "
            f"states in full, by the fastest of three products. Minimum of {args.repeats} repeats. Difference: sum "
            "over states of what the two answers differ by; the probabilities sum to 1.",
            "",
            markdown_table(header, cells),
            "",
            f"Target: at most {TARGET:g} of the time of the dense product on {min(args.threads)} thread. In the "
            f"slowest row: {worst['float64']:.2f} in float64, which this library's maps have, {worst['float32']:.2f} "
            "in float32.",
        ]
    )


if __name__ == "__main__":
    main()
