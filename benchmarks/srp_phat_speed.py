"""Time and error of SRPPHAT beside pyroomacoustics' SRP and plain NumPy, on the same frames and directions."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _report import environment, environment_line, make_parser, markdown_table, publish
from _timing import add_ratios, figures_of, spread, time_all, time_each
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import SRPPHAT, DirectionGrid, MicArray
from doatrack.geometry import tdoa_far_field
from doatrack.metrics import truth_at_frames
from doatrack.simulation import SceneSettings, simulate_scene

SAMPLE_RATE, WIN, HOP, SPEED_OF_SOUND = 16000, 4096, 3072, 343.0
TARGET = 500
UPSAMPLING = 16  # of the NumPy reference's correlations
Spectra = NDArray[np.complex128]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    env = environment(args.threads, ["pyroomacoustics"])
    array = MicArray.from_preset(args.array)
    settings = SceneSettings(duration_s=args.duration, rt60_range=(0.4, 0.4), snr_db_range=(15.0, 15.0))
    scene = simulate_scene(array, settings, seed=args.seed)
    grid = DirectionGrid.quasi_uniform(args.n_directions)
    spectra = _spectra(scene.waveform)
    times = (np.arange(len(spectra)) * HOP + WIN / 2) / SAMPLE_RATE
    truth, active = truth_at_frames(scene.truth, times)
    chosen = spread(np.flatnonzero(active), args.frames)
    measured = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            runs = _measure(array, grid, scene.waveform, spectra, chosen, args.repeats)
        measured += [{"threads": threads, **figures_of(run, truth, active, chosen)} for run in runs]
    add_ratios(measured)
    publish(args, _text(args, env, measured, len(spectra), len(chosen)), {"environment": env, "rows": measured})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__ or "", "srp_phat_speed")
    parser.add_argument("--array", default="nao_head_12", help="preset of the microphones (default: %(default)s)")
    parser.add_argument("--n-directions", type=int, default=2048, help="default: %(default)s")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of the scene (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="frames for pyroomacoustics (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="of all others; the minimum counts (%(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated scene (default: %(default)s)")
    return parser.parse_args(argv)


def _spectra(waveform: NDArray[np.float32]) -> Spectra:
    """Return spectra of rectangular frames, (n_frames, n_mics, n_freq)."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WIN, axis=1)[:, ::HOP]
    return np.fft.rfft(frames.astype(np.float64)).swapaxes(0, 1)


def _measure(
    array: MicArray,
    grid: DirectionGrid,
    waveform: NDArray[np.float32],
    spectra: Spectra,
    chosen: NDArray[np.intp],
    repeats: int,
) -> list[dict[str, Any]]:
    runs = []
    every = np.arange(len(spectra))
    for refine in (True, False):
        srp = SRPPHAT(n_directions=grid.n_directions, refine=refine).fit(waveform, array)
        label = f"SRPPHAT, {'refined' if refine else 'grid'}; from the waveform"
        runs.append(time_all(label, lambda srp=srp: srp.predict(waveform), every, repeats))
    reference = NumpySRP(array, grid)
    runs.append(
        time_each("NumPy, correlations by inverse FFT; from spectra", reference.locate, spectra, chosen, repeats)
    )
    for precompute in (True, False):
        label = f"pyroomacoustics SRP, {'all steering vectors precomputed' if precompute else 'as it comes'}"
        locate = pyroomacoustics_srp(array, grid, precompute=precompute)
        runs.append(time_each(f"{label}; from spectra", locate, spectra, chosen, 1))
    return runs


class NumpySRP:
    """What one writes by hand: inverse FFTs of zero-padded cross-spectra, read at the nearest lag."""

    def __init__(self, array: MicArray, grid: DirectionGrid) -> None:
        self._first, self._second = array.mic_pairs.T
        self._directions = grid.directions
        delays = tdoa_far_field(array, grid.directions, SPEED_OF_SOUND).T
        self._lags = np.rint(delays * SAMPLE_RATE * UPSAMPLING).astype(int) % (WIN * UPSAMPLING)
        self._rows = np.arange(len(self._first))[:, None]

    def locate(self, spectra: Spectra) -> NDArray[np.float64]:
        """Return the direction of one frame (n_mics, n_freq)."""
        white = spectra / np.maximum(np.abs(spectra), 1e-12)
        correlations = np.fft.irfft(white[self._first] * white[self._second].conj(), WIN * UPSAMPLING)
        return self._directions[correlations[self._rows, self._lags].sum(axis=0).argmax()]


def pyroomacoustics_srp(array: MicArray, grid: DirectionGrid, *, precompute: bool) -> Callable[[Spectra], Any]:
    """Return pyroomacoustics' SRP on our directions, one `locate_sources` call per frame, 0 to 8 kHz."""
    from pyroomacoustics.doa import SRP, GridSphere
    from pyroomacoustics.doa.doa import ModeVector

    srp = SRP(array.positions.T, SAMPLE_RATE, WIN, c=SPEED_OF_SOUND, dim=3, n_grid=16)
    # Given azimuths and colatitudes it would search all their combinations, so the grid is put in afterwards.
    x, y, z = grid.directions.T
    points = np.stack([np.arctan2(y, x), np.arccos(np.clip(z, -1, 1))])
    srp.grid = GridSphere(spherical_points=points, precompute_neighbors=True)
    srp.mode_vec = ModeVector(srp.L, srp.fs, srp.nfft, srp.c, srp.grid, precompute=precompute)

    def locate(spectra: Spectra) -> NDArray[np.float64]:
        srp.locate_sources(spectra[:, :, None], freq_range=[0.0, SAMPLE_RATE / 2])
        return np.array(srp.grid.cartesian[:, srp.src_idx[0]])

    return locate


def _text(
    args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]], n_frames: int, n_chosen: int
) -> str:
    header = [
        "method",
        "threads",
        "ms per frame",
        "processor ms",
        "times faster",
        "by processor time",
        f"mean error, {n_chosen} frames",
        "largest difference to pyroomacoustics",
    ]
    cells = [
        [
            row["method"],
            str(row["threads"]),
            f"{1000 * row['elapsed_s']:.2f}",
            f"{1000 * row['processor_s']:.2f}",
            *(f"{ratio:.1f}" if ratio < 50 else f"{ratio:.0f}" for ratio in row["times_faster"].values()),
            f"{row['error_deg']:.2f}",
            f"{row['difference_deg']:.2f}",
        ]
        for row in rows
    ]
    reached = min(min(row["times_faster"].values()) for row in rows if row["method"].startswith("SRPPHAT, refined"))
    return "\n".join(
        [
            environment_line(env),
            "",
            f"{args.array}, {args.n_directions} directions, window {WIN}, hop {HOP}, rectangular window, a simulated "
            f"scene of {args.duration:g} s (seed {args.seed}). SRPPHAT starts from the waveform (framing, DFT, "
            f"correlations, map, maximum; {n_frames} frames at once, divided by their number); the others are given "
            "the spectra of one frame per call, their DFT is not counted. Tables are built before. Minimum of "
            f"{args.repeats} repeats, for pyroomacoustics of {n_chosen} frames; processor time is summed over threads. "
            "Angles in degrees.",
            "",
            markdown_table(header, cells),
            "",
            f"Target: SRPPHAT at least {TARGET} times pyroomacoustics as it comes. Reached: {reached:.0f} times "
            "(the least of both kinds of time and all thread counts).",
        ]
    )


if __name__ == "__main__":
    main()
