"""How the unsupervised tracker learns: its schedules, and the loss of a batch."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from doatrack.features import FeatureStore, steered_map
from doatrack.networks import PairGeometry, PhysicsDecoder, fill_pooling_windows
from doatrack.tracking import Transition, grid_smoother
from doatrack.training import Batch, LossTerms, exponential_decay, motion_log_transition, variational_loss

__all__ = ["Schedule", "SmootherTask", "UnsupervisedTask", "store_smoothed"]

_ANNEALED_SHARE = 0.5
_WARM_UP_SHARE = 0.05
_WARM_UP_FACTOR = 0.1


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What changes while learning; `progress` runs from 0 to 1.

    `settled` holds everything at its final value, for a tracker that is only adapted.
    """

    gamma: float
    gamma_initial: float
    sigma: float
    sigma_initial: float
    beta: float
    learning_rate: float
    final_learning_rate: float
    settled: bool = False

    def gamma_at(self, progress: float) -> float:
        """Sharpness of the heard delays, from broad to sharp over the first half."""
        return exponential_decay(self.gamma_initial, self.gamma, self._annealed(progress))

    def blur_at(self, progress: float) -> float:
        """Factor on the decoder's width, from `sigma_initial / sigma` to 1."""
        return exponential_decay(self.sigma_initial / self.sigma, 1.0, self._annealed(progress))

    def beta_at(self, progress: float) -> float:
        """Weight of the prior, smaller during the first 5 % (section 3.6)."""
        return self.beta * (_WARM_UP_FACTOR if progress < _WARM_UP_SHARE and not self.settled else 1.0)

    def learning_rate_at(self, progress: float) -> float:
        """Learning rate, exponential from first to last (section 5.3)."""
        return exponential_decay(self.learning_rate, self.final_learning_rate, 1.0 if self.settled else progress)

    def _annealed(self, progress: float) -> float:
        return 1.0 if self.settled else progress / _ANNEALED_SHARE


class UnsupervisedTask:
    """The loss of a batch: encoder, decoder and the prior at a moment of the schedule.

    Where a batch holds all pairs and `pairs_per_step` is given, the map is made of all of them, and only that many
    random ones are corrected and compared with the decoder.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: PhysicsDecoder,
        geometry: PairGeometry,
        schedule: Schedule,
        motion_concentration: float | None,
        pairs_per_step: int | None = None,
    ) -> None:
        self._pairs_per_step = pairs_per_step
        self._encoder, self._decoder = encoder, decoder
        self._geometry = geometry
        self._schedule = schedule
        self._transition: Tensor | None = None
        if motion_concentration is not None:
            self._transition = motion_log_transition(geometry.directions, motion_concentration)

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and a record of its parts."""
        device = self._geometry.lags.device
        geometry = self._geometry.select(batch.rows.to(device))
        # the loss sees the pooling windows as the encoder fills them
        gcc, activity, valid = (
            fill_pooling_windows(values.to(device), self._encoder.time_pooling)
            for values in (batch.features, batch.activity, batch.valid)
        )
        gamma, beta = self._schedule.gamma_at(progress), self._schedule.beta_at(progress)
        blur = self._schedule.blur_at(progress)
        if self._pairs_per_step is None:
            posterior = self._encoder(gcc, geometry)
        else:
            chosen = _random_pairs(gcc, self._pairs_per_step, generator)
            posterior = self._encoder(gcc, geometry, chosen)
            gcc, geometry = gcc[..., chosen, :], geometry.select(chosen)
        terms = self._loss(
            posterior,
            gcc[..., : len(geometry.lags)],
            activity,
            geometry,
            gamma=gamma,
            beta=beta,
            blur=blur,
            transition=self._transition,
            valid=valid,
            generator=generator,
        )
        sigma = float(self._decoder.sigma.detach()) * blur
        record = {"physics": float(terms.physics.detach()), "kl": float(terms.kl.detach())}
        return terms.total, record | {"gamma": gamma, "sigma": sigma, "beta": beta}

    def _loss(self, posterior: Any, gcc: Tensor, activity: Tensor, geometry: PairGeometry, **moment: Any) -> LossTerms:
        return variational_loss(posterior, gcc, activity, self._decoder, geometry, **moment)


class SmootherTask:
    """The loss of a batch against the smoother: the encoder learns to say of a frame what the whole recording says."""

    def __init__(self, encoder: Any, geometry: PairGeometry, pairs_per_step: int) -> None:
        self._encoder, self._geometry, self._pairs_per_step = encoder, geometry, pairs_per_step

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the cross-entropy in nats, averaged over active frames, and nothing more to record."""
        assert batch.target is not None
        device = self._geometry.lags.device
        gcc = batch.features.to(device)
        chosen = _random_pairs(gcc, self._pairs_per_step, generator)
        posterior = self._encoder(gcc, self._geometry, chosen)
        weight = batch.activity.to(device)
        per_frame = -(batch.target.to(device) * posterior.logits).sum(dim=-1)
        return (per_frame * weight).sum() / weight.sum().clamp_min(1e-6), {}


def store_smoothed(
    store: FeatureStore, targets: FeatureStore, geometry: PairGeometry, transition: Transition, map_scale: float
) -> FeatureStore:
    """Write the smoother's posterior (n_frames, 1, n_directions) of every recording of a store, by its maps.

    Silent frames are bridged by the motion.
    """
    steering = geometry.steering()
    for k in range(len(store)):
        heard = map_scale * steered_map(store.recording(k), steering)
        smoothed = grid_smoother(heard.double().numpy(), transition, store.activities[k])
        targets.write(torch.from_numpy(np.exp(smoothed)).float()[:, None])
        targets.close_recording(store.activities[k])
    return targets


def _random_pairs(gcc: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(gcc.shape[-2], generator=generator)[:count].sort().values.to(gcc.device)
