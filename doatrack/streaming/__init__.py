"""Trackers fed with sound as it comes."""

from doatrack.streaming.stream import Stream

__all__ = ["Stream"]
