"""Correlations of a whole corpus on disk, so that training needs no memory for them."""

import pathlib
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FeatureStore"]


class FeatureStore:
    """A file of GCC-PHAT frames in half precision, read by crops.

    Half precision keeps correlations between -1 and 1 to 5e-4; a corpus takes about 6 % of the space of its
    audio (12 microphones).

    Parameters
    ----------
    path : path-like
        The file to write and read; an existing one is replaced.
    n_pairs, n_lags : int

    Attributes
    ----------
    activities : list of bool array (n_frames,)
    checksum : int
        CRC-32 of everything written: two stores of the same recordings agree.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(pathlib.Path(folder) / "gcc.f16", n_pairs=1, n_lags=3)
    ...     store.write(torch.ones(5, 1, 3))
    ...     store.close_recording(np.ones(5, dtype=bool))
    ...     store.crop(0, start=1, length=2, pairs=torch.tensor([0]))[0].shape
    torch.Size([2, 1, 3])
    """

    def __init__(self, path: pathlib.Path, n_pairs: int, n_lags: int) -> None:
        self._path = path
        self._shape = (n_pairs, n_lags)
        self._starts = [0]
        self._written = 0
        self.checksum = 0
        self.activities: list[NDArray[np.bool_]] = []
        path.write_bytes(b"")

    def __len__(self) -> int:
        return len(self.activities)

    def n_frames(self, recording: int) -> int:
        """Return the number of frames of a recording."""
        return self._starts[recording + 1] - self._starts[recording]

    def write(self, gcc: Tensor) -> None:
        """Add frames (n_frames, n_pairs, n_lags) to the recording that is being written."""
        data = gcc.numpy().astype(np.float16).tobytes()
        with self._path.open("ab") as file:
            file.write(data)
        self._written += len(gcc)
        self.checksum = zlib.crc32(data, self.checksum)

    def close_recording(self, activity: NDArray[np.bool_]) -> None:
        """End the recording that is being written; `activity` (n_frames,) says where it holds sound."""
        self._starts.append(self._written)
        self.activities.append(np.asarray(activity, dtype=bool))
        self.checksum = zlib.crc32(self.activities[-1].tobytes(), self.checksum)

    def crop(self, recording: int, start: int, length: int, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames start..start+length of some pairs, (length, n_chosen, n_lags), and their activity.

        Fewer frames come back where the recording ends before: never those of the next one.
        """
        n_pairs, n_lags = self._shape
        size = n_pairs * n_lags
        first = self._starts[recording] + start
        last = min(first + length, self._starts[recording + 1])
        # read, not mapped: mapped pages count as memory of the process, and would grow with the corpus
        table = np.fromfile(self._path, np.float16, count=(last - first) * size, offset=2 * first * size)
        frames = torch.from_numpy(table.reshape(-1, n_pairs, n_lags)[:, pairs.numpy()].astype(np.float32))
        return frames, torch.from_numpy(self.activities[recording][start : start + length])
