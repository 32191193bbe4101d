"""Noise at the microphones: of sensors, of a loudspeaker in the room, of recordings."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_real
from doatrack.exceptions import InvalidInputError
from doatrack.simulation.convolution import convolve
from doatrack.simulation.diffuse import diffuse_tails
from doatrack.simulation.room import ShoeboxRoom

__all__ = ["NOISE_KINDS", "NoiseSource", "diffuse_field", "draw_noise_signal", "loudspeaker_noise", "scale_to_snr"]

NOISE_KINDS = ("sensor", "directional", "recorded", "diffuse", "none")
"""White noise of each microphone; a white-noise loudspeaker; a recording played by one; a recording from everywhere."""

NoiseSource = Callable[[np.random.Generator, int, int], object]


def draw_noise_signal(
    noise_source: NoiseSource | None, generator: np.random.Generator, n_samples: int, sample_rate: int
) -> NDArray[np.float32]:
    """Return one channel of noise: from the callable, or white without one.

    Raises
    ------
    InvalidInputError
        If the callable returns another number of samples, or silence.

    Examples
    --------
    >>> draw_noise_signal(None, np.random.default_rng(0), 100, 16000).shape
    (100,)
    """
    if noise_source is None:
        return generator.standard_normal(n_samples, dtype=np.float32)
    drawn = noise_source(generator, n_samples, sample_rate)
    samples = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn, dtype=np.float32)
    if samples.shape != (n_samples,) or not np.isfinite(samples).all():
        raise InvalidInputError(
            f"noise_source must return {n_samples} finite samples (n_samples,), got the shape {samples.shape}."
        )
    if not samples.any():
        raise InvalidInputError("noise_source must not return silence: it cannot be scaled to an SNR.")
    return samples


def loudspeaker_noise(
    signal: ArrayLike,
    room: ShoeboxRoom,
    position: NDArray[np.float64],
    mic_positions: NDArray[np.float64],
    generator: np.random.Generator,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Return what the microphones hear of a loudspeaker that plays `signal` all the time at one place.

    Parameters
    ----------
    signal : array-like of shape (n_samples,)
    room : ShoeboxRoom
    position : ndarray (3,)
    mic_positions : ndarray (n_mics, 3)
        In metres from the corner of the room.
    generator : numpy.random.Generator
        Draws the diffuse tail.
    device : torch.device or str

    Returns
    -------
    Tensor (n_mics, n_samples)

    Notes
    -----
    The signal is repeated backwards in front of its start for the length of the response, so that the room is already
    full of sound when the recording begins.

    Examples
    --------
    >>> room = ShoeboxRoom([4, 3, 2.5], 0.3)
    >>> mics = np.array([[2, 1, 1], [2.1, 1, 1]])
    >>> loudspeaker_noise(np.ones(800), room, np.array([1.0, 2, 1]), mics, np.random.default_rng(0)).shape
    torch.Size([2, 800])
    """
    early, tails = room.responses(position[None], mic_positions, generator, device=device)
    response = tails[0]
    response[:, : early.shape[-1]] += early[0]
    return _play(signal, response)


def diffuse_field(
    signal: ArrayLike,
    room: ShoeboxRoom,
    mic_positions: NDArray[np.float64],
    generator: np.random.Generator,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Return what the microphones hear of `signal` when only late, diffuse reverberation reaches them.

    Parameters
    ----------
    signal : array-like of shape (n_samples,)
    room : ShoeboxRoom
        Gives the decay time.
    mic_positions : ndarray (n_mics, 3)
        In metres.
    generator : numpy.random.Generator
    device : torch.device or str

    Returns
    -------
    Tensor (n_mics, n_samples)

    Examples
    --------
    >>> room = ShoeboxRoom([4, 3, 2.5], 0.3)
    >>> mics = np.array([[2, 1, 1], [2.1, 1, 1]])
    >>> diffuse_field(np.ones(800), room, mics, np.random.default_rng(0)).shape
    torch.Size([2, 800])
    """
    table = torch.as_tensor(mic_positions, dtype=torch.float32, device=device)
    tails = diffuse_tails(
        1,
        table,
        int(room.rt60 * room.sample_rate),
        start=0,
        rt60=room.rt60,
        power=1.0,
        fade=0,
        generator=generator,
        sample_rate=room.sample_rate,
        speed_of_sound=room.speed_of_sound,
    )
    return _play(signal, tails[0])


def scale_to_snr(noise: torch.Tensor, speech: torch.Tensor, activity: NDArray[np.bool_], snr_db: float) -> torch.Tensor:
    """Scale noise so that active reverberant speech is `snr_db` above it.

    The SNR is 10 log10 of the power of the reverberant speech at the microphones while the talker is active, over the
    power of the noise during the whole recording, both averaged over channels.

    Parameters
    ----------
    noise, speech : Tensor (n_mics, n_samples)
    activity : ndarray of bool, shape (n_samples,)
        If nothing is active, the whole recording counts.
    snr_db : float

    Returns
    -------
    Tensor (n_mics, n_samples)
        Unchanged where speech or noise is silent.

    Examples
    --------
    >>> speech, noise = torch.ones(2, 4), 5 * torch.ones(2, 4)
    >>> round(scale_to_snr(noise, speech, np.ones(4, bool), 20.0)[0, 0].item(), 6)
    0.1
    """
    heard = speech[:, torch.from_numpy(activity).to(speech.device)] if activity.any() else speech
    wanted = heard.double().square().mean().item() * 10 ** (-check_real("snr_db", snr_db) / 10)
    power = noise.double().square().mean().item()
    return noise * (wanted / power) ** 0.5 if wanted > 0 and power > 0 else noise


def _play(signal: ArrayLike, response: torch.Tensor) -> torch.Tensor:
    sound = torch.as_tensor(np.asarray(signal, dtype=np.float32), device=response.device)
    before = min(response.shape[-1], len(sound) - 1)
    filled = torch.cat([sound[1 : before + 1].flip(0), sound])
    return convolve(filled, response)[:, before:]
