"""Losses of supervised trackers: how far a vector is from a known direction."""

import torch
from torch import Tensor

from doatrack.training.losses import MeanCount, own_count

__all__ = ["DIRECTION_LOSSES", "direction_loss", "interpolate_frames"]

DIRECTION_LOSSES = ("absolute", "squared")


def direction_loss(predicted: Tensor, doa: Tensor, kind: str, mean_count: MeanCount = own_count) -> Tensor:
    """Return the mean error of a vector's components over the frames whose direction is known.

    It depends on the length too: a network that is unsure makes it small. Under the squared error the best vector is
    the mean of the possible unit vectors.

    Parameters
    ----------
    predicted : Tensor of shape (..., 3)
    doa : Tensor of shape (..., 3)
        Unit vectors; NaN in frames that do not count (unknown, without sound, padding).
    kind : {"absolute", "squared"}
        Neural-SRP, Cross3D.
    mean_count : callable
        Number of frames to divide by, given those of this process: the mean over processes.

    Returns
    -------
    Tensor of shape ()
        0 where no frame counts.

    Examples
    --------
    >>> truth = torch.tensor([[1.0, 0.0, 0.0], [torch.nan] * 3])
    >>> guess = torch.tensor([[0.4, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> [round(float(direction_loss(guess, truth, kind)), 3) for kind in DIRECTION_LOSSES]
    [0.2, 0.12]
    """
    known = torch.isfinite(doa).all(dim=-1)
    difference = predicted[known] - doa[known]
    error = difference.abs() if kind == "absolute" else difference.square()
    return error.sum() / (3 * mean_count(known.sum().to(error.dtype))).clamp_min(1e-6)


def interpolate_frames(pooled: Tensor, time_pooling: int, n_frames: int) -> Tensor:
    """Return vectors at the input's frames from those of pooled ones, linearly between the windows' centres.

    Parameters
    ----------
    pooled : Tensor of shape (n_recordings, n_pooled, n_values)
    time_pooling : int
        Frames per window.
    n_frames : int
        At most `time_pooling * n_pooled`; a last window that was filled up is cut.

    Returns
    -------
    Tensor of shape (n_recordings, n_frames, n_values)
        Held before the first and after the last centre.

    Examples
    --------
    >>> interpolate_frames(torch.tensor([[[0.0], [3.0]]]), 3, 5)[0, :, 0].round(decimals=3).tolist()
    [0.0, 0.0, 1.0, 2.0, 3.0]
    """
    whole = torch.nn.functional.interpolate(
        pooled.transpose(1, 2), scale_factor=float(time_pooling), mode="linear", align_corners=False
    )
    return whole.transpose(1, 2)[:, :n_frames]
