"""The system's Chromium for a test of a page, without a window.

    with Chromium() as browser, browser.tab(f"{server.url}/docs", language="zh-CN", is_dark=True) as page:
        page.get_by_text("服务").wait_for()

A tab fails the test if the page writes an error to its console, raises one, or asks any other host than the page's own.
Chromium writes one for each answer of 400 and more: a test that means to get such says `is_refused=True`.

The microphone is Chromium's own: it beeps once a second, or says what is in the WAV file `voice`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Route,
    WebSocket,
    sync_playwright,
)

from tests import debian

TIMEOUT: Final = 10_000  # milliseconds that the page may take for anything
FLAGS: Final = [
    "--no-sandbox",  # which Chromium does not have for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # which says yes
]
REFUSALS: Final = ("Failed to load resource: the server responded with", "WebSocket connection to")


class Chromium:
    """One browser for the tests of a module; each tab has a profile of its own."""

    def __init__(self, voice: Path | None = None) -> None:
        self._flags = [*FLAGS, *([f"--use-file-for-fake-audio-capture={voice}%noloop"] if voice else [])]
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        path = debian.program("chromium", "chromium")
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=path, args=self._flags)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()

    @contextmanager
    def tab(
        self,
        url: str,
        *,
        language: str = "en-US",
        is_dark: bool = False,
        width: int = 1400,
        height: int = 900,
        is_refused: bool = False,
    ) -> Iterator[Page]:
        """A page in a window of this size, loaded; may use the clipboard and the microphone."""
        assert self._browser is not None, "the browser was not started"
        context = self._browser.new_context(
            locale=language,
            color_scheme="dark" if is_dark else "light",
            viewport={"width": width, "height": height},
            permissions=["clipboard-read", "clipboard-write", "microphone"],
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT)
        try:
            complaints = _watch(context, host=urlsplit(url).netloc, is_refused=is_refused)
            page = context.new_page()
            page.goto(url)
            yield page
            if complaints:
                pytest.fail("the page: " + "; ".join(complaints))
        finally:
            context.close()


def _watch(context: BrowserContext, *, host: str, is_refused: bool) -> list[str]:
    """What the context's pages do wrong from now on."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if is_refused and message.text.startswith(REFUSALS):
            return
        if message.type in ("error", "warning", "assert"):
            complaints.append(f"{message.type}: {message.text}")

    def on_request(route: Route) -> None:
        if urlsplit(route.request.url).netloc in (host, ""):
            route.continue_()
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    def on_socket(socket: WebSocket) -> None:
        if urlsplit(socket.url).netloc != host:
            complaints.append(f"asked for {socket.url}")

    context.on("console", on_console)
    context.on("page", lambda page: page.on("websocket", on_socket))
    context.on("weberror", lambda one: complaints.append(f"raised: {one.error}"))
    context.route("**/*", on_request)
    return complaints
