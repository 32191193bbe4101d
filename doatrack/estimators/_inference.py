"""From a stream of correlations to directions with concentrations, one row per input frame."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from doatrack.distributions import VonMisesFisher, VonMisesFisherMixture
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.features import FeatureStream, steered_map
from doatrack.geometry.interpolation import interpolate_directions
from doatrack.networks import PairGeometry, PhysicsDecoder, delay_target, fill_pooling_windows
from doatrack.training import physics_loss, to_time_axis

__all__ = ["MAP_TEMPERATURE", "FrameInference"]

_Rows = tuple[Tensor, ...]
_FRAMES_AT_ONCE = 64
MAP_TEMPERATURE = 2.0
"""A map adds up what overlapping frames, pairs with a microphone in common and neighbouring lags say as if each said it
anew. Cooled by this factor its width follows the errors better where they are small (docs/notes.md)."""


class FrameInference:
    """Run an encoder over a recording.

    Encoders with a finite past run block after block; a recurrent one sees the whole recording at once. Pooled
    time is brought back to the frames on the sphere.
    """

    def __init__(
        self, encoder: Any, decoder: PhysicsDecoder, geometry: PairGeometry, map_scale: float | None = None
    ) -> None:
        self._encoder, self._decoder, self._geometry = encoder, decoder, geometry
        self._map_scale = map_scale

    @torch.no_grad()
    def run(
        self, stream: FeatureStream, bound: dict[str, float] | None, maps: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
        """Return directions (n_frames, 3), concentrations, bounds (n_frames,) and log-likelihoods of each frame.

        The bound, given its gamma and beta, is minus the expected physics loss minus beta times the divergence
        from the uniform prior; NaN where it is not asked for. The log-likelihoods (n_frames, n_directions) are
        there where `maps` asks for them and the encoder makes maps: given a scale, those of the map before the encoder
        corrects it (the encoder has looked at the frames before already), else its posterior.
        """
        parts = list(self._blocks(stream, bound, maps))
        if not parts:
            return np.zeros((0, 3)), np.zeros(0), np.zeros(0), None
        columns = [torch.cat(column).double().numpy() for column in zip(*parts, strict=True)]
        doa, concentration, evidence = columns[:3]
        log_posterior = columns[3] if len(columns) > 3 else None
        doa /= np.linalg.norm(doa, axis=1, keepdims=True)
        pooling = self._encoder.time_pooling
        if pooling == 1:
            return doa, concentration, evidence, log_posterior
        times = (np.arange(len(doa)) + 0.5) * pooling - 0.5
        frames = np.arange(stream.n_frames, dtype=float)
        spread = np.exp(np.interp(frames, times, np.log(concentration + 1e-9)))
        if log_posterior is not None:
            log_posterior = _between_rows(frames, times, log_posterior)
        return interpolate_directions(frames, times, doa), spread, np.interp(frames, times, evidence), log_posterior

    def _blocks(self, stream: FeatureStream, bound: dict[str, float] | None, maps: bool) -> Any:
        if self._encoder.context is None:
            blocks = list(stream)
            if blocks:
                yield self._rows(torch.cat(blocks), 0, bound, maps)
            return
        past: Tensor | None = None
        for block in stream:
            for gcc in block.split(_FRAMES_AT_ONCE):
                known = gcc if past is None else torch.cat([past, gcc])
                yield self._rows(known, len(known) - len(gcc), bound, maps)
                past = known[max(len(known) - self._encoder.context, 0) :]

    def _rows(self, gcc: Tensor, skip: int, bound: dict[str, float] | None, maps: bool) -> _Rows:
        posterior = self._encoder(gcc[None], self._geometry)
        if isinstance(posterior, VonMisesFisherMixture):
            # several sources are found in maps, whatever made these
            logits = posterior.log_prob(self._geometry.directions[:, None, None]).movedim(0, -1)
            posterior = GridPosterior(logits, self._geometry.directions)
        evidence = torch.full(posterior.batch_shape, torch.nan)
        if bound is not None:
            evidence = self._bound(posterior, gcc[None], **bound)
        claimed = posterior.tempered(MAP_TEMPERATURE) if isinstance(posterior, GridPosterior) else posterior
        rows = [posterior.mean_direction[0], claimed.concentration[0], evidence[0]]
        if maps and isinstance(posterior, GridPosterior):
            heard = posterior.logits[0]
            if self._map_scale is not None and self._encoder.context is not None:
                heard = self._map_scale * steered_map(gcc, self._geometry.steering())
            rows.append(heard)
        return tuple(row[skip:] for row in rows)

    def _bound(self, posterior: GridPosterior | VonMisesFisher, gcc: Tensor, gamma: float, beta: float) -> Tensor:
        heard = gcc[..., : len(self._geometry.lags)]
        whole = fill_pooling_windows(heard, self._encoder.time_pooling)
        target = delay_target(to_time_axis(whole, posterior.batch_shape[1]), gamma)
        seeded = torch.Generator().manual_seed(0)  # a score must be repeatable
        physics = physics_loss(posterior, target, self._decoder, self._geometry, generator=seeded)
        return -(physics + beta * posterior.kl_uniform())


def _between_rows(at: NDArray[Any], times: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return rows (n_times, n_columns) interpolated linearly to other times, and held at the ends."""
    place = np.interp(at, times, np.arange(len(times)))
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, len(times) - 1)
    share = (place - before)[:, None]
    return np.asarray((1 - share) * rows[before] + share * rows[after])
