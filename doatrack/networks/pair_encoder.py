"""The paper's encoder: one convolutional recurrent network shared by all pairs."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doatrack.distributions.mixture import VonMisesFisherMixture
from doatrack.distributions.von_mises_fisher import VonMisesFisher
from doatrack.features.srp_map import numerators
from doatrack.networks.folded_block import can_be_folded, folded_block
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.pooled_stream import PooledStream, StreamedBlock, pooled_look_ahead
from doatrack.networks.precision import full_precision

__all__ = ["PairEncoder", "fill_pooling_windows"]

_POSITION_SCALE = 10.0  # positions of a few centimetres become numbers of order 1
_LARGEST_CONCENTRATION = 1e5


class PairEncoder(nn.Module):
    """Correlations and geometry of pairs in, a von Mises-Fisher posterior per pooled frame out (section 4).

    Per pair: blocks of 3 x 3 convolution over time and lag, a linear projection of the pair's two positions added
    as a bias ("early" metadata), batch norm, PReLU and max-pooling; a GRU; tanh; a perceptron. The sum over pairs
    feeds the heads of mean direction and concentration.

    Parameters
    ----------
    n_lags : int
        Lags of the input, a multiple of the product of the lag poolings (8).
    width : int
        Channels of the convolutions and of the perceptron; 128 in the paper.
    recurrent_width : int
        Units of each of the two GRU layers; 128 in the paper.
    time_pooling : int
        Frames pooled into one by the first block; 5 in the paper.
    n_layers : int
        Convolution blocks; 3 in the paper.
    n_sources : int
        Components of the posterior; above 1 it is a mixture (equation 26), with a head for the weights.

    Examples
    --------
    >>> from doatrack.features import FrameSettings, GCCExtractor
    >>> from doatrack.geometry import DirectionGrid, MicArray
    >>> extractor = GCCExtractor(MicArray.from_preset("nao_head_12"), FrameSettings(), n_lags=64)
    >>> geometry = PairGeometry.of(extractor, DirectionGrid.quasi_uniform(500))
    >>> encoder = PairEncoder(n_lags=64)
    >>> encoder(torch.randn(1, 12, 66, 64), geometry).mean_direction.shape       # 12 frames, pooled by 5
    torch.Size([1, 3, 3])
    >>> round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2)
    0.89
    """

    context = None
    """A recurrent network depends on all earlier frames."""

    def __init__(
        self,
        n_lags: int = 64,
        width: int = 128,
        recurrent_width: int = 128,
        time_pooling: int = 5,
        n_layers: int = 3,
        n_sources: int = 1,
    ) -> None:
        super().__init__()
        self.time_pooling = time_pooling
        self.n_sources = n_sources
        pools = [(time_pooling if k == 0 else 1, 2) for k in range(n_layers)]
        self.blocks = nn.ModuleList(_Block(1 if k == 0 else width, width, pool) for k, pool in enumerate(pools))
        self.recurrent = nn.GRU(width * (n_lags // 2**n_layers), recurrent_width, num_layers=2, batch_first=True)
        self.perceptron = nn.Sequential(
            nn.Linear(recurrent_width, width), nn.PReLU(), nn.Linear(width, width), nn.PReLU()
        )
        self.trunk = nn.Sequential(nn.Linear(width, width), nn.PReLU())
        self.direction_head = nn.Linear(width, 3 * n_sources)
        self.concentration_head = nn.Linear(width, n_sources)
        if n_sources > 1:
            self.weight_head = nn.Linear(width, n_sources)

    def forward(self, gcc: Tensor, geometry: PairGeometry) -> VonMisesFisher | VonMisesFisherMixture:
        """Return the posterior of every pooled frame.

        Parameters
        ----------
        gcc : Tensor of shape (n_recordings, n_frames, n_pairs, n_columns)
            As `doatrack.features.numerators` takes them; what they are to be divided by is not looked at.
        geometry : PairGeometry

        Returns
        -------
        VonMisesFisher, or VonMisesFisherMixture, of batch shape (n_recordings, ceil(n_frames / time_pooling))
            The last frames are repeated to fill the last pooling window.
        """
        n_lags = len(geometry.lags)
        n_recordings, _, n_pairs, _ = gcc.shape
        padded = fill_pooling_windows(numerators(gcc, n_lags), self.time_pooling)
        hidden = padded.transpose(1, 2).reshape(n_recordings * n_pairs, 1, -1, n_lags)
        place = _POSITION_SCALE * geometry.positions.repeat(n_recordings, 1)
        for block in self.blocks:
            hidden = block(hidden, place)
        hidden = torch.tanh(self.recurrent(hidden.transpose(1, 2).flatten(2))[0])
        return self.posterior(hidden.unflatten(0, (n_recordings, n_pairs)))

    def posterior(self, hidden: Tensor) -> VonMisesFisher | VonMisesFisherMixture:
        """Return the posterior of hidden states (n_recordings, n_pairs, n_pooled, recurrent_width) of all pairs."""
        trunk = self.trunk(self.perceptron(hidden).mean(dim=1)).float()
        with full_precision(trunk):
            return self._posterior(trunk)

    def streamed(self, geometry: PairGeometry) -> PooledStream:
        """Return what makes hidden states of correlations that come in parts."""
        place = _POSITION_SCALE * geometry.positions
        return PooledStream(
            (
                StreamedBlock(block.convolution, block.norm, block.activation, block.pool, block.metadata(place))
                for block in self._each_block()
            ),
            self.recurrent,
            self.time_pooling,
        )

    @property
    def look_ahead(self) -> int:
        """The number of later frames that a frame's answer depends on, where it is brought back to the frames."""
        return pooled_look_ahead(self.time_pooling, len(self.blocks))

    def _each_block(self) -> "Iterator[_Block]":
        yield from self.blocks  # type: ignore[misc]

    def _posterior(self, trunk: Tensor) -> VonMisesFisher | VonMisesFisherMixture:
        direction = F.normalize(self.direction_head(trunk).unflatten(-1, (self.n_sources, 3)), dim=-1, eps=1e-6)
        concentration = F.softplus(self.concentration_head(trunk)).clamp(max=_LARGEST_CONCENTRATION)
        if self.n_sources > 1:
            return VonMisesFisherMixture(self.weight_head(trunk), direction, concentration, validate_args=False)
        return VonMisesFisher(direction[..., 0, :], concentration[..., 0], validate_args=False)


