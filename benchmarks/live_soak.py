"""Half an hour of sound through all of `doatrack live`: memory, lost frames, time stamps, and whether it keeps pace."""

import argparse
import asyncio
import ctypes
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, BinaryIO

import aiohttp
import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker
from doatrack.cli._live_outputs import JsonLines
from doatrack.live import LiveEvent, LiveFrame, LiveServer, PcmSource, follow
from doatrack.metrics import angular_error

RATE, BLOCK = 16000, 1600
TURN_S, TALK_S, PAUSE_S = 60.0, 1.5, 0.5
SNR = 10.0  # amplitude of the source over that of each microphone's noise
SPEED_OF_SOUND = 343.0
FIRST_MINUTE = 2.0  # by then everything that is made once has been made
SETTLED_S = 10.0  # a filter that knows nothing yet


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    if args.child:
        feed(sys.stdout.buffer, MicArray.from_preset(args.array), args.minutes, args.speed)
        os._exit(0)  # closes the pipe now: taking the interpreter down takes seconds
    torch.set_num_threads(args.threads)
    env = environment([args.threads], ["aiohttp"])
    figures = soak(args)
    publish(args, _text(args, env, figures), {"environment": env, "figures": figures})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "live_soak")
    parser.add_argument("--minutes", type=float, default=30.0, help="of sound (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=4.0, help="times real speed (default: %(default)s)")
    parser.add_argument("--array", default="nao_head_12", help="preset of the microphones (default: %(default)s)")
    parser.add_argument("--method", choices=("physics-vae", "srp-phat"), default="physics-vae")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def direction(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the source is: once around in a minute, up and down a little, (n, 3)."""
    azimuth, elevation = 2 * np.pi * time_s / TURN_S, 0.3 * np.sin(2 * np.pi * time_s / 17)
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)


def blocks(array: MicArray, n_blocks: int, seed: int = 0) -> Any:
    """Yield noise that comes and goes from a moving source, block by block, (BLOCK, n_mics)."""
    rng = np.random.default_rng(seed)
    near = np.convolve(rng.normal(size=3 * BLOCK), [0.25, 0.5, 0.25], "same")  # last, this and next block
    for k in range(n_blocks):
        place = np.arange(k * BLOCK, (k + 1) * BLOCK)
        talks = (place / RATE) % (TALK_S + PAUSE_S) < TALK_S
        early = direction(place / RATE) @ array.positions.T * RATE / SPEED_OF_SOUND
        heard = np.interp(BLOCK + np.arange(BLOCK)[:, None] + early, np.arange(3 * BLOCK), near)
        noise = rng.normal(size=heard.shape, scale=1 / SNR)
        yield (0.05 * (heard * talks[:, None] + noise)).astype("<f4")
        near = np.concatenate([near[BLOCK:], np.convolve(rng.normal(size=BLOCK), [0.25, 0.5, 0.25], "same")])


def feed(pipe: BinaryIO, array: MicArray, minutes: float, speed: float) -> None:
    """Write raw samples into a pipe at their speed."""
    began = time.monotonic()
    for k, block in enumerate(blocks(array, round(minutes * 60 * RATE / BLOCK))):
        time.sleep(max(0.0, began + (k + 1) * BLOCK / RATE / speed - time.monotonic()))
        pipe.write(block.tobytes())
        pipe.flush()


class Witness:
    """Hold every frame against what it must be, and look at the memory each minute of sound."""

    def __init__(self, expected: NDArray[np.float64]) -> None:
        self.expected = expected
        self.n_frames = self.n_wrong = self.n_errors = 0
        self.sum_errors_deg = 0.0
        self.events: list[LiveEvent] = []
        self.memory: list[dict[str, float]] = []

    def __call__(self, message: LiveFrame | LiveEvent) -> None:
        """Take a frame or an event."""
        if isinstance(message, LiveEvent):
            self.events.append(message)
            if message.kind == "end":
                self._look(message.time_s)
            return
        known = self.n_frames < len(self.expected)
        self.n_wrong += not known or message.time_s != self.expected[self.n_frames]
        self.n_frames += 1
        if message.active and message.time_s > SETTLED_S:
            true = direction(np.array([message.time_s]))
            self.sum_errors_deg += float(np.degrees(angular_error(true, np.array([message.doa])))[0])
            self.n_errors += 1
        if not self.memory or message.time_s - self.memory[-1]["minute"] * 60 >= 60:
            self._look(message.time_s)

    def _look(self, time_s: float) -> None:
        row = {"minute": time_s / 60, "resident_mb": _memory_mb()}
        ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps for later comes and goes by tens of MB
        self.memory.append(row | {"in_use_mb": _memory_mb()})


class Reader:
    """A browser's side of the page: count the frames that come over the WebSocket, in a thread."""

    def __init__(self, url: str) -> None:
        self.n_frames = 0
        self._url = url
        self._connected = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()))
        self._thread.start()
        self._connected.wait(30)

    async def _read(self) -> None:
        async with aiohttp.ClientSession() as client, client.ws_connect(f"{self._url}ws") as socket:
            self._connected.set()
            async for message in socket:
                self.n_frames += message.json()["type"] == "frame"

    def join(self) -> None:
        """Wait until the server has said goodbye."""
        self._thread.join(30)


