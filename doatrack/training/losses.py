"""The unsupervised loss: what the input's delays say against the prior."""

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from doatrack.distributions._draws import Source
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.distributions.von_mises_fisher import VonMisesFisher
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.physics_decoder import PhysicsDecoder, delay_target

__all__ = [
    "LossTerms",
    "MeanCount",
    "chain_divergence",
    "motion_log_transition",
    "own_count",
    "physics_loss",
    "to_time_axis",
    "variational_loss",
]


MeanCount = Callable[[Tensor], Tensor]
"""What a sum over this process's frames is divided by, from its own number of frames: the mean over processes, so that
the mean of the processes' losses is that of all frames together."""


def own_count(count: Tensor) -> Tensor:
    """Return the number of frames of the only process."""
    return count


@dataclasses.dataclass(frozen=True)
class LossTerms:
    """The loss and its parts, averaged over active frames, in nats.

    Parameters
    ----------
    total : Tensor of shape ()
        What is minimised.
    physics : Tensor of shape ()
        Expected cross-entropy of the delays, mean over pairs (equation 22).
    kl : Tensor of shape ()
        Divergence of the posterior from the prior.
    n_active : Tensor of shape ()
        Weight of the averages.

    Examples
    --------
    >>> terms = LossTerms(*torch.tensor([3.0, 2.0, 1.0, 40.0]))
    >>> float(terms.total - terms.physics)
    1.0
    """

    total: Tensor
    physics: Tensor
    kl: Tensor
    n_active: Tensor


def to_time_axis(values: Tensor, n_frames: int) -> Tensor:
    """Interpolate linearly from one time axis to a pooled one (section 4).

    Parameters
    ----------
    values : Tensor of shape (n_recordings, n_frames_in, ...)
    n_frames : int
        Frames wanted.

    Returns
    -------
    Tensor of shape (n_recordings, n_frames, ...)

    Examples
    --------
    >>> to_time_axis(torch.arange(10.0)[None], 2)
    tensor([[2., 7.]])
    """
    if values.shape[1] == n_frames:
        return values
    flat = values.flatten(2) if values.dim() > 2 else values[..., None]
    out = F.interpolate(flat.transpose(1, 2), size=n_frames, mode="linear", align_corners=False).transpose(1, 2)
    return out.reshape(values.shape[0], n_frames, *values.shape[2:])


def physics_loss(
    posterior: GridPosterior | VonMisesFisher,
    target: Tensor,
    decoder: PhysicsDecoder,
    geometry: PairGeometry,
    blur: float = 1.0,
    generator: Source = None,
) -> Tensor:
    """Return the expected cross-entropy between the input's delays and the decoder's (equations 21, 22).

    The paper sums over pairs; here it is the mean, so that its weight against the prior does not depend on how
    many microphones there are or how many pairs a step looks at. A grid posterior's expectation is exact, a von
    Mises-Fisher posterior's is one reparameterised sample (section 3.5).

    Parameters
    ----------
    posterior : GridPosterior or VonMisesFisher of batch shape (n_recordings, n_frames)
    target : Tensor of shape (n_recordings, n_frames, n_pairs, n_lags)
        From `delay_target`.
    decoder : PhysicsDecoder
    geometry : PairGeometry
    blur : float
        Factor on the decoder's width.
    generator : torch.Generator or one for each recording, optional
        Source of the sample.

    Returns
    -------
    Tensor of shape (n_recordings, n_frames)

    Examples
    --------
    >>> lags = torch.linspace(-6.0, 6.0, 25)
    >>> baselines = 5 * torch.eye(3)  # three pairs along the axes; front has the delays 5, 0, 0 samples
    >>> geometry = PairGeometry(lags, baselines, baselines, torch.zeros(3, 6), torch.eye(3))
    >>> heard = delay_target(-(lags - baselines[:, :1]).abs()[None, None], gamma=4.0)
    >>> front, left = (VonMisesFisher(torch.eye(3)[k].expand(1, 1, 3), torch.full((1, 1), 1e4)) for k in (0, 1))
    >>> losses = [physics_loss(q, heard, PhysicsDecoder(), geometry) for q in (front, left)]
    >>> bool(losses[0] < losses[1])
    True
    """
    n_pairs = target.shape[-2]
    if isinstance(posterior, GridPosterior):
        log_p = decoder.of_delays(geometry.delays, geometry.lags, blur)  # (n_pairs, n_directions, n_lags)
        table = log_p.transpose(1, 2).flatten(0, 1)
        return -posterior.expectation(target.flatten(-2) @ table) / n_pairs
    log_p = decoder(posterior.rsample(generator=generator), geometry.baselines, geometry.lags, blur)
    return -(target * log_p).sum(dim=(-1, -2)) / n_pairs


