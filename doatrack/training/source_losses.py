"""The unsupervised loss of several sources: what the input's delays say against a mixture of directions."""

from typing import Literal

import torch
from torch import Tensor

from doatrack.distributions import GridMixture, VonMisesFisherMixture
from doatrack.distributions._draws import Source
from doatrack.networks.mixture_decoder import mixture_log_prob
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.physics_decoder import PhysicsDecoder, delay_target
from doatrack.training.losses import LossTerms, MeanCount, chain_divergence, own_count, to_time_axis

__all__ = ["expected_log_probs", "masked_physics_loss", "mixture_physics_loss", "several_sources_loss", "source_masks"]

SourceLoss = Literal["mixture", "masked"]
MixtureKL = Literal["sampled", "bound"]


def mixture_physics_loss(target: Tensor, log_probs: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return the cross-entropy between the input's delays and the mixture decoder's, mean over pairs (equation 27).

    Every lag of a pair may be explained by another source.

    Parameters
    ----------
    target : Tensor of shape (..., n_pairs, n_lags)
        From `delay_target`.
    log_probs : Tensor of shape (..., n_sources, n_pairs, n_lags)
        ln p_ij(d | z_n), or its expectation.
    log_weights : Tensor of shape (..., n_sources), optional
        ln w_n; None means equal weights.

    Returns
    -------
    Tensor of shape (...,)

    Examples
    --------
    >>> target = torch.tensor([[0.5, 0.5, 0.0]])                          # one pair hears two delays
    >>> sure = torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]]]).clamp(1e-6).log()
    >>> round(float(mixture_physics_loss(target, sure)), 3)                # ln 2: which of the two is free
    0.693
    """
    return -(target * mixture_log_prob(log_probs, log_weights)).sum(dim=(-1, -2)) / target.shape[-2]


def source_masks(target: Tensor, log_probs: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return to which source each pair's correlation in each frame belongs, m_n(t, ij) of equation 28.

    The posterior probability that a pair hears source n, if all its lags come from one source; without a gradient,
    as the expectation step of an EM algorithm.

    Parameters
    ----------
    target, log_probs, log_weights
        As in `mixture_physics_loss`.

    Returns
    -------
    Tensor of shape (..., n_sources, n_pairs)
        Sums to 1 over sources.

    Examples
    --------
    >>> target = torch.tensor([[0.9, 0.1], [0.0, 1.0]])                    # two pairs
    >>> sources = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.1, 0.9], [0.1, 0.9]]]).log()
    >>> [[round(float(share), 1) for share in source] for source in source_masks(target, sources)]
    [[0.9, 0.1], [0.1, 0.9]]
    """
    with torch.no_grad():
        score = (target[..., None, :, :] * log_probs).sum(dim=-1)
        if log_weights is not None:
            score = score + log_weights[..., None]
        return torch.softmax(score, dim=-2)


def masked_physics_loss(target: Tensor, log_probs: Tensor, masks: Tensor) -> Tensor:
    """Return the masked sum of the sources' cross-entropies, mean over pairs (equation 28).

    Parameters
    ----------
    target, log_probs
        As in `mixture_physics_loss`.
    masks : Tensor of shape (..., n_sources, n_pairs)
        Share of each source in what a pair hears, from `source_masks` or from known activity.

    Returns
    -------
    Tensor of shape (...,)

    Examples
    --------
    >>> target = torch.tensor([[1.0, 0.0]])
    >>> sources = torch.tensor([[[0.5, 0.5]], [[0.1, 0.9]]]).log()
    >>> round(float(masked_physics_loss(target, sources, torch.tensor([[1.0], [0.0]]))), 3)
    0.693
    """
    each = -(target[..., None, :, :] * log_probs).sum(dim=-1)
    return (masks * each).sum(dim=(-1, -2)) / target.shape[-2]


