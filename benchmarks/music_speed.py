"""Time and error of MUSIC beside pyroomacoustics' MUSIC and NormMUSIC, on the same snapshots and directions."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _pyroomacoustics import search_on
from _report import environment, environment_line, markdown_table, publish
from _talker import speed_parser, talker_scene, truth_of
from _timing import TIME_HEADER, Spectra, add_ratios, figures_of, time_all, time_cells, time_each
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import MUSIC, MicArray
from doatrack.features import FrameSettings, snapshot_spectra

SPEED_OF_SOUND = 343.0
KINDS = {"NormMUSIC": True, "MUSIC": False}


def main(argv: Sequence[str] | None = None) -> None:
    args = speed_parser(__doc__ or "", "music_speed", repeats=5).parse_args(argv)
    env = environment(args.threads, ["pyroomacoustics"])
    rows, n_frames, tracker = measure(args)
    publish(args, _text(args, env, rows, tracker, n_frames), {"environment": env, "rows": rows})


def measure(args: argparse.Namespace) -> tuple[list[dict[str, Any]], int, MUSIC]:
    """Return a row per method and number of threads, the number of frames, and our plain MUSIC."""
    array = MicArray.from_preset(args.array)
    scene = talker_scene(array, args.duration, args.seed)
    ours = {kind: _ours(args, array, scene.waveform, normalised=n) for kind, n in KINDS.items()}
    spectra = _snapshots(ours["MUSIC"], scene.waveform)
    truth, active, chosen = truth_of(scene, ours["MUSIC"].frame_times(len(spectra)), args.frames)
    rows = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for kind, tracker in ours.items():
            with threadpool_limits(threads):
                runs = _measure(kind, tracker, scene.waveform, spectra, chosen, args.repeats)
            for run in runs:
                figures = {"map_difference": run["map_difference"], **figures_of(run, truth, active, chosen)}
                rows.append({"threads": threads, "kind": kind, **figures})
    add_ratios(rows)
    return rows, len(spectra), ours["MUSIC"]


def _ours(args: argparse.Namespace, array: MicArray, waveform: NDArray[np.float32], *, normalised: bool) -> MUSIC:
    """Return MUSIC as it comes, but for the refinement between directions, which the others lack."""
    return MUSIC(n_directions=args.n_directions, normalised=normalised, refine=False).fit(waveform, array)


def _snapshots(tracker: MUSIC, waveform: NDArray[np.float32]) -> Spectra:
    """Return the spectra of each frame's snapshots, (n_frames, n_mics, n_freq, n_snapshots)."""
    frames = FrameSettings(tracker.sample_rate, tracker.win_length, tracker.hop_length, tracker.window)
    samples = torch.from_numpy(waveform.astype(np.float64))
    spectra = snapshot_spectra(samples, frames, tracker.snapshot_length, tracker.snapshot_hop)
    return np.ascontiguousarray(spectra.permute(0, 2, 1, 3).numpy())


def _measure(
    kind: str,
    tracker: MUSIC,
    waveform: NDArray[np.float32],
    spectra: Spectra,
    chosen: NDArray[np.intp],
    repeats: int,
) -> list[dict[str, Any]]:
    runs = [
        time_all(
            f"{kind}: MUSIC(normalised={KINDS[kind]}); from the waveform",
            lambda: tracker.predict(waveform),
            np.arange(len(spectra)),
            repeats,
        )
    ]
    maps = [tracker.predict_map(waveform)[chosen]]
    for precompute in (True, False):
        label = f"{kind}: pyroomacoustics, {'all steering vectors precomputed' if precompute else 'as it comes'}"
        spectrum = pyroomacoustics_music(kind, tracker, precompute=precompute)
        runs.append(time_each(f"{label}; from spectra", spectrum, spectra, chosen, 1))
        maps.append(runs[-1]["doa"])
        runs[-1]["doa"] = tracker.grid_.directions[maps[-1].argmax(axis=1)]
    for run, map_ in zip(runs, maps, strict=True):
        run["map_difference"] = float(np.abs(map_ / maps[-1] - 1).max())
    return runs


def pyroomacoustics_music(kind: str, tracker: MUSIC, *, precompute: bool) -> Callable[[Spectra], NDArray[np.float64]]:
    """Return pyroomacoustics' spectrum on our directions and frequencies, one `locate_sources` call per frame."""
    import pyroomacoustics.doa

    positions, directions = tracker.array_.positions, tracker.grid_.directions
    length, rate = tracker.snapshot_length, tracker.sample_rate
    music = getattr(pyroomacoustics.doa, kind)(positions.T, rate, length, c=SPEED_OF_SOUND, dim=3, n_grid=16)
    search_on(music, directions, precompute=precompute)
    low, high = np.array(tracker.freq_range_hz) * length / rate
    bins = np.arange(int(np.ceil(low)), int(np.floor(high)) + 1)
    # theirs lacks the number of microphones that makes 1 of a wave outside the signal subspace
    scale = 1 if kind == "NormMUSIC" else len(positions)

    def spectrum(spectra: Spectra) -> NDArray[np.float64]:
        music.locate_sources(spectra, freq_bins=bins)
        return scale * np.array(music.grid.values)

    return spectrum


def _text(
    args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]], tracker: MUSIC, n_frames: int
) -> str:
    header = [*TIME_HEADER, "mean error", "largest difference of directions", "of the map"]
    cells = [
        [*time_cells(row), f"{row['error_deg']:.2f}", f"{row['difference_deg']:.2f}", f"{row['map_difference']:.1g}"]
        for row in rows
    ]
    low, high = tracker.freq_range_hz
    reached = min(min(row["times_faster"].values()) for row in rows if "waveform" in row["method"])
    return "\n".join(
        [
            environment_line(env),
            "",
            f"{args.array}, {args.n_directions} directions, frames of {tracker.win_length} every {tracker.hop_length} "
            f"samples, Hann snapshots of {tracker.snapshot_length} every {tracker.snapshot_hop}, {low:g} to {high:g} "
            f"Hz, a simulated scene of {args.duration:g} s (seed {args.seed}). MUSIC starts from the waveform "
            f"({n_frames} frames at once, divided by their number); pyroomacoustics is given the spectra of one "
            f"frame's snapshots per call, their DFT is not counted. Tables are built before. Minimum of {args.repeats} "
            f"repeats, for pyroomacoustics of {args.frames} frames. Errors in degrees, of these frames; the map's "
            "difference is relative (single against double precision).",
            "",
            markdown_table(header, cells),
            "",
            f"MUSIC here is at least {reached:.0f} times as fast as pyroomacoustics as it comes (the least of both "
            "kinds of time, all thread counts, plain and normalised).",
        ]
    )


if __name__ == "__main__":
    main()
