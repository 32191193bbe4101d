"""The recursions over frames that filter, smoother and learning share: forward, backward, normalised in logs."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_same_length
from doatrack.exceptions import InvalidInputError
from doatrack.tracking.transition import Transition

__all__ = [
    "check_activity",
    "forward_states",
    "of_directions",
    "rescale",
    "safe_exp",
    "safe_log",
    "smoothed_states",
    "to_directions",
    "weighted_evidence",
]


_LEAST = {np.dtype(kind): np.finfo(kind).tiny for kind in (np.float32, np.float64)}
_LEAST_LOG = {kind: np.log(tiny) + 18 for kind, tiny in _LEAST.items()}
"""Products with numbers that are not normal take a hundred times as long. A step of the walk has factors of 6e-5 and
more, so that e^18 above the least normal number they stay normal: 1e-30 in single precision."""


def weighted_evidence(
    log_likelihood: ArrayLike, transition: Transition, activity: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weighted log likelihood, frames first, with the maximum 0 in every frame, and that maximum.

    With several modes it gets an axis of size 1 for them: what is heard tells of directions only.
    """
    values = check_array("log_likelihood", log_likelihood, ("...", "n_frames", transition.n_directions))
    if values.shape[-2] == 0:
        raise InvalidInputError("log_likelihood must hold at least one frame, got none.")
    if activity is not None:
        values = values * check_activity(activity, values.shape[:-1])[..., None]
    peak = values.max(axis=-1, keepdims=True)
    # from here on in single precision if it came so; the difference to the maximum is exact enough
    kind = getattr(log_likelihood, "dtype", None)
    evidence = np.moveaxis(values - peak, -2, 0)
    evidence = evidence.astype(np.float32 if str(kind).endswith("float32") else np.float64)
    if transition.n_modes > 1:
        evidence = evidence[..., None, :]
    return evidence, np.moveaxis(peak[..., 0], -1, 0)


def check_activity(activity: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return one number in [0, 1] for each frame, of `shape` or fit to be broadcast to it."""
    weights = check_array("activity", activity, ("...",))
    if weights.ndim:
        check_same_length("activity", weights.shape[-1], "the frames", shape[-1])
    if weights.shape not in ((), shape, shape[-1:]):
        raise InvalidInputError(f"activity must have the shape {shape}, one number per frame, got {weights.shape}.")
    if weights.min(initial=0.0) < 0 or weights.max(initial=0.0) > 1:
        raise InvalidInputError(
            f"activity must lie between 0 and 1, got {weights.min():g} to {weights.max():g}. It is a weight or a "
            "probability per frame."
        )
    return weights


def forward_states(
    evidence: NDArray[Any], transition: Transition, before: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the filter's log probabilities of states, and what each frame adds to the log evidence.

    `before` is the last row of what it returned for the frames before; None: these are the first.
    """
    batch = evidence.shape[1 : evidence.ndim - len(transition.state_shape)]
    logs = np.empty((len(evidence), *batch, *transition.state_shape), evidence.dtype)
    added = np.empty((len(evidence), *batch))
    for frame, row in enumerate(evidence):
        previous = logs[frame - 1] if frame > 0 else before
        if previous is None:
            prediction = np.broadcast_to(transition.initial.astype(evidence.dtype), logs.shape[1:])
        else:
            prediction = transition.moved(safe_exp(previous))
        # in the log domain, so that a likelihood may contradict the prediction by any factor
        heard = safe_log(prediction)
        heard += row
        logs[frame], added[frame] = _normalise(heard, transition)
    return logs, added


def smoothed_states(evidence: NDArray[Any], transition: Transition) -> NDArray[Any]:
    """Return the smoother's log probabilities of states, frames first."""
    posterior, _ = forward_states(evidence, transition)
    message = np.ones(posterior.shape[1:], posterior.dtype)
    for frame in range(len(evidence) - 2, -1, -1):
        message = rescale(transition.backward(safe_exp(evidence[frame + 1]) * message), transition)
        posterior[frame] += safe_log(message)
    return _normalise(posterior, transition)[0]


def to_directions(posterior: NDArray[Any], transition: Transition) -> NDArray[Any]:
    """Return normalised log probabilities of directions, frames before directions."""
    return of_directions(_normalise(posterior, transition)[0], transition)


def of_directions(logs: NDArray[Any], transition: Transition) -> NDArray[Any]:
    """Return `to_directions` of log probabilities whose sum is 1 already, as `forward_states` returns them."""
    if transition.n_modes > 1:
        logs = safe_log(np.exp(logs).sum(axis=-2))
    return logs if logs.ndim == 2 else np.moveaxis(logs, 0, -2)


def _state_axes(transition: Transition) -> tuple[int, ...]:
    return (-1,) if transition.n_modes == 1 else (-2, -1)


def rescale(message: NDArray[Any], transition: Transition) -> NDArray[Any]:
    largest = message.max(axis=_state_axes(transition), keepdims=True)
    return np.asarray(message / np.maximum(largest, np.finfo(message.dtype).tiny))


def safe_exp(logs: NDArray[Any]) -> NDArray[Any]:
    """Return exponentials that are far enough above 0 to be multiplied fast."""
    some = np.maximum(logs, _LEAST_LOG[logs.dtype])
    return np.asarray(np.exp(some, out=some))


def safe_log(values: NDArray[Any]) -> NDArray[Any]:
    some = np.maximum(values, _LEAST[values.dtype])
    return np.asarray(np.log(some, out=some))


def _normalise(logs: NDArray[Any], transition: Transition) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return log probabilities with the sum 1 over states, and the log of the sum that they had."""
    axes = _state_axes(transition)
    largest = np.maximum.reduce(logs, axis=axes, keepdims=True)
    logs = logs - largest
    total = np.log(np.add.reduce(np.exp(logs), axis=axes, keepdims=True))
    logs -= total
    return logs, np.squeeze(largest + total, axis=axes)
