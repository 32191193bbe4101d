"""Trackers fitted for a condition and an array: trained once, kept, and gone on with where a run was killed."""

import hashlib
import pathlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from doatrack.datasets import ScoredSet
from doatrack.estimators import load
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.experiments.conditions import CONDITIONS, Condition
from doatrack.experiments.methods import Method
from doatrack.experiments.scene_sets import ScenePlan, complete_set
from doatrack.experiments.workspace import Workspace, plain
from doatrack.geometry import MicArray

__all__ = ["FIRST", "fitted", "model_key", "train_set"]

FIRST = "sensor"
"""The condition that others may start from."""

_TRAIN_STREAM = 1
_QUIET_DB = 20.0
_QUIET_SHARE = 0.25
_NOT_IN_KEY = ("array", "checkpoint", "verbose", "warm_start", "device", "devices", "num_nodes")


def train_set(space: Workspace, condition: Condition, array: MicArray, place: str = "") -> ScoredSet:
    """Return the scenes to learn from, simulated where they are missing.

    Parameters
    ----------
    space : Workspace
    condition : Condition
    array : MicArray
    place : str
        Names the set where the array is another one than the scale's.
    """
    scale = space.scale
    plan = ScenePlan(condition, array, scale.n_train, scale.duration_s, 10 * space.seed + _TRAIN_STREAM)
    folder = space.path(f"scenes/train-{place or condition.name}")
    space.say(f"scenes to learn from: {folder.name}")
    return complete_set(folder, plan, space.train_speech)


def fitted(space: Workspace, method: Method, condition: Condition, array: MicArray, place: str = "") -> Any:
    """Return a tracker that is fitted for a condition and an array.

    Trackers that learn are trained, or read from the folder if they were trained with the same parameters. Labels are
    given to supervised ones only.
    """
    if not method.learns:
        tracker = method.make(space.seed)
        return tracker.fit(np.zeros((array.n_mics, tracker.win_length), dtype=np.float32), array)
    model = space.path(f"models/{place or condition.name}/{method.name}.safetensors")
    tracker = _untrained(space, method)
    start = _start(space, method, condition, place)
    stages = list(_stages(space, method, start))
    key = {"parameters": _parameters(tracker), "stages": [s.epochs for s in stages], "start": start and start.name}
    if start is not None:
        key["start"] = _sha256(start)

    def train() -> str:
        _run_stages(space, model, tracker, start, stages, train_set(space, condition, array, place), array, method)
        return _sha256(model)

    known = space.once(f"models/{place or condition.name}/{method.name}.json", key, train)
    if not model.exists() or _sha256(model) != known:
        model.with_suffix(".json").unlink()
        return fitted(space, method, condition, array, place)
    return load(model)


def model_key(tracker: Any) -> dict[str, Any]:
    """Return what the answers of a fitted tracker depend on, short enough for a file beside them."""
    weights = hashlib.sha256()
    networks = tracker._networks() if hasattr(tracker, "_networks") else {}
    for name, network in sorted(networks.items()):
        for key, value in sorted(network.state_dict().items()):
            weights.update(f"{name}/{key}".encode() + value.detach().cpu().numpy().tobytes())
    return {"parameters": _parameters(tracker), "weights": weights.hexdigest()}


@dataclass(frozen=True)
class _Stage:
    """Epochs on the scenes whose SNR is at least so many dB."""

    epochs: int | None
    least_snr_db: float | None = None


def _untrained(space: Workspace, method: Method) -> Any:
    scale = space.scale
    tracker = method.make(space.seed).set_params(verbose=space.verbose, **scale.parameters.get(method.name, {}))
    if method.name in scale.n_epochs:
        tracker.set_params(n_epochs=scale.n_epochs[method.name])
    return tracker


def _start(space: Workspace, method: Method, condition: Condition, place: str) -> pathlib.Path | None:
    """Return the model whose weights training starts from, after training it if need be; None is from scratch."""
    scale = space.scale
    if condition.name == FIRST and not place:
        return space.starts.get(method.name)
    if not scale.adaptation or method.name not in scale.n_epochs:
        return None
    fitted(space, method, CONDITIONS[FIRST], MicArray.from_preset(scale.array))
    return space.path(f"models/{FIRST}/{method.name}.safetensors")


def _stages(space: Workspace, method: Method, start: pathlib.Path | None) -> Iterator[_Stage]:
    """Yield the fits of a training; a method that begins with quiet scenes does so from random weights only."""
    epochs = space.scale.n_epochs.get(method.name)
    if epochs is None or start == space.starts.get(method.name, ...):
        yield _Stage(epochs)
    elif start is not None:
        yield _Stage(max(1, round(space.scale.adaptation * epochs)))
    elif method.quiet_first and epochs > 1:
        quiet = max(1, round(_QUIET_SHARE * epochs))
        yield _Stage(quiet, _QUIET_DB)
        yield _Stage(epochs - quiet)
    else:
        yield _Stage(epochs)


def _run_stages(
    space: Workspace,
    model: pathlib.Path,
    tracker: Any,
    start: pathlib.Path | None,
    stages: list[_Stage],
    scenes: ScoredSet,
    array: MicArray,
    method: Method,
) -> None:
    """Fit stage after stage; a finished stage is kept, one that was interrupted goes on from its checkpoint."""
    if start is not None:
        tracker = _with_weights(start, tracker, array)
    for number, stage in enumerate(stages):
        last = number == len(stages) - 1
        kept = model if last else model.with_suffix(f".{number}.safetensors")
        if kept.exists() and not last:
            tracker = load(kept).set_params(warm_start=True, verbose=space.verbose)
            continue
        checkpoint = model.with_suffix(f".checkpoint-{number}")
        tracker.set_params(checkpoint=checkpoint)
        if stage.epochs is not None:
            tracker.set_params(n_epochs=stage.epochs)
        chosen = _at_least(scenes, stage.least_snr_db)
        space.say(f"training {method.name} on {len(chosen)} scenes, {tracker.n_epochs} epochs")
        paths, truths = [scenes.paths[k] for k in chosen], [scenes.truths[k] for k in chosen]
        tracker.fit(paths, array, truths if method.supervised else None)
        tracker.set_params(checkpoint=None)
        tracker.save(kept)
        shutil.rmtree(checkpoint, ignore_errors=True)
        tracker.set_params(warm_start=True)
    for number in range(len(stages) - 1):
        model.with_suffix(f".{number}.safetensors").unlink(missing_ok=True)


def _with_weights(start: pathlib.Path, tracker: Any, array: MicArray) -> Any:
    """Return a fitted tracker with the parameters of `tracker`, its array `array`, that will go on learning."""
    learned = load(start)
    if learned.array_ != array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArrayMismatchWarning)  # it is about to learn the other array
            learned = learned.for_array(array)
    return learned.set_params(**tracker.get_params(deep=False)).set_params(warm_start=True)


def _at_least(scenes: ScoredSet, least_snr_db: float | None) -> list[int]:
    """Return the scenes with so much SNR; all where there are none."""
    everything = list(range(len(scenes)))
    if least_snr_db is None:
        return everything
    return [k for k in everything if scenes.info(k)["snr_db"] >= least_snr_db] or everything


def _parameters(tracker: Any) -> dict[str, Any]:
    known = {k: v for k, v in tracker.get_params(deep=False).items() if k not in _NOT_IN_KEY}
    return dict(plain(known))


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
