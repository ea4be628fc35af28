"""One request and its answer on HTTP/1.1, with fewer system calls and copies than uvicorn's own.

A system call costs as much as all the Python of a small answer, so head and body leave in one write where uvicorn makes
two. A body that came in one part is handed over as it came; one of many parts is copied once.
"""

import re
from typing import Final, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_SAFE_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
"""A header's name, in lower case (RFC 9110 5.1)."""
_UNSAFE_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SAFE: Final = frozenset({b"date", b"content-type", b"content-length", b"x-request-id", b"retry-after", b"traceparent"})
"""Names that need no look."""


class Cycle(RequestResponseCycle):
    """Is made of uvicorn's object as soon as there is one (`become`)."""

    _head: bytes
    _parts: list[bytes]
    gathered: int
    """Bytes of the body that the application has not taken."""

    @property
    def has_written(self) -> bool:
        """Has the peer been sent anything of the answer?"""
        return self.response_started and not self._head

    @classmethod
    def become(cls, cycle: RequestResponseCycle) -> None:
        """Uvicorn makes its cycles by name; give this one our methods."""
        if not isinstance(cycle, cls):
            cycle.__class__ = cls
            cast("Cycle", cycle).begin()

    def begin(self) -> None:
        """What `__init__` would have done."""
        self._head = b""
        self._parts = []
        self.gathered = 0

    def gather(self, part: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(part)
        self.gathered += len(part)

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI's send: keeps the head until the first part of the body is there."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {message['type']}")
            self._head = self._make_head(message)
            self.response_started = True
            self.waiting_for_100_continue = False
        elif self.response_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"unexpected {message['type']}: the answer is complete, or has begun")
        else:
            self._send_body(message)

    async def receive(self) -> ASGIReceiveEvent:
        """ASGI's receive: what has come of the body."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if self.flow.read_paused:
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        parts, self._parts, self.gathered = self._parts, [], 0
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _make_head(self, message: HTTPResponseStartEvent) -> bytes:
        status = message["status"]
        parts = [STATUS_LINE[status]]
        closes = False
        for name, value in (*self.default_headers, *message.get("headers", ())):
            name = name.lower()  # noqa: PLW2901  # HTTP's names have no case
            if name not in _SAFE and not _SAFE_NAME.fullmatch(name):
                raise RuntimeError(f"invalid header name {name!r}")
            if _UNSAFE_VALUE.search(value):
                raise RuntimeError(f"invalid value of header {name!r}")
            if name == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length, self.chunked_encoding = int(value), False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length, self.chunked_encoding = 0, True
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, closes = False, True
            parts += (name, b": ", value, b"\r\n")
        if not self.keep_alive and not closes:
            parts.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _send_body(self, message: HTTPResponseBodyEvent) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        parts = [self._head]
        self._head = b""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif not self.chunked_encoding:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
            parts.append(body)
        else:
            if body:
                parts += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                parts.append(b"0\r\n\r\n")
        data = b"".join(parts)
        if data:
            self.transport.write(data)
        if more:
            return
        if self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
