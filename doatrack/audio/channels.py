"""Which channels of a device are the microphones."""

import re
from collections.abc import Sequence

from doatrack._validation import check_int
from doatrack.exceptions import InvalidInputError

__all__ = ["check_channels", "parse_channels"]

_MOST_CHANNELS = 1024  # as many as a sound file can have


def parse_channels(text: str) -> tuple[int, ...]:
    """Turn the channels of a command line, counted from 1, into indices, counted from 0.

    Parameters
    ----------
    text : str
        Numbers and ranges with commas between them, such as "1-4" or "2,3,5-6"; the order is kept.

    Returns
    -------
    tuple of int
        Indices counted from 0, as `channels=` takes them.

    Raises
    ------
    InvalidInputError
        On anything else, on a channel 0, or on one that is named twice.

    Examples
    --------
    >>> parse_channels("1-4")
    (0, 1, 2, 3)
    >>> parse_channels("6, 2-3")
    (5, 1, 2)
    """
    chosen: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", part, flags=re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= _MOST_CHANNELS:
            raise InvalidInputError(
                f"channels must be numbers from 1 to {_MOST_CHANNELS} or ranges of them, such as 1-4 or 2,3,5-6, "
                f"got {text!r}."
            )
        chosen.extend(range(first - 1, last))
    return check_channels(chosen)


def check_channels(channels: Sequence[int]) -> tuple[int, ...]:
    """Return indices of channels, counted from 0, if each is one and none comes twice.

    Raises
    ------
    InvalidInputError
        On an empty sequence, an index that is negative or no whole number, or one that comes twice.

    Examples
    --------
    >>> check_channels([2, 0])
    (2, 0)
    """
    if isinstance(channels, str):
        raise InvalidInputError(
            f"channels must be a sequence of indices counted from 0, got the text {channels!r}. "
            "Turn it into indices with doatrack.audio.parse_channels."
        )
    chosen = tuple(check_int("channel", channel, 0, _MOST_CHANNELS - 1) for channel in channels)
    if not chosen:
        raise InvalidInputError("channels must name at least one channel, got an empty sequence.")
    if len(set(chosen)) < len(chosen):
        twice = next(channel for channel in chosen if chosen.count(channel) > 1)
        raise InvalidInputError(
            f"channels must name each channel once, got channel {twice} (counted from 0; {twice + 1} from 1) twice."
        )
    return chosen
