"""One request and its answer on HTTP/1.1: what the application calls `scope`, `receive` and `send`.

It stands in for uvicorn's object of the same role, on the path that every call takes, and does the same with fewer
system calls and objects: head and body of an answer leave in one write (a system call costs as much as all the Python
of a small answer), a body that came in one part is handed over as it came, one that came in many is copied once, and a
future is made only when there is something to wait for.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, cast

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
)
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from athena_serving.gateway.guard import Gate

log = logging.getLogger(__name__)

GATHER: Final = 1 << 19
"""Bytes of a body that are gathered before its application is woken: each waking costs as much as receiving 64 KiB."""

FAILED: Final = b'{"header":{"code":11502,"message":"internal error","sid":""}}'

Headers = Iterable[tuple[bytes, bytes]]


class Cycle:
    """From a request's head to its answer's last byte."""

    __slots__ = (
        "_default_lines",
        "_flow",
        "_head",
        "_is_chunked",
        "_is_taken",
        "_on_response",
        "_parts",
        "_tasks",
        "_to_come",
        "_transport",
        "_waiter",
        "disconnected",
        "gathered",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
        "task",
        "waiting_for_100_continue",
    )

    def __init__(
        self,
        scope: HTTPScope,
        transport: Gate,
        flow: FlowControl,
        default_lines: list[bytes],
        tasks: "set[asyncio.Task[None]]",
        on_response: Callable[[], None],
        *,
        keep_alive: bool,
        waiting_for_100_continue: bool,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = waiting_for_100_continue
        self.disconnected = False
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.gathered = 0
        """Bytes of the body that the application has not taken."""
        self.task: asyncio.Task[None] | None = None
        self._transport = transport
        self._flow = flow
        self._default_lines = default_lines
        self._tasks = tasks
        self._on_response = on_response
        self._parts: list[bytes] = []
        self._is_taken = False
        """Has the application been given the end of the body?"""
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        """The head of the answer, until it is written."""
        self._is_chunked = False
        self._to_come = 0
        """Bytes of the answer's body that its Content-Length still promises."""

    @property
    def has_written(self) -> bool:
        """Has the peer been sent anything of the answer?"""
        return self.response_started and not self._head

    def start(self, app: ASGI3Application, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application in a task that is in `tasks` while it lives."""
        self.task = task = loop.create_task(self._run(app))
        self._tasks.add(task)

    # ── what the protocol tells ───────────────────────────────────────────────────────────────────

    def gather(self, part: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(part)
        self.gathered += len(part)

    def wake(self) -> None:
        """There is something for `receive`: the body, its end, or that the peer is gone."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def disconnect(self) -> None:
        """The peer is gone."""
        if not self.response_complete:
            self.disconnected = True
        self.wake()

    # ── what the application calls ────────────────────────────────────────────────────────────────

    async def receive(self) -> ASGIReceiveEvent:
        """ASGI's receive."""
        if self.waiting_for_100_continue and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if self._flow.read_paused:
            self._flow.resume_reading()
        while not (self.disconnected or self.response_complete):
            if not self._is_taken and (not self.more_body or self.gathered > GATHER):
                parts, self._parts, self.gathered = self._parts, [], 0
                self._is_taken = not self.more_body
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return {"type": "http.disconnect"}

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI's send: keeps the head until the first part of the body is there."""
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        kind: str = message["type"]
        if not self.response_started and kind == "http.response.start":
            start = cast("HTTPResponseStartEvent", message)
            self._begin(start["status"], start.get("headers", ()))
        elif self.response_started and not self.response_complete and kind == "http.response.body":
            part = cast("HTTPResponseBodyEvent", message)
            self._continue(part.get("body", b""), more=part.get("more_body", False))
        else:
            raise RuntimeError(f"an unexpected {kind}")

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, app: ASGI3Application) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.disconnected):
                raise RuntimeError("the application returned before its answer was complete")
        except BaseException as error:  # the process's edge: whatever it is, the peer must hear
            self._fail(error)
        finally:
            self._on_response = _nothing
            if self.task is not None:
                self._tasks.discard(self.task)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            log.error("a request failed by our own fault", exc_info=error)
        if self.disconnected:
            return
        if self.response_started:
            self._transport.close()
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(FAILED)),
            (b"connection", b"close"),
        ]
        self._begin(500, headers)
        self._continue(FAILED, more=False)

    def _begin(self, status: int, headers: Headers) -> None:
        """Make the head; it is written with the first part of the body."""
        lines = [STATUS_LINE[status]]
        length, closes = -1, False
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, closes = False, True
            elif name == b"transfer-encoding":
                continue  # ours to say
            lines.append(b"%b: %b\r\n" % (name, value))
        count = len(lines)
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if length < 0 and self.scope["method"] != "HEAD" and status not in (204, 304):
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise RuntimeError(f"a line end inside one of {count} header lines")
        self._to_come = max(0, length)
        self._head = b"".join((head, *self._default_lines, b"\r\n"))
        self.response_started = True
        self.waiting_for_100_continue = False

    def _continue(self, body: bytes, *, more: bool) -> None:
        """Write a part of the body, and the head before the first."""
        parts = [self._head]
        self._head = b""
        if self.scope["method"] == "HEAD":
            self._to_come = 0
        elif not self._is_chunked:
            self._to_come -= len(body)
            if self._to_come < 0 or (self._to_come and not more):
                raise RuntimeError(f"the body differs from its Content-Length by {-self._to_come} bytes")
            parts.append(body)
        else:
            if body:
                parts += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                parts.append(b"0\r\n\r\n")
        data = b"".join(parts)
        if data:
            self._transport.write(data)
        if more:
            return
        self.response_complete = True
        self.wake()
        if not self.keep_alive:
            self._transport.close()
        self._on_response()


def _nothing() -> None:
    """The application has returned: its answer can no longer end."""
