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
    array_for,
    chosen_channels,
    given_array,
    parse_smoothing,
)
from doatrack.cli._run import running, say
from doatrack.exceptions import InvalidInputError, LookAheadWarning

if TYPE_CHECKING:
    from doatrack.estimators._smoothing import Smoothing
    from doatrack.live import LiveEvent, LiveFrame, LiveServer, Source
    from doatrack.live.follow import Output

__all__ = ["run_live"]

_SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE|-]",
        help="A sound file, played at its own speed; or - for WAV on standard input. Without it: a sound device.",
    ),
]
_DeviceOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The sound device: its number or a part of its name; see --list-devices."),
]
_ListDevicesOption = Annotated[bool, typer.Option("--list-devices", help="List the sound devices and stop.")]
_PcmOption = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="Raw samples on standard input, with --rate and --n-channels: s16le, s24le, s32le, f32le, f64le, u8.",
    ),
]
_NChannelsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Channels of raw samples (by default as many as the array has microphones), or to open of a device "
        "(by default all).",
    ),
]
_RateOption = Annotated[
    int | None,
    typer.Option(
        min=1000, metavar="HZ", help="Sample rate of raw samples (16000 by default), or to open a device with."
    ),
]
_SpeedOption = Annotated[
    float, typer.Option(metavar="X", help="How fast a file is played: 4 is four times its speed, inf the fastest.")
]
_SmoothingOption = Annotated[
    str,
    typer.Option(metavar="WAY", help="How frames are joined: filter (each given the earlier ones) or none."),
]
_LookAheadOption = Annotated[
    bool,
    typer.Option("--look-ahead", help="Wait for later sound, seconds of it, as 'track --smoothing filter' does."),
]
_JsonOption = Annotated[
    bool, typer.Option("--json", help="Write one JSON object per frame and event to standard output.")
]
_ServeOption = Annotated[
    bool, typer.Option("--serve", help="Serve a page with direction, uncertainty and history at --address.")
]
_AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where --serve listens: 127.0.0.1:8765 by default, which only this machine reaches. Port 0 is any.",
    ),
]
_AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Another name under which browsers may open the page; can be repeated."),
]
_DurationOption = Annotated[
    float | None, typer.Option(min=0.0, metavar="S", help="Stop after so many seconds of sound.")
]
_ReconnectOption = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="S", help="For how long a device that went away is waited for; usually 60 s."),
]


def run_live(
    source: _SourceArgument = None,
    device: _DeviceOption = None,
    list_devices: _ListDevicesOption = False,
    pcm: _PcmOption = None,
    n_channels: _NChannelsOption = None,
    rate: _RateOption = None,
    speed: _SpeedOption = 1.0,
    array: ArrayOption = None,
    method: MethodOption = "physics-vae",
    model: ModelOption = None,
    channels: ChannelsOption = None,
    azimuth: AzimuthOption = None,
    elevation: ElevationOption = None,
    smoothing: _SmoothingOption = "filter",
    features: FeaturesOption = None,
    look_ahead: _LookAheadOption = False,
    json: _JsonOption = False,
    serve: _ServeOption = False,
    address: _AddressOption = None,
    allow_host: _AllowHostOption = None,
    duration: _DurationOption = None,
    reconnect: _ReconnectOption = None,
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
        if allow_host and not (serve or address is not None):
            raise InvalidInputError("--allow-host goes with --serve: without it there is no page.")
        way = _parse_joining(smoothing)
        picked = chosen_channels(channels)
        given = given_array(array)
        file = pathlib.Path(source) if source is not None and wanted.is_file else None
        if file is not None:
            given = array_for(file, given)
        from doatrack.cli._trackers import Trackers

        tracker = Trackers(method, model, azimuth, elevation, features).for_array(given, file)
        session = _session(tracker, way, look_ahead)
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(wanted.open(session.n_mics if picked is None else max(picked) + 1))
            outputs: list[Output] = [told, *_outputs(stack, json)]
            if serve or address is not None:
                outputs.append(_page(stack, address, allow_host or []))
            stopped = _follow(opened, session, outputs, picked, duration)
        if stopped:
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


def _follow(
    source: "Source", session: Any, outputs: "list[Output]", channels: Sequence[int] | None, duration_s: float | None
) -> bool:
    """Follow until the sound, the time or the user ends it; return whether the user did."""
    from doatrack.live import follow

    with _stopping() as stop:
        follow(source, session, outputs, channels=channels, stop=stop, duration_s=duration_s)
    return stop.is_set()


def _outputs(stack: contextlib.ExitStack, json: bool) -> "list[Output]":
    from doatrack.cli._live_outputs import JsonLines, LiveLine, PlainLines, say_event

    if json:
        return [JsonLines(), say_event]
    if sys.stdout.isatty():
        return [stack.enter_context(LiveLine())]
    return [PlainLines(), say_event]


def _page(stack: contextlib.ExitStack, address: str | None, names: Sequence[str]) -> "Output":
    server = stack.enter_context(_server(address, names))
    say(f"The page is at {server.url}")
    return server


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
