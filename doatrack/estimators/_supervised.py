"""What trackers that learn from known directions share."""

import copy
import dataclasses
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from doatrack.audio.recordings import Recordings
from doatrack.distributions import inverse_mean_resultant_length
from doatrack.estimators._arguments import align_truth, per_recording
from doatrack.estimators._course import Lesson
from doatrack.estimators._frame_source import FrameHead, HeardFrames
from doatrack.estimators._learned import LearnedTracker
from doatrack.estimators._prepare import Preparation
from doatrack.estimators._task import Task
from doatrack.exceptions import InvalidInputError
from doatrack.features import FeatureStream, FrameSettings, GCCExtractor
from doatrack.features.srp_map import steered_correlation
from doatrack.geometry import MicArray
from doatrack.metrics import angular_error
from doatrack.networks.precision import full_precision
from doatrack.training import Batch, direction_loss

__all__ = ["LONGEST_VECTOR", "SupervisedTables", "SupervisedTracker", "unit_vectors"]

_WARM_UP_SHARE, _FIRST_FACTOR = 0.05, 0.01
LONGEST_VECTOR = 0.995  # of a vector whose length is read as a mean resultant length: a concentration of 200


class Vectors(NamedTuple):
    """Unit vectors (n_frames, 3), the lengths (n_frames,) that a network gave them, and what counts of the frames."""

    doa: NDArray[np.float64]
    length: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None


class SupervisedTables(Protocol):
    """What follows from array and parameters: correlations, and what the network is given of them."""

    extractor: GCCExtractor
    shape: tuple[int, int]

    def features(self, gcc: Tensor) -> Tensor:
        """From correlations (n_frames, n_pairs, n_lags) to what is stored, (n_frames, *shape)."""


class SupervisedTracker(LearnedTracker):
    """A tracker whose network learns vectors from known directions.

    A subclass gives `_options` (what its network is built with), `_build`, `_runtime` (its `SupervisedTables`),
    `_batch_vectors` (what is learned), `_vectors` (answers as frames come) and `_loss`.

    A network that is unsure makes its vector short. Its length is read as that of a von Mises-Fisher distribution's
    mean vector, whose concentration `calibrate` makes honest; before, it is unknown (NaN).
    """

    network_: nn.Module
    _claims = False

    _loss: str

    def with_search_region(
        self,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
    ) -> Self:
        """Refuse: the network points anywhere, there are no candidates to choose from.

        Raises
        ------
        InvalidInputError
        """
        raise InvalidInputError(
            f"{type(self).__name__} searches no grid, so a search region (azimuth_range_deg, elevation_range_deg) has "
            "nothing to act on. Leave it out, or use SRPPHAT or PhysicsVAETracker."
        )

    def _check_truth(self, truth: Any) -> None:
        if truth is None:
            raise InvalidInputError(
                f"{type(self).__name__} learns from known directions, and got none: call fit(signals, array, doa) "
                "with, per recording, unit vectors (n_frames, 3) or rows of time_s, x, y, z, active. "
                "PhysicsVAETracker learns without."
            )

    def _start(self, array: MicArray) -> None:
        self._forget_tables()
        self.seed_ = self._seed()
        self.grid_ = self._search_grid()
        self.array_ = self.fitted_array_ = array
        self.history_ = []
        self.calibration_ = {}
        self._new_network()

    def _new_network(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_)
            self.network_ = self._build().eval()
        self._built_with = self._options()

    def _go_on(self, array: MicArray | None) -> None:
        self._same_array(array)
        self._check_built()
        self._forget_tables()
        # learning works in place: a run that breaks off must not leave half of it behind
        self.network_ = copy.deepcopy(self.network_)

    def _check_built(self) -> None:
        if self._built_with != self._options():
            made, wanted = (", ".join(f"{k}={v!r}" for k, v in o.items()) for o in (self._built_with, self._options()))
            raise InvalidInputError(
                f"The learned weights are those of {made}, and do not fit {wanted}. Set them back, or start anew with "
                "fit and warm_start=False."
            )

    def _learn(
        self,
        recordings: Recordings,
        truth: Any,
        activity: list[NDArray[np.bool_]] | None,
        *,
        n_epochs: int,
        settled: bool,
    ) -> None:
        tables = self._runtime()
        truths = AlignedTruth(per_recording("y", truth, recordings), self._frames(), activity is not None)
        prepare = Preparation(tables.extractor, tables.shape, tables.features, activity, truths)
        self._train(
            self.network_,
            [Lesson(self.array_, DirectionTask(self, self._loss), recordings, prepare)],
            WarmUp(self.learning_rate, settled),
            rows_per_step=self._rows_in_a_step(),
            n_epochs=n_epochs,
            settled=settled,
        )

    def _feature_stream(self) -> FeatureStream:
        return self._runtime().extractor.stream()

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        return VectorHead(self._vectors(), self._runtime(), evidence=evidence)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return self._learned_values(), self._weights()

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.grid_ = self._search_grid()
        self._restore_learned(values)
        self._new_network()
        self._set_weights(arrays)

    def _networks(self) -> dict[str, nn.Module]:
        return {"network": self.network_}

    def _rows_in_a_step(self) -> int | None:
        return None

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    def _build(self) -> nn.Module:
        raise NotImplementedError

    def _runtime(self) -> SupervisedTables:
        raise NotImplementedError

    def _batch_vectors(self, batch: Batch) -> Tensor:
        """Return the vectors (n_crops, n_frames, 3) that the network gives for a batch."""
        raise NotImplementedError

    def _vectors(self) -> "VectorStream":
        """Return what makes vectors of a recording's features as they come."""
        raise NotImplementedError


