# ruff: noqa: ARG002  # wrappers' methods have the parameters they have
"""Sessions in a worker: steps in and out in order, both bounded, and one destroy whatever happens in whatever order."""

import queue
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.sdk import (
    DataEnd,
    DataListCls,
    DataListNode,
    Response,
    ResponseData,
    SessionCreateResponse,
    WrapperBase,
    callback,
    current,
)
from athena_serving.wire import frames
from athena_serving.wire.frames import STEPS, Kind
from athena_serving.wire.messages import Call, Piece, Reply, Status, Step
from tests.wire.calls import call
from tests.worker.fakes import PATIENCE, FakeDoor, bench

NAME = "text"


def piece(text: str, status: int = Status.CONTINUE) -> Piece:
    """An input."""
    return Piece(NAME, 0, status, {}, text.encode())


def asked(*texts: str, last: bool = False) -> Call:
    """A session's first step."""
    one = call()
    one.pieces = [piece(text) for text in texts]
    one.is_session, one.last = True, last
    return one


class Door(FakeDoor):
    """A door that holds sessions."""

    def step(self, stream: int, *texts: str, last: bool = False) -> None:
        """Send a step."""
        self.send(*frames.given(stream, Step([piece(text) for text in texts], {}, last)))

    def control(self, frame: bytes) -> None:
        """What the orders thread would do about a frame of the side link."""
        self.side.sendall(frame)

    def replies(self, stream: int) -> list[Reply]:
        """All steps up to the end of this stream, which must be the next to end."""
        found: list[Reply] = []
        while True:
            frame = self.read()
            assert frame is not None
            assert frame.stream == stream
            if frame.kind == Kind.STEPS:
                found += frames.read_steps(frame)
                continue
            reply = frames.read_step(frame, read_block=self.shelf.take)[0]
            found.append(reply)
            if frame.kind == Kind.END:
                return found

    def texts(self, stream: int) -> list[str]:
        """Their data."""
        return [bytes(one.data).decode() for reply in self.replies(stream) for one in reply.pieces]


class Generator(WrapperBase):
    """Says back each piece, and what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    def wrapperStream(self, params: dict[str, str], pieces: Iterable[DataListNode]) -> Iterator[ResponseData]:
        """Each piece comes back."""
        context = current()
        self.begun.put(context.sid)
        try:
            for one in pieces:
                yield ResponseData(NAME, one.data)
        finally:
            self.ends.put((context.sid, context.cancelled))


class AsyncGenerator(WrapperBase):
    """The same, as coroutines."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def wrapperStream(self, params: dict[str, str], pieces: Any) -> AsyncIterator[ResponseData]:
        """Each piece comes back."""
        context = current()
        self.begun.put(context.sid)
        try:
            async for one in pieces:
                yield ResponseData(NAME, one.data)
        finally:
            self.ends.put((context.sid, context.cancelled))


class Classic(WrapperBase):
    """ASF's form, with callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    def wrapperCreate(self, params: dict[str, str], sid: str) -> SessionCreateResponse:
        """A session."""
        self.begun.put(sid)
        return SessionCreateResponse(f"handle of {sid}")

    def wrapperWrite(self, handle: str, datas: DataListCls, sid: str = "") -> int:
        """Each piece comes back; `end` is the last, whoever says so."""
        for one in datas.list:
            is_end = one.data == b"end" or one.status == Status.END
            callback(Response([ResponseData(NAME, one.data, status=DataEnd if is_end else 1)]), sid)
        return 0

    def wrapperDestroy(self, handle: str) -> int:
        """Once."""
        self.ends.put((handle.removeprefix("handle of "), current().cancelled))
        return 0


FORMS = [Generator, AsyncGenerator, Classic]
SEATS = [1, 3]


def attached(one: Any) -> Door:
    """A door at an engine."""
    door = Door()
    one._doors.append(door)
    one.engine.attach(door.link)
    return door


@pytest.mark.parametrize("seats", SEATS)
@pytest.mark.parametrize("form", [Generator, AsyncGenerator])
def test_steps_come_back_in_order(form: type[Any], seats: int) -> None:
    """The acknowledgement, each piece, and an empty last step; the caller's last may come later."""
    wrapper = form()
    with bench(wrapper, seats=seats) as one:
        door = attached(one)
        door.begin(asked("a", "b"))
        door.step(1, "c")
        door.step(1)
        door.step(1, "d", last=True)
        replies = door.replies(1)
        assert (replies[0].status, replies[0].pieces) == (Status.BEGIN, [])
        assert [bytes(p.data) for r in replies for p in r.pieces] == [b"a", b"b", b"c", b"d", b""]
        assert [r.status for r in replies[1:]] == [1, 1, 1, 1, 2]
        assert wrapper.ends.get(timeout=PATIENCE)[1] is False


@pytest.mark.parametrize("seats", SEATS)
def test_callbacks_come_back_in_order(seats: int) -> None:
    """The wrapper's own END ends the session; its destroy comes after."""
    wrapper = Classic()
    with bench(wrapper, seats=seats) as one:
        door = attached(one)
        door.begin(asked("a"))
        door.step(1, "b")
        door.step(1, "end", last=True)
        assert door.texts(1) == ["a", "b", "end"]
        assert wrapper.ends.get(timeout=PATIENCE)[1] is False
        assert callback(Response([ResponseData(NAME, b"late")]), "sid") == -1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seats", SEATS)
