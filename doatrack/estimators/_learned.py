"""What trackers that learn share: going on, stopping, resuming, and what a file keeps."""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from doatrack._validation import check_bool, check_int, check_path, check_real
from doatrack.audio.fresh import FreshRecordings
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._arguments import per_recording, sort_arguments
from doatrack.estimators._base import BaseTracker
from doatrack.estimators._course import Course, Lesson, Sampling
from doatrack.estimators._fitting import Hardware, run
from doatrack.estimators._parts import Part, parts_of
from doatrack.estimators._runs import clear_scratch, draw_seed, kept_random_state, scratch_folder
from doatrack.exceptions import ArrayMismatchWarning, InvalidInputError
from doatrack.geometry import MicArray

__all__ = ["LearnedTracker"]

_NOT_IN_FINGERPRINT = (
    # told by what follows from them, or with rules of their own
    *("array", "random_state", "batch_size"),
    # a run may go on elsewhere, in another number of processes
    *("device", "devices", "num_nodes", "checkpoint", "verbose"),
    # nothing is learned from them: of the tracks alone (but for `motion` where the smoother teaches), or of the start
    *("motion", "check_positions", "warm_start"),
)
"""Parameters that may change when a run is resumed. `n_epochs` may not: the schedules run over all steps, so that with
another number the steps that are done would have been others. To learn longer, go on from the finished tracker."""


