"""A web page with the direction, its uncertainty and history, over a WebSocket."""

import asyncio
import base64
import functools
import hashlib
import importlib.resources
import re
import threading
from collections.abc import Sequence
from typing import Any

from doatrack._validation import check_int
from doatrack.exceptions import LiveAudioError
from doatrack.live._hub import Client, Hub
from doatrack.live.address import DEFAULT_HOST, DEFAULT_PORT, Doors
from doatrack.live.messages import LiveEvent, LiveFrame

__all__ = ["LiveServer"]

_HEARTBEAT_S = 15.0  # a client that does not answer in half of it is gone
_LONGEST_MESSAGE = 1024  # bytes that a client may send; nothing is expected
_LAST_WORDS_S = 1.0
_GOING_AWAY = 1001  # RFC 6455, 7.4.1


class LiveServer:
    """Serve the page and its frames from a thread of its own; an output for `follow`.

    Parameters
    ----------
    host : str
        Address to listen on. Others than the loopback address let other machines see the track (no sound is sent).
    port : int
        0 takes any that is free.
    allowed_hosts : sequence of str
        Names under which browsers may ask for it, besides localhost, addresses of numbers and this machine's name.
    most_clients : int
        Readers at a time.

    Raises
    ------
    LiveAudioError
        When it is entered, if aiohttp is not installed.
    OSError
        When it is entered, if the address is taken or not this machine's.

    Notes
    -----
    WebSocket connections of pages from elsewhere are refused (`Origin`, `Host`). Each client has a queue of bounded
    length: one that stops reading is cut off, and neither the tracker nor other clients wait for it. Programs read the
    same messages at `/ws`, as `--json` writes them; the first one holds the past.

    Examples
    --------
    >>> import urllib.request
    >>> with LiveServer(port=0) as server:
    ...     server(LiveFrame(0.128, (1.0, 0.0, 0.0), 0.0, 0.0, 5.0, 400.0, True))
    ...     "doatrack live" in urllib.request.urlopen(server.url).read().decode()
    True
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        allowed_hosts: Sequence[str] = (),
        most_clients: int = 32,
    ) -> None:
        self.host = host
        self.port = check_int("port", port, 0, 65535)
        self._doors = Doors([host, *allowed_hosts])
        self._hub = Hub(check_int("most_clients", most_clients, 1))
        self._ready = threading.Event()
        self._failure: Exception | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def n_clients(self) -> int:
        """Clients that are connected."""
        return len(self._hub.clients)

    @property
    def n_dropped(self) -> int:
        """Clients that were cut off because they did not read."""
        return self._hub.n_dropped

    def __enter__(self) -> "LiveServer":
        try:
            from aiohttp import web
        except ImportError as error:
            raise LiveAudioError("The web page needs aiohttp: pip install 'doatrack[live]'.") from error
        self._web: Any = web
        self._page, self._policy = _page()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="doatrack-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise OSError(f"The page cannot be served at {self.host}:{self.port}: {self._failure}") from self._failure
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._finished.set)
        self._thread.join()

    def __call__(self, message: LiveFrame | LiveEvent) -> None:
        """Tell every client a frame or an event; returns at once."""
        if isinstance(message, LiveFrame):
            told: tuple[str, str, float] = (message.to_json(), "frame", 0.0)
        else:
            told = (message.to_json(), message.kind, message.lost_s)
        self._loop.call_soon_threadsafe(self._hub.publish, *told)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001 - it goes on in the thread that waits for the start
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        web = self._web
        self._finished = asyncio.Event()
        app = web.Application()
        app.add_routes([web.get("/", self._answer_page), web.get("/ws", self._answer_socket)])
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_LAST_WORDS_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._finished.wait()
            await self._hub.finish(_LAST_WORDS_S)
        finally:
            await runner.cleanup()

    def _refusal(self, request: Any) -> Any:
        reason = self._doors.why_not(request.headers.get("Host", ""), request.headers.get("Origin"))
        return self._web.Response(status=403, text=reason + "\n") if reason else None

    async def _answer_page(self, request: Any) -> Any:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        headers = {
            "Content-Security-Policy": self._policy.replace("HOST", request.headers["Host"]),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        return self._web.Response(text=self._page, content_type="text/html", headers=headers)

    async def _answer_socket(self, request: Any) -> Any:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if self._hub.is_full:
            return self._web.Response(status=503, text=f"{self._hub.most} clients are connected already.\n")
        socket = self._web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=_LONGEST_MESSAGE, compress=False, writer_limit=1 << 14
        )
        await socket.prepare(request)
        client = Client(socket.send_str, functools.partial(socket.close, code=_GOING_AWAY), request.transport.abort)
        self._hub.add(client)
        writer = asyncio.ensure_future(client.write())
        try:
            async for _ in socket:
                pass  # nothing that a client says matters
        finally:
            self._hub.clients.discard(client)
            writer.cancel()
        return socket


def _page() -> tuple[str, str]:
    """Return the page and the policy that lets it run its own script, and nothing else."""
    text = importlib.resources.files("doatrack.live").joinpath("page.html").read_text(encoding="utf-8")
    hashes = {}
    for kind in ("script", "style"):
        match = re.search(f"<{kind}>(.*?)</{kind}>", text, flags=re.DOTALL)
        assert match is not None
        digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
        hashes[kind] = f"{kind}-src 'sha256-{digest}'"
    rules = ("default-src 'none'", *hashes.values(), "connect-src 'self' ws://HOST wss://HOST", "img-src data:")
    return text, "; ".join((*rules, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"))
