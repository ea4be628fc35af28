"""WebSockets: sessions of frames, one a connection, or several that say which they are (http-api.md, chapter 7).

    Connection ── Line, one a `cid` ── Talk: a session of the wrapper's, or a call a frame where it has none

The connection reads frames and gives each to its line; while a line's worker is behind, nothing is read. Answers are
written as they come. A session that fails is told by an error frame; a connection of one session is closed after it.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from athena_serving.errors import (
    AthenaError,
    BadRequest,
    CallbackFailed,
    ReadFailed,
    SessionExpired,
)
from athena_serving.gateway.exchange import Message, Receive, Scope
from athena_serving.gateway.line import Line
from athena_serving.gateway.lobby import Lobby
from athena_serving.gateway.services import Service, Timing
from athena_serving.gateway.talk import Outcome
from athena_serving.gateway.ws import SEND_TEXTS
from athena_serving.wire import envelope
from athena_serving.wire.envelope import Given
from athena_serving.wire.session import StopReason

Send = Callable[[Message], Awaitable[None]]

NORMAL: Final = 1000
RESTART: Final = 1012
"""Service restart (the registry of RFC 6455 11.7)."""
LONGEST_REASON: Final = 123
"""Bytes of a close frame's reason (RFC 6455 5.5)."""
MOST_LINES: Final = 256
"""Sessions of one connection that are remembered; beyond it those that are over are forgotten."""
LEAST_IDLE: Final = 5.0
"""Seconds below which ASF does not take a shared connection's timeout seriously (http-api.md 7.7)."""
SHARED_IDLE: Final = 15.0
_PUSHED: Final = (ReadFailed.code, CallbackFailed.code)
"""Failures that ASF pushes as it pushes results: the connection stays open (http-api.md 7.3)."""


