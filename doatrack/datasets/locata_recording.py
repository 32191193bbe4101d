"""One recording of the LOCATA corpus, seen by one of its arrays."""

import functools
import os
import pathlib
import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import FloatArray, check_choice, check_waveform
from doatrack.audio import AudioFile, audio_info, read_audio
from doatrack.datasets._locata_activity import ACTIVITY_KINDS, find_activity
from doatrack.datasets._locata_tables import Poses, check_same_rows, read_audio_start, read_poses, read_required_times
from doatrack.exceptions import GeometryWarning, InvalidInputError
from doatrack.geometry import SPEED_OF_SOUND, MicArray

__all__ = ["LOCATA_ARRAYS", "LocataRecording"]

LOCATA_ARRAYS = {
    "benchmark2": "nao_head_12",
    "dicit": "locata_dicit_15",
    "dummy": "locata_hearing_aids_4",
    "eigenmike": "locata_eigenmike_32",
}
"""LOCATA's names of its arrays, and the presets with the same microphones."""

_N_MICS = {"benchmark2": 12, "dicit": 15, "dummy": 4, "eigenmike": 32}
_SILENCES = ("keep", "cut")
_ONSET = 0.15  # of the largest sample of the first channel
_RATE = 16000
_RIGID = 0.01  # metres that microphones may move in the array's own frame
_PATH = re.compile(r"task([1-6])/recording(\d+)/([a-z0-9]+)$")


