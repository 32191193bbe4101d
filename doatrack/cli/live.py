"""`doatrack live`: directions while the sound comes."""

import contextlib
import pathlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doatrack.cli._arguments import (
    ArrayOption,
    AzimuthOption,
    ChannelsOption,
    ElevationOption,
    FeaturesOption,
    MethodOption,
    ModelOption,
    array_beside,
    parse_smoothing,
    resolve_array,
)
from doatrack.cli._run import running, say
from doatrack.exceptions import InvalidInputError, LookAheadWarning

if TYPE_CHECKING:
    from doatrack.estimators._smoothing import Smoothing
    from doatrack.live import LiveEvent, LiveFrame, LiveServer
    from doatrack.live.follow import Output

__all__ = ["run_live"]


def run_live(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|-]",
            help="A sound file, played at its own speed; or - for WAV on standard input. Without it: a sound device.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The sound device: its number or a part of its name; see --list-devices."),
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the sound devices and stop.")] = False,
    pcm: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Raw samples on standard input, with --rate and --n-channels: s16le, s24le, s32le, f32le, f64le, u8.",
        ),
    ] = None,
    n_channels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Channels of raw samples (by default as many as the array has microphones), or to open of a device "
            "(by default all).",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1000, metavar="HZ", help="Sample rate of raw samples (16000 by default), or to open a device with."
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="X", help="How fast a file is played: 4 is four times its speed, inf the fastest.")
    ] = 1.0,
    array: ArrayOption = None,
    method: MethodOption = "physics-vae",
    model: ModelOption = None,
    channels: ChannelsOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    smoothing: Annotated[
        str,
        typer.Option(metavar="WAY", help="How frames are joined: filter (each given the earlier ones) or none."),
    ] = "filter",
    features: FeaturesOption = None,
    look_ahead: Annotated[
        bool,
        typer.Option("--look-ahead", help="Wait for later sound, seconds of it, as 'track --smoothing filter' does."),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per frame and event to standard output.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve a page with direction, uncertainty and history at --address.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where --serve listens: 127.0.0.1:8765 by default, which only this machine reaches. Port 0 is any.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name under which browsers may open the page; can be repeated."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.0, metavar="S", help="Stop after so many seconds of sound.")
    ] = None,
    reconnect: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="For how long a device that went away is waited for.")
    ] = 60.0,
) -> None:
    """Follow the source while the sound comes: from a device, a file at its own speed, or a pipe.

    Shows a line in the terminal, writes JSON lines (--json) or serves a web page (--serve). Lost or late sound is told,
    and time goes on: a frame's time is that of its sound. Ctrl-C ends it with the last frames.
    """
    told = _Told()
    with running(told.words):
        from doatrack.cli._live_sources import LiveInput, print_devices

        if list_devices:
            print_devices()
            return
        wanted = LiveInput(source, device, pcm, n_channels, rate, speed, reconnect)
        way = _parse_joining(smoothing)
        from doatrack.audio import parse_channels
        from doatrack.cli._trackers import Trackers
        from doatrack.live import follow

        picked = None if channels is None else parse_channels(channels)
        beside = array_beside(pathlib.Path(source)) if source is not None and wanted.is_file else None
        given = beside if array is None else resolve_array(array)
        session = _session(Trackers(method, model, azimuth, elevation, features).for_array(given), way, look_ahead)
        needed = session.n_mics if picked is None else max(picked) + 1
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(wanted.open(needed))
            outputs: list[Output] = [told, *_outputs(stack, json)]
            if serve or address is not None:
                server = stack.enter_context(_server(address, allow_host or []))
                say(f"The page is at {server.url}")
                outputs.append(server)
            stop = stack.enter_context(_stopping())
            follow(opened, session, outputs, channels=picked, stop=stop, duration_s=duration)
        if stop.is_set():
            raise KeyboardInterrupt


class _Told:
    """Count frames, for the last words after Ctrl-C."""

    def __init__(self) -> None:
        self._n_frames = 0

    def __call__(self, message: "LiveFrame | LiveEvent") -> None:
        self._n_frames += hasattr(message, "doa")

    def words(self) -> str:
        return f"All {self._n_frames} frames heard until then are written."


def _parse_joining(text: str) -> "Smoothing":
    if text == "smoother":
        raise InvalidInputError("--smoothing smoother needs the whole recording. Live, it is filter or none.")
    return parse_smoothing(text)


def _session(tracker: Any, way: "Smoothing", look_ahead: bool) -> Any:
    """Return a stream that waits for later sound only if that is wanted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LookAheadWarning)  # it was asked for
        return tracker.set_params(causal=not look_ahead).stream(smoothing=way)


def _outputs(stack: contextlib.ExitStack, json: bool) -> "list[Output]":
    from doatrack.cli._live_outputs import JsonLines, LiveLine, PlainLines, say_event

    if json:
        return [JsonLines(), say_event]
    if sys.stdout.isatty():
        return [stack.enter_context(LiveLine())]
    return [PlainLines(), say_event]


def _server(address: str | None, names: Sequence[str]) -> "LiveServer":
    from doatrack.live import LiveServer
    from doatrack.live.address import DEFAULT_ADDRESS, is_loopback, parse_address

    host, port = parse_address(DEFAULT_ADDRESS if address is None else address)
    if not is_loopback(host):
        say(
            f"Warning: everybody who reaches this machine at {host} can see the track (no sound is sent). Without "
            "--address only this machine can."
        )
    return LiveServer(host, port, names)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Turn Ctrl-C and a polite end (SIGTERM) into a flag, once; a second Ctrl-C breaks off."""
    stop = threading.Event()

    def ask(number: int, _: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