def fill_pooling_windows(values: Tensor, time_pooling: int) -> Tensor:
    """Repeat the last frame until every pooling window is full.

    Parameters
    ----------
    values : Tensor of shape (n_recordings, n_frames, ...)
    time_pooling : int

    Returns
    -------
    Tensor of shape (n_recordings, time_pooling * ceil(n_frames / time_pooling), ...)

    Examples
    --------
    >>> fill_pooling_windows(torch.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[1., 2., 3., 3.]])
    """
    if torch.compiler.is_compiling():
        # a traced graph takes any number of frames, full windows or not
        known = torch.arange(values.shape[1], device=values.device)
        filled = torch.arange(
            time_pooling * ((values.shape[1] + time_pooling - 1) // time_pooling), device=values.device
        )
        return values[:, torch.minimum(filled, known[-1])]
    missing = -values.shape[1] % time_pooling
    if not missing:
        return values
    return torch.cat([values, values[:, -1:].expand(-1, missing, *values.shape[2:])], dim=1)


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=1)
        # only the order of weights in memory: faster on a CPU
        self.convolution.weight.data = self.convolution.weight.data.contiguous(memory_format=torch.channels_last)
        self.metadata = nn.Linear(6, n_out)
        self.norm = nn.BatchNorm2d(n_out)
        self.activation = nn.PReLU()
        self.pool = nn.MaxPool2d(pool)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        if can_be_folded(self.norm, self.activation):
            return folded_block(x, self.convolution, self.norm, self.activation, self.pool, self.metadata(place))
        normed = self.norm(self.convolution(x) + self.metadata(place)[..., None, None])
        # a slope that is not negative keeps the order: the same answer from a fraction of the values
        rising = not torch.compiler.is_compiling() and bool((self.activation.weight >= 0).all())
        out: Tensor = self.activation(self.pool(normed)) if rising else self.pool(self.activation(normed))
        return out
