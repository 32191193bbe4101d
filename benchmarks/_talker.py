"""The scene that speed is measured on, and the arguments that choose it."""

import argparse

import numpy as np
from _report import make_parser
from _timing import spread
from numpy.typing import NDArray

from doatrack import MicArray
from doatrack.metrics import truth_at_frames
from doatrack.simulation import Scene, SceneSettings, simulate_scene


def speed_parser(description: str, section: str, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with array, directions, scene and repeats."""
    parser = make_parser(description, section)
    parser.add_argument("--array", default="nao_head_12", help="preset of the microphones (default: %(default)s)")
    parser.add_argument("--n-directions", type=int, default=2048, help="default: %(default)s")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of the scene (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="frames for pyroomacoustics (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=repeats, help="of ours; the minimum counts (%(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated scene (default: %(default)s)")
    return parser


def talker_scene(array: MicArray, duration_s: float, seed: int) -> Scene:
    """Return one talker in a room of rt60 0.4 s with sensor noise at 15 dB."""
    settings = SceneSettings(duration_s=duration_s, rt60_range=(0.4, 0.4), snr_db_range=(15.0, 15.0))
    return simulate_scene(array, settings, seed=seed)


def truth_of(
    scene: Scene, times: NDArray[np.float64], n_chosen: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.intp]]:
    """Return directions and activity of the frames, and a few active ones of them."""
    truth, active = truth_at_frames(scene.truth, times)
    return truth, active, spread(np.flatnonzero(active), n_chosen)
