"""What of a room misleads the tracker: its early reflections, its tail, or the noise.

    python benchmarks/early_reflections.py --speech ../shared/data/speech --scenes 40

The same scenes of random arrays, clearer speech and sensor noise are simulated again and again, each time with other
parts of the room's responses left out. Prints mean errors in degrees of `SRPPHAT(features="whitened")` over active
frames.
"""

import argparse
import math
import pathlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch
from _scenes import CLEARER_SNR_DB, CLEARER_THRESHOLD_DB, random_array_scenes
from torch import Tensor

from doatrack import SRPPHAT
from doatrack.datasets import SpeechFolder
from doatrack.metrics import angular_error, truth_at_frames
from doatrack.simulation.room import ShoeboxRoom

_SEED = 7
# from when to when after the direct sound reflections are heard, in seconds, and whether the tail is
ROOMS = {
    "direct sound only": (0.0, 0.0, False),
    "and reflections of the first 2 ms": (0.0, 0.002, False),
    "and reflections of the first 4 ms": (0.0, 0.004, False),
    "and reflections of the first 10 ms": (0.0, 0.01, False),
    "and reflections after 2 ms, and the tail": (0.002, math.inf, True),
    "and reflections after 4 ms, and the tail": (0.004, math.inf, True),
    "and reflections after 10 ms, and the tail": (0.01, math.inf, True),
    "and reflections after 20 ms, and the tail": (0.02, math.inf, True),
    "and the tail": (0.0, 0.0, True),
    "and all reflections, no tail": (0.0, math.inf, False),
    "the whole room": (0.0, math.inf, True),
}
Responses = Callable[..., tuple[Tensor, Tensor]]


def heard_in_part(whole: Responses, since_s: float, until_s: float, tail: bool) -> Responses:
    """Return `ShoeboxRoom.responses` with reflections of a part of the time only."""

    def responses(
        room: ShoeboxRoom, sources: Any, mics: Any, generator: np.random.Generator, **options: Any
    ) -> tuple[Tensor, Tensor]:
        early, tails = whole(room, sources, mics, generator, **options)
        direct = room.images(sources, mics, n_taps=early.shape[-1], max_order=0)
        apart = np.linalg.norm(np.asarray(sources)[:, None] - np.asarray(mics), axis=-1).max(axis=1)
        age = np.arange(early.shape[-1]) / room.sample_rate - apart[:, None] / room.speed_of_sound
        kept = torch.from_numpy((age >= since_s) & (age < until_s))[:, None]
        # what rings before the direct sound's arrival is its own
        return direct + (early - direct) * kept, tails * tail

    return responses


def mean_errors(options: argparse.Namespace, responses: Responses) -> list[float]:
    """Return the mean errors of filter and smoother, in degrees."""
    speech = (
        None
        if options.speech is None
        else SpeechFolder(options.speech, split="train", activity_threshold_db=CLEARER_THRESHOLD_DB)
    )
    errors: dict[str, list[np.ndarray]] = {"filter": [], "smoother": []}
    with mock.patch.object(ShoeboxRoom, "responses", responses):
        for scene in random_array_scenes("sensor", options.scenes, speech, _SEED, CLEARER_SNR_DB):
            tracker = SRPPHAT(features="whitened").fit(scene.signals, scene.array)
            for smoothing, found in errors.items():
                track = tracker.track(scene.signals, smoothing=smoothing)
                doa, active = truth_at_frames(scene.truth, track.times)
                found.append(np.degrees(angular_error(doa, track.doa))[active])
    return [float(np.concatenate(found).mean()) for found in errors.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=pathlib.Path, help="talkers (split train); none: synthetic ones")
    parser.add_argument("--scenes", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| what is heard | filter | smoother |\n| --- | --- | --- |")
    whole = ShoeboxRoom.responses
    for name, parts in ROOMS.items():
        cells = [f"{error:.2f}" for error in mean_errors(options, heard_in_part(whole, *parts))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
