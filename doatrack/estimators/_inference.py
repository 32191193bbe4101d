"""From correlations to directions with concentrations by the unsupervised tracker's encoders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.distributions import VonMisesFisher, VonMisesFisherMixture
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.estimators._frame_source import HeardFrames, unit_rows
from doatrack.estimators._pooled_weight import PooledWeight
from doatrack.estimators._unpooling import Unpooling
from doatrack.features import numerators, srp_map
from doatrack.features.fine_steering import FineSteering
from doatrack.features.srp_map import SteeredMap
from doatrack.networks import MapEncoder, PairEncoder, PairGeometry, PhysicsDecoder, delay_target, fill_pooling_windows
from doatrack.networks.memory import Memory
from doatrack.training import physics_loss, to_time_axis

__all__ = ["MAP_TEMPERATURE", "MapHead", "PairHead"]

_PAIR_FRAMES_AT_ONCE = 20000
MAP_TEMPERATURE = 2.0
"""A map adds up what overlapping frames, pairs with a microphone in common and neighbouring lags say as if each said it
anew. Cooled by this factor its width follows the errors better where they are small (docs/notes.md)."""


class MapHead:
    """Frames by an encoder of maps.

    Parameters
    ----------
    encoder : MapEncoder
    decoder : PhysicsDecoder
    geometry : PairGeometry
    steering : FineSteering
        Of the geometry's steering matrix.
    maps : bool
        Whether log-likelihoods are wanted: given a scale, those of the map before the encoder corrects it (the encoder
        has looked at the frames before already), else its posterior.
    only_maps : bool
        Whether directions may be NaN where log-likelihoods are wanted: with a scale, the encoder is not asked.
    map_scale : float, optional
    bound : dict, optional
        Gamma and beta, where the evidence is wanted: minus the expected physics loss minus beta times the divergence
        from the uniform prior.
    """

    at_once, look_ahead = 64, 0

    def __init__(
        self,
        encoder: MapEncoder,
        decoder: PhysicsDecoder,
        geometry: PairGeometry,
        steering: FineSteering,
        *,
        maps: bool = False,
        only_maps: bool = False,
        map_scale: float | None = None,
        bound: dict[str, float] | None = None,
    ) -> None:
        self._encoder, self._geometry, self._steering = encoder, geometry, steering
        self._steered = SteeredMap(steering)
        self._maps, self._map_scale = maps, map_scale
        self._plain = maps and only_maps and map_scale is not None and bound is None
        self._bound = _Bound(decoder, geometry, 1, bound)
        self._memory = Memory()

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        heard = self._steered(features)
        if self._plain:
            # a map's own rounding is larger than that of single precision
            likelihood: Any = self._map_scale * heard.numpy()
            unknown = np.full(likelihood.shape[0], np.nan)
            return [HeardFrames(np.full((likelihood.shape[0], 3), np.nan), unknown, unknown, likelihood)]
        lags = self._geometry.lags
        correction = self._encoder.correction_of(numerators(features[None], len(lags)), lags, self._memory)[0]
        logits = self._encoder.logits(heard, srp_map(correction, self._steering))
        geometry = self._geometry
        posterior = GridPosterior(logits[None], geometry.directions, geometry.coverage, validate_args=False)
        concentration = posterior.tempered(MAP_TEMPERATURE).concentration[0]
        columns = [concentration, self._bound(posterior, features)[0]]
        if self._maps:
            columns.append(posterior.logits[0] if self._map_scale is None else self._map_scale * heard)
        doa = unit_rows(posterior.mean_direction[0].double().numpy())
        return [HeardFrames(doa, *(column.double().numpy() for column in columns))]

    def finish(self) -> list[HeardFrames]:
        return []


class PairHead:
    """Frames by the paper's encoder, which pools time: brought back to the frames on the sphere.

    The motion model is told which of them are observations.

    Parameters
    ----------
    encoder : PairEncoder
    decoder, geometry, maps, bound
        As in `MapHead`; its maps are the posterior of several sources.
    """

    def __init__(
        self,
        encoder: PairEncoder,
        decoder: PhysicsDecoder,
        geometry: PairGeometry,
        *,
        maps: bool = False,
        bound: dict[str, float] | None = None,
    ) -> None:
        self._encoder, self._geometry, self._maps = encoder, geometry, maps
        self._pooling = encoder.time_pooling
        self.look_ahead = encoder.look_ahead
        self.at_once = self._pooling * max(1, _PAIR_FRAMES_AT_ONCE // (self._pooling * len(geometry.delays)))
        self._bound = _Bound(decoder, geometry, self._pooling, bound)
        self._stream, self._unpooling = encoder.streamed(geometry), Unpooling(self._pooling)
        self._weight = PooledWeight(self._pooling)
        self._unexplained: list[Tensor] = []  # features of frames that have no bound yet
        self._n_frames = 0

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        self._weight.hear(activity)
        return self._answers(features, last=False)

    def finish(self) -> list[HeardFrames]:
        if self._n_frames == 0:
            return []
        n_pairs, n_lags = self._geometry.delays.shape[0], len(self._geometry.lags)
        rest = self._answers(torch.zeros(0, n_pairs, n_lags), last=True)
        return [*rest, self._frames(0, *self._unpooling.finish(self._n_frames))]

    def _answers(self, features: Tensor, *, last: bool) -> list[HeardFrames]:
        self._n_frames += len(features)
        heard = numerators(features, len(self._geometry.lags))
        hidden = self._stream.push(heard, last=last)
        if self._bound.wanted:
            self._unexplained.append(heard)
        if hidden.shape[1] == 0:
            return []
        with torch.no_grad():
            posterior = self._encoder.posterior(hidden[None])
        count = hidden.shape[1]
        return [self._frames(count, *self._unpooling.push(*self._columns(posterior, count), self._n_frames))]

    def _columns(self, posterior: Any, count: int) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        directions = self._geometry.directions
        if isinstance(posterior, VonMisesFisherMixture):
            # several sources are found in maps, whatever made these
            logits = posterior.log_prob(directions[:, None, None]).movedim(0, -1)
            posterior = GridPosterior(logits, directions, self._geometry.coverage)
        claimed = posterior.tempered(MAP_TEMPERATURE) if isinstance(posterior, GridPosterior) else posterior
        frames = count * self._pooling
        heard = torch.cat(self._unexplained) if self._unexplained else torch.zeros(0)
        self._unexplained = [heard[frames:]] if self._bound.wanted else []
        evidence = self._bound(posterior, heard[:frames])[0]
        others = [(claimed.concentration[0].double() + 1e-9).log(), evidence.double()]
        if self._maps and isinstance(posterior, GridPosterior):
            others.append(posterior.logits[0].double())
        return unit_rows(posterior.mean_direction[0].double().numpy()), [values.numpy() for values in others]

    def _frames(self, n_pooled: int, doa: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> HeardFrames:
        concentration, evidence, *maps = others
        weight = self._weight.of_frames(n_pooled, len(doa))
        return HeardFrames(doa, np.exp(concentration), evidence, maps[0] if maps else None, weight)


class _Bound:
    """Minus the expected physics loss minus beta times the divergence from the uniform prior, per pooled frame."""

    def __init__(
        self, decoder: PhysicsDecoder, geometry: PairGeometry, pooling: int, weights: dict[str, float] | None
    ) -> None:
        self._decoder, self._geometry, self._pooling, self._weights = decoder, geometry, pooling, weights

    @property
    def wanted(self) -> bool:
        return self._weights is not None

    @torch.no_grad()
    def __call__(self, posterior: GridPosterior | VonMisesFisher, gcc: Tensor) -> Tensor:
        """Return the bound (1, n) of a posterior of that shape; NaN where it is not wanted."""
        if self._weights is None:
            return torch.full(posterior.batch_shape, torch.nan)
        heard = numerators(gcc[None], len(self._geometry.lags))
        whole = fill_pooling_windows(heard, self._pooling)
        target = delay_target(to_time_axis(whole, posterior.batch_shape[1]), self._weights["gamma"])
        seeded = torch.Generator().manual_seed(0)  # a score must be repeatable
        physics = physics_loss(posterior, target, self._decoder, self._geometry, generator=seeded)
        return -(physics + self._weights["beta"] * posterior.kl_uniform())
