"""Whether a sound file holds all that its header promises: what the decoder itself does not notice."""

import os
import struct
import zlib
from typing import BinaryIO

__all__ = ["cut_off_reason", "damage_reason"]

_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)  # what writers to a pipe put where the size belongs
_LAST_PAGE = 2 * 65307  # bytes; an Ogg page is at most half of it


def cut_off_reason(path: str | os.PathLike[str]) -> str:
    """Say in words why a WAV, AIFF or Ogg file is known to be cut off; empty if nothing is amiss.

    The decoder reads such files silently as shorter ones. FLAC and others it notices itself.

    Parameters
    ----------
    path : path-like
        An existing file.

    Returns
    -------
    str
        A clause for a message, or an empty text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"RIFF" + struct.pack("<I", 1036) + b"WAVEdata" + struct.pack("<I", 1024) + bytes(600))
    ...     file.flush()
    ...     cut_off_reason(file.name)
    'its header promises 1024 bytes of samples, and 600 are there'
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return _missing_samples(file, "<4sI", b"data")
        if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            return _missing_samples(file, ">4sI", b"SSND")
        if head[:4] == b"OggS":
            return _missing_end(file)
    return ""


def _missing_samples(file: BinaryIO, layout: str, samples_name: bytes) -> str:
    """Walk over the chunks up to the one with the samples and compare its size with what is left."""
    size_of_file = os.fstat(file.fileno()).st_size
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack(layout, head)
        if name == samples_name:
            left = size_of_file - file.tell()
            if size > left and size not in _UNKNOWN_SIZES:
                return f"its header promises {size} bytes of samples, and {left} are there"
            return ""
        file.seek(size + size % 2, os.SEEK_CUR)  # chunks are padded to even sizes
    return ""


def _missing_end(file: BinaryIO) -> str:
    """Look for a complete last page of an Ogg stream, marked as such."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LAST_PAGE))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    n_segments = page[26] if len(page) > 26 else 256
    complete = len(page) >= 27 + n_segments and len(page) >= 27 + n_segments + sum(page[27 : 27 + n_segments])
    return "" if complete and page[5] & 4 else "its last page is missing or incomplete"


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def damage_reason(path: str | os.PathLike[str]) -> str:
    """Say in words which page of an Ogg file is damaged; empty if none is, and for other files.

    The decoder leaves damaged pages out, so that all that follows comes too early.

    Parameters
    ----------
    path : path-like
        An existing file.

    Returns
    -------
    str
        A clause for a message, or an empty text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"OggS" + bytes(40))
    ...     file.flush()
    ...     damage_reason(file.name)
    'its page at byte 0 does not fit its checksum'
    """
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return ""
        file.seek(0)
        while head := file.read(27):
            place = file.tell() - len(head)
            segments = file.read(head[26]) if len(head) == 27 else b""
            page = head[:22] + bytes(4) + head[26:] + segments + file.read(sum(segments))
            if head[:4] != b"OggS" or _ogg_checksum(page) != int.from_bytes(head[22:26], "little"):
                return f"its page at byte {place} does not fit its checksum"
    return ""


def _ogg_checksum(page: bytes) -> int:
    """Return the CRC-32 of Ogg: zlib's with the bits of each byte in reverse order, and neither complement."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
