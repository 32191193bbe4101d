"""How well a way of wiring an array explains the delays in its recordings."""

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack.features import activity_at_frames, analysis_window, band_power, gcc_phat, lag_transform, sound_activity
from doatrack.features import stft as short_time_spectra
from doatrack.geometry import DirectionGrid, MicArray

__all__ = ["GRID_SCALES", "LAG_STEP", "OFFSET_REACH", "DelayEvidence", "Wiring", "measure_delays"]

Array = NDArray[np.float64]

_WIN = 4096
_BRIEF_WIN, _WAVES = 1024, 16  # samples at least, and how many times the longest delay
_MOST_BRIEF_LOOKED_AT = 1200
LAG_STEP = 0.25  # samples; correlations are read at the nearest lag
OFFSET_REACH = 12.0  # samples by which a channel may be late
_SCALE_REACH = 2.6
GRID_SCALES = (1.05, 1.6, 2.5)
_MOST_PAIRS = 120
_MOST_FRAMES, _MOST_BRIEF_FRAMES = 60, 120
_FEWEST_DIRECTIONS, _MOST_DIRECTIONS = 400, 4000


@dataclasses.dataclass(frozen=True)
class Wiring:
    """Which channel is which microphone, and what its signal went through.

    `order` (n_mics,): channel m is at the position of microphone order[m]; `signs` (n_mics,): -1 where a channel is
    inverted; `offsets` (n_mics,): samples by which a channel is late; `scale`: positions are larger by this factor.
    """

    order: NDArray[np.int64]
    signs: Array
    offsets: Array
    scale: float = 1.0

    @classmethod
    def as_given(cls, n_mics: int) -> "Wiring":
        """Return the wiring that the array file claims."""
        return cls(np.arange(n_mics), np.ones(n_mics), np.zeros(n_mics))


@dataclasses.dataclass(frozen=True)
class DelayEvidence:
    """Correlations of all pairs in the clearest frames: `gcc` (n_pairs, n_frames, n_lags), `times` (n_frames,) in s.

    `grids` are directions, each (n_directions, 3), fine enough for the scales `GRID_SCALES`.
    """

    gcc: NDArray[np.float32]
    times: Array
    mic_pairs: NDArray[np.int64]
    positions: Array
    samples_per_metre: float
    grids: tuple[Array, ...]

    @property
    def n_mics(self) -> int:
        """The number of channels."""
        return len(self.positions)

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self.times)

    def thinned(self, n_frames: int) -> "DelayEvidence":
        """Return the evidence of so many frames, evenly spread."""
        if self.n_frames <= n_frames:
            return self
        kept = np.linspace(0, self.n_frames - 1, n_frames).round().astype(np.intp)
        return dataclasses.replace(self, gcc=np.ascontiguousarray(self.gcc[:, kept]), times=self.times[kept])

    def scores(self, wiring: Wiring, pairs: NDArray[np.bool_] | None = None) -> tuple[Array, NDArray[np.int64]]:
        """Return the highest mean correlation at the delays of one direction, (n_frames,), and which direction."""
        rows = np.arange(len(self.mic_pairs)) if pairs is None else np.flatnonzero(pairs)
        first, second = self.mic_pairs[rows].T
        delays = self._delays(wiring, rows)
        total = np.zeros((self.n_frames, delays.shape[1]), dtype=np.float32)
        for k, row in enumerate(rows):
            read = np.take(self.gcc[row], self._place(delays[k]), axis=1)
            total += read if wiring.signs[first[k]] == wiring.signs[second[k]] else -read
        best = total.argmax(axis=1)
        return total[np.arange(self.n_frames), best].astype(np.float64) / len(rows), best

    def directions(self, wiring: Wiring) -> Array:
        """Return the directions that are tried for a wiring, (n_directions, 3)."""
        return self.grids[int(np.searchsorted(GRID_SCALES[:-1], wiring.scale))]

    def peaks(self) -> Array:
        """Return the mean over pairs of each frame's highest correlation at any lag, (n_frames,): the best possible."""
        return np.abs(self.gcc).max(axis=2).mean(axis=0).astype(np.float64)

    def aligned(self, wiring: Wiring, channel: int, best: NDArray[np.int64], shifts: Array) -> Array:
        """Return the mean correlation of a channel with the others, by how late it is, (n_shifts, n_frames).

        `best` (n_frames,) are the directions that the other channels found.
        """
        rows = np.flatnonzero((self.mic_pairs == channel).any(axis=1))
        delays = self._delays(wiring, rows)
        curve = np.zeros((len(shifts), self.n_frames))
        frames = np.arange(self.n_frames)
        for k, row in enumerate(rows):
            i, j = self.mic_pairs[row]
            later = shifts if i == channel else -shifts
            sign = wiring.signs[i] * wiring.signs[j]
            curve += sign * self.gcc[row][frames, self._place(delays[k][best] + later[:, None])]
        return curve / len(rows)

    def _delays(self, wiring: Wiring, rows: NDArray[np.int64]) -> Array:
        """Return delays t_i - t_j in samples, (n_rows, n_directions)."""
        first, second = self.mic_pairs[rows].T
        place = wiring.scale * self.samples_per_metre * self.positions[wiring.order]
        late = wiring.offsets[first] - wiring.offsets[second]
        return np.asarray((place[second] - place[first]) @ self.directions(wiring).T + late[:, None])

    def _place(self, delays: Array) -> NDArray[np.intp]:
        middle = self.gcc.shape[2] // 2
        return np.clip(np.rint(delays / LAG_STEP).astype(np.intp) + middle, 0, self.gcc.shape[2] - 1)


