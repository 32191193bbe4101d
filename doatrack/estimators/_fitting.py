"""What all learning goes through: features to disk, the loop over crops, the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from doatrack._validation import check_array
from doatrack.audio.recordings import Recordings
from doatrack.estimators._progress import ProgressBar, progress_over
from doatrack.exceptions import InvalidInputError, NoActivityError
from doatrack.features import FeatureStore, FeatureStream, GCCExtractor
from doatrack.training import Checkpoint, CropSampler, TrainingLoop

__all__ = ["check_device", "correlations", "store_features", "train"]

Activity = NDArray[np.bool_]


def check_device(device: object) -> None:
    """Raise unless tensors can be made on a device and read back."""
    rule = f"device must name a torch device of this machine, such as 'cpu' or 'cuda', got {device!r}"
    if not isinstance(device, str):
        raise InvalidInputError(f"{rule} of type {type(device).__name__}.")
    try:
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInputError(f"{rule}: {str(error).splitlines()[0]}") from error


def correlations(gcc: Tensor) -> Tensor:
    """Return correlations as they are: the features of the unsupervised tracker."""
    return gcc


def store_features(
    recordings: Recordings,
    extractor: GCCExtractor,
    store: FeatureStore,
    activity: list[Activity] | None,
    verbose: int,
    features: Callable[[Tensor], Tensor] = correlations,
    truth: Callable[[int, Activity], NDArray[np.float64]] | None = None,
) -> FeatureStore:
    """Read all recordings once and keep their features on disk.

    Parameters
    ----------
    recordings : Recordings
    extractor : GCCExtractor
    store : FeatureStore
        An empty one.
    activity : list of bool array (n_frames,), optional
    verbose : int
    features : callable
        From correlations (n_frames, n_pairs, n_lags) to what is kept, (n_frames, n_rows, n_columns).
    truth : callable, optional
        `truth(k, activity)` gives the directions (n_frames, 3) of recording k, NaN in frames that do not count.

    Raises
    ------
    NoActivityError
        If no recording has an active frame, or none has one with known truth.
    InvalidInputError
        If a recording is shorter than a frame, or a given activity has another length.
    """
    with progress_over(range(len(recordings)), "reading recordings", verbose) as indices:
        for k in indices:
            stream = extractor.stream(recordings.blocks(k))
            for gcc in stream:
                store.write(features(gcc))
            heard = _activity_of(recordings, k, stream, activity, extractor.frames.win_length)
            store.close_recording(heard, None if truth is None else truth(k, heard))
    if not any(heard.any() for heard in store.activities):
        raise NoActivityError(
            "No frame of the recordings is active: they hold only silence or steady noise, from which no direction can "
            "be learned. Record with sound, or pass activity= if you know that there is some."
        )
    if not any(store.teaches(k) for k in range(len(store))):
        raise NoActivityError(
            "No frame of the recordings has both sound and a known direction, so nothing can be learned. Check the "
            "times, the activity and the NaN of the truth."
        )
    return store


def _activity_of(
    recordings: Recordings, index: int, stream: FeatureStream, activity: list[Activity] | None, win_length: int
) -> Activity:
    name = recordings.name(index)
    if stream.n_frames == 0:
        raise InvalidInputError(
            f"{name} must be at least one frame long, {win_length} samples. "
            "Leave it out, or choose a smaller win_length."
        )
    heard = stream.activity() if activity is None else _given_activity(name, activity[index])
    if heard.shape != (stream.n_frames,):
        raise InvalidInputError(
            f"The activity of {name} must have one value per frame, ({stream.n_frames},), got "
            f"the shape {heard.shape}. frame_times(n_frames) gives their times."
        )
    return heard.astype(bool)


def _given_activity(name: str, value: object) -> Activity:
    """Return booleans, or 0 and 1, as booleans; what is unknown must not count as sound."""
    given = check_array(f"The activity of {name}", value, ("...",))
    if not np.isin(given, (0, 1)).all():
        wrong = float(given[~np.isin(given, (0, 1))].flat[0])
        raise InvalidInputError(f"The activity of {name} must hold booleans, or 0 and 1, got {wrong:g}.")
    return given.astype(np.bool_)


def train(
    module: nn.Module,
    loss: Callable[[Any, float, torch.Generator], tuple[Tensor, dict[str, float]]],
    sampler: CropSampler,
    learning_rate: Callable[[float], float],
    *,
    n_epochs: int,
    seed: int,
    device: str,
    checkpoint: Checkpoint | None,
    verbose: int,
) -> list[dict[str, float]]:
    """Run the loop to its end on a device and return its history; the module comes back to the CPU, ready to use."""
    module.to(device)
    trained = [p for p in module.parameters() if p.requires_grad]
    try:
        with ProgressBar(verbose) as bar:
            loop = TrainingLoop(
                module,
                torch.optim.Adam(trained, lr=learning_rate(0.0)),
                batches=sampler,
                loss=loss,
                learning_rate=learning_rate,
                n_epochs=n_epochs,
                generator=torch.Generator().manual_seed(seed),
                n_steps=sampler.n_steps,
                callbacks=[c for c in (checkpoint, bar) if c is not None],
            )
            if checkpoint is not None:
                checkpoint.resume(loop)
            loop.run()
    finally:
        module.cpu().eval()
    return loop.history
