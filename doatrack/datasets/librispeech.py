"""Talkers of LibriSpeech, chapter by chapter, as the voice of simulated scenes."""

import os
import pathlib
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_bool, check_choice, check_int, check_path
from doatrack.audio import read_audio
from doatrack.datasets._index import INDEX, indexed_files
from doatrack.datasets.folder import find_recordings
from doatrack.exceptions import InvalidInputError
from doatrack.simulation.activity import speech_activity

__all__ = ["Chapter", "LibriSpeech"]

_NAME = re.compile(r"(\d+)-(\d+)-(\d+)$")
_ORDERS = ("consecutive", "random")
_LEVEL = 0.1  # root mean square of the active samples, full scale 1


class Chapter(NamedTuple):
    """A chapter that one talker read: speaker, chapter, and the files of its utterances in order."""

    speaker: str
    chapter: str
    files: tuple[pathlib.Path, ...]


class LibriSpeech:
    """Draw traces from chapters of LibriSpeech; callable as `speech=` of the simulation.

    A trace is made of utterances of one chapter, joined without pauses from a random one on until it is long enough
    (after the last comes the first again) and cut to length, as the reference code of Cross3D and Neural-SRP does. So
    it has one talker, and begins with an utterance.

    Parameters
    ----------
    path : path-like
        The corpus as published, `LibriSpeech/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-UTTERANCE.flac`, or any folder
        within it; other files are not looked at. Folders with `index.csv` (column `file`, possibly `subset` and
        `split`) and names of the same form, in any format of sound, are taken too.
    subset : str, optional
        Such as "train-clean-100"; None takes all.
    split : str, optional
        Which split of the index to use; None uses all.
    order : str
        "consecutive", as the reference code does; "random" draws utterances of the chapter in random order, as the
        paper's text says.
    silence_pauses : bool
        Whether samples without speech are set to zero, as the reference code does, so that pauses hold no noise of the
        reading room.

    Attributes
    ----------
    chapters : list of Chapter
        By speaker and chapter. The paper's corpus has as many traces as it has chapters (585 in train-clean-100).

    Raises
    ------
    InvalidInputError
        If the folder is missing or holds no utterance, or a subset or split is unknown.

    Notes
    -----
    Activity is that of `doatrack.simulation.speech_activity` (the reference code asks WebRTC's detector). Traces are
    scaled to one level; a trace without any speech is left as it is.

    References
    ----------
    Panayotov et al. (2015), "Librispeech", ICASSP; paper, section 5.1.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> tone = 0.1 * np.sin(np.arange(8000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     chapter = pathlib.Path(folder, "test-clean", "61", "70968")
    ...     chapter.mkdir(parents=True)
    ...     for k in range(2):
    ...         soundfile.write(chapter / f"61-70968-{k:04d}.flac", tone, 16000)
    ...     speech = LibriSpeech(folder, subset="test-clean")
    ...     dry, active = speech(np.random.default_rng(0), 32000, 16000)
    >>> len(speech), dry.shape, bool(active.all())
    (1, (32000,), True)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        subset: str | None = None,
        *,
        split: str | None = None,
        order: str = "consecutive",
        silence_pauses: bool = True,
    ) -> None:
        self.path = check_path("path", path)
        self.subset = subset
        self.split = split
        self.order = check_choice("order", order, _ORDERS)
        self.silence_pauses = check_bool("silence_pauses", silence_pauses)
        if not self.path.is_dir():
            raise InvalidInputError(f"The LibriSpeech folder {self.path} is not a folder.")
        if (self.path / INDEX).exists():
            files = [file for file, _ in indexed_files(self.path, subset=subset, split=split)]
        else:
            files = _from_folders(self.path, subset, split)
        self.chapters = _by_chapter(self.path, files)

    def __len__(self) -> int:
        return len(self.chapters)

    def __repr__(self) -> str:
        return f"LibriSpeech({str(self.path)!r}, subset={self.subset!r}, split={self.split!r}, chapters={len(self)})"

    def __call__(
        self, generator: np.random.Generator, n_samples: int, sample_rate: int = 16000
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw a chapter, all alike, and a trace of it; see `trace`."""
        return self.trace(int(generator.integers(len(self.chapters))), generator, n_samples, sample_rate)

    def trace(
        self, chapter: int, generator: np.random.Generator, n_samples: int, sample_rate: int = 16000
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw a trace of one chapter; `functools.partial(speech.trace, k)` is a voice of chapter k alone.

        Parameters
        ----------
        chapter : int
            Counted from 0, as in `chapters`.
        generator : numpy.random.Generator
            Decides everything: the same state gives the same speech.
        n_samples : int
            Length; 20 s in the paper.
        sample_rate : int
            In Hz; files are resampled to it.

        Returns
        -------
        dry : ndarray of shape (n_samples,)
            float32, without offset, active parts at a root mean square of 0.1.
        active : ndarray of bool, shape (n_samples,)
            Where there is speech.

        Raises
        ------
        AudioFileError
            If a file cannot be read.
        """
        files = self.chapters[check_int("chapter", chapter, 0, len(self) - 1)].files
        check_int("n_samples", n_samples, 1)
        dry = _join(files, self._places(len(files), generator), n_samples, sample_rate)
        dry -= dry.mean(dtype=np.float64).astype(np.float32)
        active = speech_activity(dry, sample_rate)
        if self.silence_pauses:
            dry *= active
        level = float(np.sqrt(np.mean(np.square(dry[active], dtype=np.float64)))) if active.any() else 0.0
        return (dry * np.float32(_LEVEL / level) if level > 0 else dry), active

    def _places(self, n_files: int, generator: np.random.Generator) -> list[int]:
        """Return the order of utterances, which is gone through again and again."""
        if self.order == "random":
            return [int(k) for k in generator.permutation(n_files)]
        first = int(generator.integers(n_files))
        return [(first + k) % n_files for k in range(n_files)]


def _join(files: tuple[pathlib.Path, ...], places: list[int], n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    length = 0
    while length < n_samples:
        if len(parts) < len(places):
            parts.append(read_audio(files[places[len(parts)]], sample_rate, channels=[0])[0])
        else:
            parts.append(parts[len(parts) - len(places)])
        length += len(parts[-1])
    return np.concatenate(parts)[:n_samples]


def _from_folders(folder: pathlib.Path, subset: str | None, split: str | None) -> list[pathlib.Path]:
    if split is not None:
        raise InvalidInputError(
            f"{folder} has no {INDEX}, so it has no split {split!r}. LibriSpeech is divided into subsets: pass subset."
        )
    if subset is not None:
        folders = {path.name: path for path in folder.iterdir() if path.is_dir()}
        folder = folder if folder.name == subset else folders[check_choice(f"subset of {folder}", subset, folders)]
    return find_recordings(folder, recursive=True)


def _by_chapter(folder: pathlib.Path, files: list[pathlib.Path]) -> list[Chapter]:
    found: dict[tuple[int, int], dict[int, pathlib.Path]] = {}
    for file in files:
        match = _NAME.match(file.stem)
        if match is None:
            continue
        speaker, chapter, utterance = (int(part) for part in match.groups())
        other = found.setdefault((speaker, chapter), {}).setdefault(utterance, file)
        if other is not file:
            raise InvalidInputError(f"{other} and {file} are one utterance. Name one of the folders, or a subset.")
    if not found:
        raise InvalidInputError(
            f"{folder} holds no utterance of LibriSpeech: names must have the form SPEAKER-CHAPTER-UTTERANCE, such as "
            "61-70968-0000.flac. doatrack.datasets.SpeechFolder takes other folders of speech."
        )
    return [
        Chapter(str(speaker), str(chapter), tuple(utterances[k] for k in sorted(utterances)))
        for (speaker, chapter), utterances in sorted(found.items())
    ]
