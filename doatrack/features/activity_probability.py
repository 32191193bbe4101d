"""How probable it is that a frame holds sound: the likelihood-ratio detector with memory, for motion models."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from doatrack.features.activity import ACTIVITY_BLOCK_S, block_means, likelihood_ratio

__all__ = ["activity_probability"]

# Fitted to the activity of dry speech on simulated scenes of talkers from `train` (docs/notes.md).
_OFFSET = 0.3  # nats per band of the likelihood ratio where both states are equally likely
_SLOPE = 2.0  # bands that count as independent: they are loud and soft together
_ACTIVE_S = 0.5
_SILENT_S = 0.15


def activity_probability(
    power: Tensor, n_frames: int, win_length: int, hop_length: int, sample_rate: int
) -> NDArray[np.float64]:
    """Return the probability that each frame holds sound of a source: a soft voice activity detector.

    A hidden Markov model over blocks of 32 ms: sound and silence last for a while, and the likelihood ratio of
    `sound_activity` tells which it is. A frame's probability is the mean over the blocks around its centre.

    Parameters
    ----------
    power : Tensor of shape (n_blocks, n_bands)
        From `band_power`, of the whole recording.
    n_frames, win_length, hop_length, sample_rate : int
        The frames, in samples and Hz.

    Returns
    -------
    ndarray of shape (n_frames,)
        In [0, 1]. Like `sound_activity` it looks at the whole recording, and sound that never pauses is floor.

    References
    ----------
    J. Sohn, N. S. Kim, W. Sung, "A statistical model-based voice activity detection", IEEE SPL 1999, section III: the
    hang-over scheme as a hidden Markov model; here forward and backward.

    Examples
    --------
    >>> import torch
    >>> power = torch.rand(200, 24, generator=torch.Generator().manual_seed(0)) + 0.5
    >>> power[80:120] *= 20
    >>> probability = activity_probability(power, 33, 4096, 3072, 16000)
    >>> bool(probability[14:18].min() > 0.9), bool(probability[:10].max() < 0.2)
    (True, True)
    """
    ratio = np.exp(_SLOPE * (likelihood_ratio(power) - _OFFSET))
    likelihood = np.stack([np.ones_like(ratio), ratio], axis=1)
    return block_means(_smoothed(likelihood)[:, 1], n_frames, win_length, hop_length, sample_rate)


def _smoothed(likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of silence and sound (n_blocks, 2), given the likelihoods of both in all blocks."""
    share = np.array([_SILENT_S, _ACTIVE_S]) / (_SILENT_S + _ACTIVE_S)
    # two states forget their start with the sum of both rates
    memory = math.exp(-ACTIVITY_BLOCK_S * (1 / _ACTIVE_S + 1 / _SILENT_S))
    step = memory * np.eye(2) + (1 - memory) * share
    posterior = np.empty_like(likelihood)
    prediction = share
    for block, row in enumerate(likelihood):
        posterior[block] = prediction * row / (prediction @ row)
        prediction = posterior[block] @ step
    message = np.ones(2)
    for block in range(len(likelihood) - 2, -1, -1):
        message = step @ (likelihood[block + 1] * message)
        message /= message.max()
        posterior[block] *= message
        posterior[block] /= posterior[block].sum()
    return posterior
