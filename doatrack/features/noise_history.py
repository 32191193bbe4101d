"""Spectra of the last seconds from which noise is learned: not all, but spread evenly."""

import torch
from torch import Tensor

from doatrack.features.noise_statistics import snapshot_power

__all__ = ["NoiseHistory"]

_PARTS = 4  # of what is kept: so much waits at most


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

    def __init__(self, n_span: int, most: int) -> None:
        self._last_every = 1
        while n_span > most * self._last_every:
            self._last_every *= 2
        self._capacity = max(1, n_span // self._last_every)
        self.every = 1
        self._n_heard = self._n_kept = 0  # snapshots in the buffers' order; and those that the buffers hold
        # (n, n_freq, n_mics), written when they are asked for, or are many: rows of the buffers are far apart in
        # memory. In one place: small parts that come and go scatter all else that a stream computes
        self._waiting: Tensor | None = None
        self._most_waiting = max(1, self._capacity // _PARTS)
        self._n_chosen = self._n_waiting = 0  # that wait; and the snapshots that they were chosen from
        self._spectra: Tensor | None = None
        self._power: Tensor | None = None

    @property
    def spectra(self) -> Tensor:
        """What is kept, in any order, (n_freq, n, n_mics)."""
        self._write()
        assert self._spectra is not None
        return self._spectra[:, : self._n_kept]

    @property
    def power(self) -> Tensor:
        """Its `snapshot_power`, (n_freq, n)."""
        self._write()
        assert self._power is not None
        return self._power[:, : self._n_kept]

    @property
    def n_snapshots(self) -> int:
        """How many came so far."""
        return self._n_heard + self._n_waiting

    def between(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Return spectra and powers of what is kept of the snapshots `first` to `last` - 1, counted from the start.

        In the order in which they came, unless it is all there is.
        """
        spectra, power = self.spectra, self.power
        slots = torch.arange(self._n_kept, device=power.device)
        newest = -(-self._n_heard // self.every) - 1
        number = self.every * (newest - (newest - slots) % self._capacity)
        wanted = (number >= first) & (number < last)
        if wanted.all():
            return spectra, power
        order = number.argsort()
        chosen = order[wanted[order]]
        return spectra[:, chosen], power[:, chosen]

    def append(self, spectra: Tensor) -> None:
        """Add the next snapshots (n_freq, n, n_mics)."""
        chosen = self._chosen(spectra)
        if self._n_chosen + chosen.shape[1] > self._most_waiting:
            self._write()
            chosen = self._chosen(spectra)
        count = chosen.shape[1]
        if count > self._most_waiting:
            self._keep(chosen, spectra.shape[1])
            return
        if self._waiting is None:
            self._waiting = spectra.new_empty(self._most_waiting, len(spectra), spectra.shape[2])
        self._waiting[self._n_chosen : self._n_chosen + count] = chosen.transpose(0, 1)
        self._n_chosen += count
        self._n_waiting += spectra.shape[1]

    def _chosen(self, spectra: Tensor) -> Tensor:
        """Return those of the next snapshots that will be kept, as far as it is known."""
        return spectra[:, -(self._n_heard + self._n_waiting) % self.every :: self.every]

    def _write(self) -> None:
        """Bring what waits into the buffers."""
        if self._waiting is None or not self._n_waiting:
            return
        chosen, count = self._waiting[: self._n_chosen].transpose(0, 1), self._n_waiting
        self._n_chosen = self._n_waiting = 0
        self._keep(chosen, count)

    def _keep(self, spectra: Tensor, n_heard: int) -> None:
        """Bring what was chosen of the next so many snapshots into the buffers."""
        place = -(-self._n_heard // self.every)  # of the first of them, counted in those of this spacing
        self._n_heard += n_heard
        if self._spectra is None:
            shape = (len(spectra), self._capacity)
            self._spectra = spectra.new_empty(*shape, spectra.shape[2])
            self._power = torch.empty(shape, device=spectra.device)
        while self.every < self._last_every and self._n_heard > self._capacity * self.every:
            self._thin()
            spectra, place = spectra[:, place % 2 :: 2], (place + 1) // 2
        self._put_last(place, spectra)

    def _thin(self) -> None:
        """Keep every second one of what is kept."""
        assert self._spectra is not None
        assert self._power is not None
        self.every *= 2
        for kept in (self._spectra, self._power):
            rest = kept[:, : self._n_kept : 2].clone()
            kept[:, : rest.shape[1]] = rest
        self._n_kept = (self._n_kept + 1) // 2

    def _put_last(self, place: int, chosen: Tensor) -> None:
        """Write snapshots as `_put` does, of more than there is room for the last ones."""
        excess = max(0, chosen.shape[1] - self._capacity)
        self._put(place + excess, chosen[:, excess:])

    def _put(self, place: int, chosen: Tensor) -> None:
        """Write snapshots to a place and those after it, from the front again at the end."""
        assert self._spectra is not None
        assert self._power is not None
        while chosen.shape[1]:
            start = place % self._capacity
            room = self._capacity - start
            part, chosen = chosen[:, :room], chosen[:, room:]
            end = start + part.shape[1]
            self._spectra[:, start:end] = part
            self._power[:, start:end] = snapshot_power(part)
            self._n_kept, place = max(self._n_kept, end), place + part.shape[1]
