"""Orders of channels that only turn or mirror an array: no recording tells them apart."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["plainest_order", "same_up_to_symmetry", "symmetries"]

Array = NDArray[np.float64]

_SAME_M = 0.004


def same_up_to_symmetry(positions: Array, first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Say whether two orders differ by a turn or mirror image of the array: all delays agree, in a turned world."""
    one, other = positions[first], positions[second]
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (one, other)]
    return bool(np.abs(distances[0] - distances[1]).max() < _SAME_M)


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
