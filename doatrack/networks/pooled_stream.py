"""Networks that pool time and look around, run over a recording that comes in parts."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PooledStream", "StreamedBlock", "pooled_look_ahead"]

_ROWS_AT_ONCE = 8  # as in `folded_block`


def pooled_look_ahead(time_pooling: int, n_layers: int) -> int:
    """Return how many later frames an answer depends on, brought from pooled time back to the frames.

    Each layer's 3 x 3 convolution looks one (pooled) frame ahead, and a frame between the centres of two windows needs
    the later one.

    Examples
    --------
    >>> pooled_look_ahead(5, 3), pooled_look_ahead(1, 3)
    (17, 3)
    """
    return time_pooling * (n_layers + 1) - (time_pooling - 1) // 2 - 1


class StreamedBlock:
    """Convolution (3 x 3), norm, activation and pooling of a network in use, for frames that come in parts.

    Parameters
    ----------
    convolution : Conv2d with kernels of 3 x 3 and padding 1
    norm : BatchNorm2d
        In use, not in training.
    activation : PReLU
    pool : MaxPool2d
        Its windows do not overlap.
    shift : Tensor of shape (n_rows, n_out), optional
        Added to what comes out of the convolution.

    Examples
    --------
    >>> block = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3).eval(), nn.PReLU(), nn.MaxPool2d((2, 2))
    >>> streamed, x = StreamedBlock(*block), torch.randn(1, 2, 6, 8)
    >>> with torch.no_grad():
    ...     parts = [streamed.push(x[:, :, :3]), streamed.push(x[:, :, 3:], last=True)]
    ...     whole = block[3](block[2](block[1](block[0](x))))
    >>> [part.shape[2] for part in parts], torch.allclose(torch.cat(parts, dim=2), whole, atol=1e-5)
    ([1, 2], True)
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d,
        activation: nn.PReLU,
        pool: nn.MaxPool2d,
        shift: Tensor | None = None,
    ) -> None:
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None  # a norm without statistics is never in use here
        assert variance is not None
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        self._weight = convolution.weight * scale[:, None, None, None]
        offset = norm.bias - mean * scale
        if convolution.bias is not None:
            offset = offset + convolution.bias * scale
        self._offset = (offset if shift is None else offset + shift * scale)[..., None, None]
        # a slope that is not negative keeps the order: maxima pass through it
        self._rising = bool((activation.weight >= 0).all())
        self._activation, self._pool = activation, pool
        size = pool.kernel_size
        self._window, self._lags = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self._kept: Tensor | None = None

    def push(self, x: Tensor, *, last: bool = False) -> Tensor:
        """Return the pooled frames (n_rows, n_out, n, n_lags) that x (n_rows, n_in, n_frames, n_lags) completes."""
        edge = x.new_zeros(*x.shape[:2], 1, x.shape[3])
        parts = [edge if self._kept is None else self._kept, x]
        known = torch.cat([*parts, edge] if last else parts, dim=2)
        count = max(0, (known.shape[2] - 2) // self._window)
        self._kept = known[:, :, count * self._window :]
        if count == 0:
            return x.new_zeros(len(x), len(self._weight), 0, x.shape[3] // self._lags)
        whole = known[:, :, : count * self._window + 2]
        offsets = self._offset.expand(len(x), -1, -1, -1)
        rows = zip(whole.split(_ROWS_AT_ONCE), offsets.split(_ROWS_AT_ONCE), strict=True)
        return torch.cat([self._pooled(part, offset) for part, offset in rows])

    def _pooled(self, x: Tensor, offset: Tensor) -> Tensor:
        convolved = F.conv2d(x, self._weight, padding=(0, 1))
        if self._rising:
            early: Tensor = self._activation(self._pool(convolved) + offset)
            return early
        out: Tensor = self._pool(self._activation(convolved + offset))
        return out


class PooledStream:
    """Convolution blocks, a recurrent layer and tanh, for correlations that come in parts.

    Parameters
    ----------
    blocks : iterable of StreamedBlock
    recurrent : GRU
    time_pooling : int
        Of the first block; at the end the last frame is repeated until its window is full.

    Examples
    --------
    >>> from doatrack.networks import NeuralSRP
    >>> stream = NeuralSRP(8).eval().streamed()
    >>> [stream.push(torch.rand(6, 2, 64)).shape, stream.push(torch.rand(6, 2, 64), last=True).shape]
    [torch.Size([2, 0, 8]), torch.Size([2, 3, 8])]
    """

    def __init__(self, blocks: Iterable[StreamedBlock], recurrent: nn.GRU, time_pooling: int) -> None:
        self._blocks = list(blocks)
        self._recurrent = recurrent
        self._pooling = time_pooling
        self._hidden: Tensor | None = None
        self._last_frame: Tensor | None = None
        self._n_frames = 0

    @torch.no_grad()
    def push(self, gcc: Tensor, *, last: bool = False) -> Tensor:
        """Return hidden states (n_pairs, n, width) of the pooled frames that gcc (n_frames, n_pairs, n_lags) tells."""
        self._n_frames += len(gcc)
        if len(gcc):
            self._last_frame = gcc[-1:]
        missing = -self._n_frames % self._pooling
        if last and missing and self._last_frame is not None:
            gcc = torch.cat([gcc, self._last_frame.expand(missing, -1, -1)])
        images = gcc.transpose(0, 1)[:, None]
        for block in self._blocks:
            images = block.push(images, last=last)
        sequence = images.transpose(1, 2).flatten(2)
        if sequence.shape[1] == 0:
            return sequence.new_zeros(len(sequence), 0, self._recurrent.hidden_size)
        hidden, self._hidden = self._recurrent(sequence, self._hidden)
        return torch.tanh(hidden)
