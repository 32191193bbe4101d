"""Spectra of the last seconds from which noise is learned: not all, but spread evenly."""

import torch
from torch import Tensor

from doatrack.features.noise_statistics import snapshot_power

__all__ = ["NoiseHistory"]

_MOST = 320
"""Snapshots kept. They overlap by three quarters, and neighbours tell nearly the same of noise: every fourth one of 20 s
gives the same directions (docs/notes.md), and a quarter of memory and time."""


class NoiseHistory:
    """Spectra (n_freq, n, n_mics) and powers of snapshots of the last span, of bounded number.

    All snapshots while these are few; then every second one, every fourth, until the span is full. Which ones are kept
    depends on how many there were, not on the parts in which they came.

    Parameters
    ----------
    n_span : int
        Snapshots that the span holds.
    most : int
        Of them that are kept at most.

    Attributes
    ----------
    every : int
        How many snapshots each kept one stands for.

    Examples
    --------
    >>> history = NoiseHistory(n_span=6, most=3)
    >>> history.append(torch.arange(9.0)[None, :, None] + 0j)
    >>> history.spectra.real.flatten().sort().values, history.every
    (tensor([4., 6., 8.]), 2)
    """

    def __init__(self, n_span: int, most: int = _MOST) -> None:
        self._last_every = 1
        while n_span > most * self._last_every:
            self._last_every *= 2
        self._capacity = max(1, n_span // self._last_every)
        self.every = 1
        self._n_heard = self._n_kept = 0  # since the start; and of them those that were ever kept
        self._spectra: Tensor | None = None
        self._power: Tensor | None = None

    @property
    def spectra(self) -> Tensor:
        """What is kept, in any order, (n_freq, n, n_mics)."""
        assert self._spectra is not None
        return self._spectra[:, : self._n_kept]

    @property
    def power(self) -> Tensor:
        """Its `snapshot_power`, (n_freq, n)."""
        assert self._power is not None
        return self._power[:, : self._n_kept]

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots (n_freq, n, n_mics)."""
        first = self._n_heard
        self._n_heard += spectra.shape[1]
        if self._spectra is None:
            shape = (len(spectra), self._capacity)
            self._spectra = spectra.new_empty(*shape, spectra.shape[2])
            self._power = torch.empty(shape, device=spectra.device)
        while self.every < self._last_every and self._n_heard > self._capacity * self.every:
            self._thin()
        chosen = spectra[:, -first % self.every :: self.every]
        place = -(-first // self.every)
        excess = max(0, chosen.shape[1] - self._capacity)
        self._put(place + excess, chosen[:, excess:])

    def _thin(self) -> None:
        """Keep every second one of what is kept."""
        assert self._spectra is not None
        assert self._power is not None
        self.every *= 2
        for kept in (self._spectra, self._power):
            rest = kept[:, : self._n_kept : 2].clone()
            kept[:, : rest.shape[1]] = rest
        self._n_kept = (self._n_kept + 1) // 2

    def _put(self, place: int, chosen: Tensor) -> None:
        """Write snapshots to a place and those after it, from the front again at the end."""
        assert self._spectra is not None
        assert self._power is not None
        while chosen.shape[1]:
            start = place % self._capacity
            part, chosen = chosen.tensor_split([self._capacity - start], dim=1)
            end = start + part.shape[1]
            self._spectra[:, start:end] = part
            self._power[:, start:end] = snapshot_power(part)
            self._n_kept, place = max(self._n_kept, end), place + part.shape[1]
