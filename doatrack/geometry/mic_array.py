"""Microphone arrays: where the microphones are, and what that allows."""

import itertools
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_int, check_real
from doatrack.exceptions import GeometryWarning, InvalidInputError
from doatrack.geometry.ambiguity import Ambiguity
from doatrack.geometry.array_file import read_array_file, write_array_file
from doatrack.geometry.presets import preset_positions

__all__ = ["SPEED_OF_SOUND", "MicArray"]

SPEED_OF_SOUND = 343.0
"""Speed of sound in air in m/s, at about 20 degrees Celsius."""

_LONGEST_SENSIBLE = 5.0  # metres between two microphones; beyond, centimetres were probably meant
_FARTHEST = 1e6  # metres from the origin; beyond, rounding would move the microphones
_SAME_PLACE = 1e-5  # metres
_FLAT = 0.02  # share of the largest extent below which an axis counts as none


class MicArray:
    """Positions of the microphones of one device (immutable).

    Axes are x front, y left, z up; the origin is the point from which directions are seen. It need not be
    the mean of the microphones.

    Parameters
    ----------
    positions : array-like of shape (n_mics, 3)
        One row per microphone, in channel order, in metres. Rows of two numbers are taken as z = 0.
    name : str
        A label for messages and files.

    Raises
    ------
    InvalidInputError
        With fewer than two microphones, two microphones at one place, or positions that are not finite.

    Warns
    -----
    GeometryWarning
        If two microphones are more than 5 m apart: positions were probably given in centimetres.

    Examples
    --------
    >>> from doatrack import MicArray
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> array.n_mics, array.n_pairs, array.dimension
    (4, 6, 3)
    >>> round(array.longest_delay * 1e3, 3)
    0.292
    """

    __slots__ = ("_name", "_positions")

    _positions: NDArray[np.float64]
    _name: str

    def __init__(self, positions: ArrayLike, name: str = "") -> None:
        # adding 0.0 makes -0.0 and 0.0, which are equal, one value for the hash
        table = _three_columns(check_array("positions", positions, ("n_mics", "3"))) + 0.0
        _check_positions(table)
        table.setflags(write=False)
        object.__setattr__(self, "_positions", table)
        object.__setattr__(self, "_name", str(name))

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"MicArray is immutable: build a new one to change {key}.")

    def __delattr__(self, key: str) -> None:
        raise AttributeError(f"MicArray is immutable: {key} cannot be deleted.")

    def __copy__(self) -> "MicArray":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "MicArray":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._positions.copy(), self._name)

    def __eq__(self, other: object) -> bool:
        # the name is a label: two arrays with the same positions hear the same
        return np.array_equal(self._positions, other._positions) if isinstance(other, MicArray) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._positions.tobytes())

    def __repr__(self) -> str:
        label = f"{self._name!r}, " if self._name else ""
        return f"MicArray({label}n_mics={self.n_mics}, {self.kind}, aperture={self.aperture:.3g} m)"

    @classmethod
    def from_preset(cls, name: str) -> "MicArray":
        """Return a known device by name; `doatrack arrays` lists them.

        Raises
        ------
        InvalidInputError
            If the name is unknown; the message suggests the nearest.

        Examples
        --------
        >>> MicArray.from_preset("nao_head_12").n_mics
        12
        """
        return cls(preset_positions(name), name=name)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "MicArray":
        """Read an array from a JSON file with `mic_positions` in metres and optionally `name`.

        Raises
        ------
        InvalidInputError
            If the file is not JSON, has no `mic_positions`, or gives them in other units than metres.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "array.json"
        ...     _ = file.write_text('{"mic_positions": [[0.05, 0, 0], [-0.05, 0, 0]]}')
        ...     MicArray.from_json(file)
        MicArray('array', n_mics=2, linear, aperture=0.1 m)
        """
        positions, name = read_array_file(path)
        try:
            return cls(positions, name)
        except InvalidInputError as error:
            raise InvalidInputError(f"The array file {os.fspath(path)}: {error}") from error

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the array to a JSON file that `from_json` reads.

        The file is complete or, after a full disk or an interruption, what it was before.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> array = MicArray.from_preset("nao_head_12")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     array.to_json(pathlib.Path(folder) / "array.json")
        ...     MicArray.from_json(pathlib.Path(folder) / "array.json") == array
        True
        """
        write_array_file(path, self._positions.tolist(), self._name)

    @property
    def name(self) -> str:
        """The label."""
        return self._name

    @property
    def positions(self) -> NDArray[np.float64]:
        """Positions in metres, shape (n_mics, 3): a copy, which torch and scipy take as it is."""
        return self._positions.copy()

    @property
    def n_mics(self) -> int:
        """The number of microphones."""
        return len(self._positions)

    @property
    def n_pairs(self) -> int:
        """The number of microphone pairs."""
        return self.n_mics * (self.n_mics - 1) // 2

    @property
    def mic_pairs(self) -> NDArray[np.int64]:
        """All pairs (i, j) with i < j, shape (n_pairs, 2)."""
        return np.array(list(itertools.combinations(range(self.n_mics), 2)), dtype=np.int64)

    @property
    def aperture(self) -> float:
        """The longest distance between two microphones in metres."""
        first, second = self.mic_pairs.T
        return float(np.linalg.norm(self._positions[first] - self._positions[second], axis=1).max())

    @property
    def longest_delay(self) -> float:
        """The longest possible time difference between two microphones in seconds (equation 3)."""
        return self.aperture / SPEED_OF_SOUND

    @property
    def dimension(self) -> int:
        """1 for a line of microphones, 2 for a plane, 3 otherwise (within 2 % of the extent)."""
        extent = np.linalg.svd(self._positions - self._positions.mean(axis=0), compute_uv=False)
        return max(1, int((extent > _FLAT * extent[0]).sum()))

    @property
    def kind(self) -> str:
        """'linear', 'planar' or '3-D'."""
        return {1: "linear", 2: "planar", 3: "3-D"}[self.dimension]

    @property
    def normal(self) -> NDArray[np.float64] | None:
        """Unit normal of a planar array, axis of a linear one, None for a 3-D one.

        Its largest component is positive.
        """
        if self.dimension == 3:
            return None
        axes = np.linalg.svd(self._positions - self._positions.mean(axis=0))[2]
        vector = axes[0] if self.dimension == 1 else axes[2]
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        return np.where(np.abs(vector) < 1e-12, 0.0, vector)

    @property
    def ambiguity(self) -> Ambiguity:
        """What the geometry cannot tell apart by delays: false for a 3-D array, printed as a sentence for others.

        Microphones within 2 % of a plane (of their largest extent) count as planar, within 2 % of a line as linear.

        Examples
        --------
        >>> MicArray.from_preset("respeaker_usb_4").ambiguity
        Ambiguity(kind='mirror', axis=(0.0, 0.0, 1.0))
        >>> [array.ambiguity.kind for array in (MicArray.from_preset("nao_head_12"), MicArray([[0, 0, 0], [1, 0, 0]]))]
        ['none', 'cone']
        """
        axis = self.normal
        if axis is None:
            return Ambiguity()
        x, y, z = axis.tolist()
        return Ambiguity("mirror" if self.dimension == 2 else "cone", (x, y, z))

    def perturb(self, std: float, random_state: int) -> "MicArray":
        """Return a copy whose positions have independent Gaussian errors.

        Parameters
        ----------
        std : float
            Standard deviation of each coordinate in metres.
        random_state : int
            Seed; the same one gives the same array.

        Examples
        --------
        >>> array = MicArray.from_preset("nao_head_12")
        >>> array.perturb(0.01, random_state=0) == array.perturb(0.01, random_state=0)
        True
        """
        check_real("std", std, 0.0)
        noise = np.random.default_rng(check_int("random_state", random_state, 0)).normal(size=self._positions.shape)
        return MicArray(self._positions + std * noise, name=f"{self._name} +-{std:g} m".strip())

    def rotate(self, rotation: ArrayLike) -> "MicArray":
        """Return a copy turned about the origin.

        Parameters
        ----------
        rotation : array-like of shape (3, 3) or scipy.spatial.transform.Rotation
            Rotation R; a source seen at u before is seen at R u afterwards.

        Raises
        ------
        InvalidInputError
            If it is not a rotation: not orthogonal, or a mirror image.

        Examples
        --------
        >>> quarter_turn_left = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
        >>> MicArray([[0.1, 0, 0], [0, 0, 0]]).rotate(quarter_turn_left).positions[0].tolist()
        [0.0, 0.1, 0.0]
        """
        as_matrix = getattr(rotation, "as_matrix", None)
        matrix = check_array("rotation", rotation if as_matrix is None else as_matrix(), (3, 3))
        if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) or np.linalg.det(matrix) < 0:
            raise InvalidInputError(
                "rotation must be a rotation matrix (orthogonal, determinant +1), got one with the determinant "
                f"{np.linalg.det(matrix):.4g}. scipy.spatial.transform.Rotation makes one from angles."
            )
        return _restore(self._positions @ matrix.T, self._name)

    def select(self, channels: Iterable[int]) -> "MicArray":
        """Return the array made of some microphones, in the order given (counted from 0).

        Examples
        --------
        >>> MicArray.from_preset("nao_head_12").select([0, 3, 5]).n_mics
        3
        """
        chosen = np.array([check_int("channel", c, 0, self.n_mics - 1) for c in channels], dtype=np.intp)
        return _restore(self._positions[chosen], self._name)


def _restore(positions: NDArray[np.float64], name: str) -> MicArray:
    """Build an array of microphones that were checked before: nothing is warned of twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        return MicArray(positions, name)


