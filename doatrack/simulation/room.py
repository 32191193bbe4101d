"""Room impulse responses of a shoebox: image sources, then a diffuse tail."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_int, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.mic_array import SPEED_OF_SOUND
from doatrack.simulation.absorption import (
    absorption_from_rt60,
    check_reflection,
    check_room_size,
    rt60_from_reflection,
)
from doatrack.simulation.diffuse import diffuse_tails, fade_out
from doatrack.simulation.image_sources import RINGING, ImageLattice, image_energy, image_responses

__all__ = ["ShoeboxRoom", "room_impulse_responses"]

_IMAGE_DECAY_DB = 12.0  # images carry the first 12 dB of the decay ...
_SHORTEST_IMAGE_TIME = 0.06  # ... at least the first 60 ms ...
_MOST_IMAGES = 12000  # ... and at most about so many images
_FADE_TIME = 0.004
_NEAREST = 0.01  # metres between source and microphone


class ShoeboxRoom:
    """A rectangular room with one corner at the origin and walls that reflect all frequencies alike.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        Length, width and height in metres.
    rt60 : float, optional
        Reverberation time in seconds; all walls then absorb alike. None needs `reflection`.
    reflection : float or array-like of shape (6,), optional
        Pressure reflection coefficients of the walls x=0, x=L, y=0, y=L, floor, ceiling. None: from `rt60`.
        If both are given, `reflection` makes the images and `rt60` the tail.
    absorption_model : {"eyring", "sabine"}
        How `rt60` becomes absorption.
    sample_rate : int
        In Hz.
    speed_of_sound : float
        In m/s.

    Raises
    ------
    InvalidInputError
        If the room cannot have this `rt60`, or neither `rt60` nor `reflection` is given.

    Notes
    -----
    Not modelled: furniture, scattering, frequency-dependent absorption, directivity, air absorption, and the device's
    own body between the microphones.

    References
    ----------
    Allen and Berkley (1979), "Image method for efficiently simulating small-room acoustics".

    Examples
    --------
    >>> room = ShoeboxRoom([6, 5, 3], rt60=0.5)
    >>> room.reflection.round(3)[0], round(room.image_time, 3)
    (np.float64(0.891), 0.1)
    """

    def __init__(
        self,
        room_size: ArrayLike,
        rt60: float | None = None,
        reflection: ArrayLike | None = None,
        *,
        absorption_model: str = "eyring",
        sample_rate: int = 16000,
        speed_of_sound: float = SPEED_OF_SOUND,
    ) -> None:
        self.room_size = check_room_size(room_size)
        self.sample_rate = check_int("sample_rate", sample_rate, 1)
        self.speed_of_sound = check_real("speed_of_sound", speed_of_sound, 0.0, exclusive_minimum=True)
        if reflection is not None:
            self.reflection = check_reflection(reflection)
        elif rt60 is not None:
            absorption = absorption_from_rt60(
                self.room_size, rt60, model=absorption_model, speed_of_sound=self.speed_of_sound
            )
            self.reflection = np.full(6, math.sqrt(1 - absorption))
        else:
            raise InvalidInputError(
                "A room needs rt60 (seconds) or reflection (coefficients of the walls), got neither."
            )
        if rt60 is None:
            rt60 = rt60_from_reflection(self.room_size, self.reflection, speed_of_sound=self.speed_of_sound)
        self.rt60 = check_real("rt60", rt60, 0.0, exclusive_minimum=True)

    @property
    def image_time(self) -> float:
        """Seconds that image sources make: 12 dB of decay, at least 60 ms, at most some 12000 images."""
        crowded = (_MOST_IMAGES * self.room_size.prod() * 3 / (4 * math.pi)) ** (1 / 3) / self.speed_of_sound
        return float(max(_SHORTEST_IMAGE_TIME, min(self.rt60 * _IMAGE_DECAY_DB / 60, crowded)))

    def check_inside(self, name: str, positions: ArrayLike) -> NDArray[np.float64]:
        """Return positions `(n, 3)` in metres; raise if one is not inside the room."""
        points = check_array(name, positions, ("n", 3)).astype(np.float64)
        if not len(points):
            raise InvalidInputError(f"{name} must hold at least one position (x, y, z) in metres, got none.")
        outside = (points <= 0).any(axis=1) | (points >= self.room_size).any(axis=1)
        if outside.any():
            k = int(outside.argmax())
            raise InvalidInputError(
                f"{name} must lie inside the room of {self.room_size.tolist()} m (one corner is the origin), "
                f"but row {k} is {points[k].tolist()}."
            )
        return points

    def images(
        self,
        source_positions: ArrayLike,
        mic_positions: ArrayLike,
        *,
        n_taps: int | None = None,
        max_order: int | None = None,
        device: torch.device | str = "cpu",
    ) -> torch.Tensor:
        """Return responses of image sources only.

        Parameters
        ----------
        source_positions : array-like of shape (n_sources, 3)
        mic_positions : array-like of shape (n_mics, 3)
            In metres from the corner of the room.
        n_taps : int, optional
            Length in samples; None means `image_time` or, where longer, the direct sound and 10 ms.
        max_order : int, optional
            Most reflections of an image; None is no limit but `n_taps`.
        device : torch.device or str

        Returns
        -------
        Tensor (n_sources, n_mics, n_taps), float32
        """
        sources, mics = self._check_positions(source_positions, mic_positions)
        length = self._image_taps(sources, mics) if n_taps is None else check_int("n_taps", n_taps, 1)
        lattice, table = self._lattice(sources, mics, length, max_order, device)
        return image_responses(lattice, table, length, self.sample_rate, self.speed_of_sound)

    def responses(
        self,
        source_positions: ArrayLike,
        mic_positions: ArrayLike,
        generator: np.random.Generator,
        *,
        n_taps: int | None = None,
        n_tails: int | None = None,
        device: torch.device | str = "cpu",
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return early responses (faded out) and the diffuse tails that continue them.

        Parameters
        ----------
        source_positions : array-like of shape (n_sources, 3)
        mic_positions : array-like of shape (n_mics, 3)
            In metres from the corner of the room.
        generator : numpy.random.Generator
            Draws the tails.
        n_taps : int, optional
            Length of the tails in samples; None means rt60.
        n_tails : int, optional
            Number of independent tails; None is one per source.
        device : torch.device or str

        Returns
        -------
        early : Tensor (n_sources, n_mics, n_early)
            The images; n_early is at most n_taps.
        tails : Tensor (n_tails, n_mics, n_taps)
            Start where the images fade out, with the energy that the images have there.
        """
        sources, mics = self._check_positions(source_positions, mic_positions)
        total = math.ceil(self.rt60 * self.sample_rate) if n_taps is None else check_int("n_taps", n_taps, 1)
        length = min(self._image_taps(sources, mics), total) if n_taps else self._image_taps(sources, mics)
        total = max(total, length)
        lattice, table = self._lattice(sources, mics, length, None, device)
        early = image_responses(lattice, table, length, self.sample_rate, self.speed_of_sound)
        fade = min(round(_FADE_TIME * self.sample_rate), length)
        if total > length:
            early[..., length - fade :] *= fade_out(fade, early.device)
        tails = diffuse_tails(
            len(sources) if n_tails is None else check_int("n_tails", n_tails, 1),
            table,
            total,
            start=length,
            rt60=self.rt60,
            power=self._tail_power(lattice, table.mean(dim=0), length),
            fade=fade if total > length else 0,
            generator=generator,
            sample_rate=self.sample_rate,
            speed_of_sound=self.speed_of_sound,
        )
        return early, tails

    def _check_positions(
        self, source_positions: ArrayLike, mic_positions: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        sources = self.check_inside("source_positions", source_positions)
        mics = self.check_inside("mic_positions", mic_positions)
        distance = np.linalg.norm(sources[:, None] - mics, axis=-1)
        if distance.size and distance.min() < _NEAREST:
            s, m = np.unravel_index(distance.argmin(), distance.shape)
            raise InvalidInputError(
                f"source_positions must keep {_NEAREST} m from the microphones, but source {s} and microphone {m} "
                f"(counted from 0) are {distance.min():.3g} m apart."
            )
        return sources, mics

    def _image_taps(self, sources: NDArray[np.float64], mics: NDArray[np.float64]) -> int:
        farthest = np.linalg.norm(sources[:, None] - mics, axis=-1).max() / self.speed_of_sound
        return math.ceil(max(self.image_time, float(farthest) + 0.01) * self.sample_rate)

    def _lattice(
        self,
        sources: NDArray[np.float64],
        mics: NDArray[np.float64],
        n_taps: int,
        max_order: int | None,
        device: torch.device | str,
    ) -> tuple[ImageLattice, torch.Tensor]:
        centre = mics.mean(axis=0)
        spread = float(np.linalg.norm(mics - centre, axis=1).max())
        radius = (n_taps + RINGING) / self.sample_rate * self.speed_of_sound + spread
        lattice = ImageLattice.within(self.room_size, self.reflection, sources, centre, radius, max_order, device)
        return lattice, torch.as_tensor(mics, dtype=torch.float32, device=device)

    def _tail_power(self, lattice: ImageLattice, centre: torch.Tensor, start: int) -> float:
        """Energy per sample at `start`: that of the last 40 % of the images, carried on along the decay.

        Where hardly any images lie there, the diffuse-field level c / (4 pi V) of the room takes its place.
        """
        end, begin = start / self.sample_rate, 0.6 * start / self.sample_rate
        rate = 6 * math.log(10) / self.rt60
        n_images, energy = image_energy(lattice, centre, begin * self.speed_of_sound, end * self.speed_of_sound)
        if n_images < 10:
            volume = float(self.room_size.prod())
            return self.speed_of_sound / (4 * math.pi * volume * self.sample_rate) * math.exp(-rate * end)
        shape = -math.expm1(-rate * (end - begin)) * math.exp(rate * (end - begin)) / rate  # of exp(-rate (t - end))
        return energy / (shape * self.sample_rate)


def room_impulse_responses(
    room_size: ArrayLike,
    rt60: float | None,
    source_positions: ArrayLike,
    mic_positions: ArrayLike,
    *,
    reflection: ArrayLike | None = None,
    sample_rate: int = 16000,
    speed_of_sound: float = SPEED_OF_SOUND,
    generator: np.random.Generator | None = None,
    diffuse_tail: bool = True,
    n_taps: int | None = None,
    max_order: int | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Return room impulse responses of a shoebox from every source to every microphone.

    Parameters
    ----------
    room_size : array-like of shape (3,)
        Length, width and height in metres; one corner is the origin.
    rt60 : float or None
        Reverberation time in seconds, turned into absorption by Eyring's formula; None needs `reflection`.
    source_positions : array-like of shape (n_sources, 3)
    mic_positions : array-like of shape (n_mics, 3)
        In metres from the corner of the room.
    reflection : float or array-like of shape (6,), optional
        Pressure reflection coefficients, see `ShoeboxRoom`.
    sample_rate : int
        In Hz.
    speed_of_sound : float
        In m/s.
    generator : numpy.random.Generator, optional
        Draws the tails; None is a generator of seed 0.
    diffuse_tail : bool
        Whether images are followed by a diffuse tail after 12 dB of decay; False uses images up to `n_taps`.
    n_taps : int, optional
        Length in samples; None means rt60.
    max_order : int, optional
        Most reflections of an image; needs `diffuse_tail=False`.
    device : torch.device or str
        Where the work is done.

    Returns
    -------
    Tensor (n_sources, n_mics, n_taps), float32
        Tap n is time n / sample_rate after emission; a free-field image of distance d has the amplitude 1 / (4 pi d).

    Raises
    ------
    InvalidInputError
        On positions outside the room or on a microphone, and on an rt60 that the room cannot have.

    Examples
    --------
    >>> responses = room_impulse_responses([6, 5, 3], 0.3, [[2, 3, 1.5]], [[3, 2, 1.4], [3.1, 2, 1.4]])
    >>> responses.shape, int(responses[0, 0].abs().argmax()) == round(2.01**0.5 / 343 * 16000)
    (torch.Size([1, 2, 4800]), True)
    """
    room = ShoeboxRoom(room_size, rt60, reflection, sample_rate=sample_rate, speed_of_sound=speed_of_sound)
    if not diffuse_tail:
        length = math.ceil(room.rt60 * room.sample_rate) if n_taps is None else n_taps
        return room.images(source_positions, mic_positions, n_taps=length, max_order=max_order, device=device)
    if max_order is not None:
        raise InvalidInputError("max_order limits image sources only: give diffuse_tail=False with it.")
    generator = np.random.default_rng(0) if generator is None else generator
    early, tails = room.responses(source_positions, mic_positions, generator, n_taps=n_taps, device=device)
    tails[..., : early.shape[-1]] += early
    return tails if n_taps is not None else tails[..., : math.ceil(room.rt60 * room.sample_rate)]
