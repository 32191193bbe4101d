"""Filter and smoother in closed form, where every frame gives a von Mises-Fisher posterior."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from doatrack._validation import (
    check_array,
    check_int,
    check_real,
    check_same_length,
    check_times,
    check_unit_vectors,
)
from doatrack.distributions.concentration import (
    inverse_mean_resultant_length,
    log_peak_to_uniform,
    mean_resultant_length,
)
from doatrack.exceptions import InvalidInputError
from doatrack.tracking._recursions import check_activity
from doatrack.tracking.motion import MotionModel

__all__ = ["posterior_at_times", "vmf_filter", "vmf_smoother"]

_LONGEST = 1 - 1e-12  # mean length: a concentration of 1e12

Directions = tuple[NDArray[np.float64], NDArray[np.float64]]


def vmf_filter(
    mean_direction: ArrayLike,
    concentration: ArrayLike,
    motion: MotionModel,
    step_s: ArrayLike,
    activity: ArrayLike | None = None,
    lag: int = 0,
) -> Directions:
    """Return the direction and its concentration at each frame, given the frames up to `lag` later.

    The filter without a grid, for trackers that give a direction and a concentration. It cannot hold two candidates
    at once: between distant observations it decides by their weights, where `grid_filter` keeps both for a while.

    Parameters
    ----------
    mean_direction : array-like of shape (..., n_frames, 3)
        Unit vectors; NaN where a frame has no observation.
    concentration : array-like of shape (..., n_frames)
        At least 0; 0 or NaN where a frame has no observation. What counts as new in each frame: neighbouring frames
        overlap, so a tracker's concentration is to be scaled down (docs/motion.md).
    motion : MotionModel
        Diffusion and jumps per second.
    step_s : float, or array-like of shape (n_frames - 1,)
        From one frame to the next in seconds.
    activity : array-like of shape (..., n_frames), optional
        Probability in [0, 1] that the observation is the source's, as in `robust_log_likelihood`. None means 1.
    lag : int
        How many later frames are waited for; 0 is causal.

    Returns
    -------
    mean_direction : ndarray of shape (..., n_frames, 3)
        Unit vectors; NaN before anything was heard.
    concentration : ndarray of shape (..., n_frames)
        0 before anything was heard.

    Raises
    ------
    InvalidInputError
        If shapes do not fit, or a value is out of range.

    Notes
    -----
    The product of two von Mises-Fisher densities is one whose vector kappa mu is the sum of theirs. Diffusion
    multiplies the mean vector, of length A(kappa) = coth kappa - 1/kappa, by exp(-diffusion * step). With jumps and
    activity the posterior is a mixture, of this distribution and the uniform one: a frame was heard or not, after a
    walk or a jump. Each part of the product has a closed form; those that point somewhere are replaced by one
    distribution with their mean vector (assumed-density filtering). The answer has the mean vector of the mixture.

    References
    ----------
    G. Kurz, I. Gilitschenski, U. D. Hanebeck, "Unscented von Mises-Fisher filtering", IEEE SPL 2016 (moment
    matching); T. P. Minka, PhD thesis, MIT 2001, chapter 3 (assumed-density filtering).

    Examples
    --------
    >>> doa, kappa = [[1.0, 0, 0]] * 4, [50.0, 50.0, 0.0, 50.0]
    >>> mean, certainty = vmf_filter(doa, kappa, MotionModel(diffusion=0.02, jump_rate=0.0), step_s=0.2)
    >>> mean[3].tolist(), certainty.round().tolist()
    ([1.0, 0.0, 0.0], [50.0, 92.0, 67.0, 103.0])
    """
    heard, sure = _observations(mean_direction, concentration, activity)
    keep, jump = _steps(motion, step_s, heard)
    delay = check_int("lag", lag, 0)
    past = _forward(heard, sure, keep, jump)
    future, loose = torch.zeros_like(heard), torch.ones_like(sure)
    # all frames at once: first what the last frame waited for tells, then the one before it
    for ahead in range(min(delay, len(heard) - 1), 0, -1):
        reach = len(heard) - ahead
        known = _product(future[:reach], loose[:reach], heard[ahead:], sure[ahead:])
        steps = slice(ahead - 1, ahead - 1 + reach)
        future[:reach], loose[:reach] = _after(*known, keep[steps], jump[steps])
    return _answer(*_product(*past, future, 1 - loose))


def vmf_smoother(
    mean_direction: ArrayLike,
    concentration: ArrayLike,
    motion: MotionModel,
    step_s: ArrayLike,
    activity: ArrayLike | None = None,
) -> Directions:
    """Return the direction and its concentration at each frame, given the whole recording.

    Forward and backward filters in closed form, joined; frames without an observation are filled in from both sides.

    Parameters
    ----------
    mean_direction, concentration, motion, step_s, activity
        As in `vmf_filter`.

    Returns
    -------
    mean_direction : ndarray of shape (..., n_frames, 3)
        Unit vectors; NaN if nothing was heard at all.
    concentration : ndarray of shape (..., n_frames)

    Raises
    ------
    InvalidInputError
        As in `vmf_filter`.

    Examples
    --------
    >>> nan = [np.nan] * 3
    >>> motion = MotionModel(jump_rate=0.0)
    >>> mean, _ = vmf_smoother([[1.0, 0, 0], nan, [0, 1.0, 0]], [50.0, 0.0, 50.0], motion, step_s=0.2)
    >>> mean[1].round(3).tolist()
    [0.707, 0.707, 0.0]
    """
    heard, sure = _observations(mean_direction, concentration, activity)
    keep, jump = _steps(motion, step_s, heard)
    past = _forward(heard, sure, keep, jump)
    future, loose = torch.zeros_like(heard), torch.ones_like(sure)
    for frame in range(len(heard) - 2, -1, -1):
        known = _product(future[frame + 1], loose[frame + 1], heard[frame + 1], sure[frame + 1])
        future[frame], loose[frame] = _after(*known, keep[frame], jump[frame])
    return _answer(*_product(*past, future, 1 - loose))


def posterior_at_times(
    new_times: ArrayLike,
    times: ArrayLike,
    mean_direction: ArrayLike,
    concentration: ArrayLike,
    motion: MotionModel,
    activity: ArrayLike | None = None,
) -> Directions:
    """Return directions and concentrations at other times than those observed: the motion model fills in.

    For networks that pool time: their few posteriors are brought to all input frames, less certain the farther the next
    observation is. Interpolation along the great circle knows no uncertainty, and follows outliers.

    Parameters
    ----------
    new_times : array-like of shape (n_new,)
        In seconds, increasing.
    times : array-like of shape (n_frames,)
        Of the observations, in seconds, increasing.
    mean_direction, concentration, motion, activity
        As in `vmf_filter`, for one recording.

    Returns
    -------
    mean_direction : ndarray of shape (n_new, 3)
        Unit vectors.
    concentration : ndarray of shape (n_new,)

    Raises
    ------
    InvalidInputError
        If shapes do not fit, times do not increase, or a value is out of range.

    Examples
    --------
    >>> mean, certainty = posterior_at_times(
    ...     [0.0, 0.5, 1.0], [0.0, 1.0], [[1.0, 0, 0], [0, 1.0, 0]], [40.0, 40.0], MotionModel(jump_rate=0.0)
    ... )
    >>> mean.round(2).tolist(), bool(certainty[1] < certainty[0])
    ([[0.93, 0.37, 0.0], [0.71, 0.71, 0.0], [0.37, 0.93, 0.0]], True)
    """
    wanted, given = check_times("new_times", new_times), check_times("times", times)
    doa = check_array("mean_direction", mean_direction, ("n_frames", 3), finite=False)
    kappa = check_array("concentration", concentration, ("n_frames",), finite=False)
    sure = check_activity(1.0 if activity is None else activity, kappa.shape)
    for name, rows in (("mean_direction", doa), ("concentration", kappa)):
        check_same_length(name, len(rows), "times", len(given))
    every = np.union1d(wanted, given)
    at = np.searchsorted(every, given)
    all_doa, all_kappa, all_sure = np.full((len(every), 3), np.nan), np.zeros(len(every)), np.zeros(len(every))
    all_doa[at], all_kappa[at], all_sure[at] = doa, kappa, sure
    mean, certainty = vmf_smoother(all_doa, all_kappa, motion, np.diff(every), all_sure)
    chosen = np.searchsorted(every, wanted)
    return mean[chosen], certainty[chosen]


def _observations(
    mean_direction: ArrayLike, concentration: ArrayLike, activity: ArrayLike | None
) -> tuple[Tensor, Tensor]:
    """Return kappa mu (n_frames, ..., 3), zero where nothing was observed, and the probability that it counts."""
    doa = check_unit_vectors("mean_direction", mean_direction)
    kappa = check_array("concentration", concentration, ("...", "n_frames"), finite=False)
    if doa.shape[:-1] != kappa.shape or doa.ndim < 2 or doa.shape[-2] == 0:
        raise InvalidInputError(
            "mean_direction and concentration must have the shapes (..., n_frames, 3) and (..., n_frames) with at "
            f"least one frame, got {doa.shape} and {kappa.shape}."
        )
    if (kappa < 0).any() or np.isinf(kappa).any():
        raise InvalidInputError(
            f"concentration must be finite, at least 0, or NaN, got {np.nanmin(kappa):g} to {np.nanmax(kappa):g}."
        )
    sure = np.broadcast_to(check_activity(1.0 if activity is None else activity, kappa.shape), kappa.shape)
    # an unknown direction or concentration is no observation
    vectors = np.nan_to_num(kappa[..., None] * doa)
    return torch.from_numpy(np.moveaxis(vectors, -2, 0).copy()), torch.from_numpy(np.moveaxis(sure, -1, 0).copy())


def _steps(motion: MotionModel, step_s: ArrayLike, heard: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each step keeps of a mean vector's length, and its probability of a jump; none after the end."""
    if not isinstance(motion, MotionModel):
        raise InvalidInputError(
            f"motion must be a MotionModel, got {type(motion).__name__}. Modes need a grid: grid_filter, grid_smoother."
        )
    seconds = check_array("step_s", step_s, ("...",))
    if seconds.shape not in ((), (len(heard) - 1,)):
        raise InvalidInputError(
            f"step_s must be one number or {len(heard) - 1}, the steps between {len(heard)} frames, got the shape "
            f"{seconds.shape}."
        )
    if seconds.size:
        check_real("step_s", float(seconds.min()), 0.0, exclusive_minimum=True)
    steps = torch.zeros(len(heard), *[1] * (heard.ndim - 2), dtype=torch.float64)
    steps[:-1] = torch.as_tensor(seconds).reshape(-1, *[1] * (heard.ndim - 2))
    return torch.exp(-motion.diffusion * steps), -torch.expm1(-motion.jump_rate * steps)


