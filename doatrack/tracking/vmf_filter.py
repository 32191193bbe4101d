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

    The filter without a grid, for trackers that give a direction and a concentration: the posterior stays one von
    Mises-Fisher distribution. What it cannot hold are two candidates at once: between distant observations it
    decides by their weights, where `grid_filter` keeps both for a while.

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
    activity a frame is a mixture of four: moved or jumped, heard or not; each part has a closed form, and one
    distribution with the mixture's mean vector goes on (assumed-density filtering).

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
    future = torch.zeros_like(past)
    # all frames at once: first what the last frame waited for tells, then the one before it
    for ahead in range(min(delay, len(past) - 1), 0, -1):
        reach = len(past) - ahead
        known = _collapse(future[:reach], jump[ahead:], heard[ahead:], sure[ahead:])
        future[:reach] = _spread(known, keep[ahead - 1 : ahead - 1 + reach])
    return _answer(_collapse(past, torch.zeros_like(jump), future, 1 - jump) if delay else past)


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
    future = torch.zeros_like(past)
    for frame in range(len(past) - 2, -1, -1):
        known = _collapse(future[frame + 1], jump[frame + 1], heard[frame + 1], sure[frame + 1])
        future[frame] = _spread(known, keep[frame])
    return _answer(_collapse(past, torch.zeros_like(jump), future, 1 - jump))


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
    observation is. Interpolation along the great circle gives the same directions between two equally certain
    ones, but no uncertainty, and follows outliers.

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
    ([[0.87, 0.49, 0.0], [0.71, 0.71, 0.0], [0.49, 0.87, 0.0]], True)
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


def _forward(heard: Tensor, sure: Tensor, keep: Tensor, jump: Tensor) -> Tensor:
    """Return kappa mu of the filter's posteriors (n_frames, ..., 3)."""
    past = torch.zeros_like(heard)
    nothing = torch.zeros_like(heard[0])
    for frame in range(len(heard)):
        moved = _spread(past[frame - 1], keep[frame - 1]) if frame else nothing
        past[frame] = _collapse(moved, jump[max(frame - 1, 0)], heard[frame], sure[frame])
    return past


def _collapse(moved: Tensor, jump: Tensor, heard: Tensor, sure: Tensor) -> Tensor:
    """Return kappa mu of the distribution with the mean vector of a product of two mixtures.

    The product of (1 - jump) vMF(moved) + jump uniform and sure vMF(heard) + 1 - sure, as densities to the uniform one.
    """
    parts = torch.stack([moved + heard, moved, heard, torch.zeros_like(heard)])
    kappa = parts.norm(dim=-1)
    mass = kappa - log_peak_to_uniform(kappa)  # ln(sinh k / k)
    jump, sure = torch.broadcast_tensors(jump, sure)
    weights = torch.stack([(1 - jump) * sure, (1 - jump) * (1 - sure), jump * sure, jump * (1 - sure)]).log()
    weights[0] = weights[0] + mass[0] - mass[1] - mass[2]
    means = (torch.softmax(weights, dim=0) * mean_resultant_length(kappa))[..., None] * _directions(parts, kappa)
    return _with_length(means.sum(dim=0), 1.0)


def _spread(known: Tensor, keep: Tensor) -> Tensor:
    """Return kappa mu after a step that shortens the mean vector."""
    kappa = known.norm(dim=-1)
    return _with_length(mean_resultant_length(kappa)[..., None] * _directions(known, kappa), keep)


def _with_length(mean: Tensor, keep: Tensor | float) -> Tensor:
    length = mean.norm(dim=-1)
    return inverse_mean_resultant_length((keep * length).clamp(max=_LONGEST))[..., None] * _directions(mean, length)


def _directions(vectors: Tensor, lengths: Tensor) -> Tensor:
    return vectors / lengths.clamp(min=torch.finfo(lengths.dtype).tiny)[..., None]


def _answer(known: Tensor) -> Directions:
    vectors = np.moveaxis(known.numpy(), 0, -2)
    kappa: Any = np.linalg.norm(vectors, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return vectors / kappa[..., None], kappa
