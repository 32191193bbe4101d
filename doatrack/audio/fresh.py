"""Recordings that are others in every epoch of learning."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

__all__ = ["FreshRecordings", "LabelledWaveform", "Waveforms"]


class LabelledWaveform(Protocol):
    """A recording and what is true about it, such as a simulated scene.

    Attributes
    ----------
    waveform : ndarray of float32, shape (n_mics, n_samples)
    truth : ndarray, shape (n_rows, 5)
        Rows of time_s, x, y, z, active.
    """

    @property
    def waveform(self) -> Any:
        """What the microphones hear."""

    @property
    def truth(self) -> Any:
        """Where the source is."""


@runtime_checkable
class FreshRecordings(Protocol):
    """What `fit` takes to learn from other recordings in every epoch.

    Each epoch must have as many, made when they are read: none is kept. `doatrack.datasets.SimulatedScenes` is one.

    Attributes
    ----------
    description : str
        What they are drawn from, seeds included: a run is resumed with the same only.
    """

    description: str

    def for_epoch(self, epoch: int) -> Sequence[LabelledWaveform]:
        """Return the recordings of an epoch, counted from 0, always the same for the same number."""


class Waveforms(Sequence[Any]):
    """The waveforms of labelled recordings, the last one kept until the next is read.

    Examples
    --------
    >>> import types
    >>> recording = types.SimpleNamespace(waveform="sound", truth="rows")
    >>> view = Waveforms([recording])
    >>> len(view), view[0], view.truth(0)
    (1, 'sound', 'rows')
    """

    def __init__(self, recordings: Sequence[LabelledWaveform]) -> None:
        self._recordings = recordings
        self._last: tuple[int, LabelledWaveform] | None = None

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, index: Any) -> Any:
        return self._read(index).waveform

    def truth(self, index: int) -> Any:
        """Return what is true about a recording."""
        return self._read(index).truth

    def _read(self, index: int) -> LabelledWaveform:
        if self._last is None or self._last[0] != index:
            self._last = (index, self._recordings[index])
        return self._last[1]
