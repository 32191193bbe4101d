"""Batches of several sets of recordings, whose features differ in shape, in random order."""

import dataclasses
from collections.abc import Iterator, Sequence

import torch

from doatrack.training.batches import Batch, CropSampler

__all__ = ["MixedCrops"]


class MixedCrops:
    """The batches of several samplers, each with the number of its sampler as `lesson`.

    A batch is of one sampler: the features of arrays with different microphones cannot be stacked. Processes whose
    samplers are shares of the same draw the same order.

    Parameters
    ----------
    samplers : sequence of CropSampler

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from doatrack.features import FeatureStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     samplers = []
    ...     for n_rows in (6, 15):
    ...         store = FeatureStore(pathlib.Path(folder) / f"gcc{n_rows}", n_rows, n_columns=5)
    ...         store.write(torch.zeros(30, n_rows, 5))
    ...         store.close_recording(np.ones(30, dtype=bool))
    ...         samplers.append(CropSampler(store, crop_frames=10, batch_size=2))
    ...     batches = list(MixedCrops(samplers)(torch.Generator().manual_seed(0)))
    >>> sorted((batch.lesson, *batch.features.shape) for batch in batches)
    [(0, 1, 10, 6, 5), (0, 2, 10, 6, 5), (1, 1, 10, 15, 5), (1, 2, 10, 15, 5)]
    """

    def __init__(self, samplers: Sequence[CropSampler]) -> None:
        self._samplers = list(samplers)

    @property
    def n_steps(self) -> int:
        """The number of batches in an epoch."""
        return sum(sampler.n_steps for sampler in self._samplers)

    def __call__(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        lessons = [k for k, sampler in enumerate(self._samplers) for _ in range(sampler.n_steps)]
        order = torch.randperm(len(lessons), generator=generator).tolist()
        batches = [sampler(generator) for sampler in self._samplers]
        for place in order:
            lesson = lessons[place]
            yield dataclasses.replace(next(batches[lesson]), lesson=lesson)
