"""The folder of a run: which data and settings it belongs to, and what of it is finished."""

import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from doatrack._files import atomic_write_bytes
from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.experiments.scale import Scale
from doatrack.simulation.scene import SpeechSource

__all__ = ["Workspace", "plain", "read_settings", "write_json"]

_SETTINGS = "settings.json"


def plain(value: Any) -> Any:
    """Return a value as JSON will give it back, so that two can be compared.

    Examples
    --------
    >>> plain({"a": (1, 2)})
    {'a': [1, 2]}
    """
    return json.loads(json.dumps(value, default=str))


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Workspace:
    """Where a run keeps scenes, models, errors and tables, and what it is made with.

    Parameters
    ----------
    folder : path
        Made if missing.
    scale : Scale
    seed : int
    train_speech, test_speech : callable, optional
        Talkers to learn from and to test on, as `doatrack.simulation.simulate_scene` takes them; None is the synthetic
        talker.
    rooms : path, optional
        A scored set of measured rooms.
    locata : path, optional
        The LOCATA corpus.
    starts : mapping of str to path
        Saved trackers by method, whose weights training for sensor noise starts from instead of random ones.
    say : callable
        Is told what is being done.
    verbose : int
        Of the trackers that learn.

    Raises
    ------
    OutputExistsError
        If the folder belongs to a run with other settings.

    Examples
    --------
    >>> import tempfile
    >>> from doatrack.experiments.scale import SCALES
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     space = Workspace(pathlib.Path(folder), SCALES["smoke"])
    ...     space.once("parts/a.json", {"size": 3}, lambda: [1, 2])
    ...     space.once("parts/a.json", {"size": 3}, lambda: [3, 4])
    [1, 2]
    [1, 2]
    """

    folder: pathlib.Path
    scale: Scale
    seed: int = 0
    train_speech: SpeechSource | None = None
    test_speech: SpeechSource | None = None
    rooms: pathlib.Path | None = None
    locata: pathlib.Path | None = None
    starts: dict[str, pathlib.Path] = field(default_factory=dict)
    say: Callable[[str], None] = _silent
    verbose: int = 0

    def __post_init__(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInputError(f"--out {self.folder} must be a folder, but it is a file. Choose another name.")
        self._check_settings()

    def path(self, name: str) -> pathlib.Path:
        """Return a path in the folder, whose parent is there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def once(self, name: str, key: Any, make: Callable[[], Any]) -> Any:
        """Return what a part of the run came to, from its file if it was finished under the same key.

        Parameters
        ----------
        name : str
            Of a JSON file in the folder.
        key : JSON value
            Everything that the part depends on.
        make : callable
            Does the work and returns a JSON value.
        """
        path = self.path(name)
        kept = _read(path)
        if isinstance(kept, dict) and kept.get("key") == plain(key):
            return kept["value"]
        value = plain(make())
        write_json(path, {"key": plain(key), "value": value})
        return value

    def _check_settings(self) -> None:
        """Write down what the data of the folder depend on, or compare with what stands there."""
        scale = self.scale
        settings = {
            "scale": scale.name,
            "scenes": [scale.array, scale.n_train, scale.n_test, scale.duration_s],
            "seed": self.seed,
            "talkers": [str(self.train_speech), str(self.test_speech)],
        }
        path = self.path(_SETTINGS)
        kept = _read(path)
        if kept is None and any(self.folder.iterdir()):
            raise OutputExistsError(f"{self.folder} holds other files and no {_SETTINGS}. Choose another --out.")
        if kept is not None and kept != plain(settings):
            changed = sorted(k for k in settings if not isinstance(kept, dict) or kept.get(k) != plain(settings[k]))
            raise OutputExistsError(
                f"{self.folder} belongs to a run with other settings: {', '.join(changed)} differ. Use the same ones "
                "to go on with it, or choose another --out."
            )
        write_json(path, settings)


def read_settings(folder: pathlib.Path) -> dict[str, Any]:
    """Return what the tables of a folder say about its run: scale, sizes and seed.

    Raises
    ------
    InvalidInputError
        If the folder is not that of a run.

    Examples
    --------
    >>> import tempfile
    >>> from doatrack.experiments.scale import SCALES
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_settings(Workspace(pathlib.Path(folder), SCALES["smoke"], seed=1).folder)["seed"]
    1
    """
    kept = _read(folder / _SETTINGS)
    if not isinstance(kept, dict) or not {"scale", "scenes", "seed"} <= set(kept):
        raise InvalidInputError(f"{folder} is not the folder of a run: it has no {_SETTINGS}. Name that of --out.")
    array, n_train, n_test, duration_s = kept["scenes"]
    sizes = {"array": array, "n_train": n_train, "n_test": n_test, "duration_s": duration_s}
    return {"scale": kept["scale"], "seed": kept["seed"]} | sizes


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    atomic_write_bytes(path, (json.dumps(plain(value), indent=1, allow_nan=False) + "\n").encode())


def _read(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}. Delete it to make it anew.") from error
