"""Stand-ins at the borders of the crew: a link that only remembers, a member whose calls end when the test says so."""

import asyncio
from typing import Self

from athena_serving.crew.link import WorkerLink
from athena_serving.crew.member import Changed, Member
from athena_serving.crew.sessions import Ending
from athena_serving.wire import frames
from athena_serving.wire.frames import Frame, Load, Splitter
from athena_serving.wire.messages import Call, Reply, Send
from athena_serving.wire.page import Page

SLOTS = 64


def page() -> Page:
    """A page in memory of our own."""
    one = Page(memoryview(bytearray(1 << 14)))
    one.format(SLOTS)
    return one


def frame_of(data: bytes) -> Frame:
    """The single frame that these bytes are."""
    (frame,) = Splitter(max_frame=1 << 20).feed(data)
    return frame


def end(stream: int, reply: Reply | None = None) -> Frame:
    """The frame of an answer, by default a good and quick one."""
    return frame_of(b"".join(frames.step(stream, reply or Reply(user_us=1), Load())))


class FakeLink(WorkerLink):
    """Remembers what was sent."""

    def __init__(self) -> None:  # no sockets: nothing of the real one is wanted
        self.begun: list[tuple[int, int]] = []
        """Stream and slot of each call, in order."""
        self.cancelled: list[tuple[int, str]] = []
        self.error: Exception | None = None
        """What the next `begin` raises."""

    def begin(self, stream: int, slot: int, call: Call, *, at_once: bool = False) -> None:  # noqa: ARG002  # a link's
        """A call was sent."""
        if self.error is not None:
            raise self.error
        self.begun.append((stream, slot))

    def cancel(self, stream: int, reason: str) -> None:
        """A call was cancelled."""
        self.cancelled.append((stream, reason))

    def take_block(self, number: int, size: int) -> bytes:  # noqa: ARG002  # a link has it
        """A block of zeroes."""
        return bytes(size)


class FakeMember(Member):
    """Has real load, limits and states; its calls run until `end`."""

    def __init__(self, name: str, on_change: Changed, *, seats: int = 1) -> None:
        super().__init__(name, page(), seats=seats, window=seats, first_slot=0, on_change=on_change)
        self.calls: dict[str, asyncio.Future[Ending | None]] = {}
        """What runs, by sid, in the order it came."""

    async def serve(self, call: Call, send: Send) -> Ending | None:  # noqa: ARG002  # nothing is answered
        """Run until `end`, or until the test cancels the caller."""
        running: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        self.calls[call.sid] = running
        try:
            return await running
        finally:
            del self.calls[call.sid]
            self.load -= 1
            self._on_change(self)

    async def end(self, sid: str, ending: Ending | None = None) -> Self:
        """A call ends; return when everybody has heard of it."""
        self.calls[sid].set_result(ending)
        await settled()
        return self

    async def die(self, ending: Ending) -> None:
        """The worker dies under all its calls."""
        self.is_gone = True
        for running in self.calls.values():
            running.set_result(ending)
        self._on_change(self)
        await settled()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def no_taker(_: Reply) -> None:
    """A `Send` for answers that do not matter."""
