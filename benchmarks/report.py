"""Time, peak memory and error beside other programs, and how the cost grows, with the machine's floor: in one run."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import music_speed
import numpy as np
import simulation
import srp_phat_speed
import torch
from _live_stream import CHUNK, live_table, measure_live, measure_threads, threads_table
from _machine import Machine, peak_memory
from _report import environment, environment_line, make_parser, markdown_table, publish
from _scaling import measure_scaling, noise, untrained
from _talker import speed_parser, talker_scene
from _timing import fastest
from _work import fft_flop, map_product_share, music_work, srp_phat_work
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import SRPPHAT, Cross3DTracker, MicArray, NeuralSRPTracker, PhysicsVAETracker
from doatrack.experiments.complexity import _forward
from doatrack.experiments.operations import count_macs

HOP, RATE = 3072, 16000
Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(args.threads)
    env = environment([args.threads], ["pyroomacoustics"])
    figures: dict[str, Any] = {"environment": env}
    with threadpool_limits(args.threads):
        machine = Machine.measured(*((256, 1 << 22, 2) if args.quick else ()))
        figures["machine"] = {"flops": machine.flops, "bytes_per_s": machine.bandwidth}
        figures["map_product_share"] = _map_share(args, machine)
        figures["methods"] = _srp_phat(args, machine) + _music(args, machine)
        figures["simulation"] = _simulation(args, machine)
        figures["networks"] = _networks(args, machine)
        figures["live"] = measure_live(args)
        figures["threads"] = measure_threads(args)
        figures["scaling"] = [] if args.no_scaling else measure_scaling(args)
    publish(args, _text(args, figures), figures)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "report")
    parser.add_argument("--threads", type=int, default=1, help="of all methods (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="of what is fast; the minimum counts (%(default)s)")
    parser.add_argument("--no-scaling", action="store_true", help="leave out how the cost grows")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: that it runs, not how fast")
    return parser.parse_args(argv)


def _speed_arguments(args: argparse.Namespace) -> argparse.Namespace:
    options = ["--threads", str(args.threads), "--repeats", str(args.repeats)]
    if args.quick:
        options = ["--threads", "1", "--repeats", "1", "--array", "tetrahedron_4", "--n-directions", "60"]
        options += ["--duration", "3", "--frames", "1"]
    return speed_parser("", "", args.repeats).parse_args(options)


def _map_share(args: argparse.Namespace, machine: Machine) -> float:
    """Return the speed of SRPPHAT's map, as a matrix product, as a share of the peak."""
    speed = _speed_arguments(args)
    tracker = untrained(SRPPHAT(n_directions=speed.n_directions), MicArray.from_preset(speed.array))

    def seconds_of(task: Callable[[], Any]) -> float:
        task()
        return float(min(fastest(task, 3 * args.repeats)[1]))

    return map_product_share(tracker, machine.flops, seconds_of)


