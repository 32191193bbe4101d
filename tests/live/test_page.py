"""The page in a real browser, headless, driven over its DevTools protocol."""

import asyncio
import base64
import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import time

import numpy as np
import pytest

from doatrack.live import LiveEvent, LiveServer

aiohttp = pytest.importorskip("aiohttp", reason="the page needs aiohttp, the extra 'live'")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (apt-get install chromium)")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")
FLAGS = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]


class Page:
    """One tab: commands, values of expressions, and what went wrong in it."""

    def __init__(self, socket):
        self._socket, self._n, self.complaints = socket, 0, []

    async def call(self, method, **parameters):
        self._n += 1
        await self._socket.send_json({"id": self._n, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=20)
            if answer.get("id") == self._n:
                assert "error" not in answer, answer
                return answer["result"]
            if answer["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(answer["params"]))

    async def value(self, expression):
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression, seconds=15.0):
        deadline = time.monotonic() + seconds
        while not await self.value(expression):
            assert time.monotonic() < deadline, f"{expression}: {await self.value('document.body.innerText')}"
            await asyncio.sleep(0.05)

    async def pixels(self, element):
        """Return what a canvas shows, (height, width, 4)."""
        image = pytest.importorskip("matplotlib.image")
        data = await self.value(f"document.getElementById('{element}').toDataURL()")
        return image.imread(io.BytesIO(base64.b64decode(data.partition(",")[2])))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser of its own, and the address of its DevTools."""
    folder = tmp_path_factory.mktemp("browser")
    line = [BROWSER, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    file, deadline = pathlib.Path(folder) / "DevToolsActivePort", time.monotonic() + 40
    while not (file.exists() and file.read_text().strip()):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.skip("Chromium does not start on this machine")
        time.sleep(0.05)
    yield f"http://127.0.0.1:{file.read_text().split()[0]}"
    process.terminate()
    process.wait(20)


@pytest.fixture
def in_page(browser):
    """Return a function that runs a coroutine function with a page that shows an address."""

    @contextlib.asynccontextmanager
    async def opened(url):
        async with aiohttp.ClientSession() as client:
            async with client.put(f"{browser}/json/new?about:blank") as answer:
                target = json.loads(await answer.text())
            async with client.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=url)
                await page.until("document.readyState === 'complete'")
                yield page
            await (await client.get(f"{browser}/json/close/{target['id']}")).read()

    def run(url, act):
        async def go():
            async with opened(url) as page:
                result = await act(page)
                return result, page.complaints

        return asyncio.run(go())

    return run


def start(server, source="Ring"):
    server(LiveEvent("start", f"Listening to {source}.", 0.0, values={"source": source, "latency_s": 0.448}))


def text(element):
    return f"document.getElementById('{element}').textContent"


def test_the_page_shows_direction_uncertainty_history_and_events(in_page, frame):
    with LiveServer(port=0) as server:
        start(server)
        for k in range(20):
            server(frame(time_s=0.128 + 0.192 * k))

        async def act(page):
            await page.until("document.body.dataset.frames === '20'")
            server(frame(time_s=3.968, azimuth_deg=-30.5, elevation_deg=12.0, doa=(0.84, -0.5, 0.21)))
            server(LiveEvent("gap", "0.500 s of sound were lost.", 4.0, 0.5))
            await page.until("document.body.dataset.frames === '21'")
            await page.until(f"{text('lost')} === '0.50 s'")
            shown = {name: await page.value(text(name)) for name in ("azimuth", "elevation", "cone", "words", "source")}
            sky, past = await page.pixels("skyview"), await page.pixels("history")
            return shown, await page.value(text("events")), sky, past

        (shown, events, sky, past), complaints = in_page(server.url, act)
    assert complaints == []
    assert shown["azimuth"] == "\u221230.5\u00b0"
    assert shown["elevation"] == "+12.0\u00b0"
    assert shown["cone"] == "\u00b15.0\u00b0"
    assert shown["words"] == "31\u00b0 to the right, 12\u00b0 up."
    assert shown["source"] == "Ring"
    assert "0:040.500 s of sound were lost." in events
    assert "Listening to Ring." in events
    assert past[..., 3].any()
    height, width = sky.shape[:2]
    blue = (sky[..., 2] > sky[..., 0] + 0.3) & (sky[..., 3] > 0.9)
    rows, columns = np.nonzero(blue)
    ahead = rows < height / 2 - 0.05 * height
    # the dot and the line to it lie ahead and to the right, as seen from above
    assert (columns[ahead] > width / 2).mean() > 0.9


def test_text_from_outside_stays_text(in_page, frame):
    nasty = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
    with LiveServer(port=0) as server:
        start(server, nasty)
        server(LiveEvent("gap", nasty, 1.0))
        server(LiveEvent('x" onclick="alert(1)', nasty, 1.0))
        server(frame())

        async def act(page):
            await page.until("document.body.dataset.frames === '1'")
            title = await page.value("document.title")
            n_elements = await page.value("document.querySelectorAll('#events img, #events script, #source *').length")
            return title, n_elements, await page.value(text("source"))

        (title, n_elements, source), complaints = in_page(server.url, act)
    assert (title, n_elements, source, complaints) == ("doatrack live", 0, nasty, [])


def test_unknown_values_and_silence_are_shown_as_such(in_page, frame):
    nothing = float("nan")
    with LiveServer(port=0) as server:
        server(frame(credible_angle_deg=nothing, doa=(nothing,) * 3, azimuth_deg=nothing, elevation_deg=nothing))

        async def act(page):
            await page.until("document.body.dataset.frames === '1'")
            unknown = [await page.value(text(name)) for name in ("azimuth", "elevation", "cone", "words")]
            server(frame(time_s=0.3, active=False))
            await page.until("document.body.dataset.frames === '2'")
            return unknown, await page.value("document.getElementById('now').dataset.active")

        (unknown, active), complaints = in_page(server.url, act)
    assert unknown == ["\u2013", "\u2013", "\u2013", "Nothing is heard."]
    assert (active, complaints) == ("no", [])


def test_the_page_connects_again_by_itself(in_page, frame):
    first = LiveServer(port=0).__enter__()
    start(first)
    first(frame())

    async def act(page):
        await page.until(f"{text('state')} === 'live'")
        first.__exit__()
        await page.until(f"{text('state')}.startsWith('connection lost')")
        with LiveServer(port=first.port) as second:
            start(second)
            for k in range(3):
                second(frame(time_s=k))
            await page.until("document.body.dataset.frames === '3'")
            await page.until(f"{text('state')} === 'live'")
            second(LiveEvent("end", "The sound ended.", 3.0))
            await page.until(f"{text('state')} === 'ended'")

    in_page(first.url, act)


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (800, 600), (360, 740)])
def test_nothing_overlaps_or_runs_out_of_the_window(in_page, frame, width, height):
    with LiveServer(port=0) as server:
        start(server, "A device with a very long name that goes on and on " * 3)
        for k in range(30):
            server(frame(time_s=k, azimuth_deg=-179.9, elevation_deg=-89.9, credible_angle_deg=178.8))

        async def act(page):
            await page.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            await page.until("document.body.dataset.frames === '30'")
            wide = await page.value("document.documentElement.scrollWidth")
            boxes = await page.value(
                "[...document.querySelectorAll('section, header')].map(e => {"
                "const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"
            )
            return wide, boxes

        (wide, boxes), complaints = in_page(server.url, act)
    assert complaints == []
    assert wide <= width
    for k, (left, top, right, bottom) in enumerate(boxes):
        assert right <= width + 0.5
        for other_left, other_top, other_right, other_bottom in boxes[:k]:
            apart = left >= other_right or right <= other_left or top >= other_bottom or bottom <= other_top
            assert apart


def test_dark_and_light_are_both_readable(in_page, frame):
    with LiveServer(port=0) as server:
        server(frame())

        async def act(page):
            colours = {}
            for scheme in ("light", "dark"):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                await page.call("Emulation.setEmulatedMedia", features=features)
                colours[scheme] = await page.value(
                    "[getComputedStyle(document.body).color, getComputedStyle(document.querySelector('section'))"
                    ".backgroundColor, getComputedStyle(document.querySelector('dt')).color]"
                )
            return colours

        colours, _ = in_page(server.url, act)
    for ink, ground, soft in colours.values():
        assert contrast(ink, ground) > 10
        assert contrast(soft, ground) > 4.5


def contrast(first, second):
    """Return the ratio of WCAG 2 between two colours "rgb(r, g, b)"."""
    levels = []
    for colour in (first, second):
        rgb = np.array([float(part) for part in colour.strip("rgb()").split(",")]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(levels) / min(levels)