def motion_log_transition(directions: Tensor, concentration: float, jump: float = 0.02) -> Tensor:
    """Return the log transition density between directions, relative to the uniform one.

    With probability 1 - `jump` the next direction is von Mises-Fisher around the last, else anywhere.

    Parameters
    ----------
    directions : Tensor of shape (n_directions, 3)
        A quasi-uniform grid.
    concentration : float
        Of one step.
    jump : float

    Returns
    -------
    Tensor of shape (n_directions, n_directions)

    Examples
    --------
    >>> front_left = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    >>> transition = motion_log_transition(front_left, concentration=50.0)
    >>> bool(transition[0, 0] > transition[0, 1])
    True
    """
    n_directions = len(directions)
    move = torch.log_softmax(concentration * (directions @ directions.T - 1), dim=1) + torch.log(
        torch.tensor(n_directions * (1 - jump))
    )
    return torch.logaddexp(move, torch.log(torch.tensor(jump)))


def variational_loss(
    posterior: GridPosterior | VonMisesFisher,
    gcc: Tensor,
    activity: Tensor,
    decoder: PhysicsDecoder,
    geometry: PairGeometry,
    *,
    gamma: float,
    beta: float,
    blur: float = 1.0,
    transition: Tensor | None = None,
    valid: Tensor | None = None,
    generator: Source = None,
    mean_count: MeanCount = own_count,
) -> LossTerms:
    """Return the negative evidence bound, physics + beta * KL, over active frames (equation 25).

    Parameters
    ----------
    posterior : GridPosterior or VonMisesFisher of batch shape (n_recordings, n_latent_frames)
    gcc : Tensor of shape (n_recordings, n_frames, n_pairs, n_lags)
    activity : Tensor of shape (n_recordings, n_frames)
        1 where there is sound. Like `gcc` it is interpolated to the latent time axis.
    decoder : PhysicsDecoder
    geometry : PairGeometry
    gamma : float
        Sharpness of the input's delay distribution (equation 20).
    beta : float
        Weight of the prior against the mean over pairs; the paper's weight for a sum over P pairs is P times it.
    blur : float
        Factor on the decoder's width, above 1 early in training.
    transition : Tensor of shape (n_directions, n_directions), optional
        Log transition relative to the uniform density; the prior is then a Markov chain instead of independent
        uniform directions. Only for a `GridPosterior`.
    valid : Tensor of shape (n_recordings, n_frames), optional
        0 in padding, which the prior leaves alone.
    generator : torch.Generator or one for each recording, optional
    mean_count : callable
        Number of frames to divide by, given those of this process: the mean over processes.

    Returns
    -------
    LossTerms

    Examples
    --------
    >>> lags = torch.linspace(-6.0, 6.0, 25)
    >>> geometry = PairGeometry(lags, 5 * torch.eye(3), 5 * torch.eye(3), torch.zeros(3, 6), torch.eye(3))
    >>> posterior = GridPosterior(torch.zeros(1, 10, 3), torch.eye(3))  # knows nothing: no divergence from the prior
    >>> gcc = torch.rand(1, 10, 3, 25, generator=torch.Generator().manual_seed(0))
    >>> terms = variational_loss(
    ...     posterior, gcc, torch.ones(1, 10), PhysicsDecoder(), geometry, gamma=4.0, beta=0.1)
    >>> bool(torch.isclose(terms.total, terms.physics, atol=1.0)), int(terms.n_active)
    (True, 10)
    """
    n_latent = posterior.batch_shape[1]
    weight = to_time_axis(activity.to(gcc.dtype), n_latent)
    target = delay_target(to_time_axis(gcc, n_latent), gamma)
    n_active = mean_count(weight.sum())
    expected = physics_loss(posterior, target, decoder, geometry, blur, generator)
    physics = (expected * weight).sum() / n_active.clamp_min(1e-6)
    if transition is not None and isinstance(posterior, GridPosterior):
        there = torch.ones_like(weight) if valid is None else to_time_axis(valid.to(gcc.dtype), n_latent)
        kl = chain_divergence(posterior, transition, there, mean_count)
    else:
        kl = (posterior.kl_uniform() * weight).sum() / n_active.clamp_min(1e-6)
    return LossTerms(physics + beta * kl, physics, kl, n_active)


def chain_divergence(
    posterior: GridPosterior, transition: Tensor, valid: Tensor, mean_count: MeanCount = own_count
) -> Tensor:
    """Divergence per frame of independent posteriors from a Markov chain.

    Silent frames are in it too: they are tied to their neighbours and carry the track across the pause.
    """
    p = posterior.probabilities
    agreement = ((p[:, :-1] @ transition) * p[:, 1:]).sum(dim=-1)
    total = (posterior.kl_uniform() * valid).sum() - (agreement * valid[:, :-1] * valid[:, 1:]).sum()
    return total / mean_count(valid.sum()).clamp_min(1e-6)
