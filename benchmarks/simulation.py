"""Speed and error of the room simulation against pyroomacoustics' image sources.

    python benchmarks/simulation.py [--threads 2] [--repeats 3] [--skip-pyroomacoustics]

One trajectory of 20 s and 156 positions, 12 microphones (NAO head), rt60 0.6 s. Error: the first 50 ms of the same
images (order 14) on both sides, 100 Hz to 7 kHz, delay offset and scale removed, high-pass of pyroomacoustics off.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from doatrack.geometry import MicArray
from doatrack.simulation import SceneSettings, ShoeboxRoom, Trajectory, convolve_moving, simulate_scene

SAMPLE_RATE = 16000
SIZE = np.array([6.2, 5.1, 3.3])
RT60 = 0.6
N_POINTS = 156
ORDER = 14
N_TAPS = 800


def best_time(task: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several runs in seconds (a machine that does other work too makes single runs longer)."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-pyroomacoustics", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    array = MicArray.from_preset("nao_head_12")
    path = Trajectory([1.0, 1.0, 1.0], [5.0, 4.0, 2.0], [0.5, 0.5, 0.3], [1.0, 2.0, 1.5], 20.0)
    sources, mics = path.positions(np.linspace(0, 20, N_POINTS)), np.array([3.6, 1.2, 1.4]) + array.positions
    room = ShoeboxRoom(SIZE, RT60)
    rng = np.random.default_rng(0)
    sound = torch.from_numpy(rng.standard_normal(20 * SAMPLE_RATE, dtype=np.float32))

    def render() -> torch.Tensor:
        early, tails = room.responses(sources, mics, rng, n_tails=32)
        return convolve_moving(sound, early) + convolve_moving(sound, tails)

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()[:2])
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, best of {arguments.repeats}, load before {load}"
    )
    print(f"room {SIZE.tolist()} m, rt60 {RT60} s, {N_POINTS} positions, {len(mics)} microphones, 20 s")
    render()
    with_tail = best_time(lambda: room.responses(sources, mics, rng), arguments.repeats)
    print(f"doatrack: images for {room.image_time:.2f} s and one diffuse tail per position: {with_tail:.3f} s")
    few_tails = best_time(lambda: room.responses(sources, mics, rng, n_tails=32), arguments.repeats)
    print(f"doatrack: the same, a tail every 0.25 m of path (as simulate_scene does):  {few_tails:.3f} s")
    rendered = best_time(render, arguments.repeats)
    print(f"doatrack: the same and the time-varying convolution of 20 s:              {rendered:.3f} s")
    settings = SceneSettings(duration_s=10.0, rt60_range=(RT60, RT60), moving_probability=1.0)
    scene = np.mean([best_time(lambda s=s: simulate_scene(array, settings, s), 1) for s in range(8)])
    print(f"doatrack: simulate_scene, 10 s, moving synthetic talker, mean of 8:       {scene:.3f} s")
    if arguments.skip_pyroomacoustics:
        return

    reference = pyroomacoustics_room(room, sources, mics)
    reference.compute_rir()
    theirs = best_time(lambda: pyroomacoustics_room(room, sources, mics).compute_rir(), arguments.repeats)
    import pyroomacoustics as pra

    offset = pra.constants.get("frac_delay_length") // 2
    print(f"pyroomacoustics {pra.__version__}: image sources alone, order {ORDER}:  {theirs:.3f} s")
    same = best_time(lambda: room.images(sources, mics, n_taps=9600, max_order=ORDER), 1)
    print(f"doatrack: the same images, order {ORDER}, without a tail: {same:.3f} s")
    ours = room.images(sources, mics, n_taps=N_TAPS, max_order=ORDER).numpy()
    table = [[reference.rir[m][s][offset : offset + N_TAPS] for m in range(len(mics))] for s in range(N_POINTS)]
    print(f"time ratio, responses with a tail per position:        {theirs / with_tail:.1f}")
    print(f"time ratio, responses with a tail every 0.25 m:        {theirs / few_tails:.1f}")
    print(f"time ratio, responses AND convolution against images:  {theirs / rendered:.1f}")
    print(f"time ratio, the same images:                           {theirs / same:.1f}")
    print(f"relative error of the first 50 ms, 100 Hz to 7 kHz:    {100 * relative_error(np.array(table), ours):.2f} %")


if __name__ == "__main__":
    main()
