"""The order of channels that explains the delays best, searched microphone by microphone."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._setup_evidence import LAG_STEP, DelayEvidence, Wiring
from doatrack.estimators._setup_symmetry import same_up_to_symmetry
from doatrack.geometry import DirectionGrid

__all__ = ["FRAMES", "Order", "PairSums", "improved_order", "score", "searched_orders", "swapped"]

Order = NDArray[np.int64]
Floats = NDArray[np.float32]

_SEARCH_FRAMES, FRAMES = 32, 120
_FEWEST_DIRECTIONS, _MOST_DIRECTIONS = 200, 800
_MOST_KEPT = 250
_MOST_SUMS = 100_000  # correlations added in one search: about two seconds
_IMPROVED = 4
_LEAST_STEP = 0.002
_MOST_SWEEPS = 30


class PairSums:
    """Correlations of channel pairs at the delays between any two microphones, to be added up in any order.

    Parameters
    ----------
    evidence : DelayEvidence
    wiring : Wiring
        Its signs, offsets and scale count; its order does not.
    n_frames : int
        Frames looked at, evenly spread.
    blur : float
        Half width in samples of the triangle that correlations are smoothed with, at least the lag step (no smoothing):
        a search on few directions must not fall between narrow peaks.

    Notes
    -----
    A sum is an array (n_directions, n_frames). Exchanging two channels changes the terms of their pairs only: an
    exchange is tried in 2 n terms instead of n^2 / 2.
    """

    def __init__(self, evidence: DelayEvidence, wiring: Wiring, n_frames: int, blur: float = LAG_STEP) -> None:
        few = evidence.thinned(n_frames)
        self.n_mics, self.positions, self.times = few.n_mics, few.positions, few.times
        place = few.positions * wiring.scale * few.samples_per_metre
        longest = float(np.linalg.norm(place[:, None] - place[None], axis=2).max())
        size = int(np.clip(4 * np.pi * longest**2, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS))
        arrival = -place @ DirectionGrid.quasi_uniform(size).directions.T
        n_lags = few.gcc.shape[2]
        lag = np.rint((arrival[:, None] - arrival[None]) / LAG_STEP).astype(np.intp) + n_lags // 2
        self._lag = np.clip(lag, 0, n_lags - 1)
        first, second = few.mic_pairs.T
        late = np.rint((wiring.offsets[first] - wiring.offsets[second]) / LAG_STEP).astype(np.intp)
        read = np.clip(np.arange(n_lags) + late[:, None], 0, n_lags - 1)
        signs = (wiring.signs[first] * wiring.signs[second]).astype(np.float32)
        gcc = np.take_along_axis(few.gcc, read[:, None], axis=2) * signs[:, None, None]
        # frames last: one lag of all frames is read in one piece
        self._gcc = np.ascontiguousarray(_blurred(gcc, round(blur / LAG_STEP)).transpose(0, 2, 1))
        self._row = np.full((self.n_mics, self.n_mics), -1)
        self._row[first, second] = np.arange(len(few.mic_pairs))
        self.shape = (size, few.n_frames)

    def term(self, i: int, j: int, a: int, b: int) -> Floats:
        """Return the correlations of channels i and j at the delays between microphones a and b."""
        if i > j:
            i, j, a, b = j, i, b, a
        row = self._row[i, j]
        return np.zeros(self.shape, np.float32) if row < 0 else np.take(self._gcc[row], self._lag[a, b], axis=0)

    def joined(self, channel: int, mic: int, others: list[int], mics: list[int]) -> Floats:
        """Return the sum of one channel's correlations with others, each at a microphone."""
        total = np.zeros(self.shape, np.float32)
        for other, place in zip(others, mics, strict=True):
            total += self.term(channel, other, mic, place)
        return total

    def total(self, order: Order) -> Floats:
        """Return the sum over all pairs for channels at the microphones `order` (n_mics,)."""
        mics = order.tolist()
        parts = (self.joined(m, mics[m], list(range(m)), mics[:m]) for m in range(1, self.n_mics))
        return np.asarray(sum(parts, np.zeros(self.shape, np.float32)))

    def swaps(self, order: Order) -> Iterator[tuple[int, int, Floats]]:
        """Yield every pair of channels whose exchange is no symmetry, and the sum after it."""
        mics, channels = order.tolist(), list(range(self.n_mics))
        total = self.total(order)

        def share(channel: int, mic: int, without: int) -> Floats:
            others = [c for c in channels if c not in (channel, without)]
            return self.joined(channel, mic, others, [mics[c] for c in others])

        own = [share(m, mics[m], m) for m in channels]
        for i, j in itertools.combinations(channels, 2):
            if same_up_to_symmetry(self.positions, order, swapped(order, i, j)):
                continue
            after = total - own[i] - own[j] + self.term(i, j, mics[i], mics[j])
            after += share(i, mics[j], j)
            after += share(j, mics[i], i)
            yield i, j, after + self.term(i, j, mics[j], mics[i])


