"""Files that commands write, and those that they must not write over."""

import io
import pathlib
from collections.abc import Callable, Sequence

from doatrack._files import atomic_write_bytes, check_folder
from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.tracking import MultiTrack, Track, is_track_csv

__all__ = ["TrackWriter", "check_plotting"]

_PICTURE_MARK = b"Software\0doatrack"
_HEAD = 4096  # bytes of a file that tell who wrote it


class TrackWriter:
    """Write NAME.csv, and if wanted NAME.json and NAME.png, for each recording.

    Parameters
    ----------
    folder : path
        Made when the first track is written.
    json, plot : bool
        Whether to write these too.
    """

    def __init__(self, folder: pathlib.Path, *, json: bool = False, plot: bool = False) -> None:
        self.folder = folder
        self._writers: dict[str, Callable[[Track | MultiTrack, pathlib.Path], None]] = {
            ".csv": lambda track, path: track.to_csv(path)
        }
        if json:
            self._writers[".json"] = lambda track, path: track.to_json(path)
        if plot:
            check_plotting()
            self._writers[".png"] = _write_picture

    def check(self, recordings: Sequence[pathlib.Path]) -> None:
        """Make sure that nothing of the user's, nor one of two tracks, would be written over.

        Raises
        ------
        InvalidInputError
            If two recordings have one name, or the folder, or what it is to be in, is a file.
        OutputExistsError
            If a file is there that is no track of doatrack.
        """
        check_folder("--out", self.folder)
        _check_names(recordings)
        for recording in recordings:
            for target in self._targets(recording):
                if (target.exists() or target.is_symlink()) and not _is_ours(target):
                    raise OutputExistsError(
                        f"{target} exists and was not written by 'doatrack track', so it is not written over (it may "
                        "hold labels). Choose another folder with --out."
                    )

    def write(self, track: Track | MultiTrack, recording: pathlib.Path) -> None:
        """Write the files of one recording, each whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for write, target in zip(self._writers.values(), self._targets(recording), strict=True):
            write(track, target)

    def _targets(self, recording: pathlib.Path) -> list[pathlib.Path]:
        return [self.folder / f"{recording.stem}{suffix}" for suffix in self._writers]


def check_plotting() -> None:
    """Raise unless pictures can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InvalidInputError("--plot needs matplotlib: pip install 'doatrack[plot]'.") from error


def _check_names(recordings: Sequence[pathlib.Path]) -> None:
    by_name: dict[str, pathlib.Path] = {}
    for recording in recordings:
        # some file systems do not tell capitals from small letters
        other = by_name.setdefault(recording.stem.casefold(), recording)
        if other is not recording:
            raise InvalidInputError(
                f"{other} and {recording} have one name, so one track would replace the other. Track them with "
                "different --out folders, or rename one."
            )


def _is_ours(path: pathlib.Path) -> bool:
    if path.suffix == ".csv":
        return is_track_csv(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b'{"timeStamp": ') if path.suffix == ".json" else _PICTURE_MARK in head


def _write_picture(track: Track | MultiTrack, path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    from doatrack.plotting import MultiTrackDisplay, TrackDisplay

    figure = Figure(figsize=(9, 5), layout="constrained")
    display: TrackDisplay | MultiTrackDisplay = (
        MultiTrackDisplay.from_track(track) if isinstance(track, MultiTrack) else TrackDisplay.from_track(track)
    )
    display.plot(figure.subplots(2, sharex=True))
    display.axes_[0].set_title(path.stem, loc="right")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": "doatrack"})
    atomic_write_bytes(path, picture.getvalue())
