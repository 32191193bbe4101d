"""Cross3D: a causal three-dimensional convolutional network over maps of steered power; supervised."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doatrack.networks.memory import Memory, with_past

__all__ = ["Cross3D", "check_resolution", "normalise_map"]

_MOST_POOLINGS = 4
_LONG, _DILATION = 5, 2  # of the convolutions over time alone
_FLAT = 1e-4  # a maximum this little above the mean is rounding: digital silence


def check_resolution(n_elevations: int, n_azimuths: int) -> int:
    """Return how often a map is halved, or raise ValueError where it cannot be: powers of 2 from 4.

    Examples
    --------
    >>> check_resolution(32, 64), check_resolution(8, 16)
    (4, 3)
    """
    for size in (n_elevations, n_azimuths):
        if size < 4 or size & (size - 1):
            raise ValueError(f"a map must have powers of 2 from 4 as its size, got {n_elevations} x {n_azimuths}")
    return min(_MOST_POOLINGS, int(math.log2(min(n_elevations, n_azimuths))))


def normalise_map(srp_map: Tensor) -> Tensor:
    """Return maps with their mean removed, scaled to a maximum of 1; constant maps become 0.

    Parameters
    ----------
    srp_map : Tensor of shape (..., n_elevations, n_azimuths)

    Examples
    --------
    >>> normalise_map(torch.tensor([[1.0, 1.0], [1.0, 5.0]]))
    tensor([[-0.3333, -0.3333],
            [-0.3333,  1.0000]])
    """
    centred = srp_map - srp_map.mean(dim=(-2, -1), keepdim=True)
    return centred / centred.amax(dim=(-2, -1), keepdim=True).clamp_min(_FLAT)


class Cross3D(nn.Module):
    """Maps of steered power in, one vector per frame out; looks at no later frame.

    The map, and the elevation and azimuth of its maximum as two constant maps; one convolution 5 x 5 x 5; then two
    branches of convolutions (time 5, map 3 x 3), each followed by max-pooling along azimuth in one branch and along
    elevation in the other; both flattened; two convolutions over time. All convolutions are causal in time, reflected
    in elevation and circular in azimuth.

    Parameters
    ----------
    n_elevations, n_azimuths : int
        Size of the map, powers of 2 from 4; 32 x 64 in the paper. It is halved log2 of the smaller one times in each
        branch, at most 4.
    width : int
        Channels of the convolutions over the map; 32 in the paper.
    hidden_width : int
        Channels between the two convolutions over time; 128 in the paper.

    References
    ----------
    D. Diaz-Guerra, A. Miguel, J. R. Beltran, "Robust sound source tracking using SRP-PHAT and 3D convolutional neural
    networks", IEEE/ACM TASLP 2021, section IV.

    Examples
    --------
    >>> network = Cross3D(8, 16)
    >>> network(torch.rand(2, 7, 8, 16), torch.ones(2, 7)).shape
    torch.Size([2, 7, 3])
    >>> round(sum(p.numel() for p in Cross3D(32, 64).parameters()) / 1e6, 2)
    5.63
    """

    def __init__(self, n_elevations: int = 32, n_azimuths: int = 64, width: int = 32, hidden_width: int = 128) -> None:
        super().__init__()
        n_poolings = check_resolution(n_elevations, n_azimuths)
        self.first = _MapConvolution(3, width, 5)
        self.azimuth_branch = _branch(width, n_poolings, (1, 1, 2))
        self.elevation_branch = _branch(width, n_poolings, (1, 2, 1))
        n_features = 2 * width * n_elevations * n_azimuths // 2**n_poolings
        self.hidden = _TimeConvolution(n_features, hidden_width)
        self.activation = nn.PReLU(hidden_width)
        self.last = _TimeConvolution(hidden_width, 3)

    @property
    def context(self) -> int:
        """The number of earlier frames that a frame's answer depends on."""
        return 4 * (1 + len(self.azimuth_branch) // 2) + 2 * _DILATION * (_LONG - 1)

    def forward(self, maps: Tensor, activity: Tensor, memory: Memory | None = None) -> Tensor:
        """Return a vector per frame, whose direction is the estimate.

        Parameters
        ----------
        maps : Tensor of shape (n_recordings, n_frames, n_elevations, n_azimuths)
            From `normalise_map`; elevation from low to high, azimuth around.
        activity : Tensor of shape (n_recordings, n_frames)
            1 where there is sound; frames without it are set to zero.
        memory : Memory, optional
            Of a stream whose next frames these are; None: they are a whole recording.

        Returns
        -------
        Tensor of shape (n_recordings, n_frames, 3)
            Components between -1 and 1; not of unit length.
        """
        crossed = self.crossed(self.channels(maps, activity), memory)
        flat = torch.cat([branch.transpose(1, 2).flatten(2) for branch in crossed], dim=-1).transpose(1, 2)
        out = torch.tanh(self.last(self.activation(self.hidden(flat, memory)), memory))
        return out.transpose(1, 2)

    def channels(self, maps: Tensor, activity: Tensor) -> Tensor:
        """Return the input of the first convolution, (n_recordings, 3, n_frames, n_elevations, n_azimuths)."""
        n_elevations, n_azimuths = maps.shape[-2:]
        highest = maps.flatten(-2).argmax(dim=-1)
        row, column = highest // n_azimuths, highest % n_azimuths
        place = [(k + 0.5) / n for k, n in ((row, n_elevations), (column, n_azimuths))]
        planes = torch.stack([maps, *(p[..., None, None].expand_as(maps) for p in place)], dim=1)
        return planes * activity[:, None, :, None, None].to(maps.dtype)

    def crossed(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, Tensor]:
        """Return what both branches make of the input: pooled along azimuth, pooled along elevation."""
        shared = self.first(x, memory)
        return _through(self.azimuth_branch, shared, memory), _through(self.elevation_branch, shared, memory)


def _branch(width: int, n_poolings: int, pool: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(
        *(part for _ in range(n_poolings) for part in (_MapConvolution(width, width, 3), nn.MaxPool3d(pool)))
    )


def _through(branch: nn.Sequential, x: Tensor, memory: Memory | None) -> Tensor:
    for part in branch:
        x = part(x, memory) if isinstance(part, _MapConvolution) else part(x)
    return x


class _MapConvolution(nn.Module):
    """Convolution over time (5, causal), elevation (reflected) and azimuth (circular), and a PReLU per channel."""

    def __init__(self, n_in: int, n_out: int, size: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(n_in, n_out, (_LONG, size, size))
        self.activation = nn.PReLU(n_out)
        self._reach = size // 2

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        reach = self._reach
        around = F.pad(x, (reach, reach, 0, 0, 0, 0), mode="circular")
        up = F.pad(around, (0, 0, reach, reach, 0, 0), mode="reflect")
        known = with_past(up, _LONG - 1, dim=2, layer=self, memory=memory)
        out: Tensor = self.activation(self.convolution(known))
        return out


class _TimeConvolution(nn.Conv1d):
    """Causal convolution over time."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, _LONG, dilation=_DILATION)

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        return super().forward(with_past(x, _DILATION * (_LONG - 1), dim=2, layer=self, memory=memory))
