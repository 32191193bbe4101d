"""Who may read the page and its WebSocket: addresses, and the names under which a browser asks."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from doatrack.exceptions import InvalidInputError

__all__ = ["DEFAULT_ADDRESS", "DEFAULT_HOST", "DEFAULT_PORT", "Doors", "is_loopback", "parse_address"]

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
DEFAULT_ADDRESS = f"{DEFAULT_HOST}:{DEFAULT_PORT}"


def parse_address(text: str) -> tuple[str, int]:
    """Turn "HOST:PORT", "HOST", "PORT" or "[IPV6]:PORT" into host and port.

    Raises
    ------
    InvalidInputError
        On anything else.

    Examples
    --------
    >>> parse_address("0.0.0.0:9000"), parse_address("9000"), parse_address("[::1]")
    (('0.0.0.0', 9000), ('127.0.0.1', 9000), ('::1', 8765))
    """
    if re.fullmatch(r"\d{1,5}", text, flags=re.ASCII):
        text = f"{DEFAULT_HOST}:{text}"
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", text, flags=re.ASCII)
    port = int(match[2] or DEFAULT_PORT) if match else -1
    if match is None or not 0 <= port <= 65535:
        raise InvalidInputError(
            f"The address must be HOST:PORT, the port from 0 to 65535, such as 127.0.0.1:{DEFAULT_PORT}, got {text!r}."
        )
    return match[1].strip("[]"), port


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Doors:
    """Decide whether a request may be answered.

    A page of another site can make a browser connect to this machine. Its WebSocket names that site as `Origin`; and
    where it gets in through a name that it lets point here (DNS rebinding), as `Host`.

    Parameters
    ----------
    names : iterable of str
        Host names that are taken besides localhost, addresses of numbers and this machine's own name.

    Examples
    --------
    >>> doors = Doors(["robot.lan"])
    >>> doors.why_not("127.0.0.1:8765", "http://127.0.0.1:8765"), doors.why_not("robot.lan", None)
    ('', '')
    >>> doors.why_not("127.0.0.1:8765", "https://evil.example")
    'This is not for pages of https://evil.example.'
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local"} | {name.lower() for name in names}

    def why_not(self, host: str, origin: str | None) -> str:
        """Return why a request with such headers is refused, or an empty text."""
        name = self._host_name(host)
        if name is None or not self._is_known(name):
            return f"This is not known as {host[:100]!r}. Use an address of numbers, or allow the name: --allow-host."
        if origin is not None and not self._is_ours(origin, host):
            return f"This is not for pages of {origin[:100]}."
        return ""

    @staticmethod
    def _host_name(host: str) -> str | None:
        if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", host, flags=re.ASCII):
            return None
        try:
            return urlsplit(f"//{host}").hostname
        except ValueError:
            return None

    def _is_known(self, name: str) -> bool:
        if name.lower().rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    @staticmethod
    def _is_ours(origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
