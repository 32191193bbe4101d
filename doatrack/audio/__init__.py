"""Sound from files: whole, in blocks, at the rate and with the channels that are wanted."""

from doatrack.audio.audio_file import AudioFile
from doatrack.audio.blocks import read_blocks
from doatrack.audio.channels import parse_channels
from doatrack.audio.read import AudioInfo, audio_info, read_audio
from doatrack.audio.recordings import Recordings

__all__ = ["AudioFile", "AudioInfo", "Recordings", "audio_info", "parse_channels", "read_audio", "read_blocks"]
