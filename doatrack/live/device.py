"""A sound device, by PortAudio."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int
from doatrack.exceptions import LiveAudioError
from doatrack.live.chunk import Chunk, Source
from doatrack.live.clock import ClockMonitor
from doatrack.live.feed import Feed
from doatrack.live.messages import LiveEvent

__all__ = ["DeviceSource", "import_sounddevice", "list_devices"]

_HELD_S = 10.0  # what may wait for the tracker before sound is left out
_SILENT_S = 1.0  # a device that gives nothing for so long is asked whether it still runs
_RETRY_S = 1.0
_VIRTUAL = 32  # channels that PulseAudio and ALSA's plug-ins offer for any device
_JUMP_S = 1.0  # such a step of the device's own clock is lost sound, whether it says so or not


def import_sounddevice() -> Any:
    """Return the module sounddevice, or say how to get it.

    Raises
    ------
    LiveAudioError
        If it is not installed, or the library PortAudio under it.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise LiveAudioError("A sound device needs sounddevice: pip install 'doatrack[live]'.") from error
    except OSError as error:
        raise LiveAudioError(
            f"A sound device needs PortAudio ({error}): on Debian and Ubuntu, apt-get install libportaudio2."
        ) from error
    return sounddevice


def list_devices(module: Any = None) -> list[tuple[int, str, int, float]]:
    """Return number, name, input channels and usual rate in Hz of each device that hears.

    Parameters
    ----------
    module : module, optional
        sounddevice, or what stands in for it.

    Raises
    ------
    LiveAudioError
        If sounddevice is not there, or fails.

    Examples
    --------
    >>> import types
    >>> found = [{"name": "Array", "max_input_channels": 6, "default_samplerate": 48000.0}]
    >>> list_devices(types.SimpleNamespace(query_devices=lambda: found, PortAudioError=OSError))
    [(0, 'Array', 6, 48000.0)]
    """
    sounddevice = import_sounddevice() if module is None else module
    try:
        devices = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise LiveAudioError(f"Sound devices cannot be listed: {error}") from error
    return [
        (k, str(device["name"]), int(device["max_input_channels"]), float(device["default_samplerate"]))
        for k, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


class DeviceSource(Source):
    """Sound from a device of this computer.

    Parameters
    ----------
    device : int or str, optional
        Number or part of the name, see `list_devices`; None is the system's usual input.
    n_channels : int, optional
        To open; None opens all that the device has, or `n_needed` of a virtual one that has as many as one likes.
    sample_rate : int, optional
        In Hz; None is the device's usual one.
    n_needed : int
        Channels that the tracker needs.
    reconnect_s : float
        For how long a device that went away is waited for; meanwhile time goes on.
    module : module, optional
        sounddevice, or what stands in for it.
    clock : callable
        Gives seconds, as `time.monotonic`.

    Raises
    ------
    LiveAudioError
        When it is entered: if sounddevice or the device is missing, or cannot be opened so. When it is read: if the
        device went away and did not come back.

    Notes
    -----
    Sound is taken by PortAudio's own thread and may wait ten seconds for the tracker; then it is left out and counted.
    Where PortAudio reports an overflow, its clock tells how much was lost. The rate is compared with the clock by
    `ClockMonitor`.

    Examples
    --------
    >>> import types
    >>> usual = {"name": "Array", "max_input_channels": 6, "default_samplerate": 48000.0}
    >>> stream = types.SimpleNamespace(start=lambda: None, close=lambda **_: None, active=True)
    >>> stand_in = types.SimpleNamespace(
    ...     query_devices=lambda device, kind: usual, InputStream=lambda **_: stream, PortAudioError=OSError
    ... )
    >>> with DeviceSource(module=stand_in) as source:
    ...     source.name, source.n_channels, source.sample_rate, source.read(0.0).n_samples
    ('Array', 6, 48000, 0)
    """

    def __init__(
        self,
        device: int | str | None = None,
        n_channels: int | None = None,
        sample_rate: int | None = None,
        n_needed: int = 1,
        reconnect_s: float = 60.0,
        module: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._wanted = n_channels, sample_rate
        self._n_needed = n_needed
        self._reconnect_s = reconnect_s
        self._module = module
        self._clock = clock
        self._stream: Any = None
        self._away_since: float | None = None

    def __enter__(self) -> "DeviceSource":
        self._sounddevice = import_sounddevice() if self._module is None else self._module
        self._find()
        self._feed = Feed(self.n_channels, self.sample_rate, _HELD_S, drops=True)
        self._n_heard = 0
        self._counted_until = self._last_try = self._clock()
        self._monitor = ClockMonitor(self.sample_rate)
        self._open()
        return self

    def _find(self) -> None:
        try:
            found = self._sounddevice.query_devices(self._device, "input")
        except (self._sounddevice.PortAudioError, ValueError) as error:
            listed = "; ".join(f"{k}: {name} ({n} channels)" for k, name, n, _ in list_devices(self._sounddevice))
            raise LiveAudioError(
                f"No such sound device ({error}). There are: {listed or 'none that hears'}. Choose one with --device."
            ) from error
        n_channels, sample_rate = self._wanted
        most = int(found["max_input_channels"])
        self.name = str(found["name"])
        usual = most if most < _VIRTUAL else self._n_needed
        self.n_channels = check_int("n_channels", usual if n_channels is None else n_channels, 1)
        rate = round(found["default_samplerate"]) if sample_rate is None else sample_rate
        self.sample_rate = check_int("sample_rate", rate, 1000)
        if self.n_channels > most:
            raise LiveAudioError(
                f"{self.name} has {most} channels, and {self.n_channels} were asked for. Choose another device with "
                "--device, or fewer channels."
            )

    def _open(self) -> None:
        """Open the stream; sound arrives in `_hear`, in another thread, from now on."""
        self._device_time = math.nan
        try:
            self._stream = self._sounddevice.InputStream(
                device=self._device,
                channels=self.n_channels,
                samplerate=self.sample_rate,
                dtype="float32",
                callback=self._hear,
            )
            self._stream.start()
        except (self._sounddevice.PortAudioError, ValueError) as error:
            self._shut()
            raise LiveAudioError(
                f"{self.name} cannot be opened with {self.n_channels} channels at {self.sample_rate} Hz: {error}. Does "
                "another program use it? Other rates: --rate 48000."
            ) from error

    def _hear(self, data: NDArray[np.float32], n: int, times: Any, status: Any) -> None:
        """Take a block from PortAudio: never wait, never fail."""
        now = self._clock()
        n_lost = self._lost_before(n, float(getattr(times, "inputBufferAdcTime", 0.0)), now, status.input_overflow)
        events: list[LiveEvent] = []
        if n_lost or status.input_overflow:
            lost_s = n_lost / self.sample_rate
            words = f"{lost_s:.3f} s of sound were lost" if n_lost else "less sound was lost than its clock can tell"
            events.append(LiveEvent("gap", f"{self.name} missed sound: {words}. Time goes on.", lost_s=lost_s))
        self._n_heard += n + n_lost
        self._counted_until = now
        events += self._monitor.heard(self._n_heard, now)
        self._feed.put(data.T.copy(), n_lost, tuple(events))  # PortAudio uses its memory again

    def _lost_before(self, n: int, device_time: float, now: float, overflow: bool) -> int:
        """Return how many samples are missing before a block, by the device's clock or else by ours."""
        length_s = n / self.sample_rate
        begin = device_time if device_time > 0 else now - length_s
        expected, self._device_time = self._device_time, begin + length_s
        if math.isnan(expected):  # the first block of a stream, which may have been opened anew
            late = now - length_s - self._counted_until if self._n_heard else 0.0
        else:
            late = begin - expected if overflow or begin - expected >= _JUMP_S else 0.0
        return max(0, round(late * self.sample_rate))

    def read(self, timeout_s: float) -> Chunk | None:
        """Return the next piece; while the device is away, how much time has gone by."""
        if self._away_since is not None and not self._feed.ended:
            return self._wait_for_device(timeout_s)
        chunk = self._feed.get(timeout_s)
        if chunk is None or chunk.n_samples or chunk.events or self._feed.ended:
            return chunk
        if self._clock() - self._counted_until < _SILENT_S and self._runs():
            return chunk
        return chunk if self._runs() else self._gone()

    def _runs(self) -> bool:
        try:
            return bool(self._stream.active)
        except self._sounddevice.PortAudioError:
            return False

    def _gone(self) -> Chunk:
        self._shut()
        self._away_since = self._clock()
        text = f"{self.name} is gone. Waiting {self._reconnect_s:g} s for it to come back; time goes on."
        return self._missing(LiveEvent("device", text))

    def _missing(self, *events: LiveEvent) -> Chunk:
        """Return the time that went by without a device as lost samples."""
        now = self._clock()
        n_lost = max(0, round((now - self._counted_until) * self.sample_rate))
        self._counted_until += n_lost / self.sample_rate
        self._n_heard += n_lost
        nothing = np.zeros((self.n_channels, 0), dtype=np.float32)
        return Chunk(nothing, n_lost, (*events, *self._missing_event(n_lost)))

    def _missing_event(self, n_lost: int) -> tuple[LiveEvent, ...]:
        lost_s = n_lost / self.sample_rate
        return (LiveEvent("gap", f"{lost_s:.3f} s without {self.name}.", lost_s=lost_s),) if n_lost else ()

    def _wait_for_device(self, timeout_s: float) -> Chunk:
        assert self._away_since is not None
        away_s = self._clock() - self._away_since
        if away_s > self._reconnect_s:
            raise LiveAudioError(f"{self.name} did not come back within {self._reconnect_s:g} s. Is it plugged in?")
        if self._clock() - self._last_try < _RETRY_S:
            time.sleep(min(timeout_s, _RETRY_S))
            return self._missing()
        self._last_try = self._clock()
        failures = (LiveAudioError, self._sounddevice.PortAudioError, ValueError)
        try:
            self._look_again()
        except failures:
            return self._missing()
        # counted before sound arrives in the other thread, which counts on from here; lost too if it cannot be opened
        missing = self._missing()
        self._monitor.restart()
        try:
            self._open()
        except failures:
            return missing
        self._away_since = None
        back = LiveEvent("device", f"{self.name} is back after {away_s:.1f} s.")
        return dataclasses.replace(missing, events=(back, *missing.events))

    def _look_again(self) -> None:
        """Let PortAudio list the devices anew, and see that ours is there; it never does so by itself."""
        for name in ("_terminate", "_initialize"):
            getattr(self._sounddevice, name, lambda: None)()
        found = self._sounddevice.query_devices(self._device, "input")
        if int(found["max_input_channels"]) < self.n_channels:
            raise LiveAudioError(f"{found['name']} has too few channels.")

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close(ignore_errors=True)
            except self._sounddevice.PortAudioError:
                return

    def close(self) -> None:
        """Stop listening."""
        self._shut()
        self._feed.close()
