"""Callers over WebSocket: a connection, and sessions of one frame in and many out, one after the other."""

import asyncio
import time
from typing import cast

from benchmarks.callers import frames
from benchmarks.callers.orders import HOST, Order
from benchmarks.callers.tally import Tally

_HEAD_END = b"\r\n\r\n"
_RIGHT = b"HTTP/1.1 101"


class Socket(asyncio.Protocol):
    """A connection that is opened, carries text and is closed by both sides, as RFC 6455 wants it."""

    def __init__(self, order: Order, tally: Tally, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self._upgrade = frames.upgrade(order.request.path, f"{HOST}:{order.port}")
        self._tally = tally
        self._reader = frames.Reader()
        self._head: bytes | None = b""
        self._transport: asyncio.Transport | None = None
        self._has_left = False

    def opened(self) -> None:
        """The server agreed."""
        raise NotImplementedError

    def received(self, text: bytes, now: float) -> None:
        """A message came."""
        raise NotImplementedError

    def closed(self) -> None:
        """The connection is gone, for whatever reason: count what is missing."""
        raise NotImplementedError

    def send(self, frame: bytes) -> None:
        """Write a whole frame."""
        assert self._transport
        self._transport.write(frame)

    def leave(self) -> None:
        """Ask the server to close, or agree to it."""
        if not self._has_left:
            self._has_left = True
            self.send(frames.written(frames.CLOSE, frames.NORMAL))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._transport.write(self._upgrade)

    def data_received(self, data: bytes) -> None:
        """The head of the answer first, then frames."""
        if self._head is not None:
            self._head += data
            if _HEAD_END not in self._head:
                return
            head, _, data = self._head.partition(_HEAD_END)
            self._head = None
            if not head.startswith(_RIGHT):
                self._refuse()
                return
            self.opened()
        now = time.perf_counter()
        for opcode, payload in self._reader.feed(data):
            self._take(opcode, payload, now)

    def connection_lost(self, _error: Exception | None) -> None:
        """Both have closed, or something broke."""
        self.closed()
        if not self.ended.done():
            self.ended.set_result(None)

    def _refuse(self) -> None:
        self._tally.refused += 1
        assert self._transport
        self._transport.close()

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == frames.TEXT:
            self.received(payload, now)
        elif opcode == frames.PING:
            self.send(frames.written(frames.PONG, payload))
        elif opcode == frames.CLOSE:
            self.leave()
            # A server waits for its client to hang up only for so long; a caller does not wait for that.
            assert self._transport
            self._transport.close()


async def call(order: Order, tally: Tally) -> None:
    """One session after the other until the time is over."""
    loop = asyncio.get_running_loop()
    while tally.is_open:
        session = Session(order, tally, loop.create_future())
        try:
            await loop.create_connection(lambda session=session: session, HOST, order.port)  # type: ignore[misc]
        except OSError:
            tally.broken += 1
            return
        await session.ended


class Session(Socket):
    """One frame in; pieces out, until the server closes or says that this was the last."""

    def __init__(self, order: Order, tally: Tally, ended: asyncio.Future[None]) -> None:
        super().__init__(order, tally, ended)
        self._frame = frames.written(frames.TEXT, order.request.body)
        self._stream = order.stream
        self._pieces = 0
        self._start = 0.0

    def opened(self) -> None:
        """Send the one frame; the clock starts here."""
        self._start = time.perf_counter()
        self.send(self._frame)

    def received(self, text: bytes, now: float) -> None:
        """Count a piece; leave after the end."""
        if self._stream.mark in text:
            if not self._pieces:
                self._tally.delays.append(now - self._start)
            self._pieces += 1
            self._tally.count(1, now)
        if self._stream.is_end(text):
            self.leave()

    def closed(self) -> None:
        """A session that was opened must have had all its pieces."""
        if self._start and self._pieces != self._stream.pieces:
            self._tally.broken += 1
