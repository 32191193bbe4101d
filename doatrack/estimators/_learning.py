"""How the unsupervised tracker learns: features to disk, crops, schedules, the loop."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from doatrack._validation import check_array
from doatrack.audio.recordings import Recordings
from doatrack.estimators._progress import ProgressBar, progress_over
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.features import FeatureStore, GCCExtractor
from doatrack.networks import PairGeometry, PhysicsDecoder, fill_pooling_windows
from doatrack.training import (
    Batch,
    Checkpoint,
    CropSampler,
    TrainingLoop,
    exponential_decay,
    motion_log_transition,
    variational_loss,
)

__all__ = ["Schedule", "UnsupervisedTask", "check_device", "store_features", "train"]

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
    """The loss of a batch: encoder, decoder and the prior at a moment of the schedule."""

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
        device = self._geometry.lags.device
        geometry = self._geometry.select(batch.pairs.to(device))
        # the loss sees the pooling windows as the encoder fills them
        gcc, activity, valid = (
            fill_pooling_windows(values.to(device), self._encoder.time_pooling)
            for values in (batch.gcc, batch.activity, batch.valid)
        )
        gamma, beta = self._schedule.gamma_at(progress), self._schedule.beta_at(progress)
        blur = self._schedule.blur_at(progress)
        terms = variational_loss(
            self._encoder(gcc, geometry),
            gcc,
            activity,
            self._decoder,
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


def check_device(device: object) -> None:
    """Raise unless tensors can be made on a device and read back."""
    rule = f"device must name a torch device of this machine, such as 'cpu' or 'cuda', got {device!r}"
    if not isinstance(device, str):
        raise InvalidInputError(f"{rule} of type {type(device).__name__}.")
    try:
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInputError(f"{rule}: {str(error).splitlines()[0]}") from error


def store_features(
    recordings: Recordings,
    extractor: GCCExtractor,
    path: pathlib.Path,
    activity: list[NDArray[np.bool_]] | None,
    verbose: int,
) -> FeatureStore:
    """Read all recordings once and keep their correlations on disk.

    Raises
    ------
    NoActivityError
        If no recording has an active frame.
    InvalidInputError
        If a recording is shorter than a frame, or a given activity has another length.
    """
    store = FeatureStore(path, len(extractor.mic_pairs), len(extractor.lags))
    with progress_over(range(len(recordings)), "reading recordings", verbose) as indices:
        for k in indices:
            stream = extractor.stream(recordings.blocks(k))
            for gcc in stream:
                store.write(gcc)
            if stream.n_frames == 0:
                raise InvalidInputError(
                    f"{recordings.name(k)} must be at least one frame long, {extractor.frames.win_length} samples. "
                    "Leave it out, or choose a smaller win_length."
                )
            given = stream.activity() if activity is None else _given_activity(recordings.name(k), activity[k])
            if given.shape != (stream.n_frames,):
                raise InvalidInputError(
                    f"The activity of {recordings.name(k)} must have one value per frame, ({stream.n_frames},), got "
                    f"the shape {given.shape}. frame_times(n_frames) gives their times."
                )
            store.close_recording(given.astype(bool))
    if not any(a.any() for a in store.activities):
        raise NoActivityError(
            "No frame of the recordings is active: they hold only silence or steady noise, from which no direction can "
            "be learned. Record with sound, or pass activity= if you know that there is some."
        )
    return store


def _given_activity(name: str, value: object) -> NDArray[np.bool_]:
    """Return booleans, or 0 and 1, as booleans; what is unknown must not count as sound."""
    given = check_array(f"The activity of {name}", value, ("...",))
    if not np.isin(given, (0, 1)).all():
        wrong = float(given[~np.isin(given, (0, 1))].flat[0])
        raise InvalidInputError(f"The activity of {name} must hold booleans, or 0 and 1, got {wrong:g}.")
    return given.astype(np.bool_)


def train(
    task: UnsupervisedTask,
    encoder: nn.Module,
    decoder: PhysicsDecoder,
    sampler: CropSampler,
    schedule: Schedule,
    *,
    n_epochs: int,
    seed: int,
    learn_sigma: bool,
    checkpoint: Checkpoint | None,
    verbose: int,
) -> list[dict[str, float]]:
    """Run the loop to its end and return its history."""
    module = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    decoder.raw_sigma.requires_grad_(learn_sigma)
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=schedule.learning_rate)
    with ProgressBar(verbose) as bar:
        loop = TrainingLoop(
            module,
            optimizer,
            batches=sampler,
            loss=task,
            learning_rate=schedule.learning_rate_at,
            n_epochs=n_epochs,
            generator=torch.Generator().manual_seed(seed),
            n_steps=sampler.n_steps,
            callbacks=[c for c in (checkpoint, bar) if c is not None],
        )
        if checkpoint is not None:
            checkpoint.resume(loop)
        loop.run()
    encoder.eval()
    return loop.history
