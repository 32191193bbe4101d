"""Batches of crops from a feature store."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from doatrack.features import FeatureStore

__all__ = ["Batch", "CropSampler"]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Crops of several recordings, and the rows (microphone pairs, or a map's elevations) they were taken from.

    Parameters
    ----------
    features : Tensor of shape (n_crops, n_frames, n_rows, n_columns)
    activity : Tensor of shape (n_crops, n_frames)
        1 where there is sound, 0 elsewhere and in padding.
    valid : Tensor of shape (n_crops, n_frames)
        0 in padding.
    rows : Tensor of shape (n_rows,)
        Index of each row among all rows of a frame.
    doa : Tensor of shape (n_crops, n_frames, 3), optional
        Directions to be learned; NaN in frames that do not count, and in padding.
    target : Tensor of shape (n_crops, n_frames, n_directions), optional
        Distributions to be learned; 0 in padding.

    Examples
    --------
    >>> heard = torch.ones(2, 10)
    >>> batch = Batch(torch.zeros(2, 10, 6, 5), heard, heard, torch.arange(6))
    >>> int(batch.activity.sum())
    20
    """

    features: Tensor
    activity: Tensor
    valid: Tensor
    rows: Tensor
    doa: Tensor | None = None
    target: Tensor | None = None


class CropSampler:
    """Cut every recording into crops at random places, once per epoch, in random order.

    Parameters
    ----------
    store : FeatureStore
    crop_frames : int
        Frames of a crop; shorter recordings are padded.
    batch_size : int
        Crops per batch; the last batch may have fewer.
    rows_per_step : int, optional
        Random rows (microphone pairs) looked at in one step; None takes all.
    targets : FeatureStore, optional
        Distributions to be learned, frame by frame the same recordings, of one row.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(pathlib.Path(folder) / "gcc", n_rows=6, n_columns=5)
    ...     store.write(torch.zeros(30, 6, 5))
    ...     store.close_recording(np.ones(30, dtype=bool))
    ...     sampler = CropSampler(store, crop_frames=10, batch_size=2, rows_per_step=4)
    ...     [tuple(batch.features.shape) for batch in sampler(torch.Generator().manual_seed(0))]
    [(2, 10, 4, 5), (1, 10, 4, 5)]
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        crop_frames: int,
        batch_size: int,
        rows_per_step: int | None = None,
        targets: FeatureStore | None = None,
    ) -> None:
        self._store = store
        self._targets = targets
        self._crop_frames = crop_frames
        self._batch_size = batch_size
        self._rows_per_step = store.n_rows if rows_per_step is None else min(rows_per_step, store.n_rows)
        counts = [max(1, round(store.n_frames(k) / crop_frames)) for k in range(len(store))]
        self._crops = [k for k, count in enumerate(counts) if store.teaches(k) for _ in range(count)]

    @property
    def n_steps(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._crops) // self._batch_size)

    def __call__(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = torch.randperm(len(self._crops), generator=generator).tolist()
        for start in range(0, len(order), self._batch_size):
            rows = torch.randperm(self._store.n_rows, generator=generator)[: self._rows_per_step].sort().values
            crops = [self._crop(self._crops[k], rows, generator) for k in order[start : start + self._batch_size]]
            length = max(len(features) for features, *_ in crops)
            truths = [_pad(doa, length, torch.nan) for _, _, doa, _ in crops if doa is not None]
            targets = [_pad(target, length) for *_, target in crops if target is not None]
            yield Batch(
                features=torch.stack([_pad(features, length) for features, *_ in crops]),
                activity=torch.stack([_pad(activity, length) for _, activity, *_ in crops]),
                valid=torch.stack([_pad(torch.ones(len(features)), length) for features, *_ in crops]),
                rows=rows,
                doa=torch.stack(truths) if truths else None,
                target=torch.stack(targets) if targets else None,
            )

    def _crop(
        self, recording: int, rows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        room = max(self._store.n_frames(recording) - self._crop_frames, 0)
        start = int(torch.randint(room + 1, (), generator=generator))
        features, activity = self._store.crop(recording, start, self._crop_frames, rows)
        truth = self._store.truth(recording, start, self._crop_frames)
        target = None
        if self._targets is not None:
            target = self._targets.crop(recording, start, self._crop_frames, torch.tensor([0]))[0][:, 0]
        return features, activity.float(), truth, target


def _pad(values: Tensor, length: int, filling: float = 0.0) -> Tensor:
    missing = length - len(values)
    return torch.cat([values, values.new_full((missing, *values.shape[1:]), filling)]) if missing else values
