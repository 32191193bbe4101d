"""Image sources of a shoebox room: exact delays, batched over source positions and microphones."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack.simulation.decimation import Decimator, decimation_response
from doatrack.simulation.fft_length import fast_fft_length

__all__ = ["ImageLattice", "image_energy", "image_responses", "low_pass_weights"]

OVERSAMPLING = 6  # the two-tap interpolation then errs by at most 0.6 % of an image at 7 kHz
PASSBAND = 0.95  # of the Nyquist frequency; a raised cosine from there to 1 keeps the ringing short
RINGING = 64  # samples on either side of an image that the ringing of the low-pass takes
_ROW_GAP = 48  # fine samples between rows: rows a power of two apart would share few places in the cache
_CHUNK = 1 << 17  # images x sources x microphones handled at once, so that they stay in the cache
_MOST_FINE = 1 << 26  # samples of fine responses held at once: of a few images, many sources would fit into a chunk


@dataclass(frozen=True)
class ImageLattice:
    """The images that matter for a set of sources: one row per image, the same rows for every source.

    Attributes
    ----------
    coordinates : tuple of three tensors (n_sources, n_axis)
        Coordinates of the images along each axis in metres.
    index : Tensor (n_images, 3)
        Which coordinate of each axis an image has.
    gain : Tensor (n_images,)
        Product of the reflection coefficients on its way.
    """

    coordinates: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    index: torch.Tensor
    gain: torch.Tensor

    @classmethod
    def within(
        cls,
        room_size: NDArray[np.float64],
        reflection: NDArray[np.float64],
        source_positions: NDArray[np.float64],
        centre: NDArray[np.float64],
        radius: float,
        max_order: int | None = None,
        device: torch.device | str = "cpu",
    ) -> "ImageLattice":
        """Collect the images that lie within `radius` of `centre` for at least one source."""
        axes = [_axis_images(room_size[a], source_positions[:, a], radius) for a in range(3)]
        nearest = [np.abs(points - centre[a]).min(axis=0) ** 2 for a, (points, _) in enumerate(axes)]
        squared = nearest[0][:, None, None] + nearest[1][:, None] + nearest[2]
        chosen = squared <= radius**2
        if max_order is not None:
            orders = [np.abs(numbers) for _, numbers in axes]
            chosen &= (orders[0][:, None, None] + orders[1][:, None] + orders[2]) <= max_order
        index = np.argwhere(chosen)
        index = index[np.argsort(squared[chosen], kind="stable")]  # near ones first: memory is touched in order
        gain = np.ones(len(index))
        for a, (_, numbers) in enumerate(axes):
            gain *= _axis_gain(numbers, reflection[2 * a], reflection[2 * a + 1])[index[:, a]]
        coordinates = [torch.as_tensor(points, dtype=torch.float32, device=device) for points, _ in axes]
        return cls(
            (coordinates[0], coordinates[1], coordinates[2]),
            torch.as_tensor(index, device=device),
            torch.as_tensor(gain, dtype=torch.float32, device=device),
        )

    def squared_distances(
        self, mic_positions: torch.Tensor, start: int, stop: int, work: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Return squared distances in m^2, (n_images, (stop - start) * n_mics), of some sources' images.

        Sources and microphones are next to each other in memory, so that one copy of a row serves all of them. With
        `work`, two tensors of the result's shape, the result is the first of them.
        """
        x, y, z = (
            (self.coordinates[a][start:stop].T[..., None] - mic_positions[:, a]).square_().flatten(1) for a in range(3)
        )
        plane = (x[:, None] + y).flatten(0, 1)
        total, height = (None, None) if work is None else work
        total = torch.index_select(plane, 0, self.index[:, 0] * len(y) + self.index[:, 1], out=total)
        return total.add_(torch.index_select(z, 0, self.index[:, 2], out=height))