def _srp_phat(args: argparse.Namespace, machine: Machine) -> list[Row]:
    speed = _speed_arguments(args)
    array = MicArray.from_preset(speed.array)
    scene = talker_scene(array, speed.duration, speed.seed)
    tracker = SRPPHAT(n_directions=speed.n_directions).fit(scene.waveform, array)
    rows, _ = srp_phat_speed.measure(speed)
    grid, spectra = tracker.grid_, srp_phat_speed._spectra(scene.waveform)
    one_frame = spectra[len(spectra) // 2]
    memory = {
        "SRPPHAT": peak_memory(lambda: tracker.predict(scene.waveform)),
        "NumPy": peak_memory(lambda: srp_phat_speed.NumpySRP(array, grid).locate(one_frame)),
        "pyroomacoustics": peak_memory(
            lambda: srp_phat_speed.pyroomacoustics_srp(array, grid, precompute=False)(one_frame)
        ),
    }
    return _named(rows, "SRP-PHAT", machine.floor(*srp_phat_work(tracker)), memory)


def _music(args: argparse.Namespace, machine: Machine) -> list[Row]:
    speed = _speed_arguments(args)
    array = MicArray.from_preset(speed.array)
    waveform = talker_scene(array, speed.duration, speed.seed).waveform
    rows, _, tracker = music_speed.measure(speed)
    one_frame = music_speed._snapshots(tracker, waveform)[0]
    memory = {
        "MUSIC: MUSIC": peak_memory(lambda: tracker.predict(waveform)),
        "MUSIC: pyroomacoustics": peak_memory(
            lambda: music_speed.pyroomacoustics_music("MUSIC", tracker, precompute=False)(one_frame)
        ),
    }
    plain = [row for row in rows if row["kind"] == "MUSIC"]
    return _named(plain, "MUSIC", machine.floor(*music_work(tracker)), memory)


def _named(rows: list[Row], task: str, floor: float, memory: dict[str, float | None]) -> list[Row]:
    """Return the rows with task, floor, and the memory of those whose name starts alike and that come as they are."""
    for row in rows:
        known = [size for name, size in memory.items() if row["method"].startswith(name)]
        whole = "precomputed" not in row["method"]
        row |= {"task": task, "floor_s": floor, "peak_bytes": known[0] if known and whole else None}
    return rows


def _simulation(args: argparse.Namespace, machine: Machine) -> list[Row]:
    options = argparse.Namespace(threads=[args.threads], repeats=min(3, args.repeats), points=2 if args.quick else 156)
    if args.quick:
        options.repeats = 1
    rows, error = simulation.measure(options)
    sources, mics = simulation.positions(options.points)
    room = simulation.ShoeboxRoom(simulation.SIZE, simulation.RT60)
    few = max(1, len(sources) // 5)
    memory = {
        "here: images and a diffuse tail": peak_memory(
            lambda: room.responses(sources, mics, np.random.default_rng(0), n_tails=few)
        ),
        "pyroomacoustics": peak_memory(lambda: simulation.pyroomacoustics_room(room, sources, mics).compute_rir()),
    }
    n_taps = room.images(sources[:1], mics).shape[-1]
    radius = n_taps / RATE * room.speed_of_sound
    n_images = 4 / 3 * np.pi * radius**3 / simulation.SIZE.prod()
    # two taps each, and the transforms of an oversampled response and back
    each = 20 * n_images + fft_flop(6 * n_taps) + fft_flop(n_taps)
    responses = len(sources) * len(mics)
    floor = machine.floor(responses * each, 4.0 * responses * n_taps)
    for row in _named(rows, "simulation", floor, memory):
        row["relative_error"] = error
    return rows


def _networks(args: argparse.Namespace, machine: Machine) -> list[Row]:
    """Return real-time factor and operations of every network, features included."""
    array = MicArray.from_preset("tetrahedron_4" if args.quick else "nao_head_12")
    signal = noise(array.n_mics, 2.0 if args.quick else 20.0)
    makers: dict[str, Callable[[], Any]] = {
        "PhysicsVAETracker, default": PhysicsVAETracker,
        "PhysicsVAETracker, features phat": lambda: PhysicsVAETracker(features="phat"),
        "PhysicsVAETracker.paper": PhysicsVAETracker.paper,
        "NeuralSRPTracker": NeuralSRPTracker,
        "Cross3DTracker": Cross3DTracker,
    }
    repeats = 1 if args.quick else min(3, args.repeats)
    return [
        {"method": name, **_network(untrained(make(), array), signal, machine, repeats)}
        for name, make in makers.items()
    ]


def _network(tracker: Any, signal: NDArray[np.float32], machine: Machine, repeats: int) -> Row:
    seconds = signal.shape[1] / RATE
    macs = count_macs(torch.nn.ModuleDict(tracker._networks()), lambda: _forward(tracker, signal))
    tracker.predict(signal)
    elapsed, processor = fastest(lambda: tracker.predict(signal), repeats)[1] / seconds
    row = {"rtf": float(elapsed), "rtf_processor": float(processor), "macs": macs}
    row["floor_rtf"] = machine.floor(2.0 * macs, signal.nbytes) / seconds
    return row | {"peak_bytes": peak_memory(lambda: tracker.predict(signal))}


def _text(args: argparse.Namespace, figures: dict[str, Any]) -> str:
    machine = figures["machine"]
    parts = [
        environment_line(figures["environment"]),
        f"Peaks measured in this run: {machine['flops'] / 1e9:.0f} GFLOP/s (matrix product, float32), "
        f"{machine['bytes_per_s'] / 1e9:.0f} GB/s (copy, read and written). SRPPHAT's map, gathered from "
        f"the entries that are not zero, takes the time of the whole matrix product at "
        f"{100 * figures['map_product_share']:.0f} % of the former.",
        "Floor: the least operations and bytes of our algorithm over these peaks. Memory: growth of the process at its "
        "peak while it runs, tables included for others. Minimum of several runs; processor time is summed over "
        "threads, and the fair one on a busy machine.",
        "**Methods**, per frame of 0.192 s; ours from the waveform, the others from spectra",
        _methods_table(figures["methods"]),
        "**Simulation** of 156 positions and 12 microphones, rt60 0.6 s; relative error of the images "
        f"{100 * figures['simulation'][0]['relative_error']:.2f} %",
        _simulation_table(figures["simulation"]),
        "**Networks**, 20 s of 12 microphones: processor seconds per second, features included",
        _networks_table(figures["networks"]),
        f"**Live stream**, 20 s of 12 microphones (unless said) in chunks of {CHUNK} samples, filter included",
        live_table(figures["live"]),
        "**Threads**: SRPPHAT from the waveform, 20 s of 12 microphones; waiting threads count as processor time",
        threads_table(figures["threads"]),
    ]
    if figures["scaling"]:
        parts += ["**Growth**: 12 microphones, 2048 directions, 10 s unless said", _scaling_table(figures["scaling"])]
    return "\n\n".join(parts)


def _methods_table(rows: list[Row]) -> str:
    header = ["task", "method", "ms", "processor ms", "real-time factor", "floor, ms", "memory", "mean error, degrees"]
    cells = [
        [
            row["task"],
            row["method"],
            f"{1000 * row['elapsed_s']:.2f}",
            f"{1000 * row['processor_s']:.2f}",
            f"{row['processor_s'] * RATE / HOP:.4f}",
            f"{1000 * row['floor_s']:.2f}",
            _megabytes(row["peak_bytes"]),
            f"{row['error_deg']:.2f}",
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _simulation_table(rows: list[Row]) -> str:
    header = ["task", "ms", "processor ms", "times faster", "by processor time", "floor of the images, ms", "memory"]
    cells = [
        [
            row["method"],
            *(f"{1000 * row[f'{kind}_s']:.0f}" for kind in ("elapsed", "processor")),
            *(f"{ratio:.1f}" for ratio in row["times_faster"].values()),
            f"{1000 * row['floor_s']:.0f}",
            _megabytes(row["peak_bytes"]),
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _networks_table(rows: list[Row]) -> str:
    header = ["network", "real-time factor", "by processor time", "MACs per 20 s", "floor of the network", "memory"]
    cells = [
        [
            row["method"],
            f"{row['rtf']:.4f}",
            f"{row['rtf_processor']:.4f}",
            f"{row['macs'] / 1e9:.2f} G",
            f"{row['floor_rtf']:.4f}",
            _megabytes(row["peak_bytes"]),
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _scaling_table(rows: list[Row]) -> str:
    header = ["axis", "value", "tracker", "real-time factor", "by processor time", "memory"]
    cells = [
        [
            row["axis"],
            f"{row['value']:g}",
            row["method"],
            f"{row['rtf']:.4f}",
            f"{row['rtf_processor']:.4f}",
            _megabytes(row["peak_bytes"]),
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _megabytes(n_bytes: float | None) -> str:
    return "-" if n_bytes is None else f"{n_bytes / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
