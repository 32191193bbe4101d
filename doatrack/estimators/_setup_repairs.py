"""Ways in which a set-up may differ from what was claimed, and which of them explains the delays better."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from doatrack.estimators._setup_evidence import DelayEvidence, Wiring

__all__ = ["LEAST_GAIN", "SCALES", "Repair", "find_repairs", "plainest_order", "same_up_to_symmetry", "symmetries"]

Array = NDArray[np.float64]

LEAST_GAIN = {"inverted": 0.08, "order": 0.03, "scale": 0.05, "offset": 0.05}
"""Share by which the mean correlation must grow; what set-ups without faults reach by chance stays below."""

_SURE = 0.95
_MOST_REPAIRS = 4
SCREENED = 24  # frames by which candidates are sorted
_LOOKED_AT = 3  # of each kind
_AS_GOOD = 0.85  # share of the best gain at which a change explains as much
_MOST_RARE = 3
_RESAMPLES = 400
_BLOCK_S = 0.5
SCALES = np.geomspace(0.4, 2.5, 31)
_LEAST_SCALE = 1.12  # echoes pull delays towards zero by some percent
_ALL_ORDERS = 5  # arrays of up to so many microphones are searched completely
_STARTS = 12
_SHIFTS = np.arange(-12.0, 12.25, 0.25)
_LEAST_SHIFT = 0.75
_SAME_M = 0.004
_LEAST_REFINEMENT = 0.002


@dataclasses.dataclass(frozen=True)
class Repair:
    """A change of the wiring that explains the delays better.

    `gain` is the share by which the mean correlation grows, `confidence` the share of resampled recordings (blocks of
    frames drawn again) in which it grows by half of the least gain of its kind; `rivals` are other kinds of change that
    explain nearly as much.
    """

    kind: str
    before: Wiring
    after: Wiring
    gain: float
    confidence: float
    rivals: tuple[str, ...] = ()


def find_repairs(evidence: DelayEvidence, generator: np.random.Generator) -> list[Repair]:
    """Return the repairs that help, the most helpful first, each on top of the earlier ones."""
    wiring, repairs = Wiring.as_given(evidence.n_mics), list[Repair]()
    while len(repairs) < _MOST_REPAIRS:
        found = _best_repair(evidence, wiring, generator)
        if found is None:
            break
        if found.kind == "order":
            found = dataclasses.replace(found, after=_refined(evidence, found.after))
        repairs.append(found)
        wiring = found.after
    return repairs


def _best_repair(evidence: DelayEvidence, wiring: Wiring, generator: np.random.Generator) -> Repair | None:
    few = evidence.thinned(SCREENED)
    usual = few.scores(wiring)[0].mean()
    tried = [
        ((few.scores(changed)[0].mean() / usual - 1) / LEAST_GAIN[kind], kind, rare, changed)
        for kind, rare, changed in _candidates(evidence, wiring, generator)
    ]
    now = evidence.scores(wiring)[0]
    helpful: list[tuple[int, Repair]] = []
    for kind, rare, changed in _most_promising(tried):
        gains = evidence.scores(changed)[0] - now
        gain = float(gains.mean() / now.mean())
        confidence = _confidence(gains, now, evidence.times, LEAST_GAIN[kind] / 2, generator)
        if gain >= LEAST_GAIN[kind] and confidence >= _SURE:
            helpful.append((rare, Repair(kind, wiring, changed, gain, confidence)))
    if not helpful:
        return None
    best = max(repair.gain for _, repair in helpful)
    equal = [(rare, -repair.gain, k) for k, (rare, repair) in enumerate(helpful) if repair.gain >= _AS_GOOD * best]
    chosen = helpful[min(equal)[2]][1]
    rivals = {repair.kind for _, repair in helpful if repair.gain >= _AS_GOOD * chosen.gain} - {chosen.kind}
    return dataclasses.replace(chosen, rivals=tuple(sorted(rivals)))


def _most_promising(tried: list[tuple[float, str, int, Wiring]]) -> list[tuple[str, int, Wiring]]:
    """Return the best few changes of each kind that may be worth it."""
    ranked = sorted((item for item in tried if item[0] >= 0.5), key=lambda item: -item[0])
    chosen: list[tuple[str, int, Wiring]] = []
    for kind in LEAST_GAIN:
        for rarity in range(_MOST_RARE + 1):
            alike = [item for item in ranked if item[1] == kind and item[2] == rarity]
            chosen += [(kind, rarity, wiring) for _, _, _, wiring in alike[:_LOOKED_AT]]
    return chosen


def _candidates(
    evidence: DelayEvidence, wiring: Wiring, generator: np.random.Generator
) -> Iterator[tuple[str, int, Wiring]]:
    """Yield kind, rarity and wiring: of two changes that explain as much, the more usual one is believed."""
    for m in range(evidence.n_mics):
        signs = wiring.signs.copy()
        signs[m] *= -1
        yield "inverted", 0, dataclasses.replace(wiring, signs=signs)
    for order, usual in _orders(evidence, wiring, generator):
        yield "order", 1 if usual else _MOST_RARE, dataclasses.replace(wiring, order=order)
    for scale in SCALES[np.abs(np.log(SCALES / wiring.scale)) > np.log(_LEAST_SCALE)]:
        yield "scale", 1, dataclasses.replace(wiring, scale=float(scale))
    if evidence.n_mics > 3:
        for m in range(evidence.n_mics):
            offsets = wiring.offsets.copy()
            offsets[m] += _shift(evidence, wiring, m)
            if abs(offsets[m] - wiring.offsets[m]) >= _LEAST_SHIFT:
                yield "offset", _MOST_RARE, dataclasses.replace(wiring, offsets=offsets)


def _shift(evidence: DelayEvidence, wiring: Wiring, channel: int) -> float:
    """Return by how many samples a channel is late, by the directions that the others find."""
    others = ~(evidence.mic_pairs == channel).any(axis=1)
    if not others.any():
        return 0.0
    curve = evidence.aligned(wiring, channel, evidence.scores(wiring, others)[1], _SHIFTS)
    return float(_SHIFTS[curve.mean(axis=1).argmax()])


def _orders(
    evidence: DelayEvidence, wiring: Wiring, generator: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], bool]]:
    """Yield orders worth trying (all of few microphones; those that delays suggest), and whether they are usual."""
    n, seen = evidence.n_mics, {tuple(wiring.order)}
    others: Iterable[Sequence[int]] = (
        itertools.permutations(range(n)) if n <= _ALL_ORDERS else _from_delays(evidence, wiring, generator)
    )
    choices = itertools.chain(((c, True) for c in _usual_mistakes(n)), ((c, False) for c in others))
    for choice, usual in choices:
        order = wiring.order[list(choice)]
        if tuple(order) not in seen and not same_up_to_symmetry(evidence.positions, wiring.order, order):
            seen.add(tuple(order))
            yield order, usual


def _usual_mistakes(n: int) -> Iterator[list[int]]:
    given = list(range(n))
    yield given[::-1]
    for k in range(1, n):
        yield given[k:] + given[:k]
    yield given[::2] + given[1::2]
    yield [*given[: (n + 1) // 2 * 2 : 2], *given[1::2]][::-1]
    half = (n + 1) // 2
    yield [k // 2 if k % 2 == 0 else half + k // 2 for k in given]
    yield [k ^ 1 if k ^ 1 < n else k for k in given]
    for i, j in itertools.combinations(given, 2):
        swapped = given.copy()
        swapped[i], swapped[j] = j, i
        yield swapped


def _from_delays(evidence: DelayEvidence, wiring: Wiring, generator: np.random.Generator) -> Iterator[list[int]]:
    """Yield orders from alternating between directions and the assignment of channels to microphones."""
    arrival, weight = _arrivals(evidence, wiring)
    place = evidence.positions - evidence.positions.mean(axis=0)
    place = place[wiring.order] * wiring.scale * evidence.samples_per_metre
    wanted = -place @ evidence.directions(wiring).T  # arrival of each direction, (n_mics, n_directions)
    for start in range(_STARTS):
        order = np.arange(evidence.n_mics) if start == 0 else generator.permutation(evidence.n_mics)
        for _ in range(15):
            # the nearest direction of each frame, then the nearest microphone of each channel
            mismatch = (wanted**2).sum(axis=0)[None] - 2 * arrival.T @ wanted[order]
            heard = wanted[:, mismatch.argmin(axis=1)]
            cost = ((arrival[:, None] - heard[None]) ** 2 * weight).clip(max=9.0).sum(axis=2)
            found = linear_sum_assignment(cost)[1]
            if (found == order).all():
                break
            order = found
        yield order.tolist()


def _arrivals(evidence: DelayEvidence, wiring: Wiring) -> tuple[Array, Array]:
    """Return times of arrival relative to their mean in samples, (n_mics, n_frames), and weights of frames."""
    gcc = evidence.gcc * (wiring.signs[evidence.mic_pairs].prod(axis=1))[:, None, None]
    peak = gcc.argmax(axis=2)
    delays = (peak - gcc.shape[2] // 2) * 0.25
    height = np.take_along_axis(gcc, peak[:, :, None], axis=2)[:, :, 0].astype(np.float64)
    arrivals = np.empty((evidence.n_mics, evidence.n_frames))
    design = np.zeros((len(evidence.mic_pairs), evidence.n_mics))
    rows = np.arange(len(evidence.mic_pairs))
    design[rows, evidence.mic_pairs[:, 0]], design[rows, evidence.mic_pairs[:, 1]] = 1.0, -1.0
    for t in range(evidence.n_frames):
        trust = height[:, t] ** 2
        for _ in range(4):  # reweighted: wrong peaks lose their say
            solution = np.linalg.lstsq(design * trust[:, None] ** 0.5, delays[:, t] * trust**0.5, rcond=None)[0]
            trust = height[:, t] ** 2 / (1 + (design @ solution - delays[:, t]) ** 2)
        arrivals[:, t] = solution - solution.mean()
    return arrivals, height.mean(axis=0)


def same_up_to_symmetry(positions: Array, first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Say whether two orders differ by a turn or mirror image of the array: all delays agree, in a turned world."""
    one, other = positions[first], positions[second]
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (one, other)]
    return bool(np.abs(distances[0] - distances[1]).max() < _SAME_M)


def _refined(evidence: DelayEvidence, wiring: Wiring) -> Wiring:
    """Return the wiring after the swaps that still help, however little: the right order, not only a better one."""
    evidence = evidence.thinned(SCREENED)
    score = evidence.scores(wiring)[0].mean()
    for _ in range(evidence.n_mics):
        tried = []
        for i, j in itertools.combinations(range(evidence.n_mics), 2):
            order = wiring.order.copy()
            order[[i, j]] = order[[j, i]]
            swapped = dataclasses.replace(wiring, order=order)
            tried.append((evidence.scores(swapped)[0].mean(), swapped))
        best = max(tried, key=lambda item: item[0])
        if best[0] <= score * (1 + _LEAST_REFINEMENT):
            return wiring
        score, wiring = best
    return wiring


def symmetries(positions: Array, most: int = 64) -> list[list[int]]:
    """Return the orders that only turn or mirror an array, the given one first; at most `most`."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    found: list[list[int]] = []

    def extend(chosen: list[int]) -> None:
        if len(found) == most:
            return
        m = len(chosen)
        if m == len(positions):
            found.append(chosen)
            return
        for place in range(len(positions)):
            fits = place not in chosen and (np.abs(distances[place, chosen] - distances[m, :m]) < _SAME_M).all()
            if fits:
                extend([*chosen, place])

    extend([])
    return found


def plainest_order(positions: Array, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order that moves the fewest channels, of those that differ from one by a turn or mirror image."""
    turned = [np.array(each)[order] for each in symmetries(positions)]
    return max(turned, key=lambda each: int((each == np.arange(len(order))).sum()))


def _confidence(gains: Array, now: Array, times: Array, least: float, generator: np.random.Generator) -> float:
    """Return the share of resampled recordings in which the mean correlation grows by the share `least`."""
    block = np.unique(np.floor(times / _BLOCK_S), return_inverse=True)[1]
    n_blocks = int(block.max()) + 1
    sums = np.stack([np.bincount(block, values, n_blocks) for values in (gains, now)])
    drawn = sums[:, generator.integers(n_blocks, size=(_RESAMPLES, n_blocks))].sum(axis=2)
    return float((drawn[0] > least * drawn[1]).mean())
