"""Batches of crops from a feature store."""

import copy
import dataclasses
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor

from doatrack.features import FeatureStore
from doatrack.features.shards import FeatureShards

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
    chosen : Tensor of shape (n_chosen,), optional
        Rows, by their place in `rows`, that a step looks at more closely than at the others.
    seeds : Tensor of shape (n_crops,), optional
        Of what is drawn for each crop, whatever other crops are in the batch.
    lesson : int
        Which of several sets of recordings, such as those of one array, all crops are from.

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
    chosen: Tensor | None = None
    seeds: Tensor | None = None
    lesson: int = 0

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device, without waiting for the copies; seeds stay where they are."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Return the batch in memory from which a GPU copies while it computes."""
        return self._each(lambda tensor: tensor if tensor.device.type != "cpu" else tensor.pin_memory())

    def generators(self) -> list[torch.Generator] | None:
        """Return a source of randomness for each crop; None without seeds."""
        return None if self.seeds is None else [torch.Generator().manual_seed(s) for s in self.seeds.tolist()]

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "seeds"}
        changed: dict[str, Any] = {k: change(v) for k, v in values.items() if isinstance(v, Tensor)}
        return dataclasses.replace(self, **changed)


class CropSampler:
    """Cut every recording into crops at random places, once per epoch, in random order.

    Parameters
    ----------
    store : FeatureStore or FeatureShards
    crop_frames : int
        Frames of a crop; shorter recordings are padded.
    batch_size : int
        Crops per batch (of each process); the last batch may have fewer.
    rows_per_step : int, optional
        Random rows (microphone pairs) looked at in one step; None takes all.
    targets : FeatureStore or FeatureShards, optional
        Distributions to be learned, frame by frame the same recordings, of one row.
    chosen_per_step : int, optional
        Random rows among those looked at, for `Batch.chosen`; None chooses none.

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
        store: FeatureStore | FeatureShards,
        *,
        crop_frames: int,
        batch_size: int,
        rows_per_step: int | None = None,
        targets: FeatureStore | FeatureShards | None = None,
        chosen_per_step: int | None = None,
    ) -> None:
        self._store = store
        self._targets = targets
        self._crop_frames = crop_frames
        self._batch_size = batch_size
        self._rows_per_step = store.n_rows if rows_per_step is None else min(rows_per_step, store.n_rows)
        self._chosen_per_step = chosen_per_step
        self._rank, self._n_processes = 0, 1
        counts = [max(1, round(store.n_frames(k) / crop_frames)) for k in range(len(store))]
        self._crops = [k for k, count in enumerate(counts) if store.teaches(k) for _ in range(count)]

    @property
    def n_steps(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._crops) // (self._batch_size * self._n_processes))

    def share(self, rank: int, n_processes: int) -> Self:
        """Return the part of one of several processes, which together see the batches of one with larger ones.

        All processes draw the same numbers from generators in the same state, and each reads its own crops only: those
        of `n_processes` samplers with `batch_size` make up the batch of one with `n_processes * batch_size`. A
        process without a crop in the last batch gets one that does not count.
        """
        part = copy.copy(self)
        part._rank, part._n_processes = rank, n_processes
        return part

    def resident(self, device: torch.device | str, most_bytes: float) -> Self:
        """Return a sampler whose features are kept on a device, where they take no more than `most_bytes` there."""
        stores = [store for store in (self._store, self._targets) if store is not None]
        if sum(store.n_bytes for store in stores) > most_bytes:
            return self
        kept = copy.copy(self)
        kept._store = self._store.resident(device)
        kept._targets = None if self._targets is None else self._targets.resident(device)
        return kept

    def __call__(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        state = zlib.crc32(generator.get_state().numpy().tobytes())
        order = torch.randperm(len(self._crops), generator=generator).tolist()
        seeds = torch.randint(2**62, (len(order),), generator=torch.Generator().manual_seed(state))
        size = self._batch_size * self._n_processes
        for first in range(0, len(order), size):
            together = slice(first, first + size)
            yield self._batch([self._crops[k] for k in order[together]], seeds[together], generator)

    def _batch(self, recordings: list[int], seeds: Tensor, generator: torch.Generator) -> Batch:
        """Draw for all processes, read the own part."""
        rows = torch.randperm(self._store.n_rows, generator=generator)[: self._rows_per_step].sort().values
        places = [(k, self._draw_start(k, generator)) for k in recordings]
        chosen = None
        if self._chosen_per_step is not None:
            chosen = torch.randperm(len(rows), generator=generator)[: self._chosen_per_step].sort().values
        length = max(min(self._store.n_frames(k), self._crop_frames) for k in recordings)
        own = slice(self._rank, None, self._n_processes)
        nothing = not places[own]
        crops = [self._crop(k, start, rows) for k, start in (places[:1] if nothing else places[own])]
        truths = [_pad(doa, length, torch.nan) for _, _, doa, _ in crops if doa is not None]
        targets = [_pad(target, length) for *_, target in crops if target is not None]
        batch = Batch(
            features=torch.stack([_pad(features, length) for features, *_ in crops]),
            activity=torch.stack([_pad(activity, length) for _, activity, *_ in crops]),
            valid=torch.stack([_pad(torch.ones(len(features)), length) for features, *_ in crops]),
            rows=rows,
            doa=torch.stack(truths) if truths else None,
            target=torch.stack(targets) if targets else None,
            chosen=chosen,
            seeds=seeds[:1] if nothing else seeds[own],
        )
        return _silenced(batch) if nothing else batch

    def _draw_start(self, recording: int, generator: torch.Generator) -> int:
        room = max(self._store.n_frames(recording) - self._crop_frames, 0)
        return int(torch.randint(room + 1, (), generator=generator))

    def _crop(self, recording: int, start: int, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        features, activity = self._store.crop(recording, start, self._crop_frames, rows)
        truth = self._store.truth(recording, start, self._crop_frames)
        target = None
        if self._targets is not None:
            target = self._targets.crop(recording, start, self._crop_frames, torch.tensor([0]))[0][:, 0]
        return features, activity.float(), truth, target


def _pad(values: Tensor, length: int, filling: float = 0.0) -> Tensor:
    missing = length - len(values)
    return torch.cat([values, values.new_full((missing, *values.shape[1:]), filling)]) if missing else values


def _silenced(batch: Batch) -> Batch:
    """Return a batch of the same shapes, of which nothing counts."""
    return dataclasses.replace(
        batch,
        activity=torch.zeros_like(batch.activity),
        valid=torch.zeros_like(batch.valid),
        doa=None if batch.doa is None else torch.full_like(batch.doa, torch.nan),
        target=None if batch.target is None else torch.zeros_like(batch.target),
    )
