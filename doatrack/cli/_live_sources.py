"""The source of live sound that a command line asks for."""

import dataclasses
import math
import pathlib
import sys
from typing import Any

from doatrack._validation import check_choice
from doatrack.exceptions import InvalidInputError
from doatrack.live import PCM_FORMATS, DeviceSource, FileSource, PcmSource, Source, list_devices, wav_source

__all__ = ["PIPE", "LiveInput", "print_devices"]

PIPE = "-"
_RECONNECT_S = 60.0
_RATE = 16000  # of raw samples that nobody says the rate of


@dataclasses.dataclass(frozen=True)
class LiveInput:
    """What a command line says about where sound comes from, checked against itself.

    Parameters
    ----------
    source : str, optional
        A file, "-" for standard input, or None for a sound device (or raw samples, if `pcm` is given).
    device : str, optional
        Number or name of a sound device.
    pcm : str, optional
        Format of raw samples on standard input.
    n_channels, rate : int, optional
        Of raw samples or of a device.
    speed : float
        Of a file.
    reconnect_s : float, optional
        For how long a device is waited for.

    Raises
    ------
    InvalidInputError
        If two of them contradict each other.
    """

    source: str | None
    device: str | None
    pcm: str | None
    n_channels: int | None
    rate: int | None
    speed: float
    reconnect_s: float | None

    def __post_init__(self) -> None:
        if self.pcm is not None:
            check_choice("--pcm", self.pcm, PCM_FORMATS)
        if not self.speed > 0:
            raise InvalidInputError(f"--speed must be above 0, got {self.speed:g}. inf is as fast as possible.")
        if self.pcm is not None and self.is_file:
            raise InvalidInputError(
                f"--pcm reads raw samples from standard input, and {self.source} is a file. Leave one out."
            )
        if self.device is not None and not self.is_device:
            raise InvalidInputError("--device names a sound device, and a file or pipe is given too. Leave one out.")
        if (self.n_channels is not None or self.rate is not None) and self.source is not None and self.pcm is None:
            raise InvalidInputError("--n-channels and --rate go with --pcm or a device: a file or WAV tells its own.")
        if self.speed != 1.0 and not self.is_file:
            raise InvalidInputError("--speed goes with a file: a device or pipe has its own.")
        if self.reconnect_s is not None and not self.is_device:
            raise InvalidInputError("--reconnect goes with a device: files and pipes end where they end.")

    @property
    def is_file(self) -> bool:
        """Whether sound comes from a file."""
        return self.source is not None and self.source != PIPE

    @property
    def is_device(self) -> bool:
        """Whether sound comes from a device."""
        return self.source is None and self.pcm is None

    def open(self, n_needed: int) -> Source:
        """Return the source, not yet entered.

        Parameters
        ----------
        n_needed : int
            Channels that the array and the choice of channels need.

        Raises
        ------
        LiveAudioError
            If standard input is no WAV.
        InvalidInputError
            If standard input is a terminal.
        """
        if self.is_device:
            name = int(self.device) if self.device is not None and self.device.isdecimal() else self.device
            reconnect_s = _RECONNECT_S if self.reconnect_s is None else self.reconnect_s
            return DeviceSource(name, self.n_channels, self.rate, n_needed, reconnect_s)
        if self.is_file:
            return FileSource(pathlib.Path(str(self.source)), self.speed)
        stream = _standard_input()
        if self.pcm is None:
            return wav_source(stream)
        return PcmSource(stream, self.pcm, self.n_channels or n_needed, self.rate or _RATE)


def _standard_input() -> Any:
    try:
        number = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as error:  # none, or one that is closed or no file
        raise InvalidInputError(
            "Sound was to come from standard input, and there is none: it is closed. Pipe it in: arecord -t raw ... | "
            "doatrack live --pcm s16le."
        ) from error
    if sys.stdin.isatty():
        raise InvalidInputError(
            "Sound was to come from standard input, but that is the terminal. Pipe it in: arecord -t raw ... | "
            "doatrack live --pcm s16le."
        )
    # without a buffer: samples come as soon as they are written, and no lock is held when the program ends
    return open(number, "rb", buffering=0, closefd=False)


def print_devices() -> None:
    """Write the devices that hear to standard output."""
    found = list_devices()
    for number, name, n_channels, rate in found:
        sys.stdout.write(f"{number:3d}  {n_channels:3d} channels  {math.floor(rate):6d} Hz  {name}\n")
    if not found:
        raise InvalidInputError("There is no sound device that hears. A file or a pipe works without one.")
