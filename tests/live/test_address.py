import socket

import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.live.address import Doors, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("8000", ("127.0.0.1", 8000)),
        ("robot.local", ("robot.local", 8765)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "a:b", "::1", "1.2.3.4:70000", "http://a/", "a b:1", "host:", "[::1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInputError, match="The address must be HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("LOCALHOST", True), ("::", False), ("a.b", False)],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", None),
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("localhost:1", "http://LOCALHOST:1"),
        ("[::1]:8765", "http://[::1]:8765"),
        ("192.168.1.5:8765", "http://192.168.1.5:8765"),
        ("Robot.lan", "https://robot.lan"),
        (socket.gethostname(), None),
    ],
)
def test_own_pages_and_programs_may_enter(host, origin):
    assert Doors(["robot.lan"]).why_not(host, origin) == ""


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:9999"),
        ("127.0.0.1:8765", "http://localhost:8765"),
        ("127.0.0.1:8765", "null"),
        ("127.0.0.1:8765", "file://127.0.0.1:8765"),
        ("127.0.0.1:8765", "https://evil.example"),
        ("127.0.0.1:8765", ""),
        ("evil.example:8765", "http://evil.example:8765"),  # DNS that points here
        ("evil.example", None),
        ("127.0.0.1.evil.example", None),
        ("127.0.0.1; script-src *", None),
        ("a@127.0.0.1", None),
        ("[::1", None),
        ("", None),
    ],
)
def test_pages_from_elsewhere_may_not(host, origin):
    assert Doors(["robot.lan"]).why_not(host, origin) != ""
