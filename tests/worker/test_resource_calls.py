# ruff: noqa: ARG002, ARG005  # wrappers' methods have the parameters they have
"""Personal resources as each kind of user code sees them, and what becomes of them when a call ends before its time."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from athena_serving.errors import CallCancelled, CreateFailed, OnceFailed
from athena_serving.sdk import (
    DataListCls,
    DataListNode,
    Response,
    ResponseData,
    SessionCreateResponse,
    WrapperBase,
    callback,
)
from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.context import Context
from athena_serving.wire.messages import Call, Piece, Reply, Status
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.gate import Gate
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.resources import Resource
from tests.wire.calls import call
from tests.worker import fakes
from tests.worker.fakes import PATIENCE, Bench, FakeDoor, bench
from tests.worker.test_engine_sessions import Door

UNKNOWN: Final = 10163
CANCELLED: Final = CallCancelled.code
OUTPUTS: Final = {"result": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Resources u1 to u3."""
    place = tmp_path / "voices"
    place.mkdir()
    for name in ("u1", "u2", "u3"):
        (place / f"{name}.txt").write_text(name)
    return place


@pytest.fixture
def with_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines of this test have the folder, and keep one resource loaded."""
    monkeypatch.setattr(fakes, "Adapter", partial(Adapter, outputs_of=OUTPUTS, folder=folder, most=1))


def asking(ids: str, sid: str = "sid-1") -> Call:
    """A call for resources, whose time is not up."""
    one = call(sid, data=b"data")
    one.headers = {"patch_id": ids}
    return one


def session(ids: str) -> Call:
    """A session that wants resources, of one step."""
    one = asking(ids)
    one.pieces = [Piece("data", 0, Status.END, {}, b"data")]
    one.is_session = True
    return one


def context(sid: str = "sid-1") -> Context:
    """A call's."""
    return Context(sid, app="", service="", expires=1e9)


def answer(value: object) -> Response:
    """A value as the result."""
    return Response([ResponseData("result", repr(value))])


def text(reply: Reply | None) -> str:
    """A result, which must be there."""
    assert reply is not None
    assert not reply.code, reply.message
    return bytes(reply.pieces[0].data).decode()


# ── what user code is given ───────────────────────────────────────────────────────────────────────


def test_once_gets_the_first_as_pers_id(folder: Path) -> None:
    """`persId` is the first id's number, and 0 for a call that asks for none."""
    wrapper = SimpleNamespace(wrapperOnceExec=lambda params, reqData, usrTag, persId: answer(persId))
    adapter = Adapter(wrapper, __file__, folder=folder)
    assert text(adapter.once_held(asking("u2;u1"), context(), Gate())) == "1"
    assert text(adapter.once_held(asking("u1"), context(), Gate())) == "2"
    assert text(adapter.once_held(asking(""), context(), Gate())) == "0"
    assert text(adapter.once(asking("u1"), context())) == "0"


def test_function_gets_all_and_their_count(folder: Path) -> None:
    """ASF's first style has them as a tuple."""

    def once(usrTag: str, params: object, reqData: object, respData: list[Any], psrIds: object, psrCnt: object) -> int:
        respData.append({"key": "result", "data": repr((psrIds, psrCnt))})
        return 0

    adapter = Adapter(SimpleNamespace(wrapperOnceExec=once), __file__, folder=folder)
    assert text(adapter.once_held(asking("u2;u1"), context(), Gate())) == "((1, 2), 2)"
    assert text(adapter.once_held(asking(""), context(), Gate())) == "((), 0)"


def test_later_answer_has_pers_id(folder: Path) -> None:
    """`wrapperOnceExecAsync` is told as well."""

    class Wrapper(WrapperBase):
        def wrapperOnceExecAsync(self, params: Any, reqData: DataListCls, sid: str, persId: int = 0) -> int:
            callback(answer(persId), sid)
            return 0

    adapter = Adapter(Wrapper(), __file__, folder=folder)
    assert text(adapter.once_held(asking("u1"), context(), Gate())) == "1"


async def test_coroutine_has_pers_id(folder: Path) -> None:
    """A load runs on another thread than the loop's, and is done when the call begins."""
    threads: list[int] = []

    class Wrapper(WrapperBase):
        def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
            threads.append(threading.get_ident())
            return 0 if resId == "u1" else 8

        async def wrapperOnceExec(self, params: Any, reqData: DataListCls, persId: int = 0) -> Response:  # type: ignore[override]  # a coroutine
            assert len(threads) == 1
            return answer(persId)

    adapter = Adapter(Wrapper(), __file__, folder=folder)
    assert text(await adapter.once_held_async(asking("u1"), context())) == "1"
    assert threads[0] != threading.get_ident()
    assert text(await adapter.once_held_async(asking(""), context())) == "0"
    assert (await adapter.once_held_async(asking("u2"), context())).code == OnceFailed.code
    assert (await adapter.once_held_async(asking("u9"), context())).code == UNKNOWN


