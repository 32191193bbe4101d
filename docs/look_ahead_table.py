"""Write the table of look-ahead and latency into streaming.md: `python docs/look_ahead_table.py`."""

import pathlib
import warnings
from typing import Any

import numpy as np

from doatrack import ESPRIT, MUSIC, SRPPHAT, Cross3DTracker, MicArray, NeuralSRPTracker, PhysicsVAETracker

PAGE = pathlib.Path(__file__).parent / "streaming.md"
START, END = "<!-- look-ahead: written by docs/look_ahead_table.py -->\n", "<!-- end of look-ahead -->"
ARRAY = MicArray.from_preset("respeaker_usb_4")
PAPER = {"encoder": "paper", "teacher": "physics", "prior": "uniform", "features": "phat", "width": 8}
LEARNING = {"n_directions": 100, "n_epochs": 1, "verbose": 0}

TRACKERS = {
    "`SRPPHAT()`": lambda: SRPPHAT(n_directions=100),
    '`SRPPHAT(features="whitened")`': lambda: SRPPHAT(n_directions=100, features="whitened"),
    "`MUSIC`, `DML`": lambda: MUSIC(n_directions=100),
    "`ESPRIT`": lambda: ESPRIT(),
    "`PhysicsVAETracker()`": lambda: PhysicsVAETracker(**LEARNING),
    '`PhysicsVAETracker(features="phat")`': lambda: PhysicsVAETracker(features="phat", **LEARNING),
    "`PhysicsVAETracker.paper()`": lambda: PhysicsVAETracker(**PAPER, **LEARNING),
    "`NeuralSRPTracker`": lambda: NeuralSRPTracker(width=4, n_epochs=1, verbose=0),
    "`Cross3DTracker`": lambda: Cross3DTracker(resolution=(4, 8), width=4, n_epochs=1, verbose=0),
}


def with_table(page: str) -> str:
    """Return the page with the table between the two marks written anew."""
    head, rest = page.split(START)
    rows = "".join(row(name, make()) for name, make in TRACKERS.items())
    title = (
        "| tracker | look-ahead (s) | latency (s) | look-ahead, causal (s) | latency, causal (s) |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    return head + START + "\n" + title + rows + "\n" + END + rest.split(END)[1]


def row(name: str, tracker: Any) -> str:
    """Return a tracker's row."""
    gate = np.arange(32000) % 16000 > 8000
    signal = (np.random.default_rng(0).normal(size=(4, 32000)) * (0.01 + gate)).astype(np.float32)
    tracker.fit([signal], [np.tile([1.0, 0, 0], (10, 1))], array=ARRAY)
    cells = []
    for causal in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = tracker.set_params(causal=causal).stream()
        cells += [f"{stream.look_ahead_s:.2f}", f"{stream.latency_s:.2f}"]
    return f"| {name} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
