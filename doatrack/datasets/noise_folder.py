"""Recorded noise from a folder, as the noise of simulated scenes."""

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_choice, check_int, check_path, check_real
from doatrack.audio import AudioFile, audio_info, read_blocks
from doatrack.datasets._index import INDEX, indexed_files
from doatrack.datasets.folder import find_recordings
from doatrack.exceptions import AudioFileError, InvalidInputError

__all__ = ["NoiseFolder"]

_CLASS_COLUMNS = ("class", "category")
_LEVEL = 0.1  # root mean square, full scale 1
_SILENT = 1e-5  # root mean square of a stretch that cannot be made loud: dither of 16 bits
_TRIES = 20  # stretches of a file that are looked at until one is not silent


class NoiseFolder:
    """Draw stretches of recorded noise; callable as `noise_source=` of the simulation.

    Every call draws one file, all alike, and a random stretch of it. A file that is too short is repeated with
    cross-fades of equal power, so that nothing clicks. Stretches have one level.

    Parameters
    ----------
    path : path-like
        A folder of WAV, FLAC or OGG files, in it or in folders within it. If it holds `index.csv` with the column
        `file`, only the files named there are used. The first channel is taken.
    classes : sequence of str, optional
        Only files of these classes: the column `class` (or `category`) of the index, else the name of the file's
        folder. None takes all.
    fade : float
        Length of a cross-fade in seconds; files must be at least twice as long.

    Attributes
    ----------
    files : list of pathlib.Path
    classes : list of str
        Classes of the files, sorted.

    Raises
    ------
    InvalidInputError
        If the folder, a file of the index or a class is missing, or a file is too short; the message names it.
    AudioFileError
        If a file is no sound file.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/rain.wav", np.random.default_rng(0).normal(scale=0.1, size=4000), 16000)
    ...     noise = NoiseFolder(folder)(np.random.default_rng(0), 16000, 16000)
    >>> noise.shape, round(float(np.sqrt(np.mean(noise**2))), 3)
    ((16000,), 0.1)
    """

    def __init__(
        self, path: str | os.PathLike[str], classes: Sequence[str] | None = None, *, fade: float = 0.05
    ) -> None:
        self.path = check_path("path", path)
        self.fade = check_real("fade", fade, 0.0)
        if not self.path.is_dir():
            raise InvalidInputError(f"The noise folder {self.path} is not a folder.")
        by_file = _from_index(self.path) if (self.path / INDEX).exists() else _from_folders(self.path)
        if classes is not None:
            wanted = _check_classes(self.path, classes, set(by_file.values()))
            by_file = {file: name for file, name in by_file.items() if name in wanted}
        self.files = list(by_file)
        self.classes = sorted(set(by_file.values()))
        for file in self.files:
            _check_length(file, self.fade)

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"NoiseFolder({str(self.path)!r}, classes={len(self.classes)}, files={len(self)})"

    def __call__(self, generator: np.random.Generator, n_samples: int, sample_rate: int = 16000) -> NDArray[np.float32]:
        """Draw a stretch of noise.

        Parameters
        ----------
        generator : numpy.random.Generator
            Decides everything: the same state gives the same noise.
        n_samples : int
            Length.
        sample_rate : int
            In Hz; files are resampled to it.

        Returns
        -------
        ndarray of shape (n_samples,)
            float32, at a root mean square of 0.1.

        Raises
        ------
        AudioFileError
            If the file cannot be read, or is silent: twenty stretches of it hold nothing.
        """
        check_int("n_samples", n_samples, 1)
        file = self.files[generator.integers(len(self.files))]
        for _ in range(_TRIES):
            noise = self._stretch(file, generator, n_samples, sample_rate)
            level = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
            if level > _SILENT:
                return noise * np.float32(_LEVEL / level)
        raise AudioFileError(f"{file} is silent: it cannot be scaled to an SNR. Take it out of the noise folder.")

    def _stretch(
        self, file: pathlib.Path, generator: np.random.Generator, n_samples: int, sample_rate: int
    ) -> NDArray[np.float32]:
        info = audio_info(file)
        spare = info.duration - n_samples / sample_rate
        start = generator.uniform(0, spare) if spare > 0 else 0.0
        first: NDArray[np.float32] = next(read_blocks(AudioFile(file, [0], start), n_samples, 0, sample_rate))[0]
        if len(first) == n_samples:
            return first
        return _repeat(first, n_samples, max(1, round(self.fade * sample_rate)), generator)


def _repeat(
    clip: NDArray[np.float32], n_samples: int, n_fade: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Repeat a clip, its end faded into its beginning, and begin somewhere in it."""
    n_fade = min(n_fade, len(clip) // 2)
    share = (np.arange(n_fade, dtype=np.float32) + 0.5) / max(n_fade, 1) * np.float32(math.pi / 2)
    loop = clip[n_fade:].copy() if n_fade else clip
    if n_fade:
        loop[-n_fade:] = loop[-n_fade:] * np.cos(share) + clip[:n_fade] * np.sin(share)
    return np.resize(np.roll(loop, -int(generator.integers(len(loop)))), n_samples)


def _from_index(folder: pathlib.Path) -> dict[pathlib.Path, str]:
    return {
        file: next((row[column] for column in _CLASS_COLUMNS if column in row), file.parent.name)
        for file, row in indexed_files(folder)
    }


def _from_folders(folder: pathlib.Path) -> dict[pathlib.Path, str]:
    return {file: file.parent.name for file in find_recordings(folder, recursive=True)}


def _check_classes(folder: pathlib.Path, classes: Sequence[str], known: set[str]) -> set[str]:
    if isinstance(classes, str):
        raise InvalidInputError(f"classes must be a sequence of names, got the text {classes!r}. Pass [{classes!r}].")
    wanted = {check_choice(f"class of {folder}", name, known) for name in classes}
    if not wanted:
        raise InvalidInputError("classes must name at least one class, got none. Pass None for all.")
    return wanted


def _check_length(file: pathlib.Path, fade: float) -> None:
    duration = audio_info(file).duration
    if duration < 2 * fade:
        raise InvalidInputError(
            f"{file} lasts {duration:.3f} s, too short to be repeated with cross-fades of {fade:g} s. Take it out, or "
            "choose a shorter fade."
        )