def test_item_of_a_batch_has_its_own(folder: Path) -> None:
    """`item.persons` are its call's; a call whose resources are not to be had fails alone, in its place."""

    class Wrapper(WrapperBase):
        def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
            return 6 if resId == "u3" else 0

        def wrapperBatchExec(self, batch: list[BatchItem]) -> list[Response]:
            return [answer((len(batch), item.persons)) for item in batch]

    adapter = Adapter(Wrapper(), __file__, folder=folder)
    assert adapter.batches is not None
    wanted = ["u9", "u2;u1", "u3", "", "u1"]
    tasks: list[Any] = [SimpleNamespace(call=asking(ids, ids), context=context(ids)) for ids in wanted]
    unknown, both, failed, none, one = adapter.batches.run(tasks)
    assert (unknown.code, failed.code) == (UNKNOWN, OnceFailed.code)
    assert [text(reply) for reply in (both, none, one)] == ["(3, (1, 2))", "(3, ())", "(3, (2,))"]
    assert [reply.code for reply in adapter.batches.run(tasks[:1])] == [UNKNOWN]
    assert adapter.resources is not None
    assert {one.holders for one in adapter.resources._loaded.values()} == {0}


class Asf(WrapperBase):
    """A session that says its number, in ASF's form."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
        """One cannot be loaded."""
        self.told.append(f"load {resId}")
        return 9 if resId == "u3" else 0

    def wrapperUnloadRes(self, resId: str) -> int:
        """Takes note."""
        self.told.append(f"unload {resId}")
        return 0

    def wrapperCreate(self, params: Any, sid: str, persId: int = 0) -> SessionCreateResponse:
        """The number is the handle."""
        self.told.append(f"create {persId}")
        return SessionCreateResponse(handle=str(persId))

    def wrapperWrite(self, handle: str, datas: DataListCls, sid: str = "") -> int:
        """Answers with the handle."""
        callback(Response([ResponseData("result", handle, status=2)]), sid)
        return 0

    def wrapperDestroy(self, handle: str) -> int:
        """Takes note."""
        self.told.append(f"destroy {handle}")
        return 0


class Generator(WrapperBase):
    """The same as a generator."""

    def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
        """One cannot be loaded."""
        return 9 if resId == "u3" else 0

    def wrapperStream(self, params: Any, pieces: Iterator[DataListNode], persId: int) -> Iterator[str]:
        """Answers with the number."""
        for _ in pieces:
            yield str(persId)


class AsyncGenerator(Generator):
    """The same as an asynchronous generator."""

    async def wrapperStream(self, params: Any, pieces: AsyncIterator[DataListNode], persId: int) -> AsyncIterator[str]:  # type: ignore[override]  # a coroutine
        """Answers with the number."""
        async for _ in pieces:
            yield str(persId)


def opened(one: Bench) -> Door:
    """A door for sessions, attached to the engine."""
    door = Door()
    one._doors.append(door)
    one.engine.attach(door.link)
    return door


@pytest.mark.usefixtures("with_folder")
@pytest.mark.parametrize("kind", [Asf, Generator, AsyncGenerator])
def test_session_has_pers_id(kind: type[WrapperBase]) -> None:
    """Sessions of all forms: the number, 0 for none, and why there is none."""
    with bench(kind()) as one:
        door = opened(one)
        found: list[list[object]] = []
        for stream, ids in enumerate(("u2", "", "u9", "u3"), start=1):
            door.begin(session(ids), first=stream)
            replies = door.replies(stream)
            found.append([bytes(piece.data).decode() for reply in replies for piece in reply.pieces if piece.data])
            found[-1] += [reply.code for reply in replies if reply.code]
    assert found == [["1"], ["0"], [UNKNOWN], [CreateFailed.code]]


@pytest.mark.usefixtures("with_folder")
def test_session_holds_its_resource_until_it_is_destroyed() -> None:
    """`wrapperUnloadRes` never comes before `wrapperDestroy`, nor before the load `wrapperCreate`."""
    wrapper = Asf()
    with bench(wrapper) as one:
        door = opened(one)
        for stream, ids in enumerate(("u1", "u2"), start=1):
            door.begin(session(ids), first=stream)
            door.replies(stream)
    assert wrapper.told == ["load u1", "create 1", "destroy 1", "unload u1", "load u2", "create 2", "destroy 2"]


# ── calls that end before their time ──────────────────────────────────────────────────────────────


class Slow(WrapperBase):
    """Tells where it is, and goes on when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.may_load = threading.Semaphore(0)

    def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
        """Waits for the test, in short waits: an interruption would come between them."""
        self.told.put(f"load {resId}")
        while not self.may_load.acquire(timeout=0.005):
            pass
        self.told.put(f"loaded {resId}")
        return 0

    def wrapperUnloadRes(self, resId: str) -> int:
        """Takes note."""
        self.told.put(f"unload {resId}")
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        """Runs until it is interrupted, or answers at once."""
        self.told.put("once")
        event = threading.Event()
        while bytes(reqData.list[0].data) == b"long":
            event.wait(0.005)
        return answer("done")

    def next(self) -> str:
        """What it does next."""
        return self.told.get(timeout=PATIENCE)