class LocataRecording:
    """The sound of one array, where its microphones are, and where each source is seen from it.

    Directions and microphones are in the array's own frame as LOCATA defines it (x to the right, y the look direction,
    z up: the frame of the presets). `geometry.unit_to_locata` gives the angles of LOCATA's tools. Everything is read
    when it is asked for, and kept but for the sound.

    Parameters
    ----------
    folder : path-like
        The folder of one array, `.../task3/recording2/benchmark2`.
    activity : str
        Where `active` comes from: "vad" reads `VAD_ARRAY_SOURCE.txt` (or `VAD_source_SOURCE.txt`) of the corpus' final
        release; "energy" takes the source's own sound, `audio_source_SOURCE.wav`, aligned by its timestamps and
        delayed by the way to the array, where it is less than 30 dB below its loud parts; "auto" is the first of these
        that is there; "always" marks every required time. `info["activity"]` says what was taken.
    leading_silence : str
        "keep", or "cut": the recording begins with the first sample of its first channel above 15 % of that channel's
        maximum (at 16 kHz), as in the evaluation of Cross3D and Neural-SRP.

    Raises
    ------
    InvalidInputError
        If the folder is none of the corpus, or an option is unknown. When read: if a table is missing, lacks a column,
        or holds times that go back; the message names file, line and column.

    Notes
    -----
    With array position p, rotation R and source position h in world coordinates the direction is R'(h - p) divided
    by its length. A moving array (tasks 5 and 6) changes p and R; the microphones stay in their own frame:
    R'(m - p), the median over the recording. Times count from the first sample of the array's sound, by the tables'
    own clocks. Rows are the required times (120 per second) whose `valid_flag` is 1 and at which the optical tracker
    knew the array and a source (others that it lost then are NaN); of rows with one and the same time, which the
    corpus holds, the first is taken.

    References
    ----------
    Evers et al. (2020), "The LOCATA challenge", IEEE/ACM TASLP 28; the tables and R'(h - p): cevers/sap_locata_io,
    utils/load_data.m, struct2position.m and get_truth.m; labels: cevers/sap_locata_eval, functions/read_ground_truth.m;
    leading silence: DavidDiazGuerra/Cross3D, acousticTrackingDataset.py, and egrinstein/neural_srp,
    datasets/locata_dataset.py (both also take the first required time as that of the first sample, and activity
    from WebRTC's detector on the source's sound).

    Examples
    --------
    >>> LocataRecording("LOCATA/dev/task3/recording2/benchmark2").name
    'task3_dev_recording2'
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, activity: str = "auto", leading_silence: str = "keep"
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.activity = check_choice("activity", activity, ACTIVITY_KINDS)
        self.leading_silence = check_choice("leading_silence", leading_silence, _SILENCES)
        match = _PATH.search(self.folder.absolute().as_posix())
        if match is None:
            raise InvalidInputError(
                f"{self.folder} is no recording of LOCATA: the folder's path must end in task1-6/recordingN/ARRAY."
            )
        self.task, self.number = int(match[1]), int(match[2])
        self.array_name = check_choice(f"array of {self.folder}", match[3], LOCATA_ARRAYS)

    def __repr__(self) -> str:
        return f"LocataRecording({str(self.folder)!r})"

    @property
    def split(self) -> str:
        """'dev' or 'eval', where the folder of the tasks is called so; else empty."""
        name = self.folder.absolute().parents[2].name
        return name if name in ("dev", "eval") else ""

    @property
    def name(self) -> str:
        """Task, split and number; what stands before the first `_` is the group in reports."""
        return "_".join(part for part in (f"task{self.task}", self.split, f"recording{self.number}") if part)

    @property
    def sources(self) -> list[str]:
        """Names of the sources whose positions are known, sorted; none where the corpus keeps them secret."""
        prefix = "position_source_"
        return sorted(path.stem.removeprefix(prefix) for path in self.folder.glob(f"{prefix}*.txt"))

    @functools.cached_property
    def path(self) -> AudioFile:
        """The sound, as `fit`, `predict` and `track` take it: at 48 kHz, from where the recording begins."""
        sound = self._file("audio_array", ".wav")
        if self.leading_silence == "keep":
            return AudioFile(sound)
        first = read_audio(sound, _RATE, channels=[0])[0]
        return AudioFile(sound, start=int((first > _ONSET * first.max()).argmax()) / _RATE)

    def read(self, sample_rate: int = _RATE) -> NDArray[np.float32]:
        """Return the samples, (n_mics, n_samples).

        Raises
        ------
        AudioFileError
            If the file cannot be read.
        InvalidInputError
            If it has another number of channels than the array has microphones.
        """
        return check_waveform(read_audio(self.path, sample_rate), _N_MICS[self.array_name], name=str(self.path))

    @functools.cached_property
    def mic_positions(self) -> NDArray[np.float64]:
        """Microphones in the array's own frame in metres, (n_mics, 3).

        Warns
        -----
        GeometryWarning
            If they move by more than 1 cm in this frame, or lie so far from the preset of the same array.
        """
        path, poses = self._array_poses
        local = np.einsum("nmj,nji->nmi", poses.mics - poses.position[:, None], poses.rotation)
        known = np.isfinite(local).all(axis=(1, 2))
        if not known.any():
            raise InvalidInputError(f"{path}: columns 'mic1_x' and following are known in no row.")
        positions = np.asarray(np.median(local[known], axis=0), dtype=np.float64)
        moved = float(np.linalg.norm(local[known] - positions, axis=2).max())
        if moved > _RIGID:
            _warn(f"{path}: microphones move by up to {moved:.3g} m in the array's own frame. Check the rotations.")
            return positions
        preset = LOCATA_ARRAYS[self.array_name]
        apart = float(np.linalg.norm(positions - MicArray.from_preset(preset).positions, axis=1).max())
        if apart > _RIGID:
            _warn(f"{path}: microphones lie up to {apart:.3g} m from those of the preset {preset!r}.")
        return positions

    @property
    def array(self) -> MicArray:
        """The microphones in the array's own frame."""
        return MicArray(self.mic_positions, name=f"LOCATA {self.array_name}")

    @property
    def truth(self) -> FloatArray:
        """Rows time_s, x, y, z, active: (n_rows, 5), or of several sources (n_sources, n_rows, 5) by name.

        Raises
        ------
        InvalidInputError
            If no position of a source is there, or a table breaks its format.
        """
        tables = list(self.truth_by_source.values())
        return tables[0] if len(tables) == 1 else np.stack(tables)

    @property
    def truth_by_source(self) -> dict[str, FloatArray]:
        """Rows time_s, x, y, z, active of each source, (n_rows, 5), by its name."""
        return {source: rows for source, (rows, _) in self._labels.items()}

    @property
    def info(self) -> dict[str, Any]:
        """What the recording is and where its labels come from; fit for JSON."""
        return {
            "task": self.task,
            "recording": self.number,
            "split": self.split,
            "array": self.array_name,
            "sources": self.sources,
            "activity": {source: origin for source, (_, origin) in self._labels.items()},
            "start_s": self.path.start,
            "array_moves": self._array_moves(),
        }

    def _file(self, kind: str, suffix: str = ".txt") -> pathlib.Path:
        path = self.folder / f"{kind}_{self.array_name}{suffix}"
        if not path.is_file():
            raise InvalidInputError(f"{path} is missing: every recording of LOCATA has it. Unpack the corpus again.")
        return path

    @functools.cached_property
    def _array_poses(self) -> tuple[pathlib.Path, Poses]:
        path = self._file("position_array")
        return path, read_poses(path, _N_MICS[self.array_name])

    @functools.cached_property
    def _labels(self) -> dict[str, tuple[FloatArray, str]]:
        """Truth rows and origin of the activity, by source."""
        if not self.sources:
            raise InvalidInputError(
                f"{self.folder} has no position_source_*.txt, so directions are not known (the first release of eval "
                "has none). Score dev, or the final release."
            )
        required = self.folder / "required_time.txt"
        times, valid = read_required_times(required)
        path, array = self._array_poses
        check_same_rows(path, array.times, required, times)
        audio_start = self._audio_start()
        seen = {source: self._seen(source, array, required, times) for source in self.sources}
        known = np.any([np.isfinite(distance) for _, distance in seen.values()], axis=0)
        counted = self._counted(required, times - audio_start - self.path.start, valid, known)
        labels = {}
        for source, (doa, distance) in seen.items():
            found = find_activity(self.folder, self.array_name, source, self.activity, audio_start)
            active = found.at(times, np.nan_to_num(distance) / SPEED_OF_SOUND).astype(np.float64)
            active[np.isnan(distance)] = np.nan
            rows = np.column_stack([times - audio_start - self.path.start, doa, active])
            labels[source] = (rows[counted], found.origin)
        return labels

    def _counted(
        self, required: pathlib.Path, seconds: NDArray[np.float64], valid: NDArray[np.bool_], known: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """Return the rows that are evaluated, in order of time, no time twice."""
        if not valid.any():
            raise InvalidInputError(f"{required}, column 'valid_flag': is 0 in every row: nothing is evaluated.")
        rows = np.flatnonzero(valid & known & ((seconds >= 0) | (self.leading_silence == "keep")))
        if not len(rows):
            raise InvalidInputError(
                f"{self.folder} has no required time at which the array and a source are known"
                f"{' after the leading silence' if self.leading_silence == 'cut' else ''}: nothing is evaluated."
            )
        return rows[np.diff(seconds[rows], prepend=-np.inf) > 0]

    def _audio_start(self) -> float:
        sound = self._file("audio_array", ".wav")
        info = audio_info(sound)
        if info.n_channels != _N_MICS[self.array_name]:
            raise InvalidInputError(
                f"{sound} must have {_N_MICS[self.array_name]} channels, one per microphone of {self.array_name}, got "
                f"{info.n_channels}."
            )
        return read_audio_start(self._file("audio_array_timestamps"), info.n_samples)

    def _seen(
        self, source: str, array: Poses, required: pathlib.Path, times: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return directions (n, 3) in the array's frame and distances (n,); NaN where the tracker lost one of both."""
        path = self.folder / f"position_source_{source}.txt"
        poses = read_poses(path)
        check_same_rows(path, poses.times, required, times)
        vectors = np.einsum("nji,nj->ni", array.rotation, poses.position - array.position)
        distance = np.linalg.norm(vectors, axis=1)
        if (distance == 0).any():
            raise InvalidInputError(
                f"{path}, line {int((distance == 0).argmax()) + 2}, columns 'x', 'y', 'z': the source lies in the "
                "array's origin and has no direction."
            )
        return vectors / distance[:, None], distance

    def _array_moves(self) -> bool:
        poses = self._array_poses[1]
        place = np.column_stack([poses.position, poses.rotation.reshape(len(poses.times), 9)])
        known = place[np.isfinite(place).all(axis=1)]
        return bool(len(known) and np.ptp(known, axis=0).max() > _RIGID)


def _warn(text: str) -> None:
    warnings.warn(text, GeometryWarning, stacklevel=3)
