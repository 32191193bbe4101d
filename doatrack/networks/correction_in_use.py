"""The map encoder's correction in use, not in training: channels last in memory, the same answer, faster."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doatrack.networks.memory import Memory, with_past

__all__ = ["correction_in_use"]


def correction_in_use(
    image: Tensor,
    layers: Iterable[tuple[nn.Conv2d, Tensor, Tensor]],
    last: nn.Conv2d,
    epsilon: float,
    memory: Memory | None = None,
) -> Tensor:
    """Return what residual causal convolutions with normalised channels make of images.

    Neighbouring channels are neighbours in memory: a convolution of 16 channels is then one vector per number, and the
    norm, gain and activation run over memory in order. To rounding it is the plain formula, for which there is
    no gradient here.

    Parameters
    ----------
    image : Tensor of shape (n_images, n_frames, n_lags, n_channels)
    layers : iterable of (convolution, gain, bias)
        Convolutions without bias; gain and bias of the norm after each, (n_channels,).
    last : Conv2d
        1 x 1, to one channel.
    epsilon : float
        Added to the mean power over channels.
    memory : Memory, optional
        Of the stream; the frames are the next ones.

    Returns
    -------
    Tensor of shape (n_images, n_frames, n_lags)

    Examples
    --------
    >>> convolution, last = nn.Conv2d(2, 4, (4, 3), bias=False), nn.Conv2d(4, 1, 1)
    >>> with torch.no_grad():
    ...     correction_in_use(torch.zeros(5, 7, 9, 2), [(convolution, torch.ones(4), torch.zeros(4))], last, 1e-3).shape
    torch.Size([5, 7, 9])
    """
    hidden = image
    for k, (convolution, gain, bias) in enumerate(layers):
        n_past, reach = convolution.kernel_size[0] - 1, convolution.kernel_size[1] // 2
        known = F.pad(with_past(hidden, n_past, dim=1, layer=convolution, memory=memory), (0, 0, reach, reach))
        weight = convolution.weight.contiguous(memory_format=torch.channels_last)
        # channels second in shape, last in memory
        step = F.conv2d(known.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)
        length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
        step = step * (length.square() / step.shape[-1] + epsilon).rsqrt()
        step = F.silu(torch.addcmul(bias, step, gain), inplace=True)
        hidden = step if k == 0 else hidden + step
    return F.linear(hidden, last.weight.flatten(1), last.bias)[..., 0]