def measure_delays(
    recordings: list[NDArray[np.float32]],
    array: MicArray,
    sample_rate: int,
    speed_of_sound: float,
    *,
    brief: bool = False,
) -> DelayEvidence:
    """Return the correlations of the clearest frames of recordings of one set-up; too short ones give no frame.

    `brief` takes many short frames, in which echoes come alone, in place of long ones, in which the loudest wave
    stands out.
    """
    longest = array.aperture / speed_of_sound * sample_rate
    half = int(np.ceil(max(_SCALE_REACH * longest, longest + OFFSET_REACH) / LAG_STEP)) + 2
    lags = torch.arange(-half, half + 1) * LAG_STEP
    pairs = _chosen_pairs(array)
    win = min(_WIN, max(_BRIEF_WIN, 2 ** math.ceil(math.log2(_WAVES * longest)))) if brief else _WIN
    transform, window = lag_transform(lags, win), analysis_window("hann", win)
    most = _MOST_BRIEF_LOOKED_AT // len(recordings) + 1 if brief else None
    parts, times, start = [], [], 0.0
    for waveform in recordings:
        spectra, when = _active_spectra(torch.from_numpy(waveform), window, sample_rate, most)
        for block in spectra.split(8):
            parts.append(gcc_phat(block, pairs, transform).numpy())
        times.append(when + start)
        start += waveform.shape[1] / sample_rate
    gcc = np.concatenate([np.zeros((0, len(pairs), len(lags)), np.float32), *parts]).transpose(1, 0, 2)
    clear = _clearest(gcc, _MOST_BRIEF_FRAMES if brief else _MOST_FRAMES)
    # the error of a delay at half the distance of neighbouring directions stays below half a sample
    sizes = [np.clip(8 * np.pi * (s * longest) ** 2, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS) for s in GRID_SCALES]
    return DelayEvidence(
        np.ascontiguousarray(gcc[:, clear]),
        np.concatenate([np.zeros(0), *times])[clear],
        pairs,
        array.positions,
        sample_rate / speed_of_sound,
        tuple(DirectionGrid.quasi_uniform(int(size)).directions for size in sizes),
    )


def _chosen_pairs(array: MicArray) -> NDArray[np.int64]:
    """Return all pairs of a small array; of a large one as many as can be afforded, each channel alike."""
    pairs = array.mic_pairs
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    steps = np.random.default_rng(0).permutation(array.n_mics - 1)[: _MOST_PAIRS // array.n_mics + 1] + 1
    chosen = {tuple(sorted((m, (m + step) % array.n_mics))) for m in range(array.n_mics) for step in steps}
    return np.array(sorted(chosen))


def _active_spectra(
    waveform: torch.Tensor, window: torch.Tensor, sample_rate: int, most: int | None
) -> tuple[torch.Tensor, Array]:
    """Return the spectra of frames with sound, of many `most` evenly chosen, and when they are."""
    win, hop = len(window), len(window) // 2
    if waveform.shape[1] < win:
        return torch.zeros(0, len(waveform), win // 2 + 1, dtype=torch.complex64), np.zeros(0)
    n_frames = 1 + (waveform.shape[1] - win) // hop
    active = activity_at_frames(sound_activity(band_power(waveform, sample_rate)), n_frames, win, hop, sample_rate)
    chosen = np.flatnonzero(active)
    if most is not None and len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).round().astype(np.intp)]
    spectra = short_time_spectra(waveform, window, hop)[torch.from_numpy(chosen)]
    return spectra, (chosen * hop + win / 2) / sample_rate


def _clearest(gcc: NDArray[np.float32], n_frames: int) -> NDArray[np.intp]:
    """Return the frames with the highest peaks, in order of time."""
    height = np.abs(gcc).max(axis=2).mean(axis=0)
    return np.sort(np.argsort(-height, kind="stable")[:n_frames])
