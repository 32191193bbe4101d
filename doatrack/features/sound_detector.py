"""Sound against a tracked noise floor, block by block: what `sound_activity` is made of."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["ACTIVITY_BLOCK_S", "N_BANDS", "SoundDetector", "SoundRatio"]

ACTIVITY_BLOCK_S = 0.032
N_BANDS = 24
_FLOOR_WINDOW_S = 3.0
_MINIMUM_BIAS = 1.7  # a windowed minimum of smoothed noise power lies this factor below its mean
_FLOOR_BLOCKS = round(_FLOOR_WINDOW_S / ACTIVITY_BLOCK_S)
_AROUND = (_FLOOR_BLOCKS // 2, _FLOOR_BLOCKS - _FLOOR_BLOCKS // 2 - 1)
_FORGET = 10 ** (-0.05 * ACTIVITY_BLOCK_S)
"""Of the loudest block, per block: 0.5 dB a second, so that one knock does not make a day's stream deaf."""
_MOST_AT_ONCE = 1 << 14  # blocks, nine minutes
_THRESHOLD = 0.5  # mean log-likelihood ratio per band (nats)
_Reduction = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


class SoundDetector:
    """`sound_activity` for blocks that come one after the other, in bounded memory.

    Parameters
    ----------
    causal : bool

    Attributes
    ----------
    look_ahead : int
        Blocks that must follow one before it is decided.

    Examples
    --------
    >>> import torch
    >>> detector = SoundDetector()
    >>> power = torch.ones(60, 24)
    >>> len(detector.push(power)), len(detector.flush()), detector.look_ahead
    (11, 49, 49)
    """

    def __init__(self, *, causal: bool = False) -> None:
        self._ratio = SoundRatio(causal=causal)
        self._mean = _Sliding(_mean_of, *((2, 0) if causal else (1, 1)))
        self.look_ahead = self._ratio.look_ahead + self._mean.ahead

    def push(self, power: Tensor) -> NDArray[np.bool_]:
        """Take blocks (n_blocks, n_bands), and return which of those that are decided now are active."""
        return np.asarray(self._mean.push(self._ratio.push(power)) > _THRESHOLD)

    def flush(self) -> NDArray[np.bool_]:
        """Decide all blocks there are, as if the last one went on; what follows knows them all the same."""
        return np.asarray(self._mean.push(self._ratio.flush(), last=True) > _THRESHOLD)


class SoundRatio:
    """`likelihood_ratio` for blocks that come one after the other.

    Parameters
    ----------
    causal : bool

    Attributes
    ----------
    look_ahead : int
        Blocks that must follow one before its ratio is known.

    Examples
    --------
    >>> import torch
    >>> SoundRatio(causal=True).push(torch.ones(3, 24)).tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(self, *, causal: bool = False) -> None:
        smooth, floor = ((4, 0), (_FLOOR_BLOCKS - 1, 0)) if causal else ((2, 2), _AROUND)
        self._smooth, self._floor = _Sliding(_mean_of, *smooth), _Sliding(_least_of, *floor)
        self.look_ahead = self._smooth.ahead + self._floor.ahead
        self._own = _Sliding(_first_of, 0, self.look_ahead)
        # of the block that is the last one of the floor's window
        self._loudest = _Sliding(_first_of, 0, self._smooth.ahead, skip=floor[1])
        self._level: NDArray[np.float64] | None = None

    def push(self, power: Tensor) -> NDArray[np.float64]:
        """Take blocks (n_blocks, n_bands), and return the ratios that are known now."""
        return self._taken(np.asarray(power.double().cpu().numpy()), last=False)

    def flush(self) -> NDArray[np.float64]:
        """Return all ratios there are, as if the last block went on."""
        return self._taken(np.zeros((0, N_BANDS)), last=True)

    def _taken(self, values: NDArray[np.float64], *, last: bool) -> NDArray[np.float64]:
        own = self._own.push(values, last=last)
        least = self._floor.push(self._smooth.push(values, last=last), last=last)
        # nothing 60 dB below a band's loudest block counts: digital silence has no meaningful floor
        # sums instead of means, and minima instead of clipping: what the calls cost counts, in a stream
        loudest = self._loudest.push(self._levels(values), last=last)
        lowest = 1e-6 / N_BANDS * np.add.reduce(loudest, axis=1, keepdims=True) + 1e-20
        snr = np.maximum(own / (_MINIMUM_BIAS * least + lowest), 1.0)
        ratio = np.minimum(snr - np.log(snr) - 1, 5.0)
        return np.asarray(np.minimum(np.add.reduce(ratio, axis=1) / N_BANDS, 2.5 * _THRESHOLD))

    def _levels(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the power of the loudest block of each band so far, slowly forgotten."""
        if len(values) > _MOST_AT_ONCE:
            # what is very old would weigh more than numbers can
            starts = range(0, len(values), _MOST_AT_ONCE)
            return np.concatenate([self._levels(values[start : start + _MOST_AT_ONCE]) for start in starts])
        if len(values) == 0:
            return values
        before = values[:1] if self._level is None else self._level
        # the largest one so far of what each would be now, forgotten as much as it is old
        growth = _FORGET ** -np.arange(len(values) + 1.0)[:, None]
        rows = np.maximum.accumulate(np.concatenate([before, values]) * growth, axis=0) / growth
        self._level = rows[-1:]
        return rows[1:]


class _Sliding:
    """Reduce the window of `back` earlier and `ahead` later rows around each row, the first and last one held.

    The reduction gets rows and the width of a window, and returns one row per window. `skip`: a window lies so many
    rows later.
    """

    def __init__(self, reduce: _Reduction, back: int, ahead: int, skip: int = 0) -> None:
        self._reduce, self._back, self._skip = reduce, back, skip
        self.ahead = ahead + skip
        self._kept: NDArray[np.float64] | None = None

    def push(self, rows: NDArray[np.float64], *, last: bool = False) -> NDArray[np.float64]:
        """Take rows, and return what is known now; after the `last` ones all, and more may follow."""
        if self._back == self.ahead == 0:
            return rows
        if self._kept is None:
            if len(rows) == 0:
                return rows
            self._kept = np.repeat(rows[:1], self._back, axis=0)
        known = np.concatenate([self._kept, rows])
        n_known = max(0, len(known) - self._back - (0 if last else self.ahead))
        self._kept = known[n_known:]
        if n_known == 0:
            return known[:0]
        held = np.concatenate([known, np.repeat(known[-1:], self.ahead, axis=0)]) if last else known
        width = self._back + 1 + self.ahead - self._skip
        return self._reduce(held[self._skip : self._skip + n_known + width - 1], width)


def _first_of(rows: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return rows[: len(rows) - width + 1]


def _mean_of(rows: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    # sums of twice the width, again and again, side by side: fewer calls than one for each row
    count, done, reach = len(rows) - width + 1, 0, 1
    total = np.zeros_like(rows[:count])
    while reach <= width:
        if width & reach:
            total = rows[done : done + count] + total
            done += reach
        rows = rows[:-reach] + rows[reach:]
        reach *= 2
    return total / width


def _least_of(rows: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    # minima of twice the width, again and again, then two that overlap
    reach = 1
    while 2 * reach <= width:
        rows = np.minimum(rows[:-reach], rows[reach:])
        reach *= 2
    return np.minimum(rows[: len(rows) - (width - reach)], rows[width - reach :])
