"""What a recording's quiet moments tell: the whitening of its noise, and how far each moment rises above it."""

import math

import numpy as np
import torch
from torch import Tensor

from doatrack.features.parts import dots, is_plain, real_parts, upper_products

__all__ = [
    "lower_quantile",
    "quiet_covariance",
    "quietest",
    "reliability",
    "rise_above",
    "root_weights",
    "snapshot_power",
    "times",
    "whitening_matrix",
]

_LEAST_WEIGHT = 1e-20  # products with numbers next to 0 are slow
_ENOUGH = 64  # quiet snapshots: of twice as many of alike frequencies every second one is taken
_PSEUDO_SNAPSHOTS = 8.0  # of white noise, so that few quiet snapshots do not null the source itself


def snapshot_power(spectra: Tensor) -> Tensor:
    """Return the power of each snapshot, summed over microphones, (n_freq, n_snapshots).

    Parameters
    ----------
    spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex

    Examples
    --------
    >>> snapshot_power(torch.tensor([[[3 + 4j, 0], [0, 1j]]]))
    tensor([[25.,  1.]])
    """
    parts = real_parts(spectra)
    return dots(parts, parts)


def lower_quantile(values: Tensor, quantile: float) -> Tensor:
    """Return a quantile of each row, `torch.quantile` with linear interpolation, at a fraction of its time.

    Parameters
    ----------
    values : Tensor of shape (n_rows, n)
    quantile : float

    Returns
    -------
    Tensor of shape (n_rows,)

    Examples
    --------
    >>> lower_quantile(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), 0.5)
    tensor([2.5000])
    """
    rank = quantile * (values.shape[1] - 1)
    below = math.floor(rank)
    above = min(below + 1, values.shape[1] - 1)
    ordered = _ordered(values, above)
    # the next lower one is the largest of those before: NumPy takes several times as long for two ranks
    lower = ordered[:, :above].amax(dim=1) if above > below else ordered[:, above]
    return torch.lerp(lower, ordered[:, above], rank - below)


def _ordered(values: Tensor, rank: int) -> Tensor:
    """Return rows with what stands at a rank (from 0) in ascending order at this place, and lower ones before."""
    if not is_plain(values):
        return values.sort(dim=1).values
    # NumPy selects with vectors: a tenth of the time of torch's selection
    return torch.from_numpy(np.partition(values.numpy(), rank, axis=1))


def quietest(power: Tensor, quantile: float) -> Tensor:
    """Return the places of each frequency's quietest snapshots in the flattened powers, frequency after frequency.

    Parameters
    ----------
    power : Tensor of shape (n_freq, n_snapshots)
    quantile : float
        Share of the snapshots that count as noise.

    Examples
    --------
    >>> quietest(torch.tensor([[4.0, 1.0, 3.0], [1.0, 2.0, 3.0]]), 0.5)
    tensor([1, 2, 3, 4])
    """
    count = 1 + math.floor(quantile * (power.shape[1] - 1))
    limit = _ordered(power, count - 1)[:, count - 1]
    quiet = (power <= limit[:, None]).flatten()
    places = torch.from_numpy(np.flatnonzero(quiet.numpy())) if is_plain(quiet) else quiet.nonzero()[:, 0]
    if len(places) == count * len(power):
        return places
    # equal ones at the limit, or values that are no numbers: which of them are taken does not matter, how many does
    index = power.topk(count, dim=1, largest=False, sorted=False).indices
    return (index + power.shape[1] * torch.arange(len(power), device=power.device)[:, None]).flatten()


