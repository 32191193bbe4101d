"""Time and error of the room simulation beside pyroomacoustics' image sources, on one trajectory."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from _timing import fastest

from doatrack.geometry import MicArray
from doatrack.simulation import ShoeboxRoom, Trajectory, convolve_moving

SAMPLE_RATE = 16000
SIZE = np.array([6.2, 5.1, 3.3])
RT60 = 0.6
DURATION_S = 20
ORDER = 14
N_TAPS = 800


def pyroomacoustics_room(room: ShoeboxRoom, sources: np.ndarray, mics: np.ndarray) -> Any:
    import pyroomacoustics as pra

    pra.constants.set("rir_hpf_enable", False)
    absorption = 1 - room.reflection[0] ** 2
    reference = pra.ShoeBox(SIZE, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=ORDER)
    reference.set_sound_speed(room.speed_of_sound)
    reference.add_microphone_array(mics.T)
    for source in sources:
        reference.add_source(source)
    return reference


def relative_error(reference: np.ndarray, ours: np.ndarray) -> float:
    frequency = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    inside = (frequency >= 100) & (frequency <= 7000)
    wanted, got = (np.fft.rfft(x, 8192)[..., inside] for x in (reference, ours))
    scale = np.vdot(got, wanted) / np.vdot(got, got)
    return float(np.linalg.norm(wanted - scale * got) / np.linalg.norm(wanted))


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__ or "", "simulation")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch (default: 1 2)")
    parser.add_argument("--repeats", type=int, default=5, help="the minimum counts (default: %(default)s)")
    parser.add_argument("--points", type=int, default=156, help="positions of the trajectory (default: %(default)s)")
    args = parser.parse_args(argv)
    env = environment(args.threads, ["pyroomacoustics"])
    rows, error = measure(args)
    publish(args, _text(args, env, rows, error), {"environment": env, "rows": rows, "relative_error": error})


def measure(args: argparse.Namespace) -> tuple[list[dict[str, Any]], float]:
    """Return a row per task and number of threads, and the relative error of our images."""
    sources, mics = positions(args.points)
    room = ShoeboxRoom(SIZE, RT60)
    theirs = pyroomacoustics_room(room, sources, mics)
    theirs.compute_rir()
    rows = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for name, task in tasks(room, sources, mics).items():
            task()
            elapsed, processor = fastest(task, args.repeats)[1].tolist()
            rows.append({"threads": threads, "method": name, "elapsed_s": elapsed, "processor_s": processor})
    for row in rows:
        reference = [other for other in rows if other["threads"] == row["threads"]][-1]
        row["times_faster"] = {kind: reference[f"{kind}_s"] / row[f"{kind}_s"] for kind in ("elapsed", "processor")}
    return rows, images_error(room, sources, mics, theirs)


def positions(n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of the source and of the microphones in metres."""
    path = Trajectory([1.0, 1.0, 1.0], [5.0, 4.0, 2.0], [0.5, 0.5, 0.3], [1.0, 2.0, 1.5], float(DURATION_S))
    array = MicArray.from_preset("nao_head_12")
    return path.positions(np.linspace(0, DURATION_S, n_points)), np.array([3.6, 1.2, 1.4]) + array.positions


def tasks(room: ShoeboxRoom, sources: np.ndarray, mics: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return what is timed, pyroomacoustics last."""
    rng = np.random.default_rng(0)
    sound = torch.from_numpy(rng.standard_normal(DURATION_S * SAMPLE_RATE, dtype=np.float32))
    few = max(1, len(sources) // 5)

    def rendered() -> torch.Tensor:
        early, tails = room.responses(sources, mics, rng, n_tails=few)
        return convolve_moving(sound, early) + convolve_moving(sound, tails)

    return {
        f"here: images for {room.image_time:.2f} s": lambda: room.images(sources, mics),
        "here: images and a diffuse tail every 0.25 m": lambda: room.responses(sources, mics, rng, n_tails=few),
        "here: the same and the moving convolution of 20 s": rendered,
        "here: images and a tail per position": lambda: room.responses(sources, mics, rng),
        f"here: all images of order {ORDER}": lambda: room.images(sources, mics, n_taps=9600, max_order=ORDER),
        f"pyroomacoustics: all images of order {ORDER}": lambda: pyroomacoustics_room(
            room, sources, mics
        ).compute_rir(),
    }


def images_error(room: ShoeboxRoom, sources: np.ndarray, mics: np.ndarray, theirs: Any) -> float:
    """Return the relative error of the first 50 ms."""
    import pyroomacoustics as pra

    offset = pra.constants.get("frac_delay_length") // 2
    ours = room.images(sources, mics, n_taps=N_TAPS, max_order=ORDER).numpy()
    rows = [[theirs.rir[m][s][offset : offset + N_TAPS] for m in range(len(mics))] for s in range(len(sources))]
    return relative_error(np.array(rows), ours)


def _text(args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]], error: float) -> str:
    header = ["task", "threads", "ms", "processor ms", "times faster", "by processor time"]
    cells = [
        [
            row["method"],
            str(row["threads"]),
            *(f"{1000 * row[f'{kind}_s']:.0f}" for kind in ("elapsed", "processor")),
            *(f"{ratio:.1f}" for ratio in row["times_faster"].values()),
        ]
        for row in rows
    ]
    return "\n".join(
        [
            environment_line(env),
            "",
            f"Room {SIZE.tolist()} m, rt60 {RT60} s, a trajectory of {DURATION_S} s and {args.points} positions, 12 "
            f"microphones. Best of {args.repeats}. `simulate_scene` does what the third row does.",
            "",
            markdown_table(header, cells),
            "",
            f"Relative error of the first 50 ms of the same images, 100 Hz to 7 kHz, delay and scale removed: "
            f"{100 * error:.2f} %.",
        ]
    )


if __name__ == "__main__":
    main()
