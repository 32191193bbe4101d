"""What trackers that learn from known directions share."""

import copy
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from doatrack.audio.recordings import Recordings
from doatrack.distributions import credible_angle, inverse_mean_resultant_length
from doatrack.estimators._arguments import align_truth, per_recording
from doatrack.estimators._fitting import store_features
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._learned import LearnedTracker
from doatrack.exceptions import InvalidInputError
from doatrack.features import GCCExtractor
from doatrack.features.srp_map import steered_correlation
from doatrack.geometry import MicArray
from doatrack.metrics import angular_error
from doatrack.training import Batch, direction_loss

__all__ = ["LONGEST_VECTOR", "SupervisedTables", "SupervisedTracker", "unit_vectors", "warm_up"]

_WARM_UP_SHARE, _FIRST_FACTOR = 0.05, 0.01
LONGEST_VECTOR = 0.995  # of a vector whose length is read as a mean resultant length: a concentration of 200


class SupervisedTables(Protocol):
    """What follows from array and parameters: correlations, and what the network is given of them."""

    extractor: GCCExtractor
    shape: tuple[int, int]

    def features(self, gcc: Tensor) -> Tensor:
        """From correlations (n_frames, n_pairs, n_lags) to what is stored, (n_frames, *shape)."""


class SupervisedTracker(LearnedTracker):
    """A tracker whose network learns vectors from known directions.

    A subclass gives `_options` (what its network is built with), `_build`, `_runtime` (its `SupervisedTables`),
    `_batch_vectors` (what is learned), `_vectors` (answers of a whole recording) and `_loss`.

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
        aligned = self._truth_of(recordings, truth, given_activity=activity is not None)
        with self._new_store(*tables.shape) as store:
            store_features(recordings, tables.extractor, store, activity, self.verbose, tables.features, aligned)
            self._train(
                self.network_,
                self._batch_loss,
                store,
                lambda progress: self.learning_rate * (1.0 if settled else warm_up(progress)),
                rows_per_step=self._rows_in_a_step(),
                n_epochs=n_epochs,
                settled=settled,
            )

    def _truth_of(
        self, recordings: Recordings, truth: Any, *, given_activity: bool
    ) -> Callable[[int, NDArray[np.bool_]], NDArray[np.float64]]:
        """Return a function that gives a recording's directions at its frames, NaN where they do not count."""
        truths = per_recording("y", truth, recordings)
        assert truths is not None

        def aligned(index: int, activity: NDArray[np.bool_]) -> NDArray[np.float64]:
            times = self.frame_times(len(activity))
            doa, weight = align_truth(truths[index], times, activity, recordings.name(index))
            counts = (weight > 0) & (activity | (not given_activity))
            return np.where(counts[:, None], doa, np.nan)

        return aligned

    def _batch_loss(self, batch: Batch, progress: float, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert batch.doa is not None
        predicted, doa = self._batch_vectors(batch), batch.doa.to(self.device)
        with torch.no_grad():
            known = torch.isfinite(doa).all(dim=-1)
            units = [v[known].double().cpu().numpy() for v in (doa, predicted)]
            error = float(np.degrees(angular_error(units[0], unit_vectors(units[1]))).mean()) if len(units[0]) else 0.0
        return direction_loss(predicted, doa, self._loss), {"error_deg": error}

    def _estimate(
        self, recordings: Recordings, index: int, *, evidence: bool = False, maps: bool = False
    ) -> FrameEstimates:
        tables = self._runtime()
        stream = tables.extractor.stream(recordings.blocks(index))
        parts, heard = [], []
        for gcc in stream:
            parts.append(tables.features(gcc))
            if evidence:
                heard.append(gcc)
        if not parts:
            self._too_short(recordings, index)
        activity = stream.activity()
        with torch.no_grad():
            doa, length = self._vectors(torch.cat(parts), torch.from_numpy(activity))
        power = np.full(len(doa), np.nan)
        if evidence:
            delays = tables.extractor.tdoa_samples(doa).T
            power = steered_correlation(torch.cat(heard), tables.extractor.lags, delays).double().numpy()
        likely = inverse_mean_resultant_length(torch.from_numpy(length).clamp(0.0, LONGEST_VECTOR))
        return FrameEstimates(doa, likely.numpy(), credible_angle(likely, 0.9).numpy(), activity, power)

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

    def _vectors(self, features: Tensor, activity: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return unit vectors (n_frames, 3) of a recording, and the lengths (n_frames,) that the network gave them."""
        raise NotImplementedError


def warm_up(progress: float) -> float:
    """Return the factor on the learning rate, which rises from near 0 over the first 5 % of fitting.

    Adam's first steps are of full size whatever the gradient's; the sum over many pairs turns them into a saturated
    tanh, from which nothing is learned any more.
    """
    return min(1.0, progress / _WARM_UP_SHARE + _FIRST_FACTOR)


def unit_vectors(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors (..., 3) at unit length; those without a direction point to the front."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    front = np.array([1.0, 0.0, 0.0])
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), front)