def long(ids: str) -> Call:
    """A call that goes on until somebody ends it."""
    one = asking(ids)
    one.pieces[0].data = b"long"
    return one


def then_another(wrapper: Slow, door: FakeDoor) -> list[str]:
    """What a further call, for another resource, brings about: the first is unloaded, so nobody holds it."""
    door.begin(asking("u2"), first=2)
    wrapper.may_load.release()
    assert text(door.answer(2)) == "'done'"
    return [wrapper.next() for _ in range(4)]


@pytest.mark.usefixtures("with_folder")
@pytest.mark.parametrize("seats", [1, 2])
def test_cancelled_while_loading(seats: int) -> None:
    """The load comes to its end, user code never sees the call, and nobody holds what was loaded."""
    wrapper = Slow()
    with bench(wrapper, seats=seats) as one:
        door = one.door()
        door.begin(asking("u1"))
        assert wrapper.next() == "load u1"
        one.engine.cancel(door.link, 1, "the caller left")
        wrapper.may_load.release()
        reply = door.answer(1)
        assert (reply.code, reply.message) == (CANCELLED, "the caller left")
        assert wrapper.next() == "loaded u1"
        assert then_another(wrapper, door) == ["unload u1", "load u2", "loaded u2", "once"]


@pytest.mark.usefixtures("with_folder")
@pytest.mark.parametrize("seats", [1, 2])
def test_cancelled_while_running(seats: int) -> None:
    """User code is interrupted as ever, and nobody holds what it used."""
    wrapper = Slow()
    with bench(wrapper, seats=seats) as one:
        door = one.door()
        wrapper.may_load.release()
        door.begin(long("u1"))
        assert [wrapper.next() for _ in range(3)] == ["load u1", "loaded u1", "once"]
        one.engine.cancel(door.link, 1, "the caller left")
        assert door.answer(1).code == CANCELLED
        assert then_another(wrapper, door) == ["unload u1", "load u2", "loaded u2", "once"]


async def test_coroutine_cancelled_while_loading_lets_go(folder: Path) -> None:
    """The load goes on in its thread; when it is done, nobody holds what was loaded."""
    wrapper = Slow()
    adapter = Adapter(wrapper, __file__, folder=folder, most=1)
    loading = asyncio.create_task(adapter.once_held_async(asking("u1"), context()))
    assert await asyncio.to_thread(wrapper.next) == "load u1"
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    wrapper.may_load.release(2)
    assert await asyncio.to_thread(wrapper.next) == "loaded u1"
    assert adapter.resources is not None
    one = adapter.resources._loaded["u1"]
    await asyncio.to_thread(until_free, one)
    assert one.stamp is not None


def until_free(one: Resource) -> None:
    """Wait for what the loop does last."""
    end = time.monotonic() + PATIENCE
    while one.is_busy or one.holders:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_gate_is_not_passed_when_nobody_waits() -> None:
    """Who was told before it is not let in; the second word changes nothing."""
    gate, inside = Gate(), []
    gate.interrupt()
    gate.interrupt()
    with pytest.raises(CallInterrupted), gate:
        inside.append(1)
    assert inside == []


def test_gate_lets_an_interruption_come_inside_only() -> None:
    """It reaches the thread that is inside; once that is out, nothing comes."""
    gate, event = Gate(), threading.Event()

    def pass_it() -> None:
        with gate:
            threading.Timer(0.0, gate.interrupt).start()
            for _ in range(int(PATIENCE / 0.005)):
                event.wait(0.005)

    with pytest.raises(CallInterrupted):
        pass_it()
    gate.interrupt()
    other, steps = Gate(), 0
    with other:
        pass
    other.interrupt()
    for _ in range(1000):
        steps += event.is_set() + 1
    assert steps == 1000
