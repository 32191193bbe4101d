"""Time and error of SRPPHAT beside pyroomacoustics' SRP and plain NumPy, on the same frames and directions."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _pyroomacoustics import search_on
from _report import environment, environment_line, markdown_table, publish
from _talker import speed_parser, talker_scene, truth_of
from _timing import TIME_HEADER, add_ratios, figures_of, time_all, time_cells, time_each
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from doatrack import SRPPHAT, DirectionGrid, MicArray
from doatrack.geometry import tdoa_far_field

SAMPLE_RATE, WIN, HOP, SPEED_OF_SOUND = 16000, 4096, 3072, 343.0
TARGET = 500
UPSAMPLING = 16  # of the NumPy reference's correlations
Spectra = NDArray[np.complex128]


def main(argv: Sequence[str] | None = None) -> None:
    args = speed_parser(__doc__ or "", "srp_phat_speed", repeats=7).parse_args(argv)
    env = environment(args.threads, ["pyroomacoustics"])
    rows, n_frames = measure(args)
    publish(args, _text(args, env, rows, n_frames), {"environment": env, "rows": rows})


def measure(args: argparse.Namespace) -> tuple[list[dict[str, Any]], int]:
    """Return a row per method and number of threads, and the number of frames."""
    array = MicArray.from_preset(args.array)
    scene = talker_scene(array, args.duration, args.seed)
    grid = DirectionGrid.quasi_uniform(args.n_directions)
    spectra = _spectra(scene.waveform)
    times = (np.arange(len(spectra)) * HOP + WIN / 2) / SAMPLE_RATE
    truth, active, chosen = truth_of(scene, times, args.frames)
    measured = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            runs = _measure(array, grid, scene.waveform, spectra, chosen, args.repeats)
        measured += [{"threads": threads, **figures_of(run, truth, active, chosen)} for run in runs]
    add_ratios(measured)
    return measured, len(spectra)


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
    from pyroomacoustics.doa import SRP

    srp = SRP(array.positions.T, SAMPLE_RATE, WIN, c=SPEED_OF_SOUND, dim=3, n_grid=16)
    search_on(srp, grid.directions, precompute=precompute)

    def locate(spectra: Spectra) -> NDArray[np.float64]:
        srp.locate_sources(spectra[:, :, None], freq_range=[0.0, SAMPLE_RATE / 2])
        return np.array(srp.grid.cartesian[:, srp.src_idx[0]])

    return locate


def _text(args: argparse.Namespace, env: dict[str, Any], rows: list[dict[str, Any]], n_frames: int) -> str:
    header = [*TIME_HEADER, f"mean error, {args.frames} frames", "largest difference to pyroomacoustics"]
    cells = [[*time_cells(row), f"{row['error_deg']:.2f}", f"{row['difference_deg']:.2f}"] for row in rows]
    reached = min(min(row["times_faster"].values()) for row in rows if row["method"].startswith("SRPPHAT, refined"))
    return "\n".join(
        [
            environment_line(env),
            "",
            f"{args.array}, {args.n_directions} directions, window {WIN}, hop {HOP}, rectangular window, a simulated "
            f"scene of {args.duration:g} s (seed {args.seed}). SRPPHAT starts from the waveform (framing, DFT, "
            f"correlations, map, maximum; {n_frames} frames at once, divided by their number); the others are given "
            "the spectra of one frame per call, their DFT is not counted. Tables are built before. Minimum of "
            f"{args.repeats} repeats, for pyroomacoustics of {args.frames} frames; processor time is summed over "
            "threads. Angles in degrees.",
            "",
            markdown_table(header, cells),
            "",
            f"Target: SRPPHAT at least {TARGET} times pyroomacoustics as it comes. Reached: {reached:.0f} times "
            "(the least of both kinds of time and all thread counts).",
        ]
    )


if __name__ == "__main__":
    main()
