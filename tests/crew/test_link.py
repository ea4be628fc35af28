"""A door's end of its links, on real socket pairs: the test plays the worker."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from athena_serving.crew.link import BIG, WorkerLink
from athena_serving.kit import descriptors, memory
from athena_serving.kit.memory import Shelf
from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Frame, Kind, Load, Splitter
from athena_serving.wire.messages import Call, Piece, Reply
from tests.kit.descriptors import open_descriptors
from tests.wire.calls import call

MAX = 1 << 20


class Ear:
    """Remembers what a link tells."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int]] = []
        """Kind and stream."""
        self.lost: list[bool] = []
        """`is_broken`, each time."""
        self._changed = asyncio.Event()

    def on_frame(self, frame: Frame) -> None:
        """One more."""
        self.frames.append((frame.kind, frame.stream))
        self._changed.set()

    def on_lost(self, *, is_broken: bool) -> None:
        """The end."""
        self.lost.append(is_broken)
        self._changed.set()

    async def until(self, *, count: int = 0, lost: int = 0) -> None:
        """Wait for so many frames and ends."""
        async with asyncio.timeout(10):
            while len(self.frames) < count or len(self.lost) < lost:
                self._changed.clear()
                await self._changed.wait()


class Worker:
    """The other ends: what was sent can be read, anything can be written."""

    def __init__(self) -> None:
        data, self.data = socket.socketpair()
        side, self.side = socket.socketpair()
        self.ear = Ear()
        self.link = WorkerLink(data, side, self.ear, max_frame=MAX)
        self.shelf = Shelf()
        self._splitter = Splitter(max_frame=1 << 27)
        self._arrived: list[int] = []

    async def read(self, count: int) -> list[Frame]:
        """So many frames; shared blocks are put on the shelf."""
        found: list[Frame] = []
        while len(found) < count:
            chunk, fds = await asyncio.to_thread(descriptors.receive, self.data, 1 << 18)
            assert chunk
            self._arrived += fds
            for frame in self._splitter.feed(chunk):
                if frame.kind == Kind.SHARE:
                    self.shelf.add(frame.stream, self._arrived.pop(0))
                else:
                    found.append(frame)
        return found

    async def read_call(self) -> Call:
        """The next call, with its data."""
        (frame,) = await self.read(1)
        return frames.read_begin(frame, now=0.0, read_block=self.shelf.take)

    def close(self) -> None:
        """End both."""
        self.data.close()
        self.side.close()


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    """A started link and the worker at its other end."""
    one = Worker()
    one.link.start()
    yield one
    one.link.close()
    one.close()


def answer(stream: int, *pieces: Piece, blocks: tuple[int, ...] = ()) -> bytes:
    """The frame of an answer."""
    return b"".join(frames.step(stream, Reply(list(pieces)), Load(), blocks=blocks))


# ── out ───────────────────────────────────────────────────────────────────────────────────────────


async def test_calls_arrive_in_order(worker: Worker) -> None:
    """Many that were sent in one turn of the loop, of which each is whole."""
    for number in range(1, 1501):
        worker.link.begin(number, number % 32, call(str(number), data=b"x" * (number % 50)))
    got = await worker.read(1500)
    assert [(frame.stream, frame.slot) for frame in got] == [(n, n % 32) for n in range(1, 1501)]
    assert [frames.read_begin(frame, now=0.0).sid for frame in got] == [str(n) for n in range(1, 1501)]


async def test_worker_that_does_not_read_stops_nobody(worker: Worker) -> None:
    """What it does not take waits, and arrives whole when it reads again."""
    for number in range(1, 101):
        worker.link.begin(number, 0, call(data=bytes(BIG - 1)))
    await asyncio.sleep(0)
    assert worker.link._is_blocked
    assert [frame.stream for frame in await worker.read(100)] == list(range(1, 101))
    worker.data.sendall(answer(1))
    await worker.ear.until(count=1)
    assert not worker.link._is_blocked


async def test_big_pieces_go_by_shared_memory(worker: Worker) -> None:
    """They never pass the socket; a block is used again once it is free."""
    small, big = Piece("small", data=b"x" * 100), Piece("big", data=os.urandom(BIG))
    for round_ in range(20):
        asked = call()
        asked.pieces = [small, big, small]
        worker.link.begin(round_ + 1, 0, asked)
        got = await worker.read_call()
        assert [bytes(piece.data) for piece in got.pieces] == [small.data, big.data, small.data]
    assert sum(block is not None for block in worker.link._pool._blocks) == 1


async def test_big_pieces_beyond_the_pool_go_by_the_socket(worker: Worker) -> None:
    """The worker has every block: nothing waits for one."""
    data = os.urandom(BIG)
    asked = call()
    asked.pieces = [Piece(str(number), data=data) for number in range(12)]
    worker.link.begin(1, 0, asked)
    got = await worker.read_call()
    assert [bytes(piece.data) for piece in got.pieces] == [data] * 12


