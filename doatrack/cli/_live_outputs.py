"""What live tracking writes to the terminal and to standard output."""

import math
import sys
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from doatrack.cli._run import say
from doatrack.live import LiveEvent, LiveFrame

__all__ = ["JsonLines", "LiveLine", "PlainLines", "say_event"]

_COMPASS = 48  # characters for all around
_QUIET = ("start", "end")


def say_event(message: LiveFrame | LiveEvent) -> None:
    """Write an event to standard error, what went wrong as a warning; frames are left out."""
    if isinstance(message, LiveEvent):
        quiet = message.kind in _QUIET
        say(message.message if quiet else f"Warning: at {message.time_s:.3f} s: {message.message}")


class JsonLines:
    """Write one JSON object per line, each as soon as it is there.

    Parameters
    ----------
    stream : text stream
        Standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream

    def __call__(self, message: LiveFrame | LiveEvent) -> None:
        self._stream.write(message.to_json() + "\n")
        self._stream.flush()


class PlainLines:
    """Write a line of text per frame with sound, where no terminal shows the last one."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream

    def __call__(self, message: LiveFrame | LiveEvent) -> None:
        if isinstance(message, LiveFrame) and message.active:
            self._stream.write(f"{message.time_s:9.3f} s  {_words(message)}\n")
            self._stream.flush()


class LiveLine:
    """Show the last frame in one line of a terminal: time, angles, and where that is from left to right.

    Parameters
    ----------
    console : Console, optional
        Where; standard output by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(highlight=False) if console is None else console
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> "LiveLine":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, message: LiveFrame | LiveEvent) -> None:
        if isinstance(message, LiveFrame):
            self._live.update(self._line(message), refresh=True)
        else:
            style = "" if message.kind in _QUIET else "yellow"
            self._console.print(Text(message.message, style=style))

    def _line(self, frame: LiveFrame) -> Text:
        line = Text(f"{frame.time_s:8.1f} s  ", no_wrap=True, overflow="crop")
        line.append("● " if frame.active else "○ ", style="green" if frame.active else "dim")
        line.append(_words(frame), style="bold" if frame.active else "dim")
        if self._console.width >= line.cell_len + _COMPASS + 4:
            line.append("  ")
            line.append_text(_compass(frame))
        return line


def _words(frame: LiveFrame) -> str:
    cone = f"±{frame.credible_angle_deg:5.1f}°" if math.isfinite(frame.credible_angle_deg) else " " * 7
    return f"azimuth {frame.azimuth_deg:+7.1f}°  elevation {frame.elevation_deg:+6.1f}°  {cone}"


def _compass(frame: LiveFrame) -> Text:
    """Draw azimuth as a place between back, left, front, right and back, with the width of the cone."""
    marks = list("·" * (_COMPASS + 1))
    for share, letter in ((0.0, "B"), (0.25, "L"), (0.5, "F"), (0.75, "R"), (1.0, "B")):
        marks[round(share * _COMPASS)] = letter
    text = Text("".join(marks), style="dim")
    if not (frame.active and math.isfinite(frame.azimuth_deg)):
        return text
    middle = round((180 - frame.azimuth_deg) / 360 * _COMPASS)
    reach = frame.credible_angle_deg if math.isfinite(frame.credible_angle_deg) else 0.0
    for k in range(-round(reach / 360 * _COMPASS), round(reach / 360 * _COMPASS) + 1):
        place = (middle + k) % _COMPASS
        text.stylize("reverse not dim", place, place + 1)
    return text
