"""A worker without a process: an engine in a thread, doors that speak frames, a wrapper that waits for the test."""

import contextlib
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from athena_serving.kit import descriptors
from athena_serving.kit.memory import Pool, Shelf
from athena_serving.sdk import DataListCls, Response, ResponseData
from athena_serving.wire import frames
from athena_serving.wire.frames import Buffer, Frame, Kind, Splitter
from athena_serving.wire.messages import Call, Reply
from athena_serving.wire.page import Page
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.engine import Engine
from athena_serving.worker.link import DoorLink

PATIENCE = 10.0  # seconds
MAX_FRAME = 1 << 20
SERVICE = "service"


class Gated:
    """Tells that a call has begun, and answers with what it was sent when the test lets it."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        """Sids, in the order in which user code saw them."""
        self._gates = threading.Semaphore(0)

    def wrapperOnceExec(self, _params: dict[str, str], reqData: DataListCls, sid: str) -> Response:
        """One call; short waits, since an interruption comes between two steps of the interpreter."""
        self.begun.put(sid)
        while not self._gates.acquire(timeout=0.005):
            pass
        return Response([ResponseData("result", reqData.list[0].data if reqData.list else b"nothing")])

    def let(self, count: int = 1) -> None:
        """So many calls may go on."""
        self._gates.release(count)

    def next(self) -> str:
        """The sid of the next call that user code sees."""
        return self.begun.get(timeout=PATIENCE)


class Once:
    """A wrapper made of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.wrapperOnceExec = function


class FakeDoor:
    """Door `index` of a worker."""

    def __init__(self, index: int = 0) -> None:
        self.data, data = socket.socketpair()
        self.side, side = socket.socketpair()
        self.data.settimeout(PATIENCE)
        self.side.settimeout(PATIENCE)
        self.link = DoorLink(index, data, side, max_frame=MAX_FRAME)
        self.shelf = Shelf()
        self.shares: list[int] = []
        """Block numbers that the worker handed over, in order."""
        self._splitter, self._side_splitter = Splitter(max_frame=MAX_FRAME), Splitter(max_frame=MAX_FRAME)
        self._frames: deque[Frame] = deque()
        self._arrived: deque[int] = deque()

    def send(self, *parts: Buffer, fds: tuple[int, ...] = ()) -> None:
        """Write bytes in one piece."""
        descriptors.send(self.data, [b"".join(parts)], fds)

    def begin(self, *calls: Call, first: int = 1, slot: int = 0) -> None:
        """Send calls in one piece, as streams and slots that follow each other."""
        out: list[Buffer] = []
        for number, call in enumerate(calls):
            out += frames.begin(first + number, slot + number, call, now=time.monotonic())
        self.send(*out)

    def begin_shared(self, stream: int, call: Call, pool: Pool) -> None:
        """Send a call whose data stand in blocks."""
        out: list[Buffer] = []
        fds: list[int] = []
        blocks = []
        for piece in call.pieces:
            placed = pool.put(piece.data)
            assert placed is not None
            blocks.append(placed[0])
            if placed[1] is not None:
                out.append(frames.signal(Kind.SHARE, placed[0]))
                fds.append(placed[1])
        self.send(*out, *frames.begin(stream, 0, call, now=time.monotonic(), blocks=blocks), fds=tuple(fds))

    def read(self) -> Frame | None:
        """The next frame of an answer; None when the worker has closed the link."""
        while not self._frames:
            chunk, fds = descriptors.receive(self.data, 1 << 18)
            if not chunk:
                return None
            self._arrived.extend(fds)
            for frame in self._splitter.feed(chunk):
                if frame.kind == Kind.SHARE:
                    self.shelf.add(frame.stream, self._arrived.popleft())
                    self.shares.append(frame.stream)
                else:
                    self._frames.append(frame)
        return self._frames.popleft()

    def end(self) -> tuple[int, Reply]:
        """The next answer and its stream."""
        frame = self.read()
        assert frame is not None
        assert frame.kind == Kind.END
        return frame.stream, frames.read_step(frame, read_block=self.shelf.take)[0]

    def answer(self, stream: int) -> Reply:
        """The next answer, which must be that of this stream."""
        found, reply = self.end()
        assert found == stream
        return reply

    def streams(self, count: int) -> list[int]:
        """Streams of the next answers, in order."""
        return [self.end()[0] for _ in range(count)]

    def dropped(self) -> int:
        """The stream of the next DROPPED."""
        (frame,) = self._side_splitter.feed(self.side.recv(1 << 16))
        assert frame.kind == Kind.DROPPED
        return frame.stream

    def close(self) -> None:
        """The door dies."""
        self.data.close()
        self.side.close()


class Bench:
    """An engine that runs in a thread of its own, which it takes for the main thread."""

    def __init__(self, wrapper: object, *, seats: int = 1, window: int = 4, doors: int = 1) -> None:
        self.page = Page(memoryview(bytearray(1 << 16)))
        self.page.format(window * doors)
        self.engine = Engine(
            Adapter(wrapper, __file__), self.page, service=SERVICE, seats=seats, window=window, doors=doors
        )
        self._doors: list[FakeDoor] = []
        self._thread = threading.Thread(target=self.engine.run)
        self._thread.start()

    def door(self, index: int = 0) -> FakeDoor:
        """A door that is attached."""
        door = FakeDoor(index)
        self._doors.append(door)
        self.engine.attach(door.link)
        return door

    def counter(self, name: str) -> float:
        """A counter of the worker's."""
        return dict(self.page.counters())[f'{name}{{service="{SERVICE}"}}']

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what another thread does last, after all that can be waited for."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.001)

    def stop(self) -> None:
        """Let the engine end, with what it has."""
        self.engine.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        for door in self._doors:
            door.close()
            door.link.close()
            door.link.side.close()


echo: Final = Once(lambda _, req: Response([ResponseData("result", req.list[0].data if req.list else b"x")]))
"""Answers with what it was sent."""


@contextlib.contextmanager
def bench(wrapper: object, *, seats: int = 1, window: int = 4, doors: int = 1) -> Iterator[Bench]:
    """A running engine; stopped when left."""
    one = Bench(wrapper, seats=seats, window=window, doors=doors)
    try:
        yield one
    finally:
        one.stop()
