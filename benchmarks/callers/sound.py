"""Paced sessions: each sends a frame every 40 ms, evenly spread, whatever the server does; and once-calls beside."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from benchmarks.callers import frames
from benchmarks.callers.orders import HOST, PATIENCE, Order, Request
from benchmarks.callers.sockets import Socket
from benchmarks.callers.tally import Tally

OPENING = 16
"""Connections that are opened at a time, so that the server's backlog is no part of the measurement."""
BESIDE_PACE = 0.010
"""Seconds between two once-calls."""
_HEAD_END = b"\r\n\r\n"


class Session(Socket):
    """Frames out when it is told to, echoes in, in the same order."""

    def __init__(self, order: Order, tally: Tally, ended: asyncio.Future[None], opening: asyncio.Future[None]) -> None:
        super().__init__(order, tally, ended)
        self._stream = order.stream
        self._first = frames.written(frames.TEXT, order.request.body)
        self._following = frames.written(frames.TEXT, order.stream.following)
        self._last = frames.written(frames.TEXT, order.stream.last)
        self._sent: deque[float] = deque()
        self._opening = opening
        self._is_begun = self._is_ended = False

    def opened(self) -> None:
        """It may be told to send now."""
        self._opening.set_result(None)

    def push(self) -> None:
        """Send the next frame."""
        self._write(self._following if self._is_begun else self._first)
        self._is_begun = True

    def finish(self) -> None:
        """Send the last frame."""
        self._write(self._last)

    def received(self, text: bytes, now: float) -> None:
        """An echo belongs to the oldest frame that has none."""
        if self._stream.mark in text and self._sent:
            self._tally.delays.append(now - self._sent.popleft())
            self._tally.count(1, now)
        if self._stream.is_end(text):
            self._is_ended = True
            self.leave()

    def closed(self) -> None:
        """Every frame must have come back, and the end have been said."""
        if not self._opening.done():
            self._opening.set_result(None)
        self._tally.broken += not (self._is_begun and self._is_ended and not self._sent)

    def _write(self, frame: bytes) -> None:
        if not self.ended.done():
            self._sent.append(time.perf_counter())
            self.send(frame)


async def run(order: Order, tally: Tally) -> Tally:
    """Open all sessions, feed them in turn until the time is over, end them; what came of the once-calls beside."""
    sessions = await _opened(order, tally)
    beside = Tally(order.seconds)
    until = tally.start()
    beside.start()
    async with asyncio.TaskGroup() as group:
        if order.beside:
            group.create_task(_ask(order.beside, order.port, beside), name="once-calls beside")
        group.create_task(_feed(sessions, order.pace, until, tally), name="pace")
    _, missing = await asyncio.wait([session.ended for session in sessions], timeout=PATIENCE)
    tally.late += len(missing)
    return beside


async def _opened(order: Order, tally: Tally) -> list[Session]:
    """All sessions, connected."""
    sessions: list[Session] = []
    while len(sessions) < order.connections:
        few = [_session(order, tally) for _ in range(min(OPENING, order.connections - len(sessions)))]
        sessions += await asyncio.gather(*few)
    return sessions


async def _session(order: Order, tally: Tally) -> Session:
    loop = asyncio.get_running_loop()
    opening = loop.create_future()
    session = Session(order, tally, loop.create_future(), opening)
    await loop.create_connection(lambda: session, HOST, order.port)
    await opening
    return session


async def _feed(sessions: Sequence[Session], pace: float, until: float, tally: Tally) -> None:
    """Each in turn, so that all have sent within the pace; at the end a last frame each, in the same turns.

    The loop's clock has ticks of a millisecond, so a few are sent together; how late each was is noted.
    """
    step, start, number = pace / len(sessions), time.perf_counter(), 0
    turns = max(1, round((until - start) / pace)) * len(sessions)
    while number < turns + len(sessions):
        now = time.perf_counter()
        while number < turns + len(sessions) and (due := start + number * step) <= now:
            session = sessions[number % len(sessions)]
            session.push() if number < turns else session.finish()
            tally.lags.append(time.perf_counter() - due)
            number += 1
        await asyncio.sleep(max(0.0, start + number * step - time.perf_counter()))


async def _ask(request: Request, port: int, tally: Tally) -> None:
    """One call every ten milliseconds, by the clock: a call that must wait for the one before it is as late as that."""
    reader, writer = await asyncio.open_connection(HOST, port)
    asked, due, ended = request.written(port), time.perf_counter(), 0.0
    while tally.is_open:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        # A timer that rings late is the caller's fault, a previous answer that came late is the server's.
        begin = time.perf_counter() if ended < due else due
        writer.write(asked)
        tally.refused += not await _is_right(reader)
        ended = time.perf_counter()
        tally.delays.append(ended - begin)
        tally.count(1, ended)
        due += BESIDE_PACE
    writer.close()


async def _is_right(reader: asyncio.StreamReader) -> bool:
    """Read an answer to its end; is it a 200?"""
    head = await reader.readuntil(_HEAD_END)
    fields = dict(line.lower().split(b":", 1) for line in head.splitlines()[1:] if b":" in line)
    await reader.readexactly(int(fields[b"content-length"]))
    return head.split(b" ", 2)[1] == b"200"
