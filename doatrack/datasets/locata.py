"""The LOCATA corpus as a scored set: recordings of one array with known directions."""

import functools
import os
import pathlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import FloatArray, check_choice, check_int
from doatrack.audio import AudioFile
from doatrack.datasets.locata_recording import LOCATA_ARRAYS, LocataRecording
from doatrack.exceptions import DoatrackWarning, GeometryWarning, InvalidInputError
from doatrack.geometry import MicArray

__all__ = ["Locata", "is_locata"]

_SPLITS = ("dev", "eval")
_FOLDERS = {kind: re.compile(rf"{kind}(\d+)$") for kind in ("task", "recording")}
_ONE_ARRAY = 0.01  # metres that microphones may differ between recordings


class Locata:
    """Recordings of the LOCATA challenge for one array; has what a `ScoredSet` has.

    It is a sequence of pairs, sound file and truth. Folders and options are looked at at once, tables and sound when
    they are asked for.

    Parameters
    ----------
    folder : path-like
        The corpus (with `dev`, `eval` or both in it), or one of these, which hold `task1/recording1/benchmark2/...`.
    tasks : sequence of int
        1 static loudspeaker, 2 several, 3 moving talker, 4 several, 5 and 6 the same with a moving array. Recordings of
        2, 4 and 6 may hold several sources.
    array : str
        LOCATA's name: "benchmark2" (robot head, 12 microphones), "dicit" (15), "eigenmike" (32) or "dummy" (hearing
        aids, 4). Recordings that this array did not make are left out.
    split : str, optional
        "dev" or "eval"; None takes what is there.
    activity, leading_silence : str
        As for `LocataRecording`.

    Attributes
    ----------
    recordings : list of LocataRecording
        By split, task and number.
    names : list of str
        "task1_recording1", or with the split between, where it is known.

    Raises
    ------
    InvalidInputError
        If the folder holds no such recording, a task has none, or an option is unknown.

    Warns
    -----
    DoatrackWarning
        If a recording of the array has no sound file and is left out (the corpus has such folders).

    See Also
    --------
    LocataRecording : where directions, microphones and activity come from, and their frame.

    Examples
    --------
    >>> Locata("LOCATA/dev", tasks=(1, 3, 7))
    Traceback (most recent call last):
    doatrack.exceptions.InvalidInputError: task must be at least 1 and at most 6, got 7.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        tasks: Sequence[int] = (1, 3, 5),
        array: str = "benchmark2",
        *,
        split: str | None = None,
        activity: str = "auto",
        leading_silence: str = "keep",
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.tasks = _check_tasks(tasks)
        self.array_name = check_choice("array", array, LOCATA_ARRAYS)
        self.split = None if split is None else check_choice("split", split, _SPLITS)
        folders = _find(self.folder, self.tasks, self.array_name, self.split)
        self.recordings = [
            LocataRecording(path, activity=activity, leading_silence=leading_silence) for path in folders
        ]
        self.names: list[str] = [recording.name for recording in self.recordings]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: SupportsIndex) -> tuple[AudioFile, FloatArray]:
        recording = self.recordings[index]
        return recording.path, recording.truth

    def __iter__(self) -> Iterator[tuple[AudioFile, FloatArray]]:
        return ((recording.path, recording.truth) for recording in self.recordings)

    def __repr__(self) -> str:
        return f"Locata({str(self.folder)!r}, tasks={self.tasks}, array={self.array_name!r}, n_recordings={len(self)})"

    @property
    def paths(self) -> list[AudioFile]:
        """The sounds, as `fit`, `predict` and `track` take them."""
        return [recording.path for recording in self.recordings]

    @property
    def truths(self) -> list[FloatArray]:
        """Rows time_s, x, y, z, active: (n_rows, 5), or (n_sources, n_rows, 5) where there are several sources."""
        return [recording.truth for recording in self.recordings]

    @functools.cached_property
    def array(self) -> MicArray:
        """The microphones in the array's own frame: the median over recordings.

        Warns
        -----
        GeometryWarning
            If a recording differs from it by more than 1 cm.
        """
        tables = np.stack([recording.mic_positions for recording in self.recordings])
        positions = np.median(tables, axis=0)
        apart = np.linalg.norm(tables - positions, axis=2).max(axis=1)
        if apart.max() > _ONE_ARRAY:
            warnings.warn(
                f"{self.recordings[int(apart.argmax())].folder}: microphones lie up to {apart.max():.3g} m from those "
                "of the other recordings. Score it with an array of its own, recordings[k].array.",
                GeometryWarning,
                stacklevel=2,
            )
        return MicArray(positions, name=f"LOCATA {self.array_name}")

    def read(self, index: int, sample_rate: int = 16000) -> NDArray[np.float32]:
        """Return the samples of a recording, (n_mics, n_samples)."""
        return self.recordings[check_int("index", index, 0, len(self) - 1)].read(sample_rate)

    def info(self, index: int) -> dict[str, Any]:
        """Return what a recording is: task, sources, where its activity comes from."""
        return self.recordings[check_int("index", index, 0, len(self) - 1)].info


def is_locata(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder looks like the LOCATA corpus: folders of tasks, with folders of recordings in them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "dev", "task1", "recording4").mkdir(parents=True)
    ...     is_locata(folder), is_locata(f"{folder}/dev"), is_locata(f"{folder}/dev/task1")
    (True, True, False)
    """
    return any(_numbered(task, "recording") for _, root in _roots(pathlib.Path(folder)) for _, task in root.items())