async def test_without_shared_memory_data_go_by_the_socket(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so, once."""
    monkeypatch.delattr(os, "memfd_create")
    for number in (1, 2):
        worker.link.begin(number, 0, call(data=b"x" * BIG))
        assert bytes((await worker.read_call()).pieces[0].data) == b"x" * BIG
    assert worker.link._has_warned


async def test_cancellation_goes_by_the_side(worker: Worker) -> None:
    """Past whatever waits on the data link."""
    for number in range(1, 101):
        worker.link.begin(number, 0, call(data=bytes(BIG - 1)))
    worker.link.cancel(7, "the caller left")
    chunk = await asyncio.to_thread(worker.side.recv, 4096)
    (frame,) = Splitter(max_frame=MAX).feed(chunk)
    assert (frame.kind, frame.stream, frames.read_reason(frame)) == (Kind.CANCEL, 7, "the caller left")


async def test_cancellations_that_are_not_read_wait(worker: Worker) -> None:
    """They arrive whole when the worker's side thread reads again."""
    reason = "x" * 10_000
    for number in range(200):
        worker.link.cancel(number, reason)
    splitter, got = Splitter(max_frame=MAX), 0
    while got < 200:
        got += len(splitter.feed(await asyncio.to_thread(worker.side.recv, 1 << 16)))


# ── in ────────────────────────────────────────────────────────────────────────────────────────────


async def test_answers_are_told(worker: Worker) -> None:
    """From the data link and from the side, however they are cut."""
    data = answer(1) + answer(2)
    worker.data.sendall(data[:5])
    worker.side.sendall(frames.dropped(3))
    worker.data.sendall(data[5:])
    await worker.ear.until(count=3)
    assert sorted(worker.ear.frames) == [(Kind.END, 1), (Kind.END, 2), (Kind.DROPPED, 3)]


async def test_block_of_an_answer_is_read_and_given_back(worker: Worker) -> None:
    """A copy is ours; the block is the worker's again."""
    descriptor = memory.anonymous("block", memory.HEADER + 100)
    descriptors.send(
        worker.data, [frames.signal(Kind.SHARE, 2), answer(1, Piece("k", data=bytes(7)), blocks=(2,))], [descriptor]
    )
    os.pwrite(descriptor, b"\1", 0)
    os.pwrite(descriptor, b"content", memory.HEADER)
    await worker.ear.until(count=1)
    assert worker.link.take_block(2, 7) == b"content"
    assert os.pread(descriptor, 1, 0) == b"\0"
    os.close(descriptor)
    with pytest.raises(BadFrame, match="block 3, which is not here"):
        worker.link.take_block(3, 7)


async def test_dead_worker_is_told_after_its_last_words(worker: Worker) -> None:
    """What it wrote before it died counts."""
    worker.data.sendall(answer(1) + answer(2)[:-1])
    worker.close()
    await worker.ear.until(lost=1)
    assert (worker.ear.frames, worker.ear.lost) == ([(Kind.END, 1)], [False])
    worker.link.close()
    worker.link.cancel(1, "too late")
    assert worker.ear.lost == [False]


@pytest.mark.parametrize("way", ["begin", "cancel"])
async def test_last_words_count_when_the_death_is_noticed_in_writing(worker: Worker, way: str) -> None:
    """Else an answered call would be taken for one that user code never saw, and run again."""
    worker.data.sendall(answer(1))
    worker.close()
    if way == "begin":
        worker.link.begin(2, 0, call())
    else:
        worker.link.cancel(1, "the caller left")
    await worker.ear.until(lost=1)
    assert worker.ear.frames == [(Kind.END, 1)]


async def test_end_of_the_side_is_the_end(worker: Worker) -> None:
    """A worker without a side link could not be told anything."""
    worker.side.close()
    await worker.ear.until(lost=1)


@pytest.mark.parametrize("case", ["rubbish", "too big", "no descriptor", "no memory"])
async def test_broken_worker_is_not_listened_to(worker: Worker, case: str) -> None:
    """Whatever follows a bad frame would be read from the middle of something: it is not read at all."""
    end, other = os.pipe()
    bad = {
        "rubbish": b"\xff" * frames.HEADER.size,
        "too big": frames.HEADER.pack(MAX + 1, Kind.END, 0, 0, 1, 0),
        "no descriptor": frames.signal(Kind.SHARE, 0),
        "no memory": frames.signal(Kind.SHARE, 0),
    }[case]
    descriptors.send(worker.data, [bad], [end] if case == "no memory" else [])
    worker.data.sendall(answer(1))
    await worker.ear.until(lost=1)
    assert (worker.ear.frames, worker.ear.lost) == ([], [True])
    descriptors.close_all([end, other])


async def test_closed_link_keeps_no_descriptor(worker: Worker) -> None:
    """Neither its sockets nor its blocks nor what the worker had passed."""
    before = open_descriptors()
    worker.link.begin(1, 0, call(data=bytes(BIG)))
    await worker.read_call()
    block = memory.anonymous("block", 4096)
    descriptors.send(worker.data, [frames.signal(Kind.SHARE, 0)[:-1], b""], [block])
    os.close(block)
    worker.side.sendall(frames.dropped(1))
    await worker.ear.until(count=1)
    worker.link.close()
    worker.shelf = Shelf()
    assert open_descriptors() == before - 2
