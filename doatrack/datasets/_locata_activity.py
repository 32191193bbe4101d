"""When a source of the LOCATA corpus speaks: from its own labels, or from the sound at the source."""

import pathlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from doatrack.audio import audio_info, read_audio
from doatrack.datasets._locata_tables import read_audio_start, read_vad
from doatrack.exceptions import InvalidInputError
from doatrack.simulation.activity import speech_activity

__all__ = ["ACTIVITY_KINDS", "SourceActivity", "find_activity"]

ACTIVITY_KINDS = ("auto", "vad", "energy", "always")
"""Labels or else energy; labels alone; energy of the source's own sound; all the time."""

_RATE = 16000


class SourceActivity(NamedTuple):
    """Activity (n,) at a rate in Hz from a time on, whether delayed as the array hears it, and where it is from."""

    samples: NDArray[np.bool_]
    sample_rate: float
    start: float
    at_array: bool
    origin: str

    def at(self, times: NDArray[np.float64], delays: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the activity of what is heard at `times` after `delays` (n,) of travel, in seconds."""
        emitted = times if self.at_array else times - delays
        index = np.floor((emitted - self.start) * self.sample_rate + 1e-6).astype(np.int64)
        inside = (index >= 0) & (index < len(self.samples))
        return self.samples[np.clip(index, 0, len(self.samples) - 1)] & (inside | self.at_array)


def find_activity(folder: pathlib.Path, array: str, source: str, kind: str, audio_start: float) -> SourceActivity:
    """Return the activity of a source from the best of the files that are there.

    Parameters
    ----------
    folder : path
        With the files of one array.
    array, source : str
        As in the names of files.
    kind : str
        One of `ACTIVITY_KINDS`.
    audio_start : float
        Time of the first sample of the array's sound.

    Raises
    ------
    InvalidInputError
        If the files that are needed are missing or break their format.
    """
    if kind == "always":
        return SourceActivity(np.ones(1, dtype=np.bool_), 1.0, audio_start, at_array=True, origin="always")
    of_array, of_source = folder / f"VAD_{array}_{source}.txt", folder / f"VAD_source_{source}.txt"
    sound = folder / f"audio_source_{source}.wav"
    if kind != "energy" and of_array.is_file():
        info = audio_info(folder / f"audio_array_{array}.wav")
        labels = read_vad(of_array, info.n_samples)
        return SourceActivity(labels, info.sample_rate, audio_start, at_array=True, origin=of_array.name)
    if kind != "energy" and of_source.is_file():
        info = audio_info(sound)
        start = _source_start(folder, source, info.n_samples)
        labels = read_vad(of_source, info.n_samples)
        return SourceActivity(labels, info.sample_rate, start, at_array=False, origin=of_source.name)
    if kind == "vad" or not sound.is_file():
        files = [of_array, of_source] if kind == "vad" else [of_array, of_source, sound]
        raise InvalidInputError(
            f"{folder} does not tell when {source} speaks: none of {', '.join(file.name for file in files)} is there. "
            'Pass activity="always" to count all required times.'
        )
    start = _source_start(folder, source, audio_info(sound).n_samples)
    active = speech_activity(read_audio(sound, _RATE, channels=[0])[0], _RATE)
    return SourceActivity(active, _RATE, start, at_array=False, origin=f"energy of {sound.name}")


def _source_start(folder: pathlib.Path, source: str, n_samples: int) -> float:
    return read_audio_start(folder / f"audio_source_timestamps_{source}.txt", n_samples)
