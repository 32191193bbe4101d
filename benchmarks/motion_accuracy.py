"""Errors frame by frame, with the filter, a fixed lag and the smoother, over the same scenes in one run."""

import argparse
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray

from doatrack import SRPPHAT, DirectionGrid, PhysicsVAETracker, Track
from doatrack.audio import read_audio
from doatrack.datasets import ScoredSet
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.features import activity_probability, band_power
from doatrack.metrics import angular_error, paired_bootstrap, truth_at_frames
from doatrack.tracking import (
    MotionModel,
    SwitchingMotion,
    Transition,
    grid_filter,
    grid_smoother,
    most_probable_path,
    posterior_directions,
    robust_log_likelihood,
)

LOW, HIGH = 0.05, 0.95
SETS = ("bench_nao:omni", "bench_nao:directional", "bench_rooms")
Directions = NDArray[np.float64]
Observed = tuple[Track, Directions, Any, Directions]  # track, map, its scale, probability of sound


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(1)
    env = environment([1], [])
    motion = MotionModel(args.diffusion, args.jump_rate)
    motions = {"": motion, ", modes": SwitchingMotion(), ", turning head": SwitchingMotion.turning_head()}
    rows = []
    for name in args.sets or [str(args.data / name) for name in SETS]:
        for method, grid, hop, scenes in _methods(args, name):
            transitions = {name: one.transition(grid, hop) for name, one in motions.items()}
            errors = [_errors(*observed, transitions, args) for observed in scenes]
            rows += _rows(pathlib.Path(name).name, method, errors)
    publish(args, _text(args, env, motion, rows), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    usual = MotionModel()
    parser = make_parser(__doc__ or "", "motion_accuracy")
    parser.add_argument(
        "sets",
        nargs="*",
        metavar="SET[:GROUP]",
        help=f"folders with array.json, NAME.wav and NAME.csv; a group is what stands before _ in names "
        f"(default: {' '.join(SETS)} in --data)",
    )
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the sets (default: %(default)s)")
    parser.add_argument("--diffusion", type=float, default=usual.diffusion, help="rad^2/s (default: %(default)s)")
    parser.add_argument("--jump-rate", type=float, default=usual.jump_rate, help="per second (default: %(default)s)")
    parser.add_argument("--map-scale", type=float, default=300.0, help="of SRP maps to nats (default: %(default)s)")
    parser.add_argument(
        "--concentration-share",
        type=float,
        default=0.25,
        help="of the tracker's concentrations that counts as new in each frame (default: %(default)s)",
    )
    parser.add_argument(
        "--weighted-share",
        type=float,
        default=2 / 3,
        help="of these scales where logs are weighted by activity instead (default: %(default).2f)",
    )
    parser.add_argument("--lag-frames", type=int, default=5, help="of the fixed lag (default: %(default)s)")
    parser.add_argument("--no-shipped", action="store_true", help="leave the shipped tracker out")
    return parser.parse_args(argv)


def _methods(args: argparse.Namespace, name: str) -> Iterator[tuple[str, DirectionGrid, float, list[Any]]]:
    """Yield label, grid, hop in seconds, and per scene its truth, track, map, scale and probability of sound."""
    folder, _, group = name.partition(":")
    scored = ScoredSet(folder)
    keep = [k for k, scene in enumerate(scored.names) if group in ("", scene.split("_")[0])]
    if not keep:
        sys.exit(f"{folder} has no scene whose name starts with {group}_")
    srp = SRPPHAT().fit(scored.paths[keep[0]], scored.array)

    def from_map(k: int) -> Observed:
        track = srp.track(scored.paths[k], smoothing=None)
        return (
            track,
            srp.predict_map(scored.paths[k]),
            args.map_scale,
            _probability(scored.paths[k], srp, len(track.times)),
        )

    yield "SRPPHAT", srp.grid_, srp.hop_length / srp.sample_rate, _observe(scored, keep, from_map)
    if args.no_shipped:
        return
    tracker: Any = PhysicsVAETracker.from_pretrained()
    if tracker.array_ != scored.array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # the page says that it was moved
            tracker = tracker.for_array(scored.array)
    grid = DirectionGrid.quasi_uniform(2048)

    def from_track(k: int) -> Observed:
        track = tracker.track(scored.paths[k], smoothing=None)
        sharpness = args.concentration_share * track.concentration
        return track, track.doa @ grid.directions.T, sharpness, _probability(scored.paths[k], tracker, len(track.times))

    hop = tracker.hop_length / tracker.sample_rate
    yield "PhysicsVAETracker, shipped", grid, hop, _observe(scored, keep, from_track)


def _observe(scored: ScoredSet, keep: list[int], observe: Callable[[int], Observed]) -> list[Any]:
    return [(scored.truths[k], *observe(k)) for k in keep]


def _probability(path: pathlib.Path, tracker: Any, n_frames: int) -> Directions:
    """Return the probability that each frame holds sound, never quite 0 or 1."""
    waveform = torch.from_numpy(read_audio(path, sample_rate=tracker.sample_rate))
    power = band_power(waveform, tracker.sample_rate)
    frames = (n_frames, tracker.win_length, tracker.hop_length, tracker.sample_rate)
    return LOW + (HIGH - LOW) * activity_probability(power, *frames)


def _errors(
    truth: Directions,
    track: Track,
    srp_map: Directions,
    scale: Any,
    sure: Directions,
    transitions: dict[str, Transition],
    args: argparse.Namespace,
) -> dict[str, Directions]:
    """Return the errors in degrees of the active frames, by way of joining frames."""
    evidence = robust_log_likelihood(srp_map, scale, sure)
    grid = transitions[""].grid
    estimates = {"frame by frame": track.doa}
    for name, transition in transitions.items():
        posteriors = {"filter": grid_filter(evidence, transition), "smoother": grid_smoother(evidence, transition)}
        if not name:
            posteriors["fixed lag"] = grid_filter(evidence, transition, lag=args.lag_frames)
        for way in sorted(posteriors):
            estimates[way + name] = posterior_directions(posteriors[way], grid)[0]
    estimates["most probable path"] = grid.directions[most_probable_path(evidence, transitions[""])]
    weighted = (args.weighted_share * np.expand_dims(scale, -1) * srp_map, transitions[""], track.activity)
    estimates["filter, weighted logs"] = posterior_directions(grid_filter(*weighted), grid)[0]
    estimates["smoother, weighted logs"] = posterior_directions(grid_smoother(*weighted), grid)[0]
    doa, active = truth_at_frames(truth, track.times)
    return {name: np.degrees(angular_error(doa, estimate))[active] for name, estimate in estimates.items()}


def _rows(name: str, method: str, errors: list[dict[str, Directions]]) -> list[dict[str, Any]]:
    rows = []
    for way in errors[0]:
        pooled = np.concatenate([scene[way] for scene in errors])
        found = paired_bootstrap([scene[way] for scene in errors], [scene["frame by frame"] for scene in errors])
        rows.append({"set": name, "n_scenes": len(errors), "n_frames": len(pooled), "method": method, "way": way})
        rows[-1] |= {"mae_deg": float(pooled.mean()), "rmse_deg": float(np.sqrt((pooled**2).mean()))}
        rows[-1] |= {"within_10": float((pooled <= 10).mean()), "difference_deg": found.difference}
        rows[-1]["difference_90_deg"] = [found.low, found.high]
    return rows


def _text(args: argparse.Namespace, env: dict[str, Any], motion: MotionModel, rows: list[dict[str, Any]]) -> str:
    header = ["set", "map", "frames joined by", "MAE", "RMSE", "within 10", "difference"]
    cells = []
    for row in rows:
        low, high = row["difference_90_deg"]
        plain = row["way"] == "frame by frame"
        cells.append(
            [
                f"{row['set']} ({row['n_scenes']} scenes)",
                row["method"],
                "nothing" if plain else row["way"],
                f"{row['mae_deg']:.2f}",
                f"{row['rmse_deg']:.2f}",
                f"{100 * row['within_10']:.1f} %",
                "-" if plain else f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})",
            ]
        )
    settings = (
        f"Degrees over active frames. Diffusion {motion.diffusion:g} rad^2/s, {motion.jump_rate:g} jumps per second; "
        "modes: `SwitchingMotion()`; turning head: `SwitchingMotion.turning_head()`. Likelihood: "
        f"`robust_log_likelihood` with the scale {args.map_scale:g} of SRP maps or {args.concentration_share:g} of the "
        f"tracker's concentrations, and the activity {LOW:g} + {HIGH - LOW:g} times `activity_probability`; weighted "
        f"logs: {args.weighted_share:.2f} times these scales, silent frames left out. Fixed lag of {args.lag_frames} "
        "frames. Difference: to the same map frame by frame, with a 90 % interval from 4000 draws of scenes in pairs."
    )
    return "\n".join([environment_line(env), "", settings, "", markdown_table(header, cells)])


if __name__ == "__main__":
    main()