class VectorStream(Protocol):
    """From features of frames to a network's vectors."""

    at_once: int
    look_ahead: int

    def push(self, features: Tensor, activity: Tensor) -> Vectors:
        """Take the next frames, and return those that are known now."""

    def finish(self) -> Vectors:
        """Return the rest."""


class VectorHead:
    """Frames by a network that gives vectors."""

    def __init__(self, vectors: VectorStream, tables: SupervisedTables, *, evidence: bool) -> None:
        self._vectors, self._tables, self._evidence = vectors, tables, evidence
        self.at_once, self.look_ahead = vectors.at_once, vectors.look_ahead
        self._heard: Tensor | None = None  # correlations of frames that are not answered yet

    def push(self, features: Tensor, activity: NDArray[np.bool_]) -> list[HeardFrames]:
        if self._evidence:
            self._heard = features if self._heard is None else torch.cat([self._heard, features])
        return self._frames(self._vectors.push(self._tables.features(features), torch.from_numpy(activity)))

    def finish(self) -> list[HeardFrames]:
        return self._frames(self._vectors.finish())

    def _frames(self, vectors: Vectors) -> list[HeardFrames]:
        doa = vectors.doa
        power = np.full(len(doa), np.nan)
        if self._heard is not None and len(doa):
            extractor = self._tables.extractor
            heard, self._heard = self._heard[: len(doa)], self._heard[len(doa) :]
            delays = extractor.tdoa_samples(doa).T
            power = steered_correlation(heard, extractor.lags, delays).double().numpy()
        likely = inverse_mean_resultant_length(torch.from_numpy(vectors.length).clamp(0.0, LONGEST_VECTOR))
        return [HeardFrames(doa, likely.numpy(), power, weight=vectors.weight)]


class DirectionTask(Task):
    """The error of the vectors that a tracker's network gives for a batch."""

    def __init__(self, tracker: SupervisedTracker, kind: str) -> None:
        self._tracker, self._kind = tracker, kind

    def __call__(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and the mean angular error in degrees, over frames that count."""
        assert batch.doa is not None
        predicted, doa = self._tracker._batch_vectors(batch).float(), batch.doa
        with full_precision(predicted):
            loss = direction_loss(predicted, doa, self._kind, self._mean_count)
        with torch.no_grad():
            known = torch.isfinite(doa).all(dim=-1)
            units = [v[known].double().cpu().numpy() for v in (doa, predicted)]
            total = float(np.degrees(angular_error(units[0], unit_vectors(units[1]))).sum()) if len(units[0]) else 0.0
            count = float(self._mean_count(known.sum().to(loss.dtype)))
        return loss, {"error_deg": total / count if count else 0.0}


@dataclasses.dataclass(frozen=True)
class AlignedTruth:
    """Known directions of recordings at their frames, NaN where they do not count."""

    truths: list[Any] | None
    frames: FrameSettings
    given_activity: bool

    def __call__(self, recordings: Recordings, index: int, activity: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the directions (n_frames, 3) of a recording; fresh ones bring their own."""
        truth = recordings.truth(index) if self.truths is None else self.truths[index]
        times = self.frames.times(len(activity))
        doa, weight = align_truth(truth, times, activity, recordings.name(index))
        counts = (weight > 0) & (activity | (not self.given_activity))
        return np.where(counts[:, None], doa, np.nan)


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """The learning rate, which rises from near 0 over the first 5 % of fitting, unless settled.

    Adam's first steps are of full size whatever the gradient's; the sum over many pairs turns them into a saturated
    tanh, from which nothing is learned any more.
    """

    learning_rate: float
    settled: bool = False

    def __call__(self, progress: float) -> float:
        """Return the rate of a step."""
        factor = 1.0 if self.settled else min(1.0, progress / _WARM_UP_SHARE + _FIRST_FACTOR)
        return self.learning_rate * factor


def unit_vectors(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors (..., 3) at unit length; those without a direction point to the front."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    front = np.array([1.0, 0.0, 0.0])
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), front)
