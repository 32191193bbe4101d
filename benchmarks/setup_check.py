"""How often check_setup finds faults put into simulated recordings, and how often it finds what is not there."""

import argparse
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _report import DATA, environment, environment_line, make_parser, markdown_table, publish
from numpy.typing import NDArray

from doatrack import MicArray
from doatrack.datasets import SpeechFolder
from doatrack.estimators import SetupReport, check_setup
from doatrack.simulation import SceneSettings, simulate_scene

ARRAYS = ("nao_head_12", "frl_octahedral_7", "minidsp_uma_8", "respeaker_usb_4", "tetrahedron_4", "random")
LATE = 4  # samples
_SURE = 0.7
Case = tuple[NDArray[np.float32], MicArray, Callable[[SetupReport], bool]]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    torch.set_num_threads(1)
    env = environment([1])
    speech = SpeechFolder(args.speech, split="train") if args.speech.is_dir() else None
    outcomes: dict[tuple[str, str], list[str]] = {}
    for name in args.arrays:
        for k in range(args.n_scenes):
            generator = np.random.default_rng([args.seed, ARRAYS.index(name) if name in ARRAYS else 99, k])
            array = _random_array(generator) if name == "random" else MicArray.from_preset(name)
            noise = "directional" if k % 3 == 2 else "sensor"
            settings = SceneSettings(duration_s=args.duration, noise=noise)
            scene = simulate_scene(array, settings, speech=speech, seed=int(generator.integers(2**31)))
            for fault, outcome in _outcomes(scene.waveform, array, generator).items():
                outcomes.setdefault((fault, name), []).append(outcome)
    rows = [
        {"fault": fault, "array": name}
        | {what: found.count(what) for what in ("right", "other", "unsure", "nothing", "hidden")}
        for (fault, name), found in outcomes.items()
    ]
    publish(args, _text(args, env, rows, speech is not None), {"environment": env, "rows": rows})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "setup_check")
    parser.add_argument("--arrays", nargs="+", default=list(ARRAYS), help="presets, or random (default: %(default)s)")
    parser.add_argument("--n-scenes", type=int, default=30, help="for each array (default: %(default)s)")
    parser.add_argument("--duration", type=float, default=8.0, help="seconds of a scene (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--speech", type=pathlib.Path, default=DATA / "speech", help="talkers; synthetic ones where it is absent"
    )
    return parser.parse_args(argv)


