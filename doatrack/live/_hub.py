"""The clients of the page: each has a bounded queue, and none can hold up another or the tracker."""

import asyncio
import collections
import contextlib
from collections.abc import Awaitable, Callable

__all__ = ["Client", "Hub"]

_QUEUE = 128  # messages that wait for one client: some 25 s of frames
_FRAMES, _EVENTS = 600, 50  # what a new client is told of the past


class Client:
    """One reader: a queue and the way to get rid of it.

    Parameters
    ----------
    send, leave : coroutine functions
        Send a text; say goodbye.
    abort : callable
        Cuts the connection at once, without waiting for the other side.
    """

    def __init__(
        self, send: Callable[[str], Awaitable[None]], leave: Callable[[], Awaitable[object]], abort: Callable[[], None]
    ) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue(_QUEUE)
        self._send, self._leave, self._abort = send, leave, abort

    def put(self, text: str) -> bool:
        """Add a message; a client whose queue is full is cut off, and False returned."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.cut()
            return False
        return True

    def cut(self) -> None:
        """End the connection at once."""
        self._abort()

    async def write(self) -> None:
        """Send what is put, for as long as the client takes it."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await self._send(await self._queue.get())
                self._queue.task_done()

    async def finish(self) -> None:
        """Send what is left and say goodbye."""
        await self._queue.join()
        await self._leave()


class Hub:
    """What is told to every client, and what a new one is told of the past. Lives in one event loop.

    Parameters
    ----------
    most : int
        Clients at a time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.clients: set[Client] = set()
        self.n_dropped = 0
        self._frames: collections.deque[str] = collections.deque(maxlen=_FRAMES)
        self._events: collections.deque[str] = collections.deque(maxlen=_EVENTS)
        self._start = ""
        self._n_frames, self._lost_s = 0, 0.0

    @property
    def is_full(self) -> bool:
        """Whether no more clients are taken."""
        return len(self.clients) >= self.most

    def add(self, client: Client) -> None:
        """Take a client and tell it the past as one message."""
        events = ", ".join([self._start, *self._events] if self._start else self._events)
        past = f'{{"type": "history", "n_frames": {self._n_frames}, "lost_s": {self._lost_s:.6f}, '
        client.put(f'{past}"events": [{events}], "frames": [{", ".join(self._frames)}]}}')
        self.clients.add(client)

    def publish(self, text: str, kind: str, lost_s: float = 0.0) -> None:
        """Tell a frame or an event, as JSON, to every client, and keep it."""
        if kind == "frame":
            self._frames.append(text)
            self._n_frames += 1
        elif kind == "start":
            self._start = text
        else:
            self._events.append(text)
            self._lost_s += lost_s
        for client in list(self.clients):
            if not client.put(text):
                self.clients.discard(client)
                self.n_dropped += 1

    async def finish(self, seconds: float) -> None:
        """Give the clients a little time to take what is left; those that do not are cut off."""
        waiting = [asyncio.ensure_future(client.finish()) for client in self.clients]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=seconds)
            for task in late:
                task.cancel()
        for client in list(self.clients):
            client.cut()
