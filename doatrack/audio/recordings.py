"""Recordings in any container, one after the other, and answers in the same container."""

import copy
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack._validation import check_waveform
from doatrack.audio.audio_file import AudioFile
from doatrack.audio.blocks import read_blocks
from doatrack.audio.fresh import FreshRecordings, Waveforms
from doatrack.audio.read import read_audio
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray

__all__ = ["Recordings", "Signals"]

Signals = Any
"""One recording (n_mics, n_samples), a batch (n_recordings, n_mics, n_samples), a list of either kind of array or of
paths (`AudioFile` where not all channels are microphones), or one path."""

_BLOCK_S = 2.0


class Recordings(Sequence[NDArray[np.float32]]):
    """A uniform view of what `fit` and `predict` accept.

    Parameters
    ----------
    signals : array, list of arrays, path or list of paths
        One recording (n_mics, n_samples); a batch (n_recordings, n_mics, n_samples); a list of recordings of any
        lengths (NumPy or torch); paths of audio files (or `AudioFile`), read in blocks and resampled; or
        `FreshRecordings`, here those of the first epoch.
    n_mics : int, optional
        Required number of channels.
    sample_rate : int
        In Hz; arrays are taken to have it.
    channels : sequence of int, optional
        Which channels of files are the microphones, counted from 0; an `AudioFile` may name its own. Arrays hold the
        microphones alone.

    Raises
    ------
    InvalidInputError
        On an empty list, a container of another kind, or `channels` for recordings that are arrays.

    Examples
    --------
    >>> view = Recordings(np.zeros((3, 4, 8000)), n_mics=4)
    >>> len(view), view[0].shape, view.mirror([1, 2, 3])
    (3, (4, 8000), [1, 2, 3])
    """

    def __init__(
        self,
        signals: Signals,
        n_mics: int | None = None,
        sample_rate: int = 16000,
        channels: Sequence[int] | None = None,
    ) -> None:
        self._n_mics = n_mics
        self._sample_rate = sample_rate
        self._source: FreshRecordings | None = None
        self._names: list[str] | None = None
        if isinstance(signals, FreshRecordings) and not isinstance(signals, type):
            self._source, signals = signals, Waveforms(signals.for_epoch(0))
        self.container, items = _unpack(signals)
        if channels is not None and not all(isinstance(item, (str, os.PathLike)) for item in items):
            raise InvalidInputError(
                "channels picks channels of files, but the recordings hold arrays. Pick the rows yourself: x[channels]."
            )
        self._items: Sequence[Any] = items
        self._torch = False
        if isinstance(items, Waveforms):
            return  # nothing is made before it is read
        self._items = [_as_file(item, channels) if isinstance(item, (str, os.PathLike)) else item for item in items]
        self._torch = any(isinstance(item, torch.Tensor) for item in self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def drawn_from(self) -> str | None:
        """What fresh recordings are drawn from; None for those that stay the same."""
        return None if self._source is None else self._source.description

    def of_epoch(self, epoch: int) -> "Recordings":
        """Return the recordings of an epoch: others each time if they are fresh, else these."""
        if self._source is None:
            return self
        other = copy.copy(self)
        other._items = Waveforms(self._source.for_epoch(epoch))
        return other

    def only(self, indices: Sequence[int]) -> "Recordings":
        """Return a view that holds these recordings alone, under their numbers: small enough to be sent away."""
        other = copy.copy(self)
        if not isinstance(self._items, Waveforms):
            kept = set(indices)
            other._items = [item if k in kept else None for k, item in enumerate(self._items)]
        return other

    def of_array(self, indices: Sequence[int], n_mics: int) -> "Recordings":
        """Return these recordings alone, of so many channels; messages call them as before."""
        other = copy.copy(self)
        other._items = [self._items[k] for k in indices]
        other._names = [self.name(k) for k in indices]
        other._n_mics = n_mics
        return other

    def truth(self, index: int) -> Any:
        """Return what is true about a fresh recording; None for others, which are waveforms alone."""
        return self._items.truth(index) if isinstance(self._items, Waveforms) else None

    def name(self, index: int) -> str:
        """Return how messages call a recording: its path, or its number."""
        if self._names is not None:
            return self._names[index]
        item = self._items[index]
        if isinstance(item, AudioFile):
            return str(item)
        return "waveform" if self.container == "single" else f"recording {index}"

    def __getitem__(self, index: Any) -> Any:
        item = self._items[index]
        if isinstance(item, AudioFile):
            item = read_audio(item, self._sample_rate)
        return self._check(item, index)

    def check(self) -> None:
        """Check every recording that is in memory; files are checked when they are read."""
        for index, item in enumerate(() if isinstance(self._items, Waveforms) else self._items):
            if not isinstance(item, AudioFile):
                self._check(item, index)

    def blocks(self, index: int) -> Iterator[NDArray[np.float32]]:
        """Yield a recording in blocks of about 2 s (n_mics, n), without overlap."""
        size = round(_BLOCK_S * self._sample_rate)
        item = self._items[index]
        if isinstance(item, AudioFile):
            for block in read_blocks(item, size, 0, self._sample_rate):
                yield self._check(block, index)
            return
        waveform = self._check(item, index)
        for start in range(0, waveform.shape[1], size):
            yield waveform[:, start : start + size]

    def mirror(self, results: Sequence[Any]) -> Any:
        """Return one result per recording in the container that the signals came in.

        Arrays of a batch are stacked; a single recording gives its result alone; a list gives a list. Arrays
        become torch tensors where the signals were.
        """
        values = [torch.from_numpy(r) if self._torch and isinstance(r, np.ndarray) else r for r in results]
        if self.container == "single":
            return values[0]
        if self.container == "batch" and all(isinstance(v, (np.ndarray, torch.Tensor)) for v in values):
            return torch.stack(values) if self._torch else np.stack(values)
        return values

    def _check(self, item: Any, index: int) -> NDArray[np.float32]:
        return check_waveform(item, self._n_mics, name=self.name(index))


def _unpack(signals: Signals) -> tuple[str, Sequence[Any]]:
    if isinstance(signals, MicArray):
        raise InvalidInputError(
            "The first argument must be the recordings, got a MicArray. Call fit(signals, array) in this order."
        )
    if isinstance(signals, (str, os.PathLike)):
        return "single", [signals]
    if isinstance(signals, (np.ndarray, torch.Tensor)) and getattr(signals, "dtype", None) != object:
        if signals.ndim == 2:
            return "single", [signals]
        if signals.ndim == 3 and len(signals):
            return "batch", list(signals)
        raise InvalidInputError(
            "signals must have the shape (n_mics, n_samples) or (n_recordings, n_mics, n_samples) with at least one "
            f"recording, got {tuple(signals.shape)}."
        )
    if not isinstance(signals, (list, tuple, np.ndarray, Waveforms)):
        raise InvalidInputError(
            "signals must be an array, a list of arrays, or paths of audio files, got "
            f"{type(signals).__name__}. A folder's files: doatrack.datasets.find_recordings(folder)."
        )
    if len(signals) == 0:
        raise InvalidInputError("signals must hold at least one recording, got an empty list.")
    return "list", signals if isinstance(signals, Waveforms) else list(signals)


def _as_file(path: str | os.PathLike[str], channels: Sequence[int] | None) -> AudioFile:
    if not isinstance(path, AudioFile):
        return AudioFile(path, channels)
    return path if path.channels is not None else AudioFile(path.path, channels, path.start)