def _random_array(generator: np.random.Generator) -> MicArray:
    """Return 4 to 8 microphones on a sphere of 4 to 10 cm radius."""
    directions = generator.normal(size=(int(generator.integers(4, 9)), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return MicArray(directions * generator.uniform(0.04, 0.10), name="random")


def _outcomes(waveform: NDArray[np.float32], array: MicArray, generator: np.random.Generator) -> dict[str, str]:
    """Return for each fault: right, other (wrong), unsure (wrong, but said so), nothing, or hidden by symmetry."""
    outcomes = {}
    for fault, (signals, claimed, is_right) in _cases(waveform, array, generator).items():
        if is_right(SetupReport((), (), 0, 1.0)) and fault != "none":
            outcomes[fault] = "hidden"
            continue
        report = check_setup(signals, claimed)
        unsure = any(finding.confidence < _SURE for finding in report.findings)
        missed = "nothing" if not report.findings else "unsure" if unsure else "other"
        outcomes[fault] = "right" if is_right(report) else missed
    return outcomes


def _cases(waveform: NDArray[np.float32], array: MicArray, generator: np.random.Generator) -> dict[str, Case]:
    n, channel = array.n_mics, int(generator.integers(array.n_mics))
    pair = np.arange(n)
    first, second = generator.choice(n, 2, replace=False)
    pair[[first, second]] = pair[[second, first]]
    orders = {"two channels exchanged": pair, "all moved by one": np.roll(np.arange(n), 1)}
    orders["order by chance"] = generator.permutation(n)
    inverted, late, noise, weak = (waveform.copy() for _ in range(4))
    inverted[channel] *= -1
    late[channel] = np.roll(late[channel], LATE)
    noise[channel] = generator.normal(scale=waveform[channel].std(), size=waveform.shape[1])
    weak[channel] *= 1e-3
    cases: dict[str, Case] = {"none": (waveform, array, lambda report: report.is_fine)}
    cases["channel inverted"] = inverted, array, lambda report: _only(report, "inverted", channel)
    for name, order in orders.items():
        cases[name] = waveform[order], array, _right_order(array, order)
    for factor in (0.7, 1.5, 2.0):
        claimed = MicArray(array.positions * factor)
        cases[f"positions {factor:g} times as large as they are"] = waveform, claimed, _right_scale(1 / factor)
    cases[f"channel {LATE} samples late"] = late, array, lambda report: _only(report, "offset", channel)
    cases["channel holds other noise"] = noise, array, lambda report: _only(report, "unrelated", channel)
    cases["channel 60 dB too low"] = weak, array, lambda report: _only(report, "dead", channel)
    return cases


def _only(report: SetupReport, kind: str, channel: int) -> bool:
    return [(f.kind, f.channels) for f in report.findings] == [(kind, (channel,))]


def _right_order(array: MicArray, order: NDArray[np.int64]) -> Callable[[SetupReport], bool]:
    def is_right(report: SetupReport) -> bool:
        chosen = np.arange(array.n_mics)
        if report.findings:
            if [f.kind for f in report.findings] != ["order"]:
                return False
            chosen = np.array(report.findings[0].details["channels"])
        # channel m is microphone order[m]: the microphones in the array's order, up to turns and mirror images
        heard = array.positions[order[chosen]]
        distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (heard, array.positions)]
        return bool(np.abs(distances[0] - distances[1]).max() < 0.004)

    return is_right


def _right_scale(factor: float) -> Callable[[SetupReport], bool]:
    def is_right(report: SetupReport) -> bool:
        kinds = [f.kind for f in report.findings]
        return kinds == ["scale"] and abs(np.log(report.findings[0].details["factor"] / factor)) < np.log(1.2)

    return is_right


def _text(args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]], real: bool) -> str:
    by_place = {(row["fault"], row["array"]): row for row in rows}
    faults = list(dict.fromkeys(row["fault"] for row in rows))
    table = [[fault, *(_cell(by_place[fault, name]) for name in args.arrays)] for fault in faults]
    clean = [row for row in rows if row["fault"] == "none"]
    n_clean = sum(row["right"] + row["other"] + row["unsure"] for row in clean)
    false_alarms = sum(row["other"] + row["unsure"] for row in clean)
    wrong, unsure = (sum(row[what] for row in rows) for what in ("other", "unsure"))
    right = sum(row["right"] for row in rows if row["fault"] != "none")
    return "\n".join(
        [
            environment_line(env),
            "",
            f"{args.n_scenes} scenes of {args.duration:g} s for each array, {'real' if real else 'synthetic'} talkers, "
            "rt60 0.2-1.0 s, SNR 5-30 dB, every third with a loudspeaker of white noise. Each cell: scenes in which "
            "the fault was named rightly (kind, channels, order or factor), of those in which it is no symmetry; in "
            "brackets those in which something else was reported, and after a comma those of these that were less than "
            f"{100 * _SURE:.0f} % sure, since another explanation was nearly as good.",
            "",
            markdown_table(["fault", *args.arrays], table),
            "",
            f"False alarms: {false_alarms} of {n_clean} recordings without a fault. Of {right + wrong + unsure} "
            f"reports, {right} ({100 * right / max(right + wrong + unsure, 1):.0f} %) were right in every point; "
            f"{unsure} of the {wrong + unsure} others said that they were not sure.",
        ]
    )


def _cell(row: dict[str, Any]) -> str:
    wrong = row["other"] + row["unsure"]
    n = row["right"] + wrong + row["nothing"]
    if n == 0:
        return "symmetry"
    return f"{row['right']} of {n}" + (f" ({wrong}, {row['unsure']})" if wrong else "")


if __name__ == "__main__":
    main()
