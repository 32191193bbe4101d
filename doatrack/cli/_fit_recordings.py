"""What `doatrack fit` learns from: recordings that can be used, or simulated scenes."""

import pathlib
from typing import TYPE_CHECKING, Any

from doatrack.cli._arguments import array_beside, audio_files, missing_array, resolve_array
from doatrack.cli._run import Failures, say
from doatrack.exceptions import AudioFileError, InvalidInputError

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.geometry import MicArray

__all__ = ["from_files", "from_simulation"]


def from_files(
    paths: list[pathlib.Path] | None, channels: str | None, array: str | None, tracker: Any, failures: Failures
) -> "tuple[list[Any], MicArray]":
    """Return the recordings that can be used, and their array."""
    if not paths:
        raise InvalidInputError("Give folders of recordings, or --simulate N to learn from simulated scenes.")
    recordings = audio_files(paths, channels)
    chosen = _one_array(recordings, array)
    say(f"Reading {len(recordings)} recordings.")
    return _readable(recordings, chosen.n_mics, tracker, failures), chosen


def from_simulation(
    paths: list[pathlib.Path] | None,
    array: str | None,
    n_scenes: int,
    seed: int,
    noise: str,
    duration: float,
    speech: pathlib.Path | None,
    device: str,
) -> "tuple[Any, MicArray]":
    """Return scenes that are others in every epoch, and their array."""
    from doatrack.datasets import SimulatedScenes, SpeechFolder
    from doatrack.simulation import SceneSettings

    if paths:
        raise InvalidInputError(
            f"--simulate {n_scenes} learns from simulated scenes alone: leave {paths[0]} out. To learn from both, "
            "write scenes with 'doatrack simulate' and give both folders."
        )
    if array is None:
        raise missing_array("Simulating")
    chosen = resolve_array(array)
    talkers = None if speech is None else SpeechFolder(speech)
    settings = SceneSettings(duration_s=duration, noise=noise)
    return SimulatedScenes(chosen, settings, n_scenes, seed, talkers, device=device), chosen


def _one_array(recordings: "list[AudioFile]", given: str | None) -> "MicArray":
    if given is not None:
        return resolve_array(given)
    found = {folder: array_beside(folder / "any") for folder in {recording.path.parent for recording in recordings}}
    arrays = {array for array in found.values() if array is not None}
    if not arrays or None in found.values():
        raise missing_array("Fitting", *(recording.path for recording in recordings))
    if len(arrays) > 1:
        raise InvalidInputError(
            f"The folders {', '.join(sorted(map(str, found)))} hold recordings of different arrays. Fit one tracker to "
            "each array."
        )
    return arrays.pop()


def _readable(recordings: "list[AudioFile]", n_mics: int, tracker: Any, failures: Failures) -> "list[AudioFile]":
    """Return the recordings that can be read to their end and are long enough; name the others."""
    from doatrack.audio import Recordings
    from doatrack.estimators._progress import progress_over

    view = Recordings(recordings, n_mics, tracker.sample_rate)
    good = []
    with progress_over(range(len(recordings)), "checking recordings", 1) as indices:
        for k in indices:
            with failures.tolerate(recordings[k]):
                length = sum(block.shape[1] for block in view.blocks(k))
                if length < tracker.win_length:
                    needed = tracker.win_length / tracker.sample_rate
                    raise AudioFileError(
                        f"{recordings[k]} is too short: {length / tracker.sample_rate:.3f} s instead of {needed:.3f}."
                    )
                good.append(recordings[k])
    if not good:
        raise AudioFileError(f"None of the {len(recordings)} recordings can be used: nothing was fitted.")
    return good