def _three_columns(table: NDArray[Any]) -> NDArray[np.float64]:
    if table.shape[1] == 3:
        return table
    if table.shape[1] == 2:
        return np.concatenate([table, np.zeros((len(table), 1))], axis=1)
    hint = " They look transposed: pass positions.T." if table.shape[0] in (2, 3) else ""
    raise InvalidInputError(
        f"positions must have the shape (n_mics, 3), one row of x, y, z per microphone, got {table.shape}.{hint}"
    )


def _check_positions(table: NDArray[np.float64]) -> None:
    if len(table) < 2:
        raise InvalidInputError(f"positions must hold at least 2 microphones, got {len(table)}: one has no direction.")
    if np.abs(table).max() > _FARTHEST:
        raise InvalidInputError(
            f"positions must be in metres and within {_FARTHEST:g} m of the origin, got a coordinate of "
            f"{np.abs(table).max():.3g}. Convert them to metres, in the array's own coordinates."
        )
    first, second = np.triu_indices(len(table), 1)
    distance = np.linalg.norm(table[first] - table[second], axis=1)
    if distance.min() < _SAME_PLACE:
        k = int(distance.argmin())
        raise InvalidInputError(
            f"positions must all differ, but microphones {first[k]} and {second[k]} (counted from 0) are both at "
            f"{table[first[k]].tolist()}. Correct or leave out one of them."
        )
    longest = float(distance.max())
    if longest > _LONGEST_SENSIBLE:
        warnings.warn(
            f"The longest distance between two microphones is {longest:.4g} m. Positions are in metres; "
            "were these centimetres or millimetres? Divide by 100 or 1000.",
            GeometryWarning,
            stacklevel=3,
        )
