"""A headless Chromium driven over its DevTools protocol: open a page, run JavaScript in it, take a picture.

All tests of a process share one Chromium; each has a profile of its own in it, which goes with the test.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

#: So long (s) a page is waited for: no test is run again, and a machine may be busy.
_PATIENCE = 120.0


def chromium() -> str | None:
    """Return Chromium's path, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """A Chromium of our own; ``port`` is its DevTools'."""

    def __init__(self) -> None:
        path = chromium()
        if path is None:
            raise FileNotFoundError("chromium")
        self._profile = Path(tempfile.mkdtemp(prefix="vigie-chromium-"))
        command = [path, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said, end = self._profile / "DevToolsActivePort", time.monotonic() + 180
        while not (said.exists() and said.read_text().strip()):
            if not self.runs or time.monotonic() > end:
                self.close()
                raise RuntimeError("Chromium did not start")
            time.sleep(0.05)
        self.port = int(said.read_text().split()[0])

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it and remove what it kept."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)


_running: list[Chromium] = []


def running() -> Chromium:
    """Return the Chromium of this process, started where there is none."""
    if not (_running and _running[0].runs):
        end()
        _running.append(Chromium())
    return _running[0]


def end() -> None:
    """End the Chromium of this process, if there is one."""
    while _running:
        _running.pop().close()


class NavigatedError(RuntimeError):
    """The page went elsewhere while an expression was evaluated: it has no value."""


# What Chromium says of an evaluation whose document was replaced meanwhile.
_WENT_ELSEWHERE = ("navigated or closed", "context was destroyed", "Cannot find default execution context", "Cannot find context")


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self.requests: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=_PATIENCE)
            if message.get("id") == number:
                if "error" in message:
                    gone = any(words in message["error"].get("message", "") for words in _WENT_ELSEWHERE)
                    raise (NavigatedError if gone else RuntimeError)(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"].get("exception", {}).get("description", params)))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    async def open(self, url: str, *, width: int = 1400, height: int = 1000, dark: bool = False) -> None:
        """Load a page in a window of that size."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        await self.theme(dark)
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && document.body !== null")

    async def theme(self, dark: bool) -> None:
        """Have the page by night, or by day."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression (promises are awaited)."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    async def act(self, expression: str) -> None:
        """Run JavaScript that may leave the page, as a click on a link does: no answer is waited for then."""
        with contextlib.suppress(NavigatedError):
            await self.run(expression)

    async def until(self, expression: str, seconds: float = _PATIENCE) -> Any:
        """Return the expression's value once it is truthy, whatever page is there by then; raise ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(NavigatedError):
                    if value := await self.run(expression):
                        return value
                await asyncio.sleep(0.05)

    async def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        text = {"text": "\r"} if key == "Enter" else {}  # without it nothing is pressed
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, **text, key=key, code=key, windowsVirtualKeyCode=code)

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save a PNG of the page."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Give a tab with a profile of its own: no cookie, storage or cache of another test's."""
    devtools = f"127.0.0.1:{(await asyncio.to_thread(running)).port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{devtools}/json/version") as answer:
            whole = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
        async with session.ws_connect(whole, max_msg_size=0) as control:
            chromium = Page(control)
            profile = (await chromium.call("Target.createBrowserContext"))["browserContextId"]
            try:
                tab = await chromium.call("Target.createTarget", url="about:blank", browserContextId=profile)
                async with session.ws_connect(f"ws://{devtools}/devtools/page/{tab['targetId']}", max_msg_size=0) as socket:
                    yield Page(socket)
            finally:
                await chromium.call("Target.disposeBrowserContext", browserContextId=profile)
