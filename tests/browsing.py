"""A real browser that tests look at pages with: Chromium, driven by the Chrome DevTools Protocol over two pipes."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import chromium

_SECONDS = 60.0


class BrowserError(RuntimeError):
    """The browser refused a command, or did not answer in time."""


@dataclass
class Browser:
    """A running browser; `opened` opens a page in it."""

    folder: Path
    _to: int
    _from: int
    _rest: bytes = b""
    _number: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command, and give its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self.heard()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def heard(self) -> dict[str, Any]:
        """The next message; events are kept."""
        deadline = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._from, 1 << 20) if ready else b""
            if not piece:
                raise BrowserError("the browser says nothing any more")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message


@dataclass
class Page:
    """A page that is open."""

    browser: Browser
    session: str

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command about this page."""
        return self.browser.ask(method, self.session, **params)

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript in the page; a promise is waited for."""
        done = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise BrowserError(str(done["exceptionDetails"]))
        return done["result"].get("value")

    def events(self, *methods: str) -> list[dict[str, Any]]:
        """What happened in it so far."""
        self.evaluate("new Promise((done) => setTimeout(done, 0))")
        own = (event for event in self.browser.events if event.get("sessionId") == self.session)
        return [event["params"] for event in own if event["method"] in methods]

    def picture(self, path: Path) -> None:
        """Write what it looks like, all of it, as PNG."""
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Start a browser; it ends with the block.

    Raises:
        InstallationError: there is none, and none can be had.
    """
    folder = chromium.installed()
    (theirs_in, to), (of, theirs_out) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
    for end in (theirs_in, theirs_out):
        os.close(end)

    def placed() -> None:
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [str(chromium.program(folder)), *options, *quiet, f"--user-data-dir={folder / 'profile'}"],
        env=chromium.environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,  # Python's own are closed all the same
        preexec_fn=placed,  # noqa: PLW1509  # two system calls, which no thread's lock concerns
    )
    for end in ends:
        os.close(end)
    try:
        yield Browser(folder, to, of)
    finally:
        process.kill()
        process.wait()
        os.close(to)
        os.close(of)


@contextlib.contextmanager
def opened(browser: Browser, path: Path, *, width: int = 1280, dark: bool = False, script: bool = True,
           media: str = "") -> Iterator[Page]:  # fmt: skip
    """Open a file in a window of this width; it is closed with the block."""
    target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
    page = Page(browser, browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
    for domain in ("Page", "Runtime", "Network", "Log"):
        page.ask(f"{domain}.enable")
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    page.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
    page.ask("Emulation.setScriptExecutionDisabled", value=not script)
    page.ask("Page.navigate", url=path.resolve().as_uri())
    while not page.browser.events or not any(
        event["method"] == "Page.loadEventFired" and event.get("sessionId") == page.session for event in browser.events
    ):
        browser.heard()
    try:
        yield page
    finally:
        browser.ask("Target.closeTarget", targetId=target)
        browser.events.clear()
