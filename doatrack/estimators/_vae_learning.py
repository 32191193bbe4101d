"""How the unsupervised tracker begins, what it learns from recordings, and what a file keeps of it."""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from doatrack._validation import check_choice
from doatrack.audio.recordings import Recordings
from doatrack.estimators._course import Lesson
from doatrack.estimators._encoders import ENCODERS, build_encoder
from doatrack.estimators._learned import LearnedTracker
from doatrack.estimators._learning import Schedule, SmoothedTargets, SmootherTask, UnsupervisedTask
from doatrack.estimators._parts import Part
from doatrack.estimators._prepare import Preparation
from doatrack.estimators._search import search_grid
from doatrack.estimators._source_learning import SeveralSourcesTask
from doatrack.estimators._vae_parameters import VAETables
from doatrack.exceptions import InvalidInputError
from doatrack.features import GCCFeatures
from doatrack.geometry import DirectionGrid, MicArray
from doatrack.networks import PairGeometry, PhysicsDecoder
from doatrack.tracking import MotionModel

__all__ = ["UnsupervisedTracker"]


class UnsupervisedTracker(LearnedTracker):
    """A tracker whose encoder learns without labels, from the smoother or from a physics decoder.

    Its parameters, and what is asked of the networks once they have learned, are those of `PhysicsVAETracker`.
    """

    _learns_from_arrays = True

    encoder_: nn.Module
    decoder_: PhysicsDecoder
    encoder: str
    teacher: str
    prior: str
    features: Any
    source_loss: str
    mixture_kl: str
    width: int | None
    n_directions: int
    gamma: float
    gamma_initial: float
    sigma: float
    sigma_initial: float
    learn_sigma: bool
    beta: float
    motion_concentration: float
    pairs_per_step: int
    final_learning_rate: float
    azimuth_range_deg: tuple[float, float] | None
    elevation_range_deg: tuple[float, float] | None

    def _start(self, array: MicArray) -> None:
        """Make an untrained tracker for an array."""
        self._forget_tables()
        self.seed_ = self._seed()
        self.grid_ = self._search_grid()
        self.array_ = self.fitted_array_ = array
        self.encoder_ = build_encoder(
            self.encoder, self.width, self.seed_, GCCFeatures.of(self.features), self.n_sources
        ).eval()
        self.decoder_ = PhysicsDecoder(self.sigma)
        self.history_ = []
        self.calibration_ = {}

    def _go_on(self, array: MicArray | None) -> None:
        """Follow the parameters that were set after the weights were made, or say why these cannot."""
        self._same_array(array)
        fresh = build_encoder(self.encoder, self.width, 0, GCCFeatures.of(self.features), self.n_sources)
        wanted, made = fresh.state_dict(), self.encoder_.state_dict()
        if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in made.items()}:
            raise InvalidInputError(
                f"The learned weights do not fit encoder={self.encoder!r} with width={self.width!r}. "
                "Set them back, or start anew with fit and warm_start=False."
            )
        self._forget_tables()
        self.grid_ = self._search_grid()
        # learning works in place: a run that breaks off must not leave half of it behind
        self.encoder_ = copy.deepcopy(self.encoder_)
        self.decoder_ = copy.deepcopy(self.decoder_) if self.learn_sigma else PhysicsDecoder(self.sigma)

    def _learn(
        self,
        recordings: Recordings,
        truth: Any,
        activity: list[NDArray[np.bool_]] | None,
        *,
        n_epochs: int,
        settled: bool,
    ) -> None:
        self._learn_parts([Part(self.array_, recordings, activity)], n_epochs=n_epochs, settled=settled)

    def _learn_parts(self, parts: list[Part], *, n_epochs: int, settled: bool) -> None:
        schedule = Schedule(
            self.gamma,
            self.gamma_initial,
            self.sigma,
            self.sigma_initial,
            self.beta,
            self.learning_rate,
            self.final_learning_rate,
            settled,
        )
        smoothed = self._learns_from_smoother()
        self.decoder_.raw_sigma.requires_grad_(self.learn_sigma and not smoothed)
        # a map that is divided needs all pairs: random ones are then corrected only
        whole = smoothed or (self.encoder == "map" and GCCFeatures.of(self.features).weighting != "phat")
        self._train(
            nn.ModuleDict({"encoder": self.encoder_, "decoder": self.decoder_}),
            [self._with_array(part.array)._lesson(part, schedule, smoothed=smoothed) for part in parts],
            schedule.learning_rate_at,
            rows_per_step=None if whole else self.pairs_per_step,
            chosen_per_step=self.pairs_per_step if whole else None,
            n_epochs=n_epochs,
            settled=settled,
        )

    def _learns_from_smoother(self) -> bool:
        return self.teacher == "smoother" and self.n_sources == 1

    def _fingerprint(self, arrays: list[MicArray]) -> dict[str, Any]:
        taught = {"motion": self.motion or MotionModel()} if self._learns_from_smoother() else {}
        return super()._fingerprint(arrays) | taught

    def _lesson(self, part: Part, schedule: Schedule, *, smoothed: bool) -> Lesson:
        """Return what recordings of the tracker's array teach."""
        runtime = self._runtime()
        targets = None
        if smoothed:
            targets = SmoothedTargets(runtime.geometry, self._transition(own_grid=True), runtime.map_scale)
        extractor = runtime.extractor
        shape = (len(extractor.mic_pairs), extractor.n_columns)
        prepare = Preparation(extractor, shape, activity=part.activity, targets=targets)
        return Lesson(part.array, self._task(schedule, runtime.geometry, smoothed=smoothed), part.recordings, prepare)

    def _with_array(self, array: MicArray) -> Self:
        """Return this tracker, with the same networks, as one of another array."""
        if array == self.array_:
            return self
        other = copy.copy(self)
        other._forget_tables()
        other.array_ = array
        return other

    def _task(self, schedule: Schedule, geometry: PairGeometry, *, smoothed: bool) -> SmootherTask | UnsupervisedTask:
        """Return what is minimised."""
        if smoothed:
            return SmootherTask(self.encoder_, geometry)
        motion = self.motion_concentration if self.prior == "motion" else None
        given = (self.encoder_, self.decoder_, geometry, schedule, motion)
        if self.n_sources == 1:
            return UnsupervisedTask(*given)
        return SeveralSourcesTask(
            *given,
            grid=self.grid_,
            n_sources=self.n_sources,
            source_loss=self.source_loss,
            mixture_kl=self.mixture_kl,
        )

    def _search_grid(self) -> DirectionGrid:
        region = (self.azimuth_range_deg, self.elevation_range_deg)
        if self.encoder == "paper" and region != (None, None):
            raise InvalidInputError(
                "A search region (azimuth_range_deg, elevation_range_deg) needs a posterior over a grid, "
                "encoder='map'; encoder='paper' points anywhere. Leave the region out, or use another tracker."
            )
        return search_grid("quasi_uniform", self.n_directions, *region)

    def _runtime(self) -> VAETables:
        if not isinstance(self.encoder_, ENCODERS[check_choice("encoder", self.encoder, ENCODERS)]):
            raise InvalidInputError(
                f"encoder={self.encoder!r} was set after fit, and the learned weights are another encoder's. "
                "Set it back, or fit again."
            )
        return self._tables_for(VAETables)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return self._learned_values(), self._weights()

    def _restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.grid_ = self._search_grid()
        self._restore_learned(values)
        self.encoder_ = build_encoder(
            self.encoder, self.width, self.seed_, GCCFeatures.of(self.features), self.n_sources
        ).eval()
        self.decoder_ = PhysicsDecoder(self.sigma)
        self._set_weights(arrays)

    def _networks(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder_, "decoder": self.decoder_}
