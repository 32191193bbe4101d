"""What ONNX files and eight bits cost: file size, time and degrees.

    python benchmarks/onnx_int8.py --data ../shared/data --write docs/onnx.md

The shipped tracker and SRP-PHAT on `bench_nao`, frame by frame, active frames only: by torch, by onnxruntime, and by
onnxruntime with eight bits, on the same correlations. Time is that of the graph on one core, without the features.
"""

import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish

from doatrack import SRPPHAT, PhysicsVAETracker
from doatrack.audio import read_audio
from doatrack.datasets import ScoredSet
from doatrack.export import export_onnx, graph_of, quantize_int8
from doatrack.metrics import angular_error, truth_at_frames

GROUPS = ("omni", "directional")


def main() -> None:
    parser = make_parser(__doc__, "onnx")
    parser.add_argument("--data", type=pathlib.Path, default=DATA)
    args = parser.parse_args()
    torch.set_num_threads(1)
    scenes = ScoredSet(args.data / "bench_nao")
    shipped = PhysicsVAETracker.from_pretrained()
    nothing = np.zeros((scenes.array.n_mics, shipped.win_length))
    trackers = {
        "PhysicsVAETracker, shipped": shipped,
        "SRPPHAT": SRPPHAT().fit(nothing, scenes.array),
        "SRPPHAT, whitened": SRPPHAT(features="whitened").fit(nothing, scenes.array),
    }
    env = environment([1], ["onnx", "onnxscript", "onnxruntime"])
    rows = [row for name, tracker in trackers.items() for row in measure(name, tracker, scenes)]
    header = ["tracker", "run by", "file (MB)", "ms per frame"]
    header += [f"{group}: MAE / RMSE (degrees)" for group in GROUPS] + ["turned by (degrees, mean / worst)"]
    publish(args, f"{environment_line(env)}\n\n{markdown_table(header, rows)}", {"environment": env, "rows": rows})


def measure(name: str, tracker: Any, scenes: ScoredSet) -> list[list[str]]:
    """Return the rows of one tracker."""
    graph = graph_of(tracker)
    heard = [graph.extractor.gcc(torch.from_numpy(read_audio(path))) for path in scenes.paths]
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(tracker, f"{folder}/whole.onnx")
        small = quantize_int8(whole, f"{folder}/small.onnx")
        ways: dict[str, tuple[Callable[[torch.Tensor], Any], str]] = {
            "torch": (lambda gcc: graph(gcc[None])[0][0].numpy(), ""),
            "onnxruntime": (session(whole), f"{whole.stat().st_size / 1e6:.1f}"),
            "onnxruntime, int8": (session(small), f"{small.stat().st_size / 1e6:.1f}"),
        }
        answers = {way: timed(run, heard) for way, (run, _) in ways.items()}
    truths = [
        truth_at_frames(truth, tracker.frame_times(len(gcc))) for truth, gcc in zip(scenes.truths, heard, strict=True)
    ]
    rows = []
    for way, (doa, seconds) in answers.items():
        per_frame = 1e3 * seconds / sum(map(len, heard))
        errors = [errors_of(doa, truths, scenes.names, group) for group in GROUPS]
        figures = [f"{e.mean():.2f} / {np.sqrt((e**2).mean()):.2f}" for e in errors]
        turned = errors_of(
            doa, [(d, a) for d, (_, a) in zip(answers["torch"][0], truths, strict=True)], scenes.names, ""
        )
        rows.append(
            [name, way, ways[way][1], f"{per_frame:.2f}", *figures, f"{turned.mean():.3f} / {turned.max():.2f}"]
        )
    return rows


def session(path: pathlib.Path) -> Callable[[torch.Tensor], Any]:
    """Return a function that runs a file on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    loaded = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda gcc: loaded.run(["doa"], {"correlations": gcc[None].numpy()})[0][0]


@torch.no_grad()
def timed(run: Callable[[torch.Tensor], Any], heard: list[torch.Tensor]) -> tuple[list[Any], float]:
    """Return the directions of all recordings, and the least time of three runs over them."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        doa = [run(gcc) for gcc in heard]
        seconds.append(time.perf_counter() - start)
    return doa, min(seconds)


def errors_of(doa: list[Any], truths: list[Any], names: list[str], group: str) -> Any:
    """Return the errors in degrees of the active frames of a group."""
    chosen = [k for k, name in enumerate(names) if name.startswith(group)]
    return np.degrees(np.concatenate([angular_error(truths[k][0], doa[k])[truths[k][1]] for k in chosen]))


if __name__ == "__main__":
    main()