def test_cancelled_session_ends_at_once(form: type[Any], seats: int) -> None:
    """While it waits for its caller: user code learns of it, the door gets an end, the seat is free."""
    wrapper = form()
    with bench(wrapper, seats=seats) as one:
        door = attached(one)
        door.begin(asked("a"))
        sid = wrapper.begun.get(timeout=PATIENCE)
        one.engine.cancel(door.link, 1, "the caller left")
        assert wrapper.ends.get(timeout=PATIENCE) == (sid, True)
        assert door.replies(1)[-1].code == 10101
        door.begin(asked("again", "end", last=True), first=2, slot=1)
        assert "again" in door.texts(2)


@pytest.mark.parametrize("form", FORMS)
def test_door_that_is_gone_takes_its_sessions_along(form: type[Any]) -> None:
    """Nobody waits for them any more."""
    wrapper = form()
    with bench(wrapper, seats=3) as one:
        door = attached(one)
        door.begin(asked("a"), asked("b"))
        sids = {wrapper.begun.get(timeout=PATIENCE) for _ in range(2)}
        door.data.close()
        assert {wrapper.ends.get(timeout=PATIENCE)[1] for _ in range(2)} == {True}
        assert len(sids) >= 1


class Fast(WrapperBase):
    """Makes steps without end, as fast as it can."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.ended = threading.Event()

    def wrapperStream(self, params: dict[str, str], pieces: Iterable[DataListNode]) -> Iterator[str]:
        """Numbers."""
        try:
            while True:
                self.made += 1
                yield str(self.made)
        finally:
            self.ended.set()


def test_wrapper_is_stopped_at_its_bound() -> None:
    """Until the door takes more it makes `STEPS` and one that waits; then as many again as were granted."""
    wrapper = Fast()
    with bench(wrapper, seats=2) as one:
        door = attached(one)
        one.engine._adapter.generators._first = (NAME, 0)  # type: ignore[union-attr]
        door.begin(asked("go"))
        one.until(lambda: wrapper.made == STEPS)
        one.engine.credit(door.link, 1, 5)
        one.until(lambda: wrapper.made == STEPS + 5)
        one.engine.cancel(door.link, 1, "enough")
        assert wrapper.ended.wait(PATIENCE)


def test_caller_is_granted_what_was_taken() -> None:
    """One CREDIT for every half of the bound."""
    wrapper = Generator()
    with bench(wrapper, seats=2) as one:
        door = attached(one)
        door.begin(asked("first"))
        for number in range(STEPS):
            door.step(1, str(number))
        wrapper.begun.get(timeout=PATIENCE)
        one.engine.credit(door.link, 1, 10 * STEPS)
        granted = 0
        while granted < STEPS:
            for frame in door._side_splitter.feed(door.side.recv(1 << 16)):
                assert frame.kind == Kind.CREDIT
                granted += frames.read_credit(frame)
        door.step(1, last=True)
        assert granted == STEPS
        assert door.texts(1) == ["first", *map(str, range(STEPS)), ""]


class Failing(WrapperBase):
    """Fails where the test says."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.destroyed = 0

    def wrapperCreate(self, params: dict[str, str], sid: str) -> SessionCreateResponse:
        """Perhaps a session."""
        if self.where == "create":
            raise ValueError("no")
        return SessionCreateResponse("h")

    def wrapperWrite(self, handle: str, datas: DataListCls, sid: str = "") -> int:
        """Perhaps takes it."""
        return 7 if self.where == "write" else 0

    def wrapperRead(self, handle: str, sid: str = "") -> list[ResponseData]:
        """Perhaps has something."""
        if self.where == "read":
            raise ValueError("no")
        return []

    def wrapperDestroy(self, handle: str) -> int:
        """Counts."""
        self.destroyed += 1
        return 0


@pytest.mark.parametrize(
    ("where", "code", "destroyed"), [("create", 10905, 0), ("write", 10907, 1), ("read", 10908, 1)]
)
def test_failure_ends_the_session(where: str, code: int, destroyed: int) -> None:
    """With the method's code; what was created is destroyed once."""
    wrapper = Failing(where)
    with bench(wrapper) as one:
        door = attached(one)
        door.begin(asked("a"))
        assert door.replies(1)[-1].code == code
        one.until(lambda: not one.page.running())
        assert wrapper.destroyed == destroyed


EVENTS = st.lists(
    st.sampled_from(["step", "empty", "last", "credit", "cancel", "wrapper ends", "begin", "unknown"]), max_size=12
)


@settings(max_examples=40)
@given(EVENTS, st.sampled_from(FORMS), st.sampled_from(SEATS), st.booleans())
def test_any_order_of_frames_ends_in_one_destroy(events: list[str], form: type[Any], seats: int, leaves: bool) -> None:
    """Whatever comes in whatever order: every session that began ends once, for user code and for the door."""
    wrapper = form()
    with bench(wrapper, seats=seats, window=16) as one:
        door = attached(one)
        begun = 1
        door.begin(asked("first"))
        for event in events:
            match event:
                case "step":
                    door.step(begun, "more")
                case "empty":
                    door.step(begun)
                case "last":
                    door.step(begun, "end", last=True)
                case "wrapper ends":
                    door.step(begun, "end")
                case "credit":
                    one.engine.credit(door.link, begun, 3)
                case "cancel":
                    one.engine.cancel(door.link, begun, "left")
                case "unknown":
                    one.engine.cancel(door.link, begun + 1000, "left")
                case "begin":
                    begun += 1
                    door.begin(asked("another"), first=begun, slot=begun - 1)
        one.until(lambda: door.link.newest == begun)
        if leaves:
            door.data.close()
        else:
            for stream in range(1, begun + 1):
                one.engine.cancel(door.link, stream, "over")
    assert wrapper.ends.qsize() == wrapper.begun.qsize()
    assert not one.page.running()
    assert not one.engine._tasks
