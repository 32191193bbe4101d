"""Stores of features that several processes wrote, read as one."""

import copy
import zlib
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.store import FeatureStore

__all__ = ["FeatureShards"]


class FeatureShards:
    """Recordings dealt out to stores in turn: recording k is number k // n of store k % n.

    Parameters
    ----------
    stores : sequence of FeatureStore
        Of n processes, in their order; their files must be readable here.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stores = [FeatureStore(pathlib.Path(folder) / name, n_rows=1, n_columns=2) for name in "ab"]
    ...     for k in range(3):                                             # three recordings of k + 1 frames
    ...         stores[k % 2].write(torch.full((k + 1, 1, 2), float(k)))
    ...         stores[k % 2].close_recording(np.ones(k + 1, dtype=bool))
    ...     shards = FeatureShards(stores)
    ...     len(shards), shards.n_frames(2), float(shards.crop(2, 0, 1, torch.tensor([0]))[0].mean())
    (3, 3, 2.0)
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self._stores = list(stores)
        self.n_rows, self.n_columns = stores[0].n_rows, stores[0].n_columns

    def __len__(self) -> int:
        return sum(map(len, self._stores))

    @property
    def n_bytes(self) -> int:
        """The size of all files."""
        return sum(store.n_bytes for store in self._stores)

    @property
    def checksum(self) -> int:
        """That of one store with the same recordings."""
        sums = [store.checksums[index] for store, index in map(self._place, range(len(self)))]
        return zlib.crc32(np.array(sums, dtype=np.uint32).tobytes())

    @property
    def activities(self) -> list[NDArray[np.bool_]]:
        """Where each recording holds sound."""
        return [store.activities[index] for store, index in map(self._place, range(len(self)))]

    def resident(self, device: torch.device | str) -> Self:
        """Return the same for reading, all of it in the memory of a device."""
        kept = copy.copy(self)
        kept._stores = [store.resident(device) for store in self._stores]
        return kept

    def n_frames(self, recording: int) -> int:
        """Return the number of frames of a recording."""
        store, index = self._place(recording)
        return store.n_frames(index)

    def teaches(self, recording: int) -> bool:
        """Return whether anything can be learned from a recording."""
        store, index = self._place(recording)
        return store.teaches(index)

    def crop(self, recording: int, start: int, length: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames of some rows, and their activity, as `FeatureStore.crop`."""
        store, index = self._place(recording)
        return store.crop(index, start, length, rows)

    def truth(self, recording: int, start: int, length: int) -> Tensor | None:
        """Return the directions of the frames that `crop` gives."""
        store, index = self._place(recording)
        return store.truth(index, start, length)

    def _place(self, recording: int) -> tuple[FeatureStore, int]:
        return self._stores[recording % len(self._stores)], recording // len(self._stores)
