"""Features of a whole corpus on disk, so that training needs no memory for them."""

import copy
import pathlib
import zlib
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FeatureStore"]


class FeatureStore:
    """A file of frames in half precision, read by crops: correlations (pair x lag) or maps (elevation x azimuth).

    Half precision keeps values between -1 and 1 to 5e-4. The correlations of a corpus take about 6 % of the space of
    its audio (12 microphones; 12 % for the 64 lags of Neural-SRP).

    Parameters
    ----------
    path : path-like
        The file to write and read; an existing one is replaced.
    n_rows, n_columns : int
        Of one frame.

    Attributes
    ----------
    activities : list of bool array (n_frames,)
    truths : list of ndarray (n_frames, 3) or None
        Directions to be learned; NaN in frames that do not count.
    checksums : list of int
        CRC-32 of everything written of each recording.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(pathlib.Path(folder) / "gcc.f16", n_rows=1, n_columns=3)
    ...     store.write(torch.ones(5, 1, 3))
    ...     store.close_recording(np.ones(5, dtype=bool))
    ...     store.crop(0, start=1, length=2, rows=torch.tensor([0]))[0].shape
    torch.Size([2, 1, 3])
    """

    def __init__(self, path: pathlib.Path, n_rows: int, n_columns: int) -> None:
        self._path = path
        self.n_rows, self.n_columns = n_rows, n_columns
        self._starts = [0]
        self._written = 0
        self._kept: Tensor | None = None
        self.checksums: list[int] = []
        self._sum = 0
        self.activities: list[NDArray[np.bool_]] = []
        self.truths: list[NDArray[np.float32] | None] = []
        path.write_bytes(b"")

    def __len__(self) -> int:
        return len(self.activities)

    @property
    def checksum(self) -> int:
        """CRC-32 of all recordings: two stores of the same ones agree."""
        return zlib.crc32(np.array(self.checksums, dtype=np.uint32).tobytes())

    @property
    def n_bytes(self) -> int:
        """The size of the file."""
        return 2 * self._written * self.n_rows * self.n_columns

    def resident(self, device: torch.device | str) -> Self:
        """Return this store for reading, all of it in the memory of a device: crops come from there."""
        kept = copy.copy(self)
        table = np.fromfile(self._path, np.float16).reshape(-1, self.n_rows, self.n_columns)
        kept._kept = torch.from_numpy(table).to(device)
        return kept

    def n_frames(self, recording: int) -> int:
        """Return the number of frames of a recording."""
        return self._starts[recording + 1] - self._starts[recording]

    def write(self, frames: Tensor) -> None:
        """Add frames (n_frames, n_rows, n_columns) to the recording that is being written."""
        data = frames.numpy().astype(np.float16).tobytes()
        with self._path.open("ab") as file:
            file.write(data)
        self._written += len(frames)
        self._sum = zlib.crc32(data, self._sum)

    def close_recording(self, activity: NDArray[np.bool_], doa: NDArray[np.float64] | None = None) -> None:
        """End the recording that is being written.

        Parameters
        ----------
        activity : bool array of shape (n_frames,)
            Where it holds sound.
        doa : ndarray of shape (n_frames, 3), optional
            Directions to be learned; NaN in frames that do not count.
        """
        self._starts.append(self._written)
        self.activities.append(np.asarray(activity, dtype=bool))
        self.truths.append(None if doa is None else np.asarray(doa, dtype=np.float32))
        self._sum = zlib.crc32(self.activities[-1].tobytes(), self._sum)
        if doa is not None:
            self._sum = zlib.crc32(np.asarray(doa, dtype=np.float32).tobytes(), self._sum)
        self.checksums.append(self._sum)
        self._sum = 0

    def teaches(self, recording: int) -> bool:
        """Whether anything can be learned from a recording: it has sound, and where truth was given, known truth."""
        truth = self.truths[recording]
        known = truth is None or bool(np.isfinite(truth).all(axis=1).any())
        return known and bool(self.activities[recording].any())

    def crop(self, recording: int, start: int, length: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames start..start+length of some rows, (length, n_chosen, n_columns), and their activity.

        Fewer frames come back where the recording ends before: never those of the next one.
        """
        size = self.n_rows * self.n_columns
        first = self._starts[recording] + start
        last = min(first + length, self._starts[recording + 1])
        activity = torch.from_numpy(self.activities[recording][start : start + length])
        if self._kept is not None:
            return self._kept[first:last].index_select(1, rows.to(self._kept.device)).float(), activity
        # read, not mapped: mapped pages count as memory of the process, and would grow with the corpus
        table = np.fromfile(self._path, np.float16, count=(last - first) * size, offset=2 * first * size)
        frames = torch.from_numpy(table.reshape(-1, self.n_rows, self.n_columns)[:, rows.numpy()].astype(np.float32))
        return frames, activity

    def recording(self, recording: int) -> Tensor:
        """Return all frames of a recording, (n_frames, n_rows, n_columns)."""
        return self.crop(recording, 0, self.n_frames(recording), torch.arange(self.n_rows))[0]

    def truth(self, recording: int, start: int, length: int) -> Tensor | None:
        """Return the directions (length, 3) of the frames that `crop` gives, NaN where they do not count."""
        truth = self.truths[recording]
        return None if truth is None else torch.from_numpy(truth[start : start + length])
