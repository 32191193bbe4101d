"""The power that earlier sound is expected to leave, for sound that comes in parts."""

import dataclasses
import functools
from typing import Self

import torch
from torch import Tensor

from doatrack.features.parts import products

__all__ = ["Echo"]

_AT_ONCE = 64  # snapshots: one product instead of so many steps


@dataclasses.dataclass(frozen=True)
class Echo:
    """An exponentially fading mean of earlier power: r(t) = decay r(t - 1) + (1 - decay) p(t - delay).

    Parameters
    ----------
    level : Tensor of shape (n_freq,)
        r before the next snapshot.
    waiting : Tensor of shape (n_freq, delay)
        Power of the last snapshots, which does not count as reverberation yet.
    decay : float
        Factor from one snapshot to the next, below 1.

    Examples
    --------
    >>> power = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    >>> expected, _ = Echo.silence(power, delay=1, decay=0.5).then(power)
    >>> expected
    tensor([[0.0000, 0.5000, 0.2500, 0.1250]])
    """

    level: Tensor
    waiting: Tensor
    decay: float

    @classmethod
    def silence(cls, power: Tensor, delay: int, decay: float) -> Self:
        """Return the echo of nothing, for powers (n_freq, n_snapshots) of this kind."""
        return cls(power.new_zeros(len(power)), power.new_zeros(len(power), delay), decay)

    def then(self, power: Tensor, keep: int | None = None) -> tuple[Tensor, "Echo"]:
        """Return the power that is expected in the next snapshots, and the echo before a later one.

        Parameters
        ----------
        power : Tensor of shape (n_freq, n_snapshots)
        keep : int, optional
            The snapshot before which the echo is returned; None is the one after all.

        Returns
        -------
        expected : Tensor of shape (n_freq, n_snapshots)
        after : Echo
        """
        n_snapshots, n_waiting = power.shape[1], self.waiting.shape[1]
        # what was left before goes into the product as one more power
        known = torch.cat([self.level[:, None], self.waiting, power], dim=1)
        expected = _sounded(known[:, : 1 + n_snapshots], self.decay)
        end = n_snapshots if keep is None else keep
        level = self.level if end == 0 else expected[:, end - 1]
        return expected, Echo(level, known[:, 1 + end : 1 + end + n_waiting], self.decay)


def _sounded(powers: Tensor, decay: float) -> Tensor:
    """Return the fading mean (n_freq, n) of powers (n_freq, 1 + n), the first of which is the mean before."""
    parts: list[Tensor] = []
    for start in range(0, powers.shape[1] - 1, _AT_ONCE):
        some = powers[:, start : start + 1 + _AT_ONCE]
        if parts:
            some = torch.cat([parts[-1][:, -1:], some[:, 1:]], dim=1)
        parts.append(products(some, _response(some.shape[1] - 1, decay, some.dtype, some.device)))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


@functools.lru_cache(maxsize=256)
def _response(count: int, decay: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return what takes an earlier level and `count` powers to what is left of them, (1 + count, count)."""
    steps = torch.arange(count, dtype=torch.float64)
    ages = steps - steps[:, None]
    response = torch.where(ages >= 0, (1 - decay) * decay ** ages.clamp_min(0), torch.zeros_like(ages))
    return torch.cat([decay ** (steps + 1)[None], response]).to(device, dtype)