class Connection:
    """One WebSocket, accepted. `run` is its coroutine."""

    def __init__(self, lobby: Lobby, scope: Scope, receive: Receive, send: Send, service: Service) -> None:
        self._lobby = lobby
        self._scope = scope
        self._receive = receive
        self._send = send
        self._service = service
        query = parse_qs(scope["query_string"].decode("latin-1"))
        self.is_shared = query.get("stream_mode", [""])[0] == "multiplex"
        """Do frames say by `header.cid` which session they are of?"""
        self._lines: dict[str, Line] = {}
        self._is_closing = False
        self._is_retiring = False
        self._alarm: asyncio.TimerHandle | None = None
        self._moved = time.monotonic()

    async def run(self) -> None:
        """Serve until either side closes."""
        self._watch()
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                self._moved = time.monotonic()
                if not self._is_closing:
                    await self._take(message.get("bytes") or message.get("text", "").encode())
        finally:
            self._is_closing = True
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            await self._leave()
            self._lines.clear()  # which know us

    def retire(self) -> None:
        """Close as soon as no session is left."""
        self._is_retiring = True
        self._rest()

    # ── for lines ─────────────────────────────────────────────────────────────────────────────────

    async def write(self, *frames: bytes) -> None:
        """Send frames, once the peer takes them."""
        self._moved = time.monotonic()
        if self._is_closing:
            return
        try:
            await self._send({"type": SEND_TEXTS, "texts": frames})
        except OSError:  # the peer is gone, and whoever reads is about to hear of it
            self._is_closing = True

    async def conclude(self, line: Line, outcome: Outcome) -> None:
        """A session ended: tell the caller what it does not know yet."""
        self._moved = time.monotonic()
        error = outcome.error
        if error is not None and outcome.reason is not StopReason.CLIENT_LEFT:
            if outcome.reason is not StopReason.IDLE:
                await self.write(line.steps.encode_error(error))
            if not self.is_shared and error.code not in _PUSHED:
                await self.close(error.message)
        self._rest()

    async def close(self, reason: str, code: int = NORMAL) -> None:
        """Close with a reason, cut to what a close frame takes."""
        if not self._is_closing:
            self._is_closing = True
            text = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            with contextlib.suppress(OSError):  # the peer is gone
                await self._send({"type": "websocket.close", "code": code, "reason": text})

    # ── frames ────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, body: bytes) -> None:
        line: Line | None = None
        try:
            line, given = self._recall(body)
            if given is None:
                members, cid = envelope.open_frame(body, is_shared=self.is_shared)
                line = self._line(cid)
                is_taken = await line.take(members, body, is_shared=self.is_shared)
            elif line is not None:
                is_taken = await line.go_on(given)
            if line is not None and not is_taken:
                await self._refuse(line)
        except BadRequest as error:
            await self._fail(line, error if line is not None else _unread(error, is_shared=self.is_shared))
        except AthenaError as error:
            await self._fail(line, error)

    def _recall(self, body: bytes) -> tuple[Line | None, Given | None]:
        """The step in a frame that looks like one before it, and the session that it is of; None where it does not."""
        current = self._service.current
        if current is None:
            return None, None
        found = envelope.recall_frame(body, current.schema)
        line = None if found is None else self._lines.get(found[1])
        if found is None or line is None or not line.talks_by(current.schema):
            return None, None
        return line, found[0]

    def _line(self, cid: str) -> Line:
        """The session that a frame is of, made where there is none of its name."""
        line = self._lines.get(cid)
        if line is None:
            if len(self._lines) >= MOST_LINES:
                self._forget()
            line = self._lines[cid] = Line(self._lobby, self._scope, self._service, self, cid=cid or None)
        return line

    async def _refuse(self, line: Line) -> None:
        """A frame for a session that is over (http-api.md 7.3, 7.7)."""
        if self.is_shared and line.was_idle:
            raise SessionExpired("session read timeout #mu")
        if self.is_shared:
            raise SessionExpired("the session is over: begin another with a fresh cid")
        await self.close("the session is over")

    async def _fail(self, line: Line | None, error: AthenaError) -> None:
        """What came is no step of this service."""
        if line is None:
            line = Line(self._lobby, self._scope, self._service, self, cid=None)  # with a sid of its own
        if not self.is_shared:
            line.stop(StopReason.BAD_FRAME)
        line.count_refused(error)
        await self.write(line.steps.encode_error(error))
        if not self.is_shared:
            await self.close(error.message)

    # ── ends ──────────────────────────────────────────────────────────────────────────────────────

    def _rest(self) -> None:
        """Nothing is left to wait for: a connection that retires closes."""
        if self._is_retiring and not any(line.is_busy for line in self._lines.values()):
            self._lobby.own(self.close("the service is shutting down", RESTART))

    def _watch(self) -> None:
        """Close a connection on which nothing happens (http-api.md 7.6); sessions have clocks of their own."""
        now = time.monotonic()
        idle = self._idle()
        if any(line.is_busy for line in self._lines.values()):
            self._moved = now
        if now - self._moved >= idle:
            self._lobby.own(self.close("timeout" if self.is_shared else "time out"))
            return
        self._alarm = asyncio.get_running_loop().call_later(max(self._moved + idle - now, 0.01), self._watch)

    def _idle(self) -> float:
        timing: Timing | None = self._service.current.timing if self._service.current is not None else None
        idle = SHARED_IDLE if timing is None else timing.idle
        if self.is_shared and timing is not None and idle <= LEAST_IDLE:
            return SHARED_IDLE
        return idle

    def _forget(self) -> None:
        """Let go of sessions that are over, oldest first."""
        for key in [key for key, line in self._lines.items() if not line.is_busy]:
            del self._lines[key]

    async def _leave(self) -> None:
        """The peer is gone: end what it began."""
        for line in self._lines.values():
            line.stop(StopReason.CLIENT_LEFT)
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        if tasks:
            await asyncio.wait(tasks)


def _unread(error: BadRequest, *, is_shared: bool) -> BadRequest:
    """Words of ASF's for what is no JSON (http-api.md 7.4, 7.7)."""
    return BadRequest("parse request json error," if is_shared else "parse request json error", problems=error.problems)