def swapped(order: Order, i: int, j: int) -> Order:
    """Return an order after the exchange of two channels."""
    after = order.copy()
    after[[i, j]] = after[[j, i]]
    return after


def improved_order(sums: PairSums, order: Order) -> tuple[float, Order]:
    """Return the score of an order after the exchanges that still help, the most helpful first, and the order."""
    reached = score(sums.total(order))
    for _ in range(_MOST_SWEEPS):
        tried = ((score(total), i, j) for i, j, total in sums.swaps(order))
        best, i, j = max(tried, default=(-np.inf, 0, 0))
        if best <= reached * (1 + _LEAST_STEP):
            break
        reached, order = best, swapped(order, i, j)
    return reached, order


def searched_orders(evidence: DelayEvidence, wiring: Wiring) -> list[Order]:
    """Return the orders that explain the delays best, whatever the given one, the best first.

    Channels are put at microphones one by one, those that lie farthest from the earlier ones first; of the beginnings
    the best few hundred are kept. The best complete orders are then improved by exchanges.

    Notes
    -----
    The beginning of the right order explains all its delays, so that it is among the best: wrong ones, that explain
    a few channels as well, fall behind with every channel.
    """
    coarse = PairSums(evidence, wiring, _SEARCH_FRAMES, blur=0.5)
    fine = PairSums(evidence, wiring, FRAMES)
    tried = [improved_order(fine, order) for order in _complete(coarse, _farthest_first(evidence))]
    found = {tuple(order): (reached, order) for reached, order in tried}
    return [order for _, order in sorted(found.values(), key=lambda item: -item[0])]


def _complete(sums: PairSums, channels: list[int]) -> list[Order]:
    """Return the best orders of a search that puts `channels` at microphones one by one."""
    n = sums.n_mics
    kept = _MOST_SUMS // max(sum(k * (n - k) for k in range(2, n)), 1)
    kept = int(np.clip(kept, 10, _MOST_KEPT))
    mics: list[list[int]] = [list(pair) for pair in itertools.permutations(range(n), 2)]
    totals = [sums.term(channels[0], channels[1], a, b) for a, b in mics]
    for k in range(2, n):
        channel, before = channels[k], channels[:k]
        tried = [
            (score(total + sums.joined(channel, new, before, chosen)), start, new)
            for start, (chosen, total) in enumerate(zip(mics, totals, strict=True))
            for new in range(n)
            if new not in chosen
        ]
        best = sorted(tried, key=lambda item: -item[0])[:kept]
        totals = [totals[start] + sums.joined(channel, new, before, mics[start]) for _, start, new in best]
        mics = [[*mics[start], new] for _, start, new in best]
    orders = np.empty((len(mics), n), dtype=np.int64)
    orders[:, channels] = mics
    different: list[Order] = []
    for order in orders:
        if len(different) < _IMPROVED and not any(same_up_to_symmetry(sums.positions, o, order) for o in different):
            different.append(order)
    return different


def _farthest_first(evidence: DelayEvidence) -> list[int]:
    """Return the channels so that each has long delays to all earlier ones."""
    n = evidence.n_mics
    lag = np.abs(np.abs(evidence.gcc).argmax(axis=2) - evidence.gcc.shape[2] // 2)
    first, second = evidence.mic_pairs.T
    long = np.zeros((n, n))
    long[first, second] = long[second, first] = np.quantile(lag, 0.8, axis=1)
    chosen = [int(c) for c in np.unravel_index(long.argmax(), long.shape)]
    while len(chosen) < n:
        rest = [c for c in range(n) if c not in chosen]
        chosen.append(max(rest, key=lambda c: long[c, chosen].min()))
    return chosen


def score(total: Floats) -> float:
    """Return the mean over frames of a sum's highest value."""
    return float(total.max(axis=0).mean())


def _blurred(gcc: Floats, n_steps: int) -> Floats:
    """Return correlations smoothed over lags (the last axis) with a triangle of so many steps on each side."""
    if n_steps < 2:
        return gcc
    weights = np.bartlett(2 * n_steps + 1)[1:-1] / n_steps
    padded = np.pad(gcc, ((0, 0), (0, 0), (n_steps - 1, n_steps - 1)), mode="edge")
    parts = (float(weight) * padded[:, :, k : k + gcc.shape[2]] for k, weight in enumerate(weights))
    return sum(parts, np.zeros_like(gcc))
