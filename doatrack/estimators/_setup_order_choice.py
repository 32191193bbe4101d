"""Which order of the channels recordings speak for, and how clearly."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from doatrack.estimators._setup_evidence import DelayEvidence, Wiring
from doatrack.estimators._setup_order_search import FRAMES, Order, PairSums, improved_order, score, searched_orders
from doatrack.estimators._setup_orders import orders_from_delays, usual_mistakes
from doatrack.estimators._setup_resampling import resampled_sums
from doatrack.estimators._setup_symmetry import same_up_to_symmetry

__all__ = ["OrderChoice"]

_CLEARLY_BETTER = 0.002  # share by which a searched order must beat one that a usual mistake leads to
_MOST_SEARCHED = 16  # microphones


class OrderChoice:
    """Orders for the evidence of short frames; what was searched once is kept.

    Short frames hear one wave at a time: also of a talker who stands still they see many directions, since early echoes
    come alone, and it takes many directions to tell orders apart.
    """

    def __init__(self, brief: DelayEvidence) -> None:
        self.brief = brief
        self._searched: dict[tuple[float, ...], list[Order]] = {}

    def candidates(self, wiring: Wiring) -> Iterator[tuple[Order, bool]]:
        """Yield orders worth trying, and whether they come of a usual mistake."""
        n, seen = self.brief.n_mics, {tuple(wiring.order)}
        choices = [(wiring.order[list(choice)], True) for choice in usual_mistakes(n)]
        choices += [(order, False) for order in self.searched(wiring)]
        for order, usual in choices:
            if tuple(order) not in seen and not same_up_to_symmetry(self.brief.positions, wiring.order, order):
                seen.add(tuple(order))
                yield order, usual

    def searched(self, wiring: Wiring) -> list[Order]:
        """Return the orders that explain the delays best, whatever the given one."""
        key = (*wiring.signs, *wiring.offsets, wiring.scale)
        if key not in self._searched:
            few = self.brief.n_mics <= _MOST_SEARCHED
            search = searched_orders if few else orders_from_delays
            self._searched[key] = search(self.brief, wiring)
        return self._searched[key]

    def settled(self, wiring: Wiring) -> Wiring:
        """Return the wiring with the best order: the given one after exchanges that help, or a clearly better one."""
        sums = PairSums(self.brief, wiring, FRAMES)
        best, order = improved_order(sums, wiring.order)
        for other in self.searched(wiring):
            value = score(sums.total(other))
            if value > best * (1 + _CLEARLY_BETTER):
                best, order = value, other
        return dataclasses.replace(wiring, order=order)

    def confidence(self, wiring: Wiring, generator: np.random.Generator) -> float:
        """Return the share of resampled recordings in which no exchange and no searched order is better."""
        sums = PairSums(self.brief, wiring, FRAMES)
        rows = [sums.total(wiring.order).max(axis=0)]
        rows += [total.max(axis=0) for _, _, total in sums.swaps(wiring.order)]
        rows += [
            sums.total(other).max(axis=0)
            for other in self.searched(wiring)
            if not same_up_to_symmetry(self.brief.positions, wiring.order, other)
        ]
        drawn = resampled_sums(np.stack(rows).astype(np.float64), sums.times, generator)
        return float((drawn[0] >= drawn.max(axis=0)).mean())
