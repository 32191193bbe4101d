"""Convolution of one sound with the responses of a room, standing still or changing along a trajectory."""

import torch

from doatrack.exceptions import InvalidInputError
from doatrack.simulation.fft_length import fast_fft_length

__all__ = ["convolve", "convolve_moving"]

_CHUNK = 1 << 19  # samples of output pieces that are handled at once, so that they stay in the cache


def convolve(sound: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Convolve a sound with fixed responses, cut to the sound's length.

    Parameters
    ----------
    sound : Tensor (n_samples,)
    responses : Tensor (..., n_taps)

    Returns
    -------
    Tensor (..., n_samples)

    Examples
    --------
    >>> heard = convolve(torch.tensor([1.0, 2, 3]), torch.tensor([[0.0, 1.0]]))
    >>> [round(abs(value), 3) for value in heard[0].tolist()]
    [0.0, 1.0, 2.0]
    """
    n_samples = sound.shape[-1]
    n_fft = fast_fft_length(n_samples + responses.shape[-1] - 1)
    spectrum: torch.Tensor = torch.fft.rfft(sound, n_fft) * torch.fft.rfft(responses, n_fft)
    heard: torch.Tensor = torch.fft.irfft(spectrum, n_fft)
    return heard[..., :n_samples]


def convolve_moving(sound: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Convolve a sound with responses that change over its duration.

    The responses belong to equally spaced times, the first to the first sample and the last to the last. What is
    emitted between two of them is heard through both, weighted linearly (a cross-fade on the side of the source): the
    sound is cut into triangular pieces, one per response, which are convolved by FFT and added.

    Parameters
    ----------
    sound : Tensor (n_samples,)
    responses : Tensor (n_points, n_mics, n_taps)

    Returns
    -------
    Tensor (n_mics, n_samples)

    Raises
    ------
    InvalidInputError
        If there are more points than samples.

    Examples
    --------
    >>> fade = convolve_moving(torch.ones(5), torch.tensor([[[1.0]], [[0.0]]]))
    >>> [round(abs(value), 3) for value in fade[0].tolist()]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    n_points, n_mics, n_taps = responses.shape
    n_samples = sound.shape[-1]
    if n_points == 1:
        return convolve(sound, responses[0])
    if n_points > n_samples:
        raise InvalidInputError(f"responses must not be more than the samples, got {n_points} for {n_samples} samples.")
    pieces, starts = _triangular_pieces(sound, n_points)
    n_fft = fast_fft_length(pieces.shape[-1] + n_taps - 1)
    total = responses.new_zeros(n_mics, n_samples + n_fft)
    step = max(1, _CHUNK // (n_mics * n_fft))
    for first in range(0, n_points, step):
        part = slice(first, first + step)
        spectrum = torch.fft.rfft(responses[part], n_fft).mul_(torch.fft.rfft(pieces[part], n_fft)[:, None])
        for start, heard in zip(starts[part], torch.fft.irfft(spectrum, n_fft), strict=True):
            total[:, start : start + n_fft] += heard
    return total[:, :n_samples]


def _triangular_pieces(sound: torch.Tensor, n_points: int) -> tuple[torch.Tensor, list[int]]:
    """Cut the sound into pieces (n_points, length) that overlap by half and add up to it, with their starts."""
    n_samples = sound.shape[-1]
    spacing = (n_samples - 1) / (n_points - 1)
    centres = torch.arange(n_points, dtype=torch.float64) * spacing
    starts = (centres - spacing).ceil().clamp(min=0).long()
    index = starts[:, None] + torch.arange(int(2 * spacing) + 2)
    weight = (1 - (index - centres[:, None]).abs() / spacing).clamp(min=0) * (index < n_samples)
    pieces = sound[index.clamp(max=n_samples - 1).to(sound.device)] * weight.to(sound)
    return pieces, starts.tolist()
