"""How the cost of tracking grows with microphones, directions, length and sources."""

import argparse
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
from _machine import peak_memory
from _timing import fastest
from numpy.typing import NDArray

from doatrack import SRPPHAT, MicArray, PhysicsVAETracker

RATE = 16000
QUICK = {"mics": (3, 4), "directions": (50, 100), "lengths_s": (1.0, 2.0), "sources": (1, 2)}
FULL = {
    "mics": (4, 8, 12, 16, 32),
    "directions": (500, 1000, 2000, 4000, 8000, 16000),
    "lengths_s": (10.0, 60.0, 600.0, 3600.0),
    "sources": (1, 2, 3, 4),
}
Row = dict[str, Any]


def spiral_array(n_mics: int, radius: float = 0.08) -> MicArray:
    """Return microphones on a sphere, like those of a head."""
    height = 1 - 2 * (np.arange(n_mics) + 0.5) / n_mics
    azimuth = np.pi * (3 - 5**0.5) * np.arange(n_mics)
    around = np.sqrt(1 - height**2)
    return MicArray(radius * np.stack([around * np.cos(azimuth), around * np.sin(azimuth), height], axis=1))


def noise(n_mics: int, seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Return bursts of noise, as loud and soft as speech is; the cost does not depend on what is heard."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    gate = 0.05 + (np.arange(n) % RATE < 0.6 * RATE)
    return (0.1 * gate * rng.standard_normal((n_mics, n), dtype=np.float32)).astype(np.float32)


def untrained(tracker: Any, array: MicArray) -> Any:
    """Return a tracker with random weights, which is as fast as a trained one."""
    if hasattr(tracker, "_start"):
        tracker._start(array)
        tracker.calibration_ = {}
        return tracker
    return tracker.fit(np.zeros((array.n_mics, tracker.win_length), dtype=np.float32), array)


def measure_scaling(args: argparse.Namespace) -> list[Row]:
    """Return a row per size and tracker."""
    sizes = QUICK if args.quick else FULL
    seconds, repeats = (1.0, 1) if args.quick else (10.0, args.repeats)
    n_mics, n_directions = (4, 100) if args.quick else (12, 2048)
    rows = []
    trackers = {"SRPPHAT": SRPPHAT, "PhysicsVAETracker": PhysicsVAETracker}
    for name, make in trackers.items():
        for count in sizes["mics"]:
            tracker = untrained(make(n_directions=n_directions), spiral_array(count))
            rows.append(_row(name, "microphones", count, tracker.predict, noise(count, seconds), repeats))
        for count in sizes["directions"]:
            tracker = untrained(make(n_directions=count), spiral_array(n_mics))
            rows.append(_row(name, "directions", count, tracker.predict, noise(n_mics, seconds), repeats))
        for count in sizes["sources"]:
            tracker = untrained(make(n_directions=n_directions, n_sources=count), spiral_array(n_mics))
            filtered = _filtered(tracker)
            rows.append(_row(name, "sources, with the filter", count, filtered, noise(n_mics, seconds), repeats))
    return rows + _lengths(trackers, sizes["lengths_s"], n_mics, n_directions)


def _filtered(tracker: Any) -> Callable[[Any], Any]:
    return lambda signal: tracker.predict(signal, smoothing="filter")


def _lengths(trackers: dict[str, Any], lengths_s: Any, n_mics: int, n_directions: int) -> list[Row]:
    """Measure files of several lengths, once each."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths_s:
            path = pathlib.Path(folder) / f"{seconds:g}.wav"
            part = noise(n_mics, min(seconds, 10.0)).T
            with soundfile.SoundFile(path, "w", RATE, n_mics, "PCM_16") as file:
                for _ in range(max(1, round(seconds / 10))):
                    file.write(part)
            for name, make in trackers.items():
                tracker = untrained(make(n_directions=n_directions), spiral_array(n_mics))
                tracker.predict(part[:RATE].T)
                row = _row(name, "seconds, from disk", seconds, tracker.predict, path, 1, seconds=seconds)
                rows.append(row)
            path.unlink()
    return rows


def _row(
    name: str,
    axis: str,
    value: float,
    predict: Callable[[Any], Any],
    signal: Any,
    repeats: int,
    seconds: float | None = None,
) -> Row:
    found: list[Any] = []
    memory = peak_memory(lambda: found.append(fastest(lambda: predict(signal), repeats)))
    if repeats > 1:
        found.append(fastest(lambda: predict(signal), repeats))
    audio = signal.shape[1] / RATE if seconds is None else seconds
    elapsed, processor = np.min([times for _, times in found], axis=0) / audio
    figures = {"rtf": float(elapsed), "rtf_processor": float(processor), "peak_bytes": memory}
    return {"method": name, "axis": axis, "value": value, **figures}