def quiet_covariance(spectra: Tensor, power: Tensor, quiet: Tensor, every: int = 1, alike: int = 1) -> Tensor:
    """Return the covariance of the quietest snapshots of each frequency, relative to white noise.

    Speech leaves every frequency again and again, a continuous interferer does not: what is left in a frequency's
    quiet moments is noise, and its covariance knows where that comes from.

    Parameters
    ----------
    spectra : Tensor of shape (n_freq, n_snapshots, n_mics), complex
    power : Tensor of shape (n_freq / alike, alike * n_snapshots)
        `snapshot_power` of the spectra.
    quiet : Tensor
        Which are the `quietest` of this power.
    every : int
        How many snapshots each of these stands for: the assumed white noise is as much less.
    alike : int
        So many neighbouring frequencies have one covariance. What they add tells nearly the same, and the assumed white
        noise counts as much as it would for one of them.

    Returns
    -------
    Tensor of shape (n_freq / alike, n_mics, n_mics), complex
        E[x x^H], of trace n_mics; the unit matrix where there is no noise at all.

    Examples
    --------
    >>> quiet = torch.randn(2, 4000, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> power = snapshot_power(quiet).view(1, -1)
    >>> quiet_covariance(quiet, power, quietest(power, 0.5), alike=2).shape
    torch.Size([1, 2, 2])
    """
    n_mics = spectra.shape[-1]
    rows = _rows(spectra, quiet, alike)
    covariance, count = _gram(rows), rows.shape[1]
    level = _diagonal(covariance).mean(dim=-1)
    # digital silence has no direction
    heard = level > 1e-12 * count * (power.mean() / n_mics).clamp_min(1e-30)
    share = heard * (count / (count + alike * _PSEUDO_SNAPSHOTS / every))
    covariance = times(covariance, share / level.clamp_min(1e-30))
    _diagonal(covariance).add_((1 - share)[:, None])
    return covariance


def _diagonal(matrices: Tensor) -> Tensor:
    """Return a view of the real parts of the diagonals, (n_freq, n_mics)."""
    return torch.view_as_real(matrices).diagonal(dim1=-3, dim2=-2)[:, 0]