def expected_log_probs(
    posterior: VonMisesFisherMixture | GridMixture,
    decoder: PhysicsDecoder,
    geometry: PairGeometry,
    blur: float = 1.0,
    generator: Source = None,
) -> Tensor:
    """Return the expectation of ln p_ij(d | z_n) under each component of a mixture posterior.

    Exact for a grid; for von Mises-Fisher components one reparameterised draw each.

    Parameters
    ----------
    posterior : VonMisesFisherMixture or GridMixture of batch shape (...)
    decoder : PhysicsDecoder
    geometry : PairGeometry
    blur : float
    generator : torch.Generator, optional

    Returns
    -------
    Tensor of shape (..., n_sources, n_pairs, n_lags)

    Examples
    --------
    >>> lags = torch.linspace(-6.0, 6.0, 25)
    >>> geometry = PairGeometry(lags, 5 * torch.eye(3), 5 * torch.eye(3), torch.zeros(3, 6), torch.eye(3))
    >>> front_left = VonMisesFisherMixture(torch.zeros(2), torch.eye(3)[:2], torch.tensor([1e4, 1e4]))
    >>> lags[expected_log_probs(front_left, PhysicsDecoder(), geometry)[1].argmax(dim=-1)].tolist()
    [0.0, 5.0, 0.0]
    """
    if isinstance(posterior, VonMisesFisherMixture):
        drawn = posterior.rsample_components(generator=generator)
        log_p: Tensor = decoder(drawn, geometry.baselines, geometry.lags, blur)
        return log_p
    log_p = decoder.of_delays(geometry.delays, geometry.lags, blur)  # (n_pairs, n_directions, n_lags)
    table = log_p.transpose(0, 1).flatten(1)
    return (posterior.components.probabilities @ table).unflatten(-1, (log_p.shape[0], log_p.shape[2]))


def several_sources_loss(
    posterior: VonMisesFisherMixture | GridMixture,
    gcc: Tensor,
    activity: Tensor,
    decoder: PhysicsDecoder,
    geometry: PairGeometry,
    *,
    gamma: float,
    beta: float,
    blur: float = 1.0,
    source_loss: SourceLoss = "mixture",
    mixture_kl: MixtureKL = "sampled",
    transition: Tensor | None = None,
    valid: Tensor | None = None,
    generator: Source = None,
    mean_count: MeanCount = own_count,
) -> LossTerms:
    """Return the negative evidence bound of several sources over active frames (section 5.6).

    Parameters
    ----------
    posterior : VonMisesFisherMixture or GridMixture of batch shape (n_recordings, n_latent_frames)
    gcc, activity, decoder, geometry, gamma, beta, blur, transition, valid, generator, mean_count
        As in `variational_loss`; a transition is for a `GridMixture` only, and binds the mixture as a whole.
    source_loss : {"mixture", "masked"}
        Equation 27, where each lag may belong to another source, or 28 with the masks of `source_masks`.
    mixture_kl : {"sampled", "bound"}
        Divergence of the mixture from the prior by Monte Carlo (exact on a grid), or its upper bound, the weighted
        mean of the components' divergences.

    Returns
    -------
    LossTerms

    Examples
    --------
    >>> lags = torch.linspace(-6.0, 6.0, 25)
    >>> baselines = 5 * torch.eye(3)
    >>> geometry = PairGeometry(lags, baselines, baselines, torch.zeros(3, 6), torch.eye(3))
    >>> front, left = (-(lags - baselines[:, k, None]).abs() for k in (0, 1))
    >>> gcc = torch.maximum(front, left)[None, None]                       # both are heard
    >>> both, twice = (
    ...     VonMisesFisherMixture(torch.zeros(1, 1, 2), torch.eye(3)[k].view(1, 1, 2, 3), torch.full((1, 1, 2), 1e3))
    ...     for k in (torch.tensor([0, 1]), torch.tensor([0, 0])))
    >>> losses = [several_sources_loss(
    ...     q, gcc, torch.ones(1, 1), PhysicsDecoder(), geometry, gamma=4.0, beta=0.0).physics for q in (both, twice)]
    >>> bool(losses[0] < losses[1])
    True
    """
    n_latent = posterior.batch_shape[1]
    weight = to_time_axis(activity.to(gcc.dtype), n_latent)
    target = delay_target(to_time_axis(gcc, n_latent), gamma)
    log_probs = expected_log_probs(posterior, decoder, geometry, blur, generator)
    if source_loss == "masked":
        expected = masked_physics_loss(target, log_probs, source_masks(target, log_probs))
    else:
        expected = mixture_physics_loss(target, log_probs)
    n_active = mean_count(weight.sum())
    physics = (expected * weight).sum() / n_active.clamp_min(1e-6)
    if transition is not None and isinstance(posterior, GridMixture):
        there = torch.ones_like(weight) if valid is None else to_time_axis(valid.to(gcc.dtype), n_latent)
        kl = chain_divergence(posterior.equal_weights(), transition, there, mean_count)
    else:
        kl = (_divergence(posterior, mixture_kl, generator) * weight).sum() / n_active.clamp_min(1e-6)
    return LossTerms(physics + beta * kl, physics, kl, n_active)


def _divergence(posterior: VonMisesFisherMixture | GridMixture, mixture_kl: MixtureKL, generator: Source) -> Tensor:
    if mixture_kl == "bound":
        return posterior.kl_uniform_bound()
    if isinstance(posterior, GridMixture):
        return posterior.kl_uniform()
    return posterior.kl_uniform(generator=generator)
