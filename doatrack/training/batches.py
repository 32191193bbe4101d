"""Batches of crops from a feature store."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from doatrack.features import FeatureStore

__all__ = ["Batch", "CropSampler"]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Crops of several recordings, and the pairs they were taken from.

    Parameters
    ----------
    gcc : Tensor of shape (n_crops, n_frames, n_pairs, n_lags)
    activity : Tensor of shape (n_crops, n_frames)
        1 where there is sound, 0 elsewhere and in padding.
    valid : Tensor of shape (n_crops, n_frames)
        0 in padding.
    pairs : Tensor of shape (n_pairs,)
        Index of each pair among all pairs of the array.

    Examples
    --------
    >>> heard = torch.ones(2, 10)
    >>> batch = Batch(torch.zeros(2, 10, 6, 5), heard, heard, torch.arange(6))
    >>> int(batch.activity.sum())
    20
    """

    gcc: Tensor
    activity: Tensor
    valid: Tensor
    pairs: Tensor


class CropSampler:
    """Cut every recording into crops at random places, once per epoch, in random order.

    Parameters
    ----------
    store : FeatureStore
    n_pairs : int
        Pairs of the array.
    crop_frames : int
        Frames of a crop; shorter recordings are padded.
    batch_size : int
        Crops per batch; the last batch may have fewer.
    pairs_per_step : int
        Random pairs looked at in one step.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(pathlib.Path(folder) / "gcc", n_pairs=6, n_lags=5)
    ...     store.write(torch.zeros(30, 6, 5))
    ...     store.close_recording(np.ones(30, dtype=bool))
    ...     sampler = CropSampler(store, 6, crop_frames=10, batch_size=2, pairs_per_step=4)
    ...     [tuple(batch.gcc.shape) for batch in sampler(torch.Generator().manual_seed(0))]
    [(2, 10, 4, 5), (1, 10, 4, 5)]
    """

    def __init__(
        self, store: FeatureStore, n_pairs: int, *, crop_frames: int, batch_size: int, pairs_per_step: int
    ) -> None:
        self._store = store
        self._n_pairs = n_pairs
        self._crop_frames = crop_frames
        self._batch_size = batch_size
        self._pairs_per_step = min(pairs_per_step, n_pairs)
        counts = [max(1, round(store.n_frames(k) / crop_frames)) for k in range(len(store))]
        # a recording without sound teaches nothing
        self._crops = [k for k, count in enumerate(counts) if store.activities[k].any() for _ in range(count)]

    @property
    def n_steps(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._crops) // self._batch_size)

    def __call__(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = torch.randperm(len(self._crops), generator=generator).tolist()
        for start in range(0, len(order), self._batch_size):
            pairs = torch.randperm(self._n_pairs, generator=generator)[: self._pairs_per_step].sort().values
            crops = [self._crop(self._crops[k], pairs, generator) for k in order[start : start + self._batch_size]]
            length = max(len(gcc) for gcc, _ in crops)
            yield Batch(
                gcc=torch.stack([_pad(gcc, length) for gcc, _ in crops]),
                activity=torch.stack([_pad(activity, length) for _, activity in crops]),
                valid=torch.stack([_pad(torch.ones(len(gcc)), length) for gcc, _ in crops]),
                pairs=pairs,
            )

    def _crop(self, recording: int, pairs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        room = max(self._store.n_frames(recording) - self._crop_frames, 0)
        start = int(torch.randint(room + 1, (), generator=generator))
        gcc, activity = self._store.crop(recording, start, self._crop_frames, pairs)
        return gcc, activity.float()


def _pad(values: Tensor, length: int) -> Tensor:
    missing = length - len(values)
    return torch.cat([values, values.new_zeros(missing, *values.shape[1:])]) if missing else values