def _check_tasks(tasks: Sequence[int]) -> tuple[int, ...]:
    if isinstance(tasks, (str, int)):
        raise InvalidInputError(f"tasks must be a sequence of numbers from 1 to 6, such as (1, 3, 5), got {tasks!r}.")
    chosen = tuple(sorted({check_int("task", task, 1, 6) for task in tasks}))
    if not chosen:
        raise InvalidInputError("tasks must name at least one task from 1 to 6, got none.")
    return chosen


def _numbered(folder: pathlib.Path, kind: str) -> dict[int, pathlib.Path]:
    """Return the folders called `kind` and a number, by number."""
    matches = [(_FOLDERS[kind].match(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return dict(sorted((int(match[1]), path) for match, path in matches if match and path.is_dir()))


def _roots(folder: pathlib.Path) -> list[tuple[str, dict[int, pathlib.Path]]]:
    """Return (split or the folder's own name, folders of tasks by number)."""
    places = [(folder.absolute().name, folder), *((split, folder / split) for split in _SPLITS)]
    return [(name, tasks) for name, place in places if (tasks := _numbered(place, "task"))]


def _find(folder: pathlib.Path, tasks: tuple[int, ...], array: str, split: str | None) -> list[pathlib.Path]:
    if not folder.is_dir():
        raise InvalidInputError(f"The LOCATA folder {folder} is not a folder.")
    roots = [(name, found) for name, found in _roots(folder) if split in (None, name)]
    if not roots:
        where = f" or of {split}" if split else ""
        raise InvalidInputError(
            f"{folder} is not the LOCATA corpus{where}: it must hold task1/recording1/{array}/..., as dev and eval do, "
            "or these two."
        )
    found = []
    for task in tasks:
        recordings = [path for _, root in roots if task in root for path in _numbered(root[task], "recording").values()]
        of_array = [path / array for path in recordings if (path / array).is_dir()]
        if not of_array:
            raise InvalidInputError(_nothing_found(folder, task, array, roots, recordings))
        found += [(task, path) for path in of_array if _has_sound(path, array)]
    order = {name: k for k, (name, _) in enumerate(roots)}
    paths = [path for _, path in sorted(found, key=lambda item: order.get(item[1].parents[2].name, 0))]
    if not paths:
        raise InvalidInputError(f"{folder} holds no sound of {array}: every audio_array_{array}.wav is missing.")
    return paths


def _has_sound(folder: pathlib.Path, array: str) -> bool:
    sound = folder / f"audio_array_{array}.wav"
    if not sound.is_file():
        warnings.warn(f"{folder} is left out: it has no {sound.name}.", DoatrackWarning, stacklevel=5)
        return False
    return True


def _nothing_found(
    folder: pathlib.Path,
    task: int,
    array: str,
    roots: list[tuple[str, dict[int, pathlib.Path]]],
    recordings: list[pathlib.Path],
) -> str:
    if not recordings:
        there = sorted({number for _, root in roots for number in root})
        return f"{folder} holds no recording of task {task}: there are tasks {there}. Pass those in tasks."
    arrays = sorted({path.name for recording in recordings for path in recording.iterdir() if path.is_dir()})
    others = f", only of {', '.join(arrays)}" if arrays else ""
    return f"{folder}: task {task} has no recording of {array}{others}."