def _rows(spectra: Tensor, places: Tensor, alike: int) -> Tensor:
    """Return the snapshots (n_freq / alike, n, n_mics) at places in the flattened frequencies and snapshots."""
    n_freq, n_snapshots, n_mics = spectra.shape
    places = places.view(n_freq // alike, -1)
    # of many, alternate ones tell as much of frequencies that are alike
    places = places[:, :: min(alike, max(1, places.shape[1] // _ENOUGH))]
    if not is_plain(spectra):
        return spectra.reshape(-1, n_mics)[places]
    # whole rows of one table are copied faster than elements; between frequencies it may have rows that do not count
    apart = spectra.stride(0) // n_mics if spectra.stride()[1:] == (n_mics, 1) else 0
    if apart < n_snapshots or spectra.stride(0) % n_mics:
        spectra, apart = spectra.contiguous(), n_snapshots
    table = spectra.as_strided((apart * (n_freq - 1) + n_snapshots, n_mics), (n_mics, 1)).numpy()
    rows = places.numpy()
    if apart > n_snapshots:
        rows = rows + (apart - n_snapshots) * (rows // n_snapshots)
    return torch.from_numpy(table.take(rows, axis=0))


def _gram(spectra: Tensor) -> Tensor:
    """Return the sums over snapshots of x x^H, (n_freq, n_mics, n_mics), of spectra (n_freq, n_snapshots, n_mics)."""
    parts = real_parts(spectra)
    products = upper_products(parts, parts)
    found = spectra.new_empty(len(spectra), spectra.shape[2], spectra.shape[2])
    real, imaginary = torch.view_as_real(found).unbind(-1)
    torch.add(products[:, ::2, ::2], products[:, 1::2, 1::2], out=real)
    torch.sub(products[:, 1::2, ::2], products[:, ::2, 1::2], out=imaginary)
    half = spectra.shape[2] // 2
    found[:, half:, :half] = found[:, :half, half:].mH
    return found


def times(matrices: Tensor, factor: Tensor) -> Tensor:
    """Return complex matrices (n_freq, n, n) times one real number each: half the work of complex products."""
    return torch.view_as_complex(torch.view_as_real(matrices) * factor[:, None, None, None])


def rise_above(power: Tensor, quiet: Tensor) -> Tensor:
    """Return how far the mean power of each frequency is above that of its quietest snapshots, relative to these.

    Parameters
    ----------
    power : Tensor of shape (n_freq, n_snapshots)
    quiet : Tensor
        Places of the `quietest`.

    Returns
    -------
    Tensor of shape (n_freq,)
        From 0; 0 also where there is nothing at all.

    Examples
    --------
    >>> power = torch.tensor([[4.0, 1.0, 1.0, 6.0], [0.0, 0.0, 0.0, 0.0]])
    >>> rise_above(power, quietest(power, 0.5))
    tensor([2., 0.])
    """
    least = power.take(quiet).view(len(power), -1).mean(dim=1)
    mean = power.mean(dim=1)
    return ((mean - least) / least.clamp_min(1e-6 * mean + 1e-30)).clamp_min(0.0)


def whitening_matrix(covariance: Tensor, loading: float) -> Tensor:
    """Return Q = (N + loading I)^-1, scaled to the trace n_mics.

    Parameters
    ----------
    covariance : Tensor of shape (n_freq, n_mics, n_mics), complex
        From `quiet_covariance`.
    loading : float

    Examples
    --------
    >>> loud_from_one_side = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]], dtype=torch.complex64)
    >>> wave = torch.tensor([[1.0], [1.0]], dtype=torch.complex64)
    >>> round(float((whitening_matrix(loud_from_one_side, 0.1)[0] @ wave).abs().max()), 2)  # almost nulled
    0.09
    """
    loaded = covariance.clone()
    _diagonal(loaded).add_(loading)
    root, failed = torch.linalg.cholesky_ex(loaded)
    # half the time of the general inverse, which a tiny loading may need
    inverse = torch.linalg.inv(loaded) if failed.any() else torch.cholesky_inverse(root)
    return times(inverse, covariance.shape[-1] / _diagonal(inverse).sum(dim=-1))


def reliability(power: Tensor, floor: Tensor, expected: Tensor) -> Tensor:
    """Return weights max(0, 1 - (floor + expected) / power): the share of the power that is new sound.

    Parameters
    ----------
    power : Tensor of shape (n_freq, n_snapshots)
    floor, expected : Tensor, broadcast to `power`
        Power of noise, and of reverberation.

    Examples
    --------
    >>> reliability(torch.tensor([[4.0, 1.0]]), torch.tensor([1.0]), torch.tensor([1.0]))
    tensor([[0.5000, 0.0000]])
    """
    return (1 - (floor + expected) / power.clamp_min(1e-30)).clamp_min(0.0)


def root_weights(power: Tensor, floor: Tensor, expected: Tensor, boost: float = 1.0) -> Tensor:
    """Return the roots of `boost` times `reliability` over power, what snapshots are multiplied by; never quite 0.

    Parameters
    ----------
    power : Tensor of shape (n_freq, n_snapshots)
        Above 0.
    floor, expected : Tensor, broadcast to `power`
        As in `reliability`.
    boost : float

    Examples
    --------
    >>> root_weights(torch.tensor([[4.0]]), torch.tensor([1.0]), torch.tensor([1.0])) ** 2
    tensor([[0.1250]])
    """
    if not is_plain(power):
        weight = reliability(power, floor, expected).clamp_min(_LEAST_WEIGHT)
        return (boost * weight / power).sqrt()
    # (1 - missing / power) / power, in a few calls on memory that is near the processor
    heard = power.numpy()
    root = heard - expected.numpy()
    root -= floor.numpy()
    # next to no power is far below what was expected
    with np.errstate(over="ignore"):
        root /= heard
    np.maximum(root, _LEAST_WEIGHT, out=root)
    root /= heard
    root *= boost
    return torch.from_numpy(np.sqrt(root, out=root))
