"""Orders of channels worth trying: the usual mistakes, and what measured delays suggest for many microphones."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from doatrack.estimators._setup_evidence import LAG_STEP, DelayEvidence, Wiring

__all__ = ["orders_from_delays", "usual_mistakes"]

Array = NDArray[np.float64]

_STARTS = 12


def usual_mistakes(n: int) -> Iterator[list[int]]:
    """Yield the orders that plugs and converters come to by mistake, each a list of n channels."""
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


def orders_from_delays(evidence: DelayEvidence, wiring: Wiring) -> list[NDArray[np.int64]]:
    """Return orders from alternating between directions and the assignment of channels to microphones."""
    generator = np.random.default_rng(0)
    arrival, weight = _arrivals(evidence, wiring)
    place = evidence.positions - evidence.positions.mean(axis=0)
    place = place[wiring.order] * wiring.scale * evidence.samples_per_metre
    wanted = -place @ evidence.directions(wiring).T  # arrival of each direction, (n_mics, n_directions)
    orders = []
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
        orders.append(wiring.order[order])
    return orders


def _arrivals(evidence: DelayEvidence, wiring: Wiring) -> tuple[Array, Array]:
    """Return times of arrival relative to their mean in samples, (n_mics, n_frames), and weights of frames."""
    gcc = evidence.gcc * (wiring.signs[evidence.mic_pairs].prod(axis=1))[:, None, None]
    peak = gcc.argmax(axis=2)
    delays = (peak - gcc.shape[2] // 2) * LAG_STEP
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
