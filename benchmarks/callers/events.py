"""A caller of events: one request after the other on a connection that is kept."""

import asyncio
import time
from typing import cast

from benchmarks.callers.orders import HOST, Order
from benchmarks.callers.tally import Tally

_DONE = b"\n0\r\n\r\n"
"""Ends a chunked body (RFC 9112, 7.1): the last line feed of a chunk, then the empty chunk. No event has it inside."""
_RIGHT = b"HTTP/1.1 200"


async def call(order: Order, tally: Tally) -> None:
    """Call until the time is over; a connection that breaks is replaced."""
    loop = asyncio.get_running_loop()
    while tally.is_open:
        caller = Caller(order, tally, loop.create_future())
        try:
            await loop.create_connection(lambda caller=caller: caller, HOST, order.port)  # type: ignore[misc]
        except OSError:
            tally.broken += 1
            return
        await caller.ended


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, order: Order, tally: Tally, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self._request = order.request.written(order.port)
        self._mark, self._expected = order.stream.mark, order.stream.pieces
        self._tally = tally
        self._kept = max(len(self._mark), len(_DONE)) - 1
        self._transport: asyncio.Transport | None = None
        self._is_asked = False
        self._tail, self._pieces, self._start = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count, and ask again when an answer is whole."""
        now = time.perf_counter()
        if not self._tail and not data.startswith(_RIGHT):
            self._tally.refused += 1
            self._leave()
            return
        seen = self._tail + data
        found = seen.count(self._mark) - self._tail.count(self._mark)
        if found:
            self._tally.count(found, now)
            if not self._pieces:
                self._tally.delays.append(now - self._start)
            self._pieces += found
        if seen.endswith(_DONE):
            self._finish()
        else:
            self._tail = seen[-self._kept :]

    def connection_lost(self, _error: Exception | None) -> None:
        """Between two requests that is the server's right, in the midst of an answer it is not."""
        if self._is_asked:
            self._tally.broken += 1
        if not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._is_asked = True
        self._tail, self._pieces = b"", 0
        self._start = time.perf_counter()
        assert self._transport
        self._transport.write(self._request)

    def _finish(self) -> None:
        if self._pieces != self._expected:
            self._tally.broken += 1
        self._is_asked = False
        if self._tally.is_open:
            self._ask()
        else:
            self._leave()

    def _leave(self) -> None:
        self._is_asked = False
        assert self._transport
        self._transport.close()
