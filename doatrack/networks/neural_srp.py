"""Neural-SRP: one convolutional recurrent network per microphone pair, summed like steered power; supervised."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from doatrack.networks.folded_block import can_be_folded, folded_block
from doatrack.networks.pair_encoder import fill_pooling_windows
from doatrack.networks.pooled_stream import PooledStream, StreamedBlock, pooled_look_ahead

__all__ = ["NEURAL_SRP_LAGS", "NeuralSRP"]

NEURAL_SRP_LAGS = torch.arange(-32, 32, dtype=torch.float32)
"""The lags of its input, in samples."""

_TIME_POOLING = 5
_WINDOWS_AT_ONCE = 400  # pooled frames of a recording in use: 6 minutes of a pair take 65 MB a layer
_CONTEXT_WINDOWS = 3  # that the convolutions of a pooled frame look to either side: two and one frame
_FIRST_OUTPUT = 0.1
_N_OUTPUTS = 6  # two sources; only the first is used


class NeuralSRP(nn.Module):
    """Absolute correlations and positions of pairs in, one vector per pooled frame out.

    Per pair: three blocks of 3 x 3 convolution, batch norm, PReLU and max-pooling over (time, lag) of (5, 2), (1, 2),
    (1, 2); a GRU of two layers; tanh; the pair's two positions beside it; a perceptron. The sum over pairs feeds a
    second perceptron, whose tanh is the answer. Its names are those of the published checkpoints.

    Parameters
    ----------
    width : int
        Channels of the convolutions and units of all layers; 128 in the paper.
    activity_head : bool
        Whether there is the head that the published checkpoints have besides, which nothing here uses.

    References
    ----------
    E. Grinstein et al., "The Neural-SRP method for universal robust multi-source tracking", IEEE Open Journal of
    Signal Processing 2024.

    Examples
    --------
    >>> network = NeuralSRP()
    >>> network(torch.rand(1, 12, 66, 64), torch.zeros(66, 6)).shape           # 12 frames, pooled by 5
    torch.Size([1, 3, 3])
    >>> round(sum(p.numel() for p in network.parameters()) / 1e6, 2)
    0.89
    """

    time_pooling = _TIME_POOLING

    def __init__(self, width: int = 128, *, activity_head: bool = False) -> None:
        super().__init__()
        pools = [(_TIME_POOLING, 2), (1, 2), (1, 2)]
        self.conv_block_list = nn.ModuleList(_Block(1 if k == 0 else width, width, p) for k, p in enumerate(pools))
        n_lags = len(NEURAL_SRP_LAGS) // 2 ** len(pools)
        self.gru = nn.GRU(width * n_lags, width, num_layers=2, batch_first=True)
        self.fnn_pairwise = _Perceptron([width + 6, width, width], last_activation=True)
        self.fnn_doa = _Perceptron([width, width, _N_OUTPUTS], last_activation=False)
        with torch.no_grad():
            # the sum over many pairs would saturate the last tanh before anything is learned
            self.fnn_doa.blocks[-1][0].weight.mul_(_FIRST_OUTPUT)  # type: ignore[index]
        if activity_head:
            self.fnn_activity = _Perceptron([width, width, width, 2], last_activation=False)

    def forward(self, gcc: Tensor, positions: Tensor) -> Tensor:
        """Return a vector per pooled frame, whose direction is the estimate.

        Parameters
        ----------
        gcc : Tensor of shape (n_recordings, n_frames, n_pairs, 64)
            Absolute values of GCC-PHAT at `NEURAL_SRP_LAGS`.
        positions : Tensor of shape (n_pairs, 6)
            First and second microphone of each pair relative to the array's origin, in CENTIMETRES.

        Returns
        -------
        Tensor of shape (n_recordings, ceil(n_frames / 5), 3)
            Components between -1 and 1; not of unit length. The last frames are repeated to fill the last window.
        """
        return self.directions(self.summed(gcc, positions))

    def summed(self, gcc: Tensor, positions: Tensor) -> Tensor:
        """Return the sum over pairs, (n_recordings, n_pooled, width): pairs may be summed up in parts."""
        n_recordings, _, n_pairs, n_lags = gcc.shape
        padded = fill_pooling_windows(gcc, _TIME_POOLING)
        hidden = padded.transpose(1, 2).reshape(n_recordings * n_pairs, 1, -1, n_lags)
        hidden = torch.tanh(self.gru(self._convolved(hidden).transpose(1, 2).flatten(2))[0])
        return self.summed_states(hidden.unflatten(0, (n_recordings, n_pairs)), positions)

    def summed_states(self, hidden: Tensor, positions: Tensor) -> Tensor:
        """Return the sum over pairs (n_recordings, n_pooled, width) of hidden states (n_recordings, n_pairs, ...)."""
        place = positions[:, None].expand(hidden.shape[0], -1, hidden.shape[2], -1)
        features: Tensor = self.fnn_pairwise(torch.cat([hidden, place], dim=-1))
        return features.sum(dim=1)

    def streamed(self) -> PooledStream:
        """Return what makes hidden states of correlations that come in parts."""
        parts = ((block.conv, block.bn, block.activation, block.pool) for block in self._each_block())
        return PooledStream((StreamedBlock(*part) for part in parts), self.gru, _TIME_POOLING)

    @property
    def look_ahead(self) -> int:
        """The number of later frames that a frame's answer depends on, where it is brought back to the frames."""
        return pooled_look_ahead(_TIME_POOLING, len(self.conv_block_list))

    def _each_block(self) -> "Iterator[_Block]":
        yield from self.conv_block_list  # type: ignore[misc]

    def _convolved(self, images: Tensor) -> Tensor:
        """Return what the convolutions make of (n_rows, 1, n_frames, n_lags): the same for long ones, in parts."""
        n_windows = images.shape[2] // _TIME_POOLING
        if self.training or torch.compiler.is_compiling() or n_windows <= _WINDOWS_AT_ONCE:
            return self._blocks(images)
        parts = []
        for start in range(0, n_windows, _WINDOWS_AT_ONCE):
            first = max(start - _CONTEXT_WINDOWS, 0)
            stop = min(start + _WINDOWS_AT_ONCE, n_windows)
            last = min(stop + _CONTEXT_WINDOWS, n_windows)
            part = self._blocks(images[:, :, first * _TIME_POOLING : last * _TIME_POOLING])
            parts.append(part[:, :, start - first : stop - first])
        return torch.cat(parts, dim=2)

    def _blocks(self, images: Tensor) -> Tensor:
        for block in self.conv_block_list:
            images = block(images)
        return images

    def directions(self, summed: Tensor) -> Tensor:
        """Return the vectors (n_recordings, n_pooled, 3) of a sum over all pairs."""
        both = torch.tanh(self.fnn_doa(summed)).unflatten(-1, (3, 2))
        return both[..., 0]


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        # only the order of weights in memory: a third faster on a CPU
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=torch.channels_last)
        self.bn = nn.BatchNorm2d(n_out)
        self.activation = nn.PReLU()
        self.pool = nn.MaxPool2d(pool)

    def forward(self, x: Tensor) -> Tensor:
        if can_be_folded(self.bn, self.activation):
            return folded_block(x, self.conv, self.bn, self.activation, self.pool)
        normed = self.bn(self.conv(x))
        # a slope that is not negative keeps the order: the same answer from a fraction of the values
        rising = not torch.compiler.is_compiling() and bool((self.activation.weight >= 0).all())
        out: Tensor = self.activation(self.pool(normed)) if rising else self.pool(self.activation(normed))
        return out


class _Perceptron(nn.Module):
    """Linear layers with PReLU between them and, where asked for, behind the last."""

    def __init__(self, widths: list[int], *, last_activation: bool) -> None:
        super().__init__()
        last = len(widths) - 2
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(widths[k], widths[k + 1]), *([nn.PReLU()] if k < last or last_activation else [])
                )
                for k in range(last + 1)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(x)
        return out
