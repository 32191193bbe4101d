"""The page and its WebSocket, by aiohttp's client and by bare sockets."""

import asyncio
import json
import re
import socket
import sys
import time

import pytest

from doatrack.exceptions import LiveAudioError
from doatrack.live import LiveEvent, LiveServer

aiohttp = pytest.importorskip("aiohttp", reason="the page needs aiohttp, the extra 'live'")


@pytest.fixture
def server():
    with LiveServer(port=0, most_clients=12) as running:
        yield running


def asked(server, path="", **headers):
    """Return status, text and headers of a page."""

    async def ask():
        async with aiohttp.ClientSession() as client, client.get(server.url + path, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers

    return asyncio.run(ask())


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(server):
    server(LiveEvent("start", "Listening.", 0.0, values={"source": "x"}))


async def listening(client, server, **headers):
    return await client.ws_connect(f"{server.url}ws", headers=headers)


def test_the_page_holds_everything_and_may_run_nothing_else(server):
    status, text, headers = asked(server)
    assert status == 200
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert "innerHTML" not in text
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f"ws://127.0.0.1:{server.port}" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert asked(server, "../doatrack/live/server.py")[0] == 404


def test_a_client_hears_the_past_and_then_every_frame_in_order(server, frame):
    async def run():
        start(server)
        for k in range(5):
            server(frame(time_s=k))
        server(LiveEvent("gap", "Lost.", 4.0, 0.5))
        async with aiohttp.ClientSession() as client:
            socket = await listening(client, server)
            past = await socket.receive_json(timeout=5)
            for k in range(5, 20):
                server(frame(time_s=k))
            later = [await socket.receive_json(timeout=5) for _ in range(15)]
            await socket.close()
        return past, later

    past, later = asyncio.run(run())
    assert past["type"] == "history"
    assert (past["n_frames"], past["lost_s"]) == (5, 0.5)
    assert [event["event"] for event in past["events"]] == ["start", "gap"]
    assert [row["time_s"] for row in past["frames"] + later] == list(range(20))


def test_the_past_is_bounded_but_its_start_is_kept(server, frame):
    start(server)
    for k in range(1500):
        server(frame(time_s=k))
        if k % 10 == 0:
            server(LiveEvent("drift", f"{k}"))

    async def run():
        async with aiohttp.ClientSession() as client:
            return await (await listening(client, server)).receive_json(timeout=5)

    past = asyncio.run(run())
    assert past["n_frames"] == 1500
    assert len(past["frames"]) == 600
    assert past["frames"][-1]["time_s"] == 1499
    assert len(past["events"]) == 51
    assert past["events"][0]["event"] == "start"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_pages_from_elsewhere_cannot_read_it(server, origin):
    async def run():
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await listening(client, server, Origin=origin)
            assert caught.value.status == 403

    asyncio.run(run())
    assert server.n_clients == 0


def test_a_name_that_points_here_is_refused_unless_it_is_allowed(server):
    status, text, _ = asked(server, Host="evil.example")
    assert status == 403
    assert "not known as 'evil.example'" in text
    with LiveServer(port=0, allowed_hosts=["robot.lan"]) as other:
        assert asked(other, Host="robot.lan")[0] == 200


def test_own_pages_can_read_it(server):
    async def run():
        async with aiohttp.ClientSession() as client:
            socket = await listening(client, server, Origin=server.url.rstrip("/"))
            await socket.receive_json(timeout=5)
            await socket.close()

    asyncio.run(run())


def test_many_clients_hear_the_same_and_one_too_many_is_told(server, frame):
    async def run():
        async with aiohttp.ClientSession() as client:
            sockets = [await listening(client, server) for _ in range(12)]
            for k in range(30):
                server(frame(time_s=k))
            heard = [[await one.receive_json(timeout=5) for _ in range(31)] for one in sockets]
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await listening(client, server)
            assert caught.value.status == 503
            for one in sockets:
                await one.close()
            return heard

    heard = asyncio.run(run())
    assert all(messages == heard[0] for messages in heard)
    until(lambda: server.n_clients == 0)


def deaf_client(server):
    """Connect by hand and never read."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", server.port))
    one.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return one


def test_a_client_that_stops_reading_is_cut_off_and_holds_up_nobody(server, frame):
    async def run():
        async with aiohttp.ClientSession() as client:
            good = await listening(client, server)
            await good.receive_json(timeout=5)
            deaf = deaf_client(server)
            until(lambda: server.n_clients == 2)
            slowest, n = 0.0, 0
            while server.n_dropped == 0:
                began = time.perf_counter()
                server(LiveEvent("drift", "x" * 60_000, float(n)))
                slowest = max(slowest, time.perf_counter() - began)
                assert json.loads((await good.receive(timeout=5)).data)["time_s"] == n
                n += 1
                assert n < 3000
            server(frame(time_s=-1))
            assert (await good.receive_json(timeout=5))["time_s"] == -1
            await good.close()
            deaf.close()
            return slowest

    assert asyncio.run(run()) < 2
    assert server.n_dropped == 1
    until(lambda: server.n_clients == 0)


def test_what_clients_say_does_not_matter_and_too_much_ends_them(server, frame):
    async def run():
        async with aiohttp.ClientSession() as client:
            one = await listening(client, server)
            await one.receive_json(timeout=5)
            await one.send_str("{}")
            await one.send_bytes(b"\0")
            server(frame(time_s=3))
            assert (await one.receive_json(timeout=5))["time_s"] == 3
            await one.send_str("x" * 5000)
            assert (await one.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    asyncio.run(run())


def test_the_last_words_reach_the_clients_before_it_goes(frame):
    server = LiveServer(port=0).__enter__()

    async def run():
        async with aiohttp.ClientSession() as client:
            one = await listening(client, server)
            await one.receive_json(timeout=5)
            server(frame(time_s=1))
            server(LiveEvent("end", "Stopped.", 2.0))
            leaving = asyncio.get_running_loop().run_in_executor(None, server.__exit__)
            heard = [await one.receive(timeout=5) for _ in range(3)]
            await one.close()
            await leaving
        return heard

    heard = asyncio.run(run())
    assert json.loads(heard[1].data)["message"] == "Stopped."
    assert heard[2].type == aiohttp.WSMsgType.CLOSE


def test_a_deaf_client_does_not_hold_up_the_end():
    began = time.monotonic()
    with LiveServer(port=0) as server:
        deaf = deaf_client(server)
        until(lambda: server.n_clients == 1)
        for _ in range(100):
            server(LiveEvent("drift", "x" * 60_000))
    deaf.close()
    assert time.monotonic() - began < 30


def test_an_address_that_is_taken_is_said(server):
    with pytest.raises(OSError, match=rf"cannot be served at 127.0.0.1:{server.port}: .*in use"):
        LiveServer(port=server.port).__enter__()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(LiveAudioError, match=r"pip install 'doatrack\[live\]'"):
        LiveServer(port=0).__enter__()
