"""What all connections of a door share: the bounds, a transport that can tell a stalled peer, the words of a refusal.

The protocols (`http1`, `http2`, `engine.GuardedWebSocket`) build on it; none of it reads a clock by itself.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

import msgspec
from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    Scope,
)
from uvicorn.server import ServerState

from athena_serving.errors import AthenaError, CallerError, Unavailable
from athena_serving.settings import Limits

if TYPE_CHECKING:
    from uvicorn.server import Protocols  # exists for type checkers only

LEAST: Final = 1024
"""Bytes that a peer must move within a timeout, so that a byte a second does not count as life (reliability.md T18)."""


LINGER: Final = 10.0
"""Seconds that a peer which has its answer may go on sending, so that it gets to read it."""


class HeaderTooLarge(CallerError):
    """The request line and the headers, or the trailers, are over `limits.header`."""

    http = 431


class Guarded(Protocol):
    """A connection as the engine sees it."""

    gate: "Gate"

    def check(self, now: float) -> None:
        """Cut the peer if it is too slow; `now` is the loop's clock."""

    def retire(self) -> None:
        """Tell the peer at the next chance that this connection will not be kept."""

    def finish(self) -> None:
        """Close now if nothing is in progress, else when it has ended."""

    def cut(self) -> None:
        """Close now, whatever is in progress."""


class Connections(set[Guarded]):
    """The open connections; `emptied` is set each time the last one has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.emptied = asyncio.Event()

    def discard(self, connection: object) -> None:
        """Take out, if in."""
        super().discard(connection)
        if not self:
            self.emptied.set()

    def remove(self, connection: Guarded) -> None:
        """Take out."""
        super().remove(connection)
        if not self:
            self.emptied.set()


class DoorState(ServerState):
    """What all connections of this process share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.retiring = False
        self.default_lines: list[bytes] = []
        """`default_headers` as they are written."""
        self.guarded = Connections()
        self.connections = cast("set[Protocols]", self.guarded)

    def refusal(self, *, is_surplus: bool) -> Unavailable | None:
        """Why a new request is not let in; None if it is. `is_surplus`: on a connection beyond `limits.connections`."""
        if is_surplus:
            return Unavailable(f"too many open connections ({self.limits.connections})")
        if len(self.tasks) >= self.limits.requests:
            return Unavailable(f"too many open requests ({self.limits.requests})")
        return None


class Progress:
    """Tells a slow peer from one that stands still: fewer than LEAST bytes in the time allowed."""

    __slots__ = ("_at", "_count")

    def __init__(self) -> None:
        self._at: float | None = None
        self._count = 0

    def is_stalled(self, now: float, count: int, timeout: float) -> bool:
        """True if `count`, which only grows, stood still for `timeout` seconds; the first question starts the clock."""
        if self._at is None or count - self._count >= LEAST:
            self._at, self._count = now, count
        return now - self._at > timeout

    def reset(self) -> None:
        """Forget: the peer has nothing to do, or it is we who wait."""
        self._at = None


class Gate:
    """A transport that knows whether the peer takes what we write.

    Everything but the methods below is the transport's own, bound at the first use.
    """

    close: Callable[[], None]
    """The transport's; a protocol that has more to do before it closes puts its own here."""
    write: Callable[[bytes], None]
    is_leaving = False
    patience = 0.0

    def __init__(self, transport: asyncio.Transport) -> None:
        self.raw = transport
        self._taken = Progress()
        self._written = 0

    def __getattr__(self, name: str) -> object:
        found = getattr(self.raw, name)
        setattr(self, name, found)
        return found

    def is_closing(self) -> bool:
        """True if nothing more may be written."""
        return self.is_leaving or self.raw.is_closing()

    def leave(self, now: float) -> None:
        """Say that we are done; the protocol drops what still comes, until the peer closes or `patience` has run out.

        Closing while bytes of the peer lie unread makes the kernel send RST, and the peer's kernel may then throw
        away an answer that its user has not read yet.
        """
        self.is_leaving = True
        self.patience = now + LINGER
        if self.raw.can_write_eof():  # TLS cannot
            self.raw.write_eof()

    def reset(self) -> None:
        """Cut a peer that takes nothing, and let the kernel forget what it holds for it (SO_LINGER 0, socket(7))."""
        connection = self.raw.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.abort()

    def is_stalled(self, now: float, timeout: float) -> bool:
        """True if bytes wait here of which the peer took fewer than LEAST in `timeout` seconds."""
        waiting = self.raw.get_write_buffer_size()
        if not waiting:
            self._taken.reset()
            self.write = self.raw.write
            return False
        # Bytes are counted only while some wait: an ordinary answer never pays for it.
        self.write = self._count
        return self._taken.is_stalled(now, self._written - waiting - _unacknowledged(self.raw), timeout)

    def _count(self, data: bytes) -> None:
        self._written += len(data)
        self.raw.write(data)


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the kernel holds for the peer (SIOCOUTQ, tcp(7)); 0 where it does not say.

    Without it a reader of 10 KB/s would look stalled: the kernel takes no more from us until a third of its buffer,
    a megabyte or so, is free.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return 0
    try:
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int.from_bytes(queued, sys.byteorder)


def describe(error: AthenaError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and JSON body of the answer that says `error` (http-api.md 3.6)."""
    body = msgspec.json.encode({"header": {"code": error.code, "message": error.message, "sid": ""}})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if error.retry:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    return headers, body


def refusing(error: AthenaError, *, is_last: bool = False) -> ASGI3Application:
    """An application that answers every request with `error`; `is_last` closes the connection afterwards."""

    async def refuse(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers, body = describe(error)
        if is_last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": error.http, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse
