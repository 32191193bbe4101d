"""Ways in which a set-up may differ from what was claimed, and which of them explains the delays better."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._setup_evidence import LAG_STEP, OFFSET_REACH, DelayEvidence, Wiring
from doatrack.estimators._setup_order_choice import OrderChoice
from doatrack.estimators._setup_resampling import resampled_sums
from doatrack.estimators._setup_symmetry import same_up_to_symmetry

__all__ = ["LEAST_GAIN", "SCALES", "Repair", "find_repairs"]

Array = NDArray[np.float64]

LEAST_GAIN = {"inverted": 0.08, "order": 0.03, "scale": 0.05, "offset": 0.05}
"""Share by which the mean correlation must grow; what set-ups without faults reach by chance stays below."""

_SURE = 0.95
_MOST_REPAIRS = 4
SCREENED = 24  # frames by which candidates are sorted
_LOOKED_AT = 3  # of each kind
_AS_GOOD = 0.85  # share of the best gain at which a change explains as much
_MOST_RARE = 3
SCALES = np.geomspace(0.4, 2.5, 31)
_LEAST_SCALE = 1.12  # echoes pull delays towards zero by some percent
_SHIFTS = np.arange(-OFFSET_REACH, OFFSET_REACH + LAG_STEP, LAG_STEP)
_LEAST_SHIFT = 0.75


@dataclasses.dataclass(frozen=True)
class Repair:
    """A change of the wiring that explains the delays better.

    `gain` is the share by which the mean correlation grows, `confidence` the share of resampled recordings (blocks of
    frames drawn again) in which it grows by half of the least gain of its kind; `rivals` are other kinds of change that
    explain nearly as much. `order_confidence` is the share of resampled recordings in which no other order is better.
    """

    kind: str
    before: Wiring
    after: Wiring
    gain: float
    confidence: float
    rivals: tuple[str, ...] = ()
    order_confidence: float = 1.0


def find_repairs(evidence: DelayEvidence, brief: DelayEvidence, generator: np.random.Generator) -> list[Repair]:
    """Return the repairs that help, the most helpful first, each on top of the earlier ones.

    `brief` holds the correlations of short frames, in which orders are searched.
    """
    wiring, repairs, choice = Wiring.as_given(evidence.n_mics), list[Repair](), OrderChoice(brief)
    while len(repairs) < _MOST_REPAIRS:
        found = _best_repair(evidence, wiring, choice, generator)
        if found is None:
            break
        repairs.append(found)
        wiring = found.after
    return repairs


def _best_repair(
    evidence: DelayEvidence, wiring: Wiring, choice: OrderChoice, generator: np.random.Generator
) -> Repair | None:
    helpful = _helpful(evidence, wiring, choice, generator)
    while helpful:
        found = _chosen(helpful)
        if found.kind != "order":
            return found
        after = choice.settled(found.after)
        if not same_up_to_symmetry(evidence.positions, wiring.order, after.order):
            sure = choice.confidence(after, generator)
            return dataclasses.replace(found, after=after, order_confidence=sure)
        # the short frames say that the order was right
        helpful = [item for item in helpful if item[1].kind != "order"]
    return None


def _helpful(
    evidence: DelayEvidence, wiring: Wiring, choice: OrderChoice, generator: np.random.Generator
) -> list[tuple[int, Repair]]:
    """Return the changes that help enough, each with its rarity."""
    few = evidence.thinned(SCREENED)
    usual = few.scores(wiring)[0].mean()
    tried = [
        ((few.scores(changed)[0].mean() / usual - 1) / LEAST_GAIN[kind], kind, rare, changed)
        for kind, rare, changed in _candidates(evidence, wiring, choice)
    ]
    now = evidence.scores(wiring)[0]
    helpful: list[tuple[int, Repair]] = []
    for kind, rare, changed in _most_promising(tried):
        gains = evidence.scores(changed)[0] - now
        gain = float(gains.mean() / now.mean())
        confidence = _confidence(gains, now, evidence.times, LEAST_GAIN[kind] / 2, generator)
        if gain >= LEAST_GAIN[kind] and confidence >= _SURE:
            helpful.append((rare, Repair(kind, wiring, changed, gain, confidence)))
    return helpful


def _chosen(helpful: list[tuple[int, Repair]]) -> Repair:
    """Return the most usual of the changes that explain nearly as much as the best."""
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


def _candidates(evidence: DelayEvidence, wiring: Wiring, choice: OrderChoice) -> Iterator[tuple[str, int, Wiring]]:
    """Yield kind, rarity and wiring: of two changes that explain as much, the more usual one is believed."""
    for m in range(evidence.n_mics):
        signs = wiring.signs.copy()
        signs[m] *= -1
        yield "inverted", 0, dataclasses.replace(wiring, signs=signs)
    for order, usual in choice.candidates(wiring):
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


def _confidence(gains: Array, now: Array, times: Array, least: float, generator: np.random.Generator) -> float:
    """Return the share of resampled recordings in which the mean correlation grows by the share `least`."""
    drawn = resampled_sums(np.stack([gains, now]), times, generator)
    return float((drawn[0] > least * drawn[1]).mean())
