"""From correlations to directions and maps: each fitted estimator as one module that a graph file can hold."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from doatrack.distributions import inverse_mean_resultant_length
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.estimators import PhysicsVAETracker
from doatrack.estimators._inference import MAP_TEMPERATURE
from doatrack.estimators._one_side import standing_ambiguity
from doatrack.estimators._supervised import LONGEST_VECTOR
from doatrack.exceptions import InvalidInputError
from doatrack.export._pooled import directions_at_frames, values_at_frames
from doatrack.export._recurrent import ExportableGRU
from doatrack.features import GCCExtractor, numerators, srp_map
from doatrack.features.constant_product import ConstantProduct
from doatrack.features.srp_map import explained
from doatrack.geometry import Ambiguity

__all__ = ["ExportGraph", "graph_of"]

_LEAST_CONCENTRATION = 1e-9
_SILENT = 1e-12


class ExportGraph(nn.Module):
    """What an estimator makes of correlations, for one source and frame by frame.

    Attributes
    ----------
    extractor : GCCExtractor
        Gives the correlations.
    inputs, outputs : tuple of str
        Names of what `forward` takes and returns.
    time_pooling : int
        Frames that share an answer; it is interpolated between them.
    context : int or None
        Earlier frames that an answer depends on; None is all, or later ones too.
    map_scale : float or None
        Log-likelihood in nats of a map's value of 1, for filters; None where there are no maps.

    Examples
    --------
    >>> from doatrack import SRPPHAT, MicArray
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> graph = graph_of(SRPPHAT(n_directions=100).fit(np.zeros((4, 8000)), array))
    >>> doa, srp_map = graph(torch.rand(2, 5, 6, len(graph.extractor.lags)))
    >>> tuple(doa.shape), tuple(srp_map.shape), graph.outputs
    ((2, 5, 3), (2, 5, 100), ('doa', 'srp_map'))
    """

    inputs: tuple[str, ...] = ("correlations",)
    outputs: tuple[str, ...]
    time_pooling = 1
    context: int | None = 0
    map_scale: float | None = None

    def __init__(self, estimator: Any, extractor: GCCExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self._side = _OneSide(standing_ambiguity(estimator.array_, estimator.grid_))


def graph_of(estimator: Any) -> ExportGraph:
    """Return the graph of a fitted estimator.

    Raises
    ------
    InvalidInputError
        If there is none for this estimator, or it follows several sources.

    Examples
    --------
    >>> graph_of(PhysicsVAETracker.from_pretrained()).outputs
    ('doa', 'concentration', 'srp_map', 'log_posterior')
    """
    if getattr(estimator, "n_sources", 1) > 1:
        raise InvalidInputError(
            f"Only trackers of one source can be exported, got n_sources={estimator.n_sources}. With maps, export it "
            "with set_params(n_sources=1), and look for several peaks in the map."
        )
    graph = _GRAPHS.get(type(estimator).__name__)
    if isinstance(estimator, PhysicsVAETracker):
        graph = _PaperGraph if estimator.encoder == "paper" else _MapGraph
    if graph is None:
        raise InvalidInputError(
            f"{type(estimator).__name__} cannot be exported: a graph starts from correlations of pairs. Export "
            f"PhysicsVAETracker, {', '.join(_GRAPHS)}."
        )
    return graph(estimator).eval()


class _SRPGraph(ExportGraph):
    outputs = ("doa", "srp_map")

    def __init__(self, estimator: Any) -> None:
        tables = estimator._runtime()
        super().__init__(estimator, tables.extractor)
        self.map_scale = tables.map_scale
        self._rows, self._steering = tables.rows, tables.steering
        self._finder = tables.finder if estimator.refine else None
        self._directions = tables.directions

    def forward(self, correlations: Tensor) -> tuple[Tensor, ...]:
        gcc = correlations if self._rows is None else correlations[:, :, self._rows]
        values = _levelled_map(gcc, self._steering)
        doa = self._directions[values.argmax(dim=-1)] if self._finder is None else self._finder(values)
        return self._side(doa), values


class _MapGraph(ExportGraph):
    outputs = ("doa", "concentration", "srp_map", "log_posterior")

    def __init__(self, estimator: Any) -> None:
        tables = estimator._runtime()
        super().__init__(estimator, tables.extractor)
        self.encoder = estimator.encoder_
        self._geometry = tables.geometry
        self.map_scale = tables.map_scale
        self._steering = ConstantProduct(tables.geometry.steering())
        self.context = self.encoder.context

    def forward(self, correlations: Tensor) -> tuple[Tensor, ...]:
        lags = self._geometry.lags
        correction = self.encoder.correction_of(numerators(correlations, len(lags)), lags)
        heard = _levelled_map(correlations, self._steering)
        logits = self.encoder.logits(heard, _levelled_map(correction, self._steering))
        geometry = self._geometry
        posterior = GridPosterior(logits, geometry.directions, geometry.coverage, validate_args=False)
        concentration = posterior.tempered(MAP_TEMPERATURE).concentration
        return self._side(posterior.mean_direction), concentration, heard, posterior.logits


class _PaperGraph(ExportGraph):
    outputs = ("doa", "concentration")
    context = None

    def __init__(self, estimator: Any) -> None:
        tables = estimator._runtime()
        super().__init__(estimator, tables.extractor)
        self.encoder = copy.deepcopy(estimator.encoder_)
        self._geometry = tables.geometry
        self.encoder.recurrent = ExportableGRU(self.encoder.recurrent)
        self.time_pooling = self.encoder.time_pooling

    def forward(self, correlations: Tensor) -> tuple[Tensor, ...]:
        posterior = self.encoder(correlations, self._geometry)
        frames = correlations.shape[1], self.time_pooling
        doa = directions_at_frames(posterior.mean_direction, *frames)
        logs = values_at_frames(torch.log(posterior.concentration + _LEAST_CONCENTRATION), *frames)
        return self._side(doa), torch.exp(logs)


class _NeuralSRPGraph(ExportGraph):
    outputs = ("doa", "concentration")
    context = None

    def __init__(self, estimator: Any) -> None:
        tables = estimator._runtime()
        super().__init__(estimator, tables.extractor)
        self.network = copy.deepcopy(estimator.network_)
        self._positions = tables.positions
        self.network.gru = ExportableGRU(self.network.gru)
        self.time_pooling = self.network.time_pooling

    def forward(self, correlations: Tensor) -> tuple[Tensor, ...]:
        vectors = self.network(correlations.abs(), self._positions)
        n_frames = correlations.shape[1]
        doa = directions_at_frames(
            torch.nn.functional.normalize(vectors, dim=-1, eps=1e-9), n_frames, self.time_pooling
        )
        length = values_at_frames(vectors.norm(dim=-1), n_frames, self.time_pooling)
        return self._side(doa), inverse_mean_resultant_length(length.clamp(0.0, LONGEST_VECTOR))


class _Cross3DGraph(ExportGraph):
    inputs = ("correlations", "activity")
    outputs = ("doa", "concentration")

    def __init__(self, estimator: Any) -> None:
        tables = estimator._runtime()
        super().__init__(estimator, tables.extractor)
        self.network = estimator.network_
        self._tables = tables
        self.context = self.network.context

    def forward(self, correlations: Tensor, activity: Tensor) -> tuple[Tensor, ...]:
        vectors = self.network(self._tables.features(correlations), activity)
        doa = torch.nn.functional.normalize(vectors, dim=-1, eps=1e-9)
        length = vectors.norm(dim=-1).clamp(0.0, LONGEST_VECTOR)
        return self._side(doa), inverse_mean_resultant_length(length)


def _levelled_map(correlations: Tensor, steering: ConstantProduct) -> Tensor:
    """Return `steered_map`, by products whose factors have the mean 0 and the maximum 1 in every frame and part.

    The same in floating point, as steering takes the same on all pairs and lags to the same in all directions. With
    eight bits a loud frame, a numerator above its denominator, or what all directions have in common, takes nothing
    away from the steps that the rest has.
    """
    parts = correlations.split(steering.n_in // correlations.shape[-2], dim=-1)
    sums = [_levelled_sums(part, steering) for part in parts]
    if len(parts) == 1:
        return sums[0]
    count = len(parts) // 2
    flat = [part.flatten(-2) for part in parts]
    return torch.stack([explained(sums[k], sums[count + k], flat[count + k]) for k in range(count)]).sum(dim=0)


def _levelled_sums(part: Tensor, steering: ConstantProduct) -> Tensor:
    mean = part.mean(dim=(-2, -1), keepdim=True)
    level = (part - mean).abs().amax(dim=(-2, -1), keepdim=True).clamp_min(_SILENT)
    return srp_map((part - mean) / level, steering) * level[..., 0] + mean[..., 0]


class _OneSide(nn.Module):
    """Of directions that the array cannot tell apart, the one that stands for all."""

    def __init__(self, ambiguity: Ambiguity) -> None:
        super().__init__()
        self._kind = ambiguity.kind
        self._axis = torch.tensor(ambiguity.axis, dtype=torch.float32)
        # of a cone: where its half-plane lies around the axis
        standing = np.asarray(ambiguity.canonical(np.eye(3)), dtype=np.float64)
        across = standing - np.outer(standing @ ambiguity.axis, ambiguity.axis)
        longest = across[np.linalg.norm(across, axis=1).argmax()]
        self._across = torch.tensor(longest / max(float(np.linalg.norm(longest)), 1e-12), dtype=torch.float32)

    def forward(self, doa: Tensor) -> Tensor:
        if self._kind == "none":
            return doa
        height = (doa * self._axis).sum(dim=-1, keepdim=True)
        along = height * self._axis
        if self._kind == "mirror":
            return torch.where(height < 0, doa - 2 * along, doa)
        return along + (doa - along).norm(dim=-1, keepdim=True) * self._across


_GRAPHS: dict[str, Callable[[Any], ExportGraph]] = {
    "SRPPHAT": _SRPGraph,
    "NeuralSRPTracker": _NeuralSRPGraph,
    "Cross3DTracker": _Cross3DGraph,
}
