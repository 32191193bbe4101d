"""Folders of recordings with the truth beside them, for scoring."""

import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from doatrack._files import atomic_write_bytes
from doatrack._validation import FloatArray, check_int, check_waveform
from doatrack.audio import read_audio
from doatrack.datasets.folder import AUDIO_SUFFIXES
from doatrack.datasets.truth import read_truth, write_truth
from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.geometry import MicArray
from doatrack.tracking import is_track_csv

__all__ = ["SceneLike", "ScoredSet", "write_scored_set"]

_ARRAY_FILE = "array.json"
_SAMPLE_RATE = 16000


class SceneLike(Protocol):
    """What `write_scored_set` needs to know of a scene; `doatrack.simulation.Scene` is one."""

    @property
    def waveform(self) -> Any:
        """Samples (n_mics, n_samples) at 16 kHz."""

    @property
    def truth(self) -> Any:
        """Rows (n_rows, 5): time_s, x, y, z, active; several sources (n_sources, n_rows, 5)."""

    @property
    def info(self) -> Any:
        """A dictionary of settings that JSON can hold."""


class ScoredSet:
    """A folder with `array.json` and, per scene, NAME.wav (or .flac, .ogg), NAME.csv and usually NAME.json.

    It is a sequence of pairs, sound file and truth: `for path, truth in scored_set`, `path, truth = scored_set[-1]`.

    Parameters
    ----------
    folder : path-like
        The set. Truth and array are read and checked at once, sound only when asked for.

    Attributes
    ----------
    array : MicArray
        The microphones of all scenes.
    names : list of str
        Names of the scenes, sorted.
    paths : list of pathlib.Path
        The sound files, as `fit`, `predict` and `track` take them.
    truths : list of ndarray of shape (n_rows, 5), or (n_sources, n_rows, 5) where a file names several sources
        time_s, x, y, z, active, as the metrics take them.

    Raises
    ------
    InvalidInputError
        If the folder, the array, a sound file or a truth file is missing, or a file breaks its format; the
        message names the file and the column.

    Examples
    --------
    >>> import tempfile, types
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0]])
    >>> scene = types.SimpleNamespace(waveform=np.zeros((2, 320)), truth=[[0.0, 1, 0, 0, 1]], info={"rt60": 0.3})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scored_set(folder, [scene], array, ["omni_00"])
    ...     scenes = ScoredSet(folder)
    ...     scenes.names, scenes.read(0).shape, scenes.truths[0].shape, scenes.info(0)
    ...     [(path.name, truth.shape) for path, truth in scenes]
    (['omni_00'], (2, 320), (1, 5), {'rt60': 0.3})
    [('omni_00.wav', (1, 5))]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise InvalidInputError(f"The scored set {self.folder} is not a folder.")
        self.array = MicArray.from_json(self.folder / _ARRAY_FILE)
        sounds = _sounds_by_name(self.folder)
        truths = {path.stem: path for path in self.folder.glob("*.csv")}
        _check_companions(self.folder, set(sounds), set(truths))
        self.names: list[str] = sorted(sounds)
        self.paths: list[pathlib.Path] = [sounds[name] for name in self.names]
        self.truths: list[FloatArray] = [_read_truth(truths[name]) for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: SupportsIndex) -> tuple[pathlib.Path, FloatArray]:
        return self.paths[index], self.truths[index]

    def __iter__(self) -> Iterator[tuple[pathlib.Path, FloatArray]]:
        return zip(self.paths, self.truths, strict=True)

    def __repr__(self) -> str:
        return f"ScoredSet({str(self.folder)!r}, n_scenes={len(self)}, array={self.array!r})"

    def read(self, index: int, sample_rate: int = _SAMPLE_RATE) -> NDArray[np.float32]:
        """Return the samples of a scene, (n_mics, n_samples).

        Raises
        ------
        AudioFileError
            If the file cannot be read.
        InvalidInputError
            If it has another number of channels than the array has microphones.
        """
        path = self.paths[check_int("index", index, 0, len(self) - 1)]
        return check_waveform(read_audio(path, sample_rate), self.array.n_mics, name=str(path))

    def info(self, index: int) -> dict[str, Any]:
        """Return what NAME.json says about a scene (room, rt60, SNR).

        Raises
        ------
        InvalidInputError
            If there is no such file, or it does not hold a JSON object.
        """
        path = self.paths[check_int("index", index, 0, len(self) - 1)].with_suffix(".json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InvalidInputError(f"{path} does not exist: nothing is written about this scene.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"{path} cannot be read as JSON: {error}.") from error
        if not isinstance(content, dict):
            raise InvalidInputError(f"{path} must hold a JSON object, got {type(content).__name__}.")
        return content


def _sounds_by_name(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    sounds: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in AUDIO_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in sounds:
            raise InvalidInputError(f"{sounds[path.stem]} and {path} are two recordings of one scene. Remove one.")
        sounds[path.stem] = path
    if not sounds:
        raise InvalidInputError(f"The scored set {folder} holds no recording ({', '.join(AUDIO_SUFFIXES)}).")
    return sounds


def _read_truth(path: pathlib.Path) -> FloatArray:
    if is_track_csv(path):
        raise InvalidInputError(
            f"{path} is a track that doatrack wrote, an estimate and no truth: nothing can be scored with it. Put the "
            "truth there, and tracks into a folder of their own."
        )
    return read_truth(path)


def _check_companions(folder: pathlib.Path, sounds: set[str], truths: set[str]) -> None:
    for name in sorted(sounds - truths):
        raise InvalidInputError(f"{folder / name}.csv is missing: every recording of a scored set needs its truth.")
    for name in sorted(truths - sounds):
        raise InvalidInputError(f"{folder / name}.csv has no recording {name}.wav, .flac or .ogg beside it.")


def write_scored_set(
    folder: str | os.PathLike[str], scenes: Iterable[SceneLike], array: MicArray, names: Sequence[str]
) -> None:
    """Write scenes as a scored set, one after the other, so that they need not fit into memory.

    Sound is written as 32-bit float WAV, which keeps every sample; the same scenes give the same files.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist; scenes are added to a set of the same array.
    scenes : iterable of Scene
        With `waveform` (n_mics, n_samples) at 16 kHz, `truth` (n_rows, 5), or (n_sources, n_rows, 5) for several
        sources, and `info` (a dictionary). An iterator is read as far as there are names.
    array : MicArray
        The microphones.
    names : sequence of str
        One per scene, such as "omni_00"; what stands before the first `_` is the group in reports.

    Raises
    ------
    OutputExistsError
        If one of the files exists, or the folder is a set of another array; nothing has been written then.
    InvalidInputError
        If names are no names of files or come twice, their number is not that of the scenes, or a scene breaks
        its rules.

    Examples
    --------
    >>> import tempfile, types
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0]])
    >>> scene = types.SimpleNamespace(waveform=np.zeros((2, 320)), truth=[[0.0, 1, 0, 0, 1]], info={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scored_set(folder, [scene], array, ["omni_00"])
    ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
    ['array.json', 'omni_00.csv', 'omni_00.json', 'omni_00.wav']
    """
    target = pathlib.Path(folder)
    _check_names(names)
    if isinstance(scenes, Sized) and len(scenes) != len(names):
        raise InvalidInputError(f"names must be as many as scenes, got {len(names)} names for {len(scenes)} scenes.")
    _check_free(target, array, names)
    target.mkdir(parents=True, exist_ok=True)
    if not (target / _ARRAY_FILE).exists():
        array.to_json(target / _ARRAY_FILE)
    given = iter(scenes)
    for name in names:
        scene = next(given, None)
        if scene is None:
            raise InvalidInputError(f"names must not be more than scenes: there is no scene for {name!r}.")
        _write_scene(target / name, scene, array.n_mics)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        plain = isinstance(name, str) and name and pathlib.PurePath(name).name == name and name.isprintable()
        if not plain or "\\" in name or name.startswith(".") or name == pathlib.PurePath(_ARRAY_FILE).stem:
            raise InvalidInputError(f"names must be names of files without an ending, not 'array', got {name!r}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InvalidInputError(f"names must all differ, got {twice!r} twice.")


def _check_free(folder: pathlib.Path, array: MicArray, names: Sequence[str]) -> None:
    present = {path.stem for path in folder.glob("*")} if folder.is_dir() else set()
    for name in names:
        if name in present:
            raise OutputExistsError(f"{folder / name}.* exists and is not written over. Choose another folder or name.")
    file = folder / _ARRAY_FILE
    if file.exists() and MicArray.from_json(file) != array:
        raise OutputExistsError(
            f"{file} describes another array, so the scenes cannot be added. Choose another folder."
        )


def _write_scene(path: pathlib.Path, scene: SceneLike, n_mics: int) -> None:
    waveform = check_waveform(scene.waveform, n_mics, name=f"scene {path.name}")
    try:
        info = json.dumps(scene.info, default=_plain, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"scene {path.name}: info must be plain JSON: {error}.") from error
    sound = io.BytesIO()
    wavfile.write(sound, _SAMPLE_RATE, np.ascontiguousarray(waveform.T))
    write_truth(path.with_name(f"{path.name}.csv"), scene.truth)
    atomic_write_bytes(path.with_name(f"{path.name}.json"), f"{info}\n".encode())
    atomic_write_bytes(path.with_name(f"{path.name}.wav"), sound.getvalue())


def _plain(value: object) -> Any:
    """Turn NumPy numbers and arrays into what JSON knows."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not known to JSON")