def soak(args: argparse.Namespace) -> dict[str, Any]:
    array = MicArray.from_preset(args.array)
    tracker = _tracker(args.method, array)
    line = [sys.executable, __file__, "--child", "--minutes", str(args.minutes)]
    line += ["--speed", str(args.speed), "--array", args.array]
    n_samples = round(args.minutes * 60 * RATE / BLOCK) * BLOCK
    witness = Witness(tracker.frame_times((n_samples - tracker.win_length) // tracker.hop_length + 1))
    with subprocess.Popen(line, stdout=subprocess.PIPE, bufsize=0) as child, open(os.devnull, "w") as nowhere:
        select.select([child.stdout], [], [])  # until sound comes: the start of that program is no part of it
        began = time.perf_counter(), time.process_time()
        with PcmSource(child.stdout, "f32le", array.n_mics, RATE) as source, LiveServer(port=0) as server:  # type: ignore[arg-type]
            reader = Reader(server.url)
            summary = follow(source, tracker.stream(), [witness, JsonLines(nowhere), server])
        reader.join()
    elapsed, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    figures = _figures(args, witness, reader) | {"audio_s": summary.duration_s}
    return figures | {
        "elapsed_s": elapsed,
        "processor_s": processor,
    }


def _tracker(method: str, array: MicArray) -> Any:
    if method == "srp-phat":
        return SRPPHAT(causal=True).fit(np.zeros((array.n_mics, 4096), dtype=np.float32), array)
    shipped = PhysicsVAETracker.from_pretrained("nao_head_12")
    moved = shipped if shipped.array_ == array else shipped.for_array(array)
    return moved.set_params(causal=True)


def _figures(args: argparse.Namespace, witness: Witness, reader: Reader) -> dict[str, Any]:
    wanted = min(FIRST_MINUTE, args.minutes / 2)
    return {
        "n_frames": witness.n_frames,
        "n_frames_lost": len(witness.expected) - witness.n_frames,
        "times_exact": bool(witness.n_wrong == 0),
        "n_frames_at_page": reader.n_frames,
        "error_deg": witness.sum_errors_deg / max(1, witness.n_errors),
        "memory": witness.memory,
        "early": min(witness.memory, key=lambda row: abs(row["minute"] - wanted)),
        "last": witness.memory[-2],  # the tracker's state is gone at the very end
        "events": [event.message for event in witness.events],
    }


def _memory_mb() -> float:
    """Return the memory in use (resident) of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _text(args: argparse.Namespace, env: dict[str, Any], figures: dict[str, Any]) -> str:
    audio_s, early, last = figures["audio_s"], figures["early"], figures["last"]
    speed, load = audio_s / figures["elapsed_s"], figures["processor_s"] / audio_s
    most = max(row["resident_mb"] for row in figures["memory"] if row["minute"] >= early["minute"])
    growth = last["in_use_mb"] - early["in_use_mb"]
    rows = [
        ("sound", f"{audio_s / 60:.1f} minutes, {args.array}"),
        ("time it took", f"{figures['elapsed_s'] / 60:.2f} minutes, {speed:.2f} times real speed"),
        ("processor time / sound", f"{load:.4f}"),
        (f"memory in use at minute {early['minute']:.1f}", f"{early['in_use_mb']:.1f} MB"),
        (f"memory in use at minute {last['minute']:.1f}", f"{last['in_use_mb']:.1f} MB ({growth:+.1f} MB)"),
        ("most resident in between, with what the C library keeps", f"{most:.1f} MB"),
        ("frames", f"{figures['n_frames']}"),
        ("frames lost", f"{figures['n_frames_lost']}"),
        ("time stamps", "all exact" if figures["times_exact"] else "WRONG"),
        ("frames at a client of the page", f"{figures['n_frames_at_page']}"),
        ("mean error of active frames", f"{figures['error_deg']:.2f} degrees"),
        ("events", "; ".join(figures["events"])),
    ]
    table = markdown_table(("", f"{args.method}, causal, filter"), rows)
    return f"{environment_line(env)}\n\n{table}"


if __name__ == "__main__":
    main()
