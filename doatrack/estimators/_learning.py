"""How the unsupervised tracker learns: its schedules, and the loss of a batch."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from doatrack.estimators._task import Task
from doatrack.features import FeatureStore, numerators, steered_map
from doatrack.networks import PairGeometry, PhysicsDecoder, fill_pooling_windows
from doatrack.networks.precision import full_precision
from doatrack.tracking import Transition, grid_smoother
from doatrack.training import Batch, LossTerms, exponential_decay, motion_log_transition, variational_loss

__all__ = ["Schedule", "SmoothedTargets", "SmootherTask", "UnsupervisedTask"]

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


class UnsupervisedTask(Task):
    """The loss of a batch: encoder, decoder and the prior at a moment of the schedule.

    Where a batch has chosen pairs, the map is made of all of them, and only the chosen ones are corrected and compared
    with the decoder.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: PhysicsDecoder,
        geometry: PairGeometry,
        schedule: Schedule,
        motion_concentration: float | None,
    ) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._geometry = geometry
        self._schedule = schedule
        self._transition: Tensor | None = None
        if motion_concentration is not None:
            self._transition = motion_log_transition(geometry.directions, motion_concentration)

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and a record of its parts."""
        geometry = self._geometry.select(batch.rows)
        # the loss sees the pooling windows as the encoder fills them
        gcc, activity, valid = (
            fill_pooling_windows(values, self._encoder.time_pooling)
            for values in (batch.features, batch.activity, batch.valid)
        )
        gamma, beta = self._schedule.gamma_at(progress), self._schedule.beta_at(progress)
        blur = self._schedule.blur_at(progress)
        if batch.chosen is None:
            posterior = self._encoder(gcc, geometry)
        else:
            posterior = self._encoder(gcc, geometry, batch.chosen)
            gcc, geometry = gcc[..., batch.chosen, :], geometry.select(batch.chosen)
        with full_precision(gcc):
            terms = self._loss(
                posterior,
                numerators(gcc, len(geometry.lags)),
                activity,
                geometry,
                gamma=gamma,
                beta=beta,
                blur=blur,
                transition=self._transition,
                valid=valid,
                generator=self._source(batch, generator),
                mean_count=self._mean_count,
            )
        sigma = float(self._decoder.sigma.detach()) * blur
        record = {"physics": float(terms.physics.detach()), "kl": float(terms.kl.detach())}
        return terms.total, record | {"gamma": gamma, "sigma": sigma, "beta": beta}

    def _loss(self, posterior: Any, gcc: Tensor, activity: Tensor, geometry: PairGeometry, **moment: Any) -> LossTerms:
        return variational_loss(posterior, gcc, activity, self._decoder, geometry, **moment)

    def _to(self, device: torch.device) -> None:
        self._geometry = self._geometry.to(device)
        self._transition = None if self._transition is None else self._transition.to(device)


class SmootherTask(Task):
    """The loss of a batch against the smoother: the encoder learns to say of a frame what the whole recording says."""

    def __init__(self, encoder: Any, geometry: PairGeometry) -> None:
        self._encoder, self._geometry = encoder, geometry

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the cross-entropy in nats, averaged over active frames, and nothing more to record."""
        assert batch.target is not None
        posterior = self._encoder(batch.features, self._geometry, batch.chosen)
        with full_precision(batch.features):
            weight = batch.activity
            per_frame = -(batch.target * posterior.logits).sum(dim=-1)
            return (per_frame * weight).sum() / self._mean_count(weight.sum()).clamp_min(1e-6), {}

    def _to(self, device: torch.device) -> None:
        self._geometry = self._geometry.to(device)


@dataclasses.dataclass(frozen=True)
class SmoothedTargets:
    """The smoother's posterior of every recording, by its maps; silent frames are bridged by the motion."""

    geometry: PairGeometry
    transition: Transition
    map_scale: float

    @property
    def n_directions(self) -> int:
        """The number of candidate directions."""
        return len(self.geometry.directions)

    def write(self, store: FeatureStore, targets: FeatureStore) -> None:
        """Write the posteriors (n_frames, 1, n_directions) of all recordings of a store."""
        steering = self.geometry.steering()
        for k in range(len(store)):
            heard = self.map_scale * steered_map(store.recording(k), steering)
            smoothed = grid_smoother(heard.double().numpy(), self.transition, store.activities[k])
            targets.write(torch.from_numpy(np.exp(smoothed)).float()[:, None])
            targets.close_recording(store.activities[k])
