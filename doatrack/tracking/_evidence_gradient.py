"""How the log evidence of recordings changes with the motion and the likelihood's scale: one pass there and back."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack.tracking._recursions import forward_states, weighted_evidence
from doatrack.tracking.transition import Transition

__all__ = ["EvidenceGradient", "evidence_gradient"]


@dataclasses.dataclass
class EvidenceGradient:
    """The log evidence in nats and its derivatives, summed over frames and recordings.

    Attributes
    ----------
    value : float
        Log evidence.
    scale : float
        With respect to the likelihood's scale.
    variance : ndarray of shape (n_modes,)
        With respect to the variance that each mode's walk has in a step.
    jump : float
        With respect to the probability of a jump in a step.
    switching : ndarray of shape (n_modes, n_modes)
        With respect to the probability of going from mode to mode in a step.
    mode_shares : ndarray of shape (n_modes,)
        With respect to the probability of the modes at the start.
    """

    value: float
    scale: float
    variance: NDArray[np.float64]
    jump: float
    switching: NDArray[np.float64]
    mode_shares: NDArray[np.float64]

    def __add__(self, other: "EvidenceGradient") -> "EvidenceGradient":
        names = [field.name for field in dataclasses.fields(self)]
        return EvidenceGradient(**{name: getattr(self, name) + getattr(other, name) for name in names})


def evidence_gradient(
    log_likelihood: NDArray[Any], by_scale: NDArray[Any], transition: Transition, laplacian: Any
) -> EvidenceGradient:
    """Return the log evidence of recordings of one length, and its derivatives.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_recordings, n_frames, n_directions)
        Normalised, from `robust_log_likelihood`.
    by_scale : ndarray of shape (n_recordings, n_frames, n_directions)
        Its derivative with respect to the scale.
    transition : Transition
    laplacian : sparse array of shape (n_directions, n_directions)
        Of the transition's grid.

    Returns
    -------
    EvidenceGradient

    Notes
    -----
    Fisher's identity: the derivative of the log evidence is the expected derivative of the log joint probability, under
    the smoother's posterior of neighbouring states. For a walk that turns, the Laplacian is taken to commute with the
    rotation, which holds on the sphere and nearly on a grid.
    """
    evidence, peak = weighted_evidence(log_likelihood, transition, None)
    logs, added = forward_states(evidence, transition)
    if transition.n_modes == 1:
        logs, evidence = logs[..., None, :], evidence[..., None, :]
    past = np.exp(logs)
    by_scale = np.moveaxis(by_scale, -2, 0)[..., None, :]
    n_modes, jump, message = transition.n_modes, transition.jump, np.ones_like(past[0])
    total = EvidenceGradient(
        float((added + peak).sum()), 0.0, np.zeros(n_modes), 0.0, np.zeros((n_modes, n_modes)), np.zeros(n_modes)
    )
    for frame in range(len(past) - 1, -1, -1):
        posterior = past[frame] * message
        posterior /= posterior.sum(axis=(-2, -1), keepdims=True)
        total.scale += float((posterior * by_scale[frame]).sum())
        if frame == 0:
            total.mode_shares += posterior.sum(axis=(0, 2)) / transition.mode_shares
            break
        later = np.exp(evidence[frame]) * message
        walked, anywhere = transition.walked(later), (later @ transition.shares)[..., None]
        arriving = (1 - jump) * walked + jump * anywhere
        message = transition.switching @ arriving
        before = past[frame - 1]
        both = (before * message).sum(axis=(-2, -1))[:, None, None]
        switched = (transition.switching.T @ before) / both
        total.switching += np.einsum("bmi,bki->mk", before / both, arriving)
        total.jump += float((switched * (anywhere - walked)).sum())
        spread = _along(laplacian, walked)
        total.variance += (1 - jump) / 2 * (switched * spread).sum(axis=(0, 2))
        message /= message.max(axis=(-2, -1), keepdims=True)
    return total


def _along(matrix: Any, values: NDArray[Any]) -> NDArray[Any]:
    flat = values.reshape(-1, values.shape[-1])
    return np.asarray((matrix @ flat.T).T).reshape(values.shape)
