"""Answers of pooled frames brought back to the input's frames, as operations that a graph file can hold."""

import torch
from torch import Tensor

__all__ = ["directions_at_frames", "values_at_frames"]

_SMALL = 1e-6


def directions_at_frames(doa: Tensor, n_frames: int, time_pooling: int) -> Tensor:
    """Return directions between those of pooled frames, along great circles and held at both ends.

    Parameters
    ----------
    doa : Tensor of shape (n_recordings, n_pooled, 3)
        Unit vectors.
    n_frames, time_pooling : int

    Returns
    -------
    Tensor of shape (n_recordings, n_frames, 3)
        Unit vectors.

    Examples
    --------
    >>> directions_at_frames(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), 4, 2)[0].round(decimals=2)
    tensor([[1.0000, 0.0000, 0.0000],
            [0.9200, 0.3800, 0.0000],
            [0.3800, 0.9200, 0.0000],
            [0.0000, 1.0000, 0.0000]])
    """
    before, after, share = _neighbours(doa.shape[1], n_frames, time_pooling)
    a, b, share = doa[:, before], doa[:, after], share[:, None]
    angle = torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(dim=-1))[..., None]
    # of equal or opposite directions no great circle is found: straight on, or the nearer one
    small, opposite = angle < _SMALL, angle > torch.pi - _SMALL
    arc = torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b
    arc = torch.where(small, (1 - share) * a + share * b, arc)
    arc = torch.where(opposite, torch.where(share < 0.5, a, b), arc)
    return torch.nn.functional.normalize(arc, dim=-1)


def values_at_frames(values: Tensor, n_frames: int, time_pooling: int) -> Tensor:
    """Return values between those of pooled frames, linear and held at both ends.

    Parameters
    ----------
    values : Tensor of shape (n_recordings, n_pooled)
    n_frames, time_pooling : int

    Returns
    -------
    Tensor of shape (n_recordings, n_frames)

    Examples
    --------
    >>> values_at_frames(torch.tensor([[1.0, 5.0]]), 4, 2)
    tensor([[1., 2., 4., 5.]])
    """
    before, after, share = _neighbours(values.shape[1], n_frames, time_pooling)
    return (1 - share) * values[:, before] + share * values[:, after]


def _neighbours(n_pooled: int, n_frames: int, time_pooling: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pooled frames before and after each frame (n_frames,), and how near it is to the latter."""
    last = torch.arange(n_pooled)[-1]  # a tensor: a number would be fixed in the graph
    place = torch.minimum(((torch.arange(n_frames) + 0.5) / time_pooling - 0.5).clamp_min(0.0), last)
    before = place.floor().long()
    return before, torch.minimum(before + 1, last), place - before
