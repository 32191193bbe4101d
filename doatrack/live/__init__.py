"""Tracking while the sound comes: devices, pipes and files played at their own speed; frames, events and a web page."""

from doatrack.live.chunk import Chunk, Source
from doatrack.live.clock import ClockMonitor
from doatrack.live.device import DeviceSource, list_devices
from doatrack.live.file import FileSource
from doatrack.live.follow import LiveSummary, follow
from doatrack.live.messages import LiveEvent, LiveFrame
from doatrack.live.pcm import PCM_FORMATS, PcmSource
from doatrack.live.server import LiveServer
from doatrack.live.wav import wav_source

__all__ = [
    "PCM_FORMATS",
    "Chunk",
    "ClockMonitor",
    "DeviceSource",
    "FileSource",
    "LiveEvent",
    "LiveFrame",
    "LiveServer",
    "LiveSummary",
    "PcmSource",
    "Source",
    "follow",
    "list_devices",
    "wav_source",
]