class LearnedTracker(BaseTracker):
    """A tracker with networks.

    A subclass gives `_start` (an untrained tracker for an array), `_go_on` (follow changed parameters with the learned
    weights, or refuse), `_learn`, and `_networks` (what is learned, by name).
    """

    _when_moved = "Delays and directions are computed for the new array; how much the encoder's corrections help there,"

    _learns_from_arrays = False
    """Whether `_learn_parts` is there: whether recordings of several arrays teach one network."""

    array_: MicArray
    fitted_array_: MicArray
    seed_: int
    history_: list[dict[str, float]]
    n_epochs: int
    batch_size: int
    crop_frames: int
    learning_rate: float
    device: str
    devices: int
    num_nodes: int
    precision: str
    verbose: int
    random_state: Any
    checkpoint: str | os.PathLike[str] | None
    warm_start: bool

    def partial_fit(
        self,
        X: Signals,
        y: Any = None,
        array: MicArray | Sequence[MicArray] | None = None,
        activity: Any = None,
    ) -> Self:
        """Adapt a fitted tracker to new recordings: one more pass, from labels only where it needs them.

        The schedules stay at their ends: final sharpness, final learning rate. An unfitted tracker starts anew.

        Parameters
        ----------
        X, y, array, activity
            As in `fit`; the array defaults to the fitted one, which a list of arrays does not change.

        Returns
        -------
        self
        """
        truth, given = sort_arguments(y, array)
        self._check_parameters()
        if isinstance(given, list):
            with self._nothing_lost():
                parts = self._parts(X, given, activity)
                if self._fitted():
                    self._go_on(None)
                else:
                    self._start(parts[0].array)
                self._learn_parts(parts, n_epochs=1, settled=True)
                if self.array_ in [part.array for part in parts]:
                    self.fitted_array_ = self.array_
            return self
        if not isinstance(X, FreshRecordings):
            self._check_truth(truth)
        with self._nothing_lost():
            if self._fitted():
                self._go_on(given)
            else:
                chosen = given if given is not None else self.array
                if not isinstance(chosen, MicArray):
                    raise InvalidInputError(
                        "partial_fit of a new tracker needs the geometry: partial_fit(signals, array=array) with a "
                        f"MicArray; got {chosen!r}."
                    )
                self._start(chosen)
            recordings = Recordings(X, self.array_.n_mics, self.sample_rate)
            heard = per_recording("activity", activity, recordings)
            self._learn(recordings, truth, heard, n_epochs=1, settled=True)
            self.fitted_array_ = self.array_
        return self

    def _fit(
        self, recordings: Recordings, truth: Any, array: MicArray, activity: list[NDArray[np.bool_]] | None
    ) -> None:
        if recordings.drawn_from is None:
            self._check_truth(truth)
        clear_scratch(self.checkpoint)
        with self._nothing_lost():
            if self.warm_start and self._fitted():
                self._go_on(array)
            else:
                self._start(array)
            self._learn(recordings, truth, activity, n_epochs=self.n_epochs, settled=False)

    def _fit_arrays(self, signals: Signals, arrays: list[MicArray], activity: Any) -> None:
        clear_scratch(self.checkpoint)
        with self._nothing_lost():
            parts = self._parts(signals, arrays, activity)
            if self.warm_start and self._fitted():
                self._go_on(parts[0].array)
            else:
                self._start(parts[0].array)
            self._learn_parts(parts, n_epochs=self.n_epochs, settled=False)

    def _parts(self, signals: Signals, arrays: list[MicArray], activity: Any) -> list[Part]:
        """Return recordings by array, or raise where they cannot be learned from together."""
        if not self._learns_from_arrays:
            super()._fit_arrays(signals, arrays, activity)
        return parts_of(signals, arrays, self.sample_rate, activity)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_real("learning_rate", self.learning_rate, 0.0, exclusive_minimum=True)
        for name in ("n_epochs", "batch_size", "crop_frames"):
            check_int(name, getattr(self, name), 1)
        check_bool("warm_start", self.warm_start)
        if self.checkpoint is not None:
            check_path("checkpoint", self.checkpoint)
        check_int("verbose", self.verbose, 0)
        self._hardware().check()

    def _check_truth(self, truth: Any) -> None:
        """Raise where what is to be learned from is missing; the unsupervised tracker needs none."""

    def _hardware(self) -> Hardware:
        return Hardware(self.device, self.devices, self.num_nodes, self.precision)

    def _train(
        self,
        module: nn.Module,
        lessons: list[Lesson],
        learning_rate: Callable[[float], float],
        *,
        rows_per_step: int | None,
        n_epochs: int,
        settled: bool,
        chosen_per_step: int | None = None,
    ) -> None:
        """Minimise a loss over crops of recordings, with checkpoints while fitting, and add to the history."""
        keep = self.checkpoint is not None and not settled
        course = Course(
            module,
            lessons,
            Sampling(self.crop_frames, self.batch_size, rows_per_step, chosen_per_step),
            learning_rate,
            n_epochs=n_epochs,
            seed=self.seed_ + len(self.history_),
            first_epoch=len(self.history_),
            scratch=scratch_folder(self.checkpoint),
            checkpoint=pathlib.Path(self.checkpoint) if keep and self.checkpoint is not None else None,
            fingerprint=self._fingerprint([lesson.array for lesson in lessons]),
            verbose=self.verbose,
        )
        self.history_ = [*self.history_, *run(course, module, self._hardware())]

    @contextlib.contextmanager
    def _nothing_lost(self) -> Iterator[None]:
        """Leave the tracker as it was where the input is refused, a disk is full or the user stops.

        Learning needs gradients, also where the caller has switched them off.
        """
        before = dict(self.__dict__)
        try:
            with torch.inference_mode(False), torch.enable_grad():
                yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _seed(self) -> int:
        return draw_seed(self.random_state, self.checkpoint)

    def _fingerprint(self, arrays: list[MicArray]) -> dict[str, Any]:
        """Return what a run depends on, but for its recordings."""
        params = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_IN_FINGERPRINT}
        weights = sum(
            float(p.detach().double().abs().sum())
            for network in self._networks().values()
            for p in network.parameters()
        )
        known = {
            "positions": self.array_.positions.tolist(),
            "random_state": kept_random_state(self.random_state, self.checkpoint),
            "seed": self.seed_,
            "sum_of_initial_weights": weights,
        }
        several = {"arrays": [array.positions.tolist() for array in arrays]} if len(arrays) > 1 else {}
        return params | known | several

    def _moved(self) -> None:
        if self.array_ == self.fitted_array_:
            return
        warnings.warn(
            f"This tracker learned with {self.fitted_array_} and is now used with {self.array_}. {self._when_moved} "
            "and that its credible angles cover what they claim, is not guaranteed. fit or partial_fit on recordings "
            "of the new array.",
            ArrayMismatchWarning,
            stacklevel=3,
        )

    def _same_array(self, array: MicArray | None) -> None:
        if array is not None and array != self.array_:
            raise InvalidInputError(
                "A fitted tracker goes on with the array it was fitted for, and got another one. "
                "Use for_array(array) first, or start anew with fit and warm_start=False."
            )

    def _learned_values(self) -> dict[str, Any]:
        """Return what a file keeps of any tracker that learned, but for the weights."""
        fitted = {"mic_positions": self.fitted_array_.positions.tolist(), "name": self.fitted_array_.name}
        return {"history": self.history_, "seed": self.seed_, "fitted_array": fitted}

    def _restore_learned(self, values: dict[str, Any]) -> None:
        """Set what `_learned_values` returned."""
        self.seed_ = int(values["seed"])
        self.history_ = list(values["history"])
        fitted = values["fitted_array"]
        self.fitted_array_ = MicArray(fitted["mic_positions"], name=fitted["name"])

    def _weights(self) -> dict[str, NDArray[Any]]:
        """Return all weights for a file, named by network."""
        return {
            f"{name}/{key}": value.numpy()
            for name, network in self._networks().items()
            for key, value in network.state_dict().items()
        }

    def _set_weights(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Set what `_weights` returned."""
        for name, network in self._networks().items():
            prefix = f"{name}/"
            weights = {k[len(prefix) :]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith(prefix)}
            network.load_state_dict(weights)

    def _fitted(self) -> bool:
        return hasattr(self, "seed_")

    def _networks(self) -> dict[str, nn.Module]:
        raise NotImplementedError

    def _start(self, array: MicArray) -> None:
        raise NotImplementedError

    def _go_on(self, array: MicArray | None) -> None:
        raise NotImplementedError

    def _learn(
        self,
        recordings: Recordings,
        truth: Any,
        activity: list[NDArray[np.bool_]] | None,
        *,
        n_epochs: int,
        settled: bool,
    ) -> None:
        raise NotImplementedError

    def _learn_parts(self, parts: list[Part], *, n_epochs: int, settled: bool) -> None:
        raise NotImplementedError
