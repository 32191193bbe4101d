"""Convolution of one sound with the responses of a room, standing still or changing along a trajectory."""

import torch

from doatrack.exceptions import InvalidInputError
from doatrack.simulation.fft_length import fast_fft_length

__all__ = ["convolve", "convolve_moving"]

_CHUNK = 1 << 18  # samples transformed at once


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
    sound is cut between the points, and each segment, fading out and fading in, meets the spectra of the responses
    before and after it. Their sum is transformed back: one transform per response and one per segment.

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
    faded, starts = _faded_segments(sound, n_points)
    silent = _silent_taps(responses)
    heard_from = responses[..., silent:]
    n_fft = fast_fft_length(faded.shape[-1] + n_taps - silent - 1)
    weights = torch.fft.rfft(faded, n_fft)
    total = responses.new_zeros(n_mics, n_samples + n_fft + silent)
    before = torch.fft.rfft(heard_from[0], n_fft)
    step = max(1, _CHUNK // (n_mics * n_fft))
    for k in range(0, len(starts), step):  # few at a time: all that is touched stays in the cache
        after = torch.fft.rfft(heard_from[k + 1 : k + 1 + step], n_fft)
        spectra = after * weights[k : k + step, 1, None]
        spectra[0].addcmul_(before, weights[k, 0])
        spectra[1:].addcmul_(after[:-1], weights[k + 1 : k + step, 0, None])
        for start, segment in zip(starts[k : k + step], torch.fft.irfft(spectra, n_fft), strict=True):
            total[:, start + silent : start + silent + n_fft] += segment
        before = after[-1]
    return total[:, :n_samples]


def _silent_taps(responses: torch.Tensor) -> int:
    """Return how many taps at the start are 0 in all responses; the first response says where to look."""
    sounding = responses[0, 0].nonzero()
    silent = int(sounding[0, 0]) if len(sounding) else 0
    return 0 if bool(responses[..., :silent].any()) else silent


def _faded_segments(sound: torch.Tensor, n_points: int) -> tuple[torch.Tensor, list[int]]:
    """Cut the sound between the points, (n_points - 1, 2, length) fading out and in, with the segments' starts."""
    n_samples = sound.shape[-1]
    spacing = (n_samples - 1) / (n_points - 1)
    points = torch.arange(n_points, dtype=torch.float64) * spacing
    starts = points.ceil().long()
    starts[-1] = n_samples  # the last sample belongs to the last segment
    index = starts[:-1, None] + torch.arange(int(starts.diff().max()))
    rising = ((index - points[:-1, None]) / spacing).clamp(0, 1)
    weight = torch.stack([1 - rising, rising], dim=1) * (index < starts[1:, None])[:, None]
    segments = sound[index.clamp(max=n_samples - 1).to(sound.device)]
    return segments[:, None] * weight.to(sound), starts[:-1].tolist()
