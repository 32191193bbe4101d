"""Dry speech from a folder of recordings, as the voice of simulated scenes."""

import os
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int, check_path, check_real
from doatrack.audio import read_audio
from doatrack.datasets._index import INDEX, indexed_files
from doatrack.datasets.folder import find_recordings
from doatrack.exceptions import InvalidInputError
from doatrack.simulation.activity import speech_activity

__all__ = ["SpeechFolder"]

_SPEAKER_COLUMNS = ("speaker", "speaker_id")
_LEVEL = 0.1  # root mean square of the active samples, full scale 1


class SpeechFolder:
    """Draw talkers from a folder of dry, noise-free speech; callable as `speech=` of the simulation.

    Every call draws one talker, all talkers alike, and strings the talker's utterances together in random order
    with pauses between them, each at the same level. Only mono files, or the first channel of others, are used.

    Parameters
    ----------
    path : path-like
        A folder of WAV, FLAC or OGG files, in it or in folders within it. If it holds `index.csv` with the column
        `file` and possibly `split` and `speaker` (or `speaker_id`), only the files named there are used. Without
        it the files of one folder are one talker.
    split : str, optional
        Which split of the index to use; None uses all.
    pause_range : pair of float
        Shortest and longest pause between utterances in seconds.
    activity_threshold_db : float
        How far below the loud parts of an utterance speech still counts as active, in dB (`speech_activity`): with
        less, the faint ends of words do not count.

    Attributes
    ----------
    files : list of pathlib.Path
        All utterances.
    speakers : list of str
        The talkers, sorted.

    Raises
    ------
    InvalidInputError
        If the folder, a file of the index or a column is missing, or the split is unknown; the message names it.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> tone = 0.1 * np.sin(np.arange(8000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/a.wav", tone, 16000)
    ...     speech = SpeechFolder(folder)
    ...     dry, active = speech(np.random.default_rng(0), 32000, 16000)
    >>> dry.shape, active.shape, bool(active.any())
    ((32000,), (32000,), True)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str | None = None,
        *,
        pause_range: tuple[float, float] = (0.2, 1.0),
        activity_threshold_db: float = 30.0,
    ) -> None:
        self.path = check_path("path", path)
        self.split = split
        shortest = check_real("pause_range", pause_range[0], 0.0)
        self.pause_range = (shortest, check_real("pause_range", pause_range[1], shortest))
        self.activity_threshold_db = check_real("activity_threshold_db", activity_threshold_db, 0.0)
        if not self.path.is_dir():
            raise InvalidInputError(f"The speech folder {self.path} is not a folder.")
        by_speaker = _from_index(self.path, split) if (self.path / INDEX).exists() else _from_folders(self.path, split)
        self.speakers = sorted(by_speaker)
        self._utterances = [by_speaker[speaker] for speaker in self.speakers]
        self.files = [file for files in self._utterances for file in files]

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return (
            f"SpeechFolder({str(self.path)!r}, split={self.split!r}, pause_range={self.pause_range}, "
            f"activity_threshold_db={self.activity_threshold_db:g}, speakers={len(self.speakers)}, files={len(self)})"
        )

    def __call__(
        self, generator: np.random.Generator, n_samples: int, sample_rate: int = 16000
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw one talker speaking.

        Parameters
        ----------
        generator : numpy.random.Generator
            Decides everything: the same state gives the same speech.
        n_samples : int
            Length.
        sample_rate : int
            In Hz; files are resampled to it.

        Returns
        -------
        dry : ndarray of shape (n_samples,)
            float32, active parts at a root mean square of 0.1.
        active : ndarray of bool, shape (n_samples,)
            Where there is speech.
        """
        check_int("n_samples", n_samples, 1)
        utterances = self._utterances[generator.integers(len(self._utterances))]
        dry = np.zeros(n_samples, dtype=np.float32)
        active = np.zeros(n_samples, dtype=np.bool_)
        start: int | None = None
        order: list[int] = []
        while start is None or start < n_samples:
            order = order or generator.permutation(len(utterances)).tolist()
            samples, speaks = _utterance(utterances[order.pop()], sample_rate, self.activity_threshold_db)
            if start is None:  # the first utterance has begun already
                start = -int(generator.integers(len(samples) // 2 + 1))
            _put(dry, samples, start)
            _put(active, speaks, start)
            start += len(samples) + max(1, round(generator.uniform(*self.pause_range) * sample_rate))
        return dry, active


def _from_index(folder: pathlib.Path, split: str | None) -> dict[str, list[pathlib.Path]]:
    by_speaker: dict[str, list[pathlib.Path]] = {}
    for file, row in indexed_files(folder, split=split):
        speaker = next((row[column] for column in _SPEAKER_COLUMNS if column in row), str(file.parent))
        by_speaker.setdefault(speaker, []).append(file)
    return by_speaker


def _from_folders(folder: pathlib.Path, split: str | None) -> dict[str, list[pathlib.Path]]:
    if split is not None:
        raise InvalidInputError(
            f"The speech folder {folder} has no {INDEX}, so it has no split {split!r}. Pass split=None, or the folder "
            "of that split."
        )
    by_speaker: dict[str, list[pathlib.Path]] = {}
    for file in find_recordings(folder, recursive=True):
        by_speaker.setdefault(str(file.parent), []).append(file)
    return by_speaker


def _utterance(
    file: pathlib.Path, sample_rate: int, threshold_db: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    samples = read_audio(file, sample_rate, channels=[0])[0]
    speaks = speech_activity(samples, sample_rate, threshold_db=threshold_db)
    level = float(np.sqrt(np.mean(np.square(samples[speaks], dtype=np.float64)))) if speaks.any() else 0.0
    return (samples * np.float32(_LEVEL / level) if level > 0 else samples), speaks


def _put(target: NDArray[Any], values: NDArray[Any], start: int) -> None:
    """Write values into the target from `start` on; what lies outside is dropped."""
    first = max(0, start)
    part = values[first - start : max(0, len(target) - start)]
    target[first : first + len(part)] = part
