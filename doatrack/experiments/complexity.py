"""Table 6: parameters, operations and real-time factors."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from doatrack.estimators import NeuralSRPTracker, PhysicsVAETracker
from doatrack.experiments.methods import Method
from doatrack.experiments.operations import count_macs, count_parameters
from doatrack.experiments.published import COMPLEXITY
from doatrack.experiments.recordings import home_array
from doatrack.experiments.workspace import Workspace
from doatrack.geometry import MicArray

__all__ = ["measure_complexity", "real_time_factor"]

_TIMED_S = 20.0
_HEADS = ("fnn_activity",)  # beside the direction, in published Neural-SRP checkpoints
_DECODERS = ("decoder",)

Row = dict[str, Any]


def measure_complexity(space: Workspace, methods: Sequence[Method]) -> None:
    """Measure what Table 6 still needs, for the networks at the size that `paper` has, whatever the scale.

    Operations are those of convolutions, linear and recurrent layers, for 20 s of all microphones; for networks that
    run once per pair also divided by the number of pairs, as in the paper. Decoders and activity heads are left out.
    Times are those of `predict`, correlations or maps included.
    """
    array = home_array(space)
    for method in methods:
        key = {"parameters": repr(method.make(space.seed).get_params(deep=False)), "n": space.scale.n_timed}

        def measure(method: Method = method) -> Row:
            space.say(f"measuring {method.name}")
            return _measured(method, array, space)

        space.once(f"parts/table6/{method.name}.json", key, measure)


def _measured(method: Method, array: MicArray, space: Workspace) -> Row:
    tracker = untrained(method, array, space.seed)
    rate, n_mics = tracker.sample_rate, array.n_mics
    signal = np.random.default_rng(space.seed).normal(scale=0.1, size=(n_mics, int(_TIMED_S * rate)))
    networks = {k: v for k, v in _networks(tracker).items() if k not in _DECODERS}
    together = torch.nn.ModuleDict(networks)
    macs = count_macs(together, lambda: _forward(tracker, signal))
    n_pairs = n_mics * (n_mics - 1) // 2
    row: Row = {"method": method.name, "label": method.label, "published": method.published}
    row["n_parameters"] = sum(count_parameters(network, _HEADS) for network in networks.values())
    row["macs"], row["macs_per_pair"] = macs, macs / n_pairs if method.published != "Cross3D" else None
    row["published_values"] = COMPLEXITY.get(method.published)
    for threads in sorted({1, os.cpu_count() or 1}):
        elapsed, processor = real_time_factor(tracker, signal, threads, space.scale.n_timed)
        row[f"rtf_{threads}"], row[f"rtf_{threads}_processor"] = elapsed, processor
    return row


def untrained(method: Method, array: MicArray, seed: int) -> Any:
    """Return a tracker with random weights, which is as fast as a trained one."""
    tracker = method.make(seed)
    if method.learns:
        tracker._start(array)
        return tracker
    return tracker.fit(np.zeros((array.n_mics, tracker.win_length), dtype=np.float32), array)


def real_time_factor(tracker: Any, signal: Any, threads: int, repeats: int) -> tuple[float, float]:
    """Return time per hop over the hop's length: the best of the repeats, elapsed and of the processor.

    Parameters
    ----------
    tracker : fitted tracker
    signal : array (n_mics, n_samples)
    threads : int
        Of torch.
    repeats : int
        After one that does not count.
    """
    found = []
    with _threads(threads):
        for _ in range(repeats + 1):
            elapsed, processor = time.perf_counter(), time.process_time()
            n_frames = len(tracker.predict(signal))
            audio = n_frames * tracker.hop_length / tracker.sample_rate
            found.append(((time.perf_counter() - elapsed) / audio, (time.process_time() - processor) / audio))
    best = np.array(found[1:]).min(axis=0)
    return float(best[0]), float(best[1])


def _forward(tracker: Any, signal: Any) -> None:
    """Run the network over a recording by its layers; `predict` has faster ways that these do not see."""
    if not hasattr(tracker, "_networks"):
        return
    tables = tracker._runtime()
    gcc = tables.extractor.gcc(torch.from_numpy(signal.astype(np.float32)))
    if isinstance(tracker, PhysicsVAETracker):
        # where a gradient may be wanted, the map encoder takes the plain way; pairs would need much memory for it
        with torch.set_grad_enabled(tracker.encoder == "map"):
            tracker.encoder_(gcc[None], tables.geometry)
        return
    features = tables.features(gcc)[None]
    beside = tables.positions if isinstance(tracker, NeuralSRPTracker) else torch.ones(features.shape[:2])
    with torch.no_grad():
        tracker.network_(features, beside)


def _networks(tracker: Any) -> dict[str, torch.nn.Module]:
    return tracker._networks() if hasattr(tracker, "_networks") else {}


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
