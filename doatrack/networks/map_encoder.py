"""An encoder of few parameters: corrected correlations, then the fixed steering sum."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.features.srp_map import numerators, srp_map, steered_map
from doatrack.networks.correction_in_use import correction_in_use
from doatrack.networks.memory import Memory, with_past
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.precision import full_precision

__all__ = ["MapEncoder"]

_TIME, _LAG = 4, 3
_EPSILON = 1e-3  # of the norms


class MapEncoder(nn.Module):
    """Correct each pair's correlations with causal convolutions, and sum them into a posterior over a grid.

    The correction is zero at the start, so that an untrained encoder is SRP-PHAT; it is shared by all pairs and
    knows neither positions nor directions, so that it can be moved to another array. All normalisation is
    within one frame and lag: nothing depends on the future, on other recordings or on the length.

    Parameters
    ----------
    width : int
        Channels of the convolutions, a multiple of 4.
    n_layers : int
        Convolutions of 4 frames (3 in the past) by 3 lags.
    input_scale : float
        Factor on the correlations, to bring them to order 1.

    Examples
    --------
    >>> from doatrack.features import FrameSettings, GCCExtractor
    >>> from doatrack.geometry import DirectionGrid, MicArray
    >>> extractor = GCCExtractor(MicArray.from_preset("nao_head_12"), FrameSettings(), lag_step=0.5)
    >>> geometry = PairGeometry.of(extractor, DirectionGrid.quasi_uniform(500))
    >>> MapEncoder()(torch.randn(2, 7, 66, 27), geometry).mean_direction.shape
    torch.Size([2, 7, 3])
    """

    time_pooling = 1

    def __init__(self, width: int = 16, n_layers: int = 3, input_scale: float = 10.0) -> None:
        super().__init__()
        self.input_scale = input_scale
        self.convolutions = nn.ModuleList(
            nn.Conv2d(2 if k == 0 else width, width, (_TIME, _LAG), bias=False) for k in range(n_layers)
        )
        self.norms = nn.ModuleList(_ChannelNorm(width) for _ in range(n_layers))
        self.correction = nn.Conv2d(width, 1, 1)
        for parameter in self.correction.parameters():
            nn.init.zeros_(parameter)
        # the same for every direction, so that nothing depends on it: its gradient is rounding, which Adam blows up
        assert self.correction.bias is not None
        self.correction.bias.requires_grad_(False)
        self.raw_scale = nn.Parameter(torch.tensor(0.5))

    @property
    def context(self) -> int:
        """The number of earlier frames that a frame's answer depends on."""
        return (_TIME - 1) * len(self.convolutions)

    def forward(self, gcc: Tensor, geometry: PairGeometry, corrected: Tensor | None = None) -> GridPosterior:
        """Return the posterior of every frame.

        Parameters
        ----------
        gcc : Tensor of shape (n_recordings, n_frames, n_pairs, n_columns)
            One column per lag, or two for each band: see `doatrack.features.steered_map`.
        geometry : PairGeometry
        corrected : Tensor of shape (n_corrected,), optional
            Pairs whose correction is computed, for all of them; None is all. Some are enough for a step of learning.

        Returns
        -------
        GridPosterior of batch shape (n_recordings, n_frames)
        """
        some = geometry if corrected is None else geometry.select(corrected)
        heard = gcc if corrected is None else gcc[..., corrected, :]
        correction = self.correction_of(numerators(heard, len(geometry.lags)), geometry.lags).float()
        with full_precision(gcc):
            logits = self.logits(steered_map(gcc, geometry.steering()), srp_map(correction, some.steering()))
        return GridPosterior(logits, geometry.directions, geometry.coverage)

    def logits(self, heard: Tensor, correction: Tensor) -> Tensor:
        """Return the posterior's log probabilities before normalisation, (..., n_directions).

        Parameters
        ----------
        heard : Tensor of shape (..., n_directions)
            Map of the correlations.
        correction : Tensor of shape (..., n_directions)
            Map of their corrections. What is divided is what was heard: a correction over a deep null would blow up.
        """
        return 6 * F.softplus(self.raw_scale) * (self.input_scale * heard + correction)

    def correction_of(self, gcc: Tensor, lags: Tensor, memory: Memory | None = None) -> Tensor:
        """Return what is added to correlations, of the shape of `gcc`; with a memory, of the next part of a stream."""
        n_recordings, _, n_pairs, _ = gcc.shape
        image = (self.input_scale * gcc).transpose(1, 2).flatten(0, 1)
        place = (lags / lags.abs().max().clamp_min(1.0)).expand_as(image)
        if not (torch.is_grad_enabled() or torch.compiler.is_compiling()):
            norms: Any = self.norms
            tables = [(norm.gain.flatten(), norm.bias.flatten()) for norm in norms]
            layers: Any = [(layer, *table) for layer, table in zip(self.convolutions, tables, strict=True)]
            found = correction_in_use(torch.stack([image, place], dim=-1), layers, self.correction, _EPSILON, memory)
            return found.unflatten(0, (n_recordings, n_pairs)).transpose(1, 2)
        hidden = torch.stack([image, place], dim=1)
        for k, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            known = with_past(hidden, _TIME - 1, dim=2, layer=convolution, memory=memory)
            step = F.silu(norm(convolution(F.pad(known, (_LAG // 2, _LAG // 2)))))
            hidden = step if k == 0 else hidden + step
        return self.correction(hidden).unflatten(0, (n_recordings, n_pairs))[:, :, 0].transpose(1, 2)


class _ChannelNorm(nn.Module):
    """Root-mean-square normalisation over the channels of each frame and lag, with gain and bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        power = x.square().mean(dim=1, keepdim=True)
        return x * torch.rsqrt(power + _EPSILON) * self.gain + self.bias
