"""The session table: every call that is with a worker, from its first frame to its one end.

    OPEN ──END──► OVER            the worker answered
      │  ──DROPPED──► OVER        user code never saw it
      │  ──link lost──► OVER      user code had seen it, or not: its slot in the shared page says
      └─cancel─► ABANDONED ──END, DROPPED, link lost──► OVER

A session is born with a stream number that only grows and a slot that is its own until it is over; so a slot is never
in two sessions' hands, and what a dead worker left in the page can be trusted. ABANDONED means that nobody waits any
more, while the worker still has the call: the seat counts as taken until the worker lets go of it.
"""

import asyncio
from collections import deque
from enum import Enum, auto
from typing import Final

from athena_serving.wire.messages import Call, Reply


class Ending(Enum):
    """How a session ended, where not by the worker's answer."""

    DROPPED = auto()  # user code never saw the call: it may go to another worker
    DIED = auto()  # user code had the call when the worker died


class Session:
    """One call at one worker. Replies are pushed in by the link and taken out by the call's coroutine."""

    __slots__ = ("_waiter", "call", "ending", "is_abandoned", "is_over", "replies", "slot", "stream")

    def __init__(self, call: Call, stream: int, slot: int) -> None:
        self.call = call
        self.stream = stream
        self.slot = slot
        self.is_over = False
        self.is_abandoned = False
        self.ending: Ending | None = None
        self.replies: deque[Reply] = deque()
        """Steps of the answer that nobody has taken yet."""
        self._waiter: asyncio.Future[None] | None = None

    def push(self, *replies: Reply) -> None:
        """Steps of the answer have come."""
        self.replies += replies
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def finish(self, ending: Ending) -> None:
        """The session ended without an answer."""
        self.ending = ending
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def changed(self) -> "asyncio.Future[None]":
        """Await it where there is neither a reply nor an ending: then there will be."""
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        return waiter


class Sessions:
    """The table of one worker."""

    def __init__(self, *, first_slot: int, window: int, after: int = 0) -> None:
        """Streams begin after `after`."""
        self._open: dict[int, Session] = {}
        self._free: Final = list(range(first_slot + window - 1, first_slot - 1, -1))
        self._stream = after

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_room(self) -> bool:
        """Is a slot of the window free?"""
        return bool(self._free)

    def open(self, call: Call) -> Session:
        """A call is about to be sent. Only while `has_room`."""
        self._stream = stream = self._stream + 1
        session = Session(call, stream, self._free.pop())
        self._open[stream] = session
        return session

    def get(self, stream: int) -> Session | None:
        """The session of a stream that is not over; None for one that is."""
        return self._open.get(stream)

    def close(self, session: Session) -> None:
        """The session is over; closing twice is refused, since its slot may be another's by then."""
        if session.is_over:
            raise RuntimeError(f"stream {session.stream} ended twice")
        session.is_over = True
        del self._open[session.stream]
        self._free.append(session.slot)

    def open_ones(self) -> list[Session]:
        """Every session that is not over, oldest first."""
        return list(self._open.values())