def _forward(heard: Tensor, sure: Tensor, keep: Tensor, jump: Tensor) -> tuple[Tensor, Tensor]:
    """Return the filter's posteriors: kappa mu (n_frames, ..., 3), and how probably the source is anywhere instead."""
    past, loose = torch.zeros_like(heard), torch.ones_like(sure)
    prediction = past[0], loose[0]
    for frame in range(len(heard)):
        past[frame], loose[frame] = _product(*prediction, heard[frame], sure[frame])
        prediction = _after(past[frame], loose[frame], keep[frame], jump[frame])
    return past, loose


def _product(moved: Tensor, loose: Tensor, heard: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """Return a product of two mixtures of a von Mises-Fisher distribution and the uniform one, as one such mixture.

    The factors are (1 - loose) vMF(moved) + loose and sure vMF(heard) + 1 - sure, densities relative to the uniform
    one. Of the four parts of their product the three that point somewhere are replaced by one with their mean vector.
    """
    parts = torch.stack([moved + heard, moved, heard])
    kappa = parts.norm(dim=-1)
    mass = kappa - log_peak_to_uniform(kappa)  # ln(sinh k / k)
    logs = torch.stack([(1 - loose) * sure, (1 - loose) * (1 - sure), loose * sure, loose * (1 - sure)]).log()
    logs[0] += mass[0] - mass[1] - mass[2]
    weights = torch.softmax(logs, dim=0)
    means = (weights[:3] * mean_resultant_length(kappa))[..., None] * _directions(parts, kappa)
    pointing = weights[:3].sum(dim=0).clamp(min=torch.finfo(weights.dtype).tiny)
    return _with_length(means.sum(dim=0) / pointing[..., None]), weights[3]


def _after(known: Tensor, loose: Tensor, keep: Tensor, jump: Tensor) -> tuple[Tensor, Tensor]:
    """Return a mixture after a step that shortens the mean vector, or jumps."""
    kappa = known.norm(dim=-1)
    moved = _with_length((keep * mean_resultant_length(kappa))[..., None] * _directions(known, kappa))
    return moved, loose + jump * (1 - loose)


def _with_length(mean: Tensor) -> Tensor:
    """Return kappa mu of the distribution with a mean vector."""
    length = mean.norm(dim=-1)
    return inverse_mean_resultant_length(length.clamp(max=_LONGEST))[..., None] * _directions(mean, length)


def _directions(vectors: Tensor, lengths: Tensor) -> Tensor:
    return vectors / lengths.clamp(min=torch.finfo(lengths.dtype).tiny)[..., None]


def _answer(known: Tensor, loose: Tensor) -> Directions:
    """Return mean directions, NaN where nothing is known, and concentrations."""
    kappa = known.norm(dim=-1)
    vectors = _with_length(((1 - loose) * mean_resultant_length(kappa))[..., None] * _directions(known, kappa))
    certainty: Any = np.moveaxis(vectors.norm(dim=-1).numpy(), 0, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.moveaxis(vectors.numpy(), 0, -2) / certainty[..., None], certainty
