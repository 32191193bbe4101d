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
from doatrack.tracking import MotionModel

TARGET = 0.25  # of the time of the dense product


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    env = environment(args.threads, [])
    rows = []
    for name, grid in _grids(args.n_azimuths):
        began = time.perf_counter()
        transition = MotionModel().transition(grid, args.step)
        building = time.perf_counter() - began
        for dtype in (np.float32, np.float64):
            for threads in args.threads:
                torch.set_num_threads(threads)
                with threadpool_limits(threads):
                    row = _measure(transition, np.dtype(dtype), args.repeats)
                rows.append({"grid": name, "threads": threads, "building_s": building} | row)
    publish(args, _text(args, env, rows), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "motion_speed")
    parser.add_argument("--n-azimuths", type=int, default=64, help="grids have n * n / 2 directions (%(default)s)")
    parser.add_argument("--step", type=float, default=0.192, help="seconds from frame to frame (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=200, help="the minimum counts (default: %(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of the dense product (default: 1 2)")
    return parser.parse_args(argv)


def _grids(n_azimuths: int) -> list[tuple[str, DirectionGrid]]:
    size = n_azimuths * (n_azimuths // 2)
    return [
        (f"quasi-uniform, {size}", DirectionGrid.quasi_uniform(size)),
        (f"rectangular, {n_azimuths} x {n_azimuths // 2}", DirectionGrid.rectangular(n_azimuths, n_azimuths // 2)),
    ]


def _measure(transition: Any, dtype: np.dtype[Any], repeats: int) -> dict[str, Any]:
    matrix = transition.dense().astype(dtype)
    columns = np.ascontiguousarray(matrix.T)  # either order in memory; the faster counts
    tensor = torch.from_numpy(matrix)
    now = np.random.default_rng(0).random(transition.n_directions).astype(dtype)
    now /= now.sum()
    as_tensor = torch.from_numpy(now)
    dense = {
        "NumPy": _fastest(lambda: now @ matrix, repeats),
        "NumPy, transposed": _fastest(lambda: columns @ now, repeats),
        "torch": _fastest(lambda: as_tensor @ tensor, repeats),
    }
    best = min(dense, key=lambda name: dense[name][1])
    sparse, seconds = _fastest(lambda: transition.forward(now), repeats)
    return {
        "precision": str(dtype),
        "entries_per_direction": transition.n_entries / transition.n_directions,
        "sparse_s": seconds,
        "dense_s": dense[best][1],
        "dense_by": best,
        "share": seconds / dense[best][1],
        "difference": float(np.abs(sparse - np.asarray(dense[best][0])).sum()),
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
        "precision",
        "threads",
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
            row["precision"],
            str(row["threads"]),
            f"{row['entries_per_direction']:.0f}",
            f"{row['building_s']:.2f}",
            f"{1000 * row['sparse_s']:.3f}",
            f"{1000 * row['dense_s']:.3f} ({row['dense_by']})",
            f"{row['share']:.3f}",
            f"{row['difference']:.0e}",
        ]
        for row in rows
    ]
    worst = {
        kind: max(r["share"] for r in rows if r["threads"] == min(args.threads) and r["precision"] == kind)
        for kind in ("float64", "float32")
    }
    return "\n".join(
        [
            environment_line(env),
            "",
            f"One step of the default motion over {args.step:g} s, one frame at a time. Dense: the same matrix in "
            f"full, by the fastest of three products; only it uses threads. Minimum of {args.repeats} repeats. "
            "Difference: sum over directions of what the two answers differ by; the probabilities sum to 1.",
            "",
            markdown_table(header, cells),
            "",
            f"Target: at most {TARGET:g} of the time of the dense product on {min(args.threads)} thread. Reached on "
            f"the slower grid: {worst['float64']:.2f} in float64, which this library's maps have, "
            f"{worst['float32']:.2f} in float32.",
        ]
    )


if __name__ == "__main__":
    main()
