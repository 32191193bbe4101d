"""What a network may know about an array: its pairs, their positions, lags and delays."""

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from doatrack.features.extractor import GCCExtractor
from doatrack.features.fine_steering import FineSteering
from doatrack.geometry import DirectionGrid

__all__ = ["PairGeometry"]


@dataclasses.dataclass(frozen=True)
class PairGeometry:
    """Geometry of microphone pairs as tensors.

    Parameters
    ----------
    lags : Tensor of shape (n_lags,)
        In samples.
    delays : Tensor of shape (n_pairs, n_directions)
        Delay of each grid direction in samples (equation 9).
    baselines : Tensor of shape (n_pairs, 3)
        Delay vectors fs / c (r_j - r_i) in samples: the delay of any direction u is baseline . u.
    positions : Tensor of shape (n_pairs, 6)
        Both microphones of each pair relative to the mean of all, in metres.
    directions : Tensor of shape (n_directions, 3)
    coverage : float
        The share of the sphere that they cover.

    Examples
    --------
    >>> from doatrack.features import FrameSettings
    >>> from doatrack.geometry import MicArray
    >>> extractor = GCCExtractor(MicArray.from_preset("nao_head_12"), FrameSettings(), n_lags=64)
    >>> geometry = PairGeometry.of(extractor, DirectionGrid.quasi_uniform(500))
    >>> geometry.select(torch.tensor([0, 5])).delays.shape
    torch.Size([2, 500])
    """

    lags: Tensor
    delays: Tensor
    baselines: Tensor
    positions: Tensor
    directions: Tensor
    coverage: float = 1.0

    @classmethod
    def of(cls, extractor: GCCExtractor, grid: DirectionGrid) -> "PairGeometry":
        """Return the geometry of an extractor's pairs on a grid of directions."""
        place = torch.tensor(extractor.array.positions, dtype=torch.float32)
        first, second = torch.as_tensor(extractor.mic_pairs).T
        centred = place - place.mean(dim=0)
        return cls(
            lags=extractor.lags,
            delays=extractor.tdoa_samples(grid.directions),
            baselines=(place[second] - place[first]) * (extractor.frames.sample_rate / extractor.speed_of_sound),
            positions=torch.cat([centred[first], centred[second]], dim=1),
            directions=torch.tensor(grid.directions, dtype=torch.float32),
            coverage=grid.coverage,
        )

    def select(self, pairs: Tensor) -> "PairGeometry":
        """Return the geometry of some pairs, by index."""
        return dataclasses.replace(
            self, delays=self.delays[pairs], baselines=self.baselines[pairs], positions=self.positions[pairs]
        )

    def to(self, device: torch.device | str) -> "PairGeometry":
        """Return the same on another device."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        moved: Any = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **moved)

    def steering(self) -> Tensor:
        """Return the matrix (n_pairs * n_lags, n_directions) that turns correlations into a map."""
        return self._steering

    def fine_steering(self) -> FineSteering:
        """Return the product with `steering()`, faster than with the matrix itself where nothing is learned."""
        return FineSteering(self.delays, self.lags)

    @functools.cached_property
    def _steering(self) -> Tensor:
        return self.fine_steering().matrix