def image_responses(
    lattice: ImageLattice, mic_positions: torch.Tensor, n_taps: int, sample_rate: float, speed_of_sound: float
) -> torch.Tensor:
    """Return the sum of all images as band-limited responses.

    Each image, of amplitude gain / (4 pi distance), is added with two linear-interpolation taps to a response at six
    times the sample rate, of which every third sample is kept behind a short filter. In the frequency domain the known
    weights of interpolation (sinc^2) and filter are divided out and everything above the Nyquist frequency dropped.

    Parameters
    ----------
    lattice : ImageLattice
    mic_positions : Tensor (n_mics, 3)
        In metres, from the corner of the room, float32.
    n_taps : int
        Length of the responses in samples; of later images only the ringing before them is in it.
    sample_rate, speed_of_sound : float
        In Hz and m/s.

    Returns
    -------
    Tensor (n_sources, n_mics, n_taps), float32
        Tap n is time n / sample_rate after emission.
    """
    n_sources, n_mics = len(lattice.coordinates[0]), len(mic_positions)
    # The last image rings until n_taps + 2 RINGING; what wraps around from before sample 0 stays behind n_taps.
    n_fft = fast_fft_length(n_taps + 2 * RINGING)
    weights = low_pass_weights(n_fft, OVERSAMPLING, mic_positions.device)
    weights = weights / decimation_response(n_fft, OVERSAMPLING).to(weights.device)
    decimate = Decimator(mic_positions)
    result = mic_positions.new_empty(n_sources, n_mics, n_taps)
    fine_length = OVERSAMPLING * n_fft + _ROW_GAP
    most = min(_CHUNK // max(1, len(lattice.gain) * n_mics), _MOST_FINE // (n_mics * fine_length))
    step = min(n_sources, max(1, most))
    adder = _ImageAdder(lattice, mic_positions, step, fine_length, sample_rate / speed_of_sound, n_taps + RINGING)
    for start in range(0, n_sources, step):
        stop = min(start + step, n_sources)
        spectrum = torch.fft.rfft(decimate(adder(start, stop))[..., : 2 * n_fft])[..., : n_fft // 2 + 1] * weights
        result[start:stop] = torch.fft.irfft(spectrum, n_fft)[..., :n_taps]
    return result


def image_energy(lattice: ImageLattice, centre: torch.Tensor, nearest: float, farthest: float) -> tuple[float, float]:
    """Return the mean over sources of the number and of the summed squared amplitude of images in a shell (metres)."""
    n_sources = len(lattice.coordinates[0])
    squared = lattice.squared_distances(centre[None], 0, n_sources)
    inside = (squared >= nearest**2) & (squared < farthest**2)
    # an image may lie at the centre itself, which is in no shell
    energy = (lattice.gain[:, None] ** 2 / (16 * math.pi**2) / squared).masked_fill_(~inside, 0.0).sum().item()
    return inside.sum().item() / n_sources, energy / n_sources


def low_pass_weights(n_fft: int, oversampling: int | None = None, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the weights of the bins 0..n_fft/2: raised cosine to the Nyquist frequency, over sinc^2 of the taps."""
    frequency = torch.fft.rfftfreq(n_fft, device=device)  # cycles per sample
    fall = ((frequency * 2 - PASSBAND) / (1 - PASSBAND)).clamp(0, 1)
    weights = 0.5 * (1 + torch.cos(math.pi * fall))
    if oversampling is not None:
        weights = weights / torch.sinc(frequency / oversampling) ** 2
    return weights


class _ImageAdder:
    """Adds every image up to sample `n_last` to oversampled responses, rows of `length`.

    Everything of the size of the images is allocated once, not for each group of sources.
    """

    def __init__(
        self,
        lattice: ImageLattice,
        mic_positions: torch.Tensor,
        most_sources: int,
        length: int,
        samples_per_metre: float,
        n_last: int,
    ) -> None:
        self.lattice, self.mic_positions = lattice, mic_positions
        self.scale = OVERSAMPLING * samples_per_metre
        self.length, self.last = length, OVERSAMPLING * n_last
        self.gain = lattice.gain[:, None] * (self.scale / (4 * math.pi))
        most_rows = most_sources * len(mic_positions)
        self.fine = mic_positions.new_empty(most_rows * self.length)
        n_cells = len(lattice.gain) * most_rows
        self.delay, self.amplitude = (mic_positions.new_empty(n_cells) for _ in range(2))
        self.place = mic_positions.new_empty(n_cells, dtype=torch.int32)
        self.flat = mic_positions.new_empty(n_cells, dtype=torch.int64)

    def __call__(self, start: int, stop: int) -> torch.Tensor:
        """Return responses (stop - start, n_mics, length), which the next call overwrites."""
        n_rows = (stop - start) * len(self.mic_positions)
        n_cells = len(self.gain) * n_rows
        delay, amplitude, place, flat = (
            work[:n_cells].view(-1, n_rows) for work in (self.delay, self.amplitude, self.place, self.flat)
        )
        self.lattice.squared_distances(self.mic_positions, start, stop, (delay, amplitude)).sqrt_().mul_(self.scale)
        torch.div(self.gain, delay, out=amplitude)
        delay.clamp_(max=self.last)  # what comes later falls on one tap that is cleared below
        place.copy_(delay).add_(torch.arange(n_rows, dtype=torch.int32, device=place.device) * self.length)
        flat.copy_(place)
        later = delay.frac_().mul_(amplitude)
        fine = self.fine[: n_rows * self.length].zero_()
        fine.scatter_add_(0, flat.view(-1), amplitude.sub_(later).view(-1))
        fine[1:].scatter_add_(0, flat.view(-1), later.view(-1))
        fine = fine.view(stop - start, len(self.mic_positions), self.length)
        fine[..., self.last :] = 0
        return fine


def _axis_images(
    length: float, sources: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Coordinates (n_sources, n) of the images along one axis, and how many walls each has crossed (signed)."""
    reach = math.ceil(radius / length) + 1
    numbers = np.arange(-reach, reach + 1)
    mirrored = numbers % 2 != 0
    points = np.where(mirrored, (numbers + 1) * length - sources[:, None], numbers * length + sources[:, None])
    return points, numbers


def _axis_gain(numbers: NDArray[np.int64], low_wall: float, high_wall: float) -> NDArray[np.float64]:
    """Image n crossed |n| walls in turn: first the far one where n > 0, the near one where n < 0."""
    first, second = (np.abs(numbers) + 1) // 2, np.abs(numbers) // 2
    high, low = np.where(numbers > 0, first, second), np.where(numbers > 0, second, first)
    return np.power(low_wall, low) * np.power(high_wall, high)
