"""The engine with a wrapper whose method is a coroutine."""

import asyncio

import pytest

from athena_serving.sdk import DataListCls, Response, ResponseData
from tests.wire.calls import call
from tests.worker.fakes import PATIENCE, bench

CANCELLED, FAILED = 10101, 10909


class Coroutines:
    """Answers by what it was sent: `wait`, `exit`, `cancelled`, or anything else at once."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def wrapperOnceExec(self, _params: dict[str, str], reqData: DataListCls, sid: str) -> Response:
        """One call."""
        self.begun.append(sid)
        word = reqData.list[0].data.decode()
        if word == "wait":
            await asyncio.sleep(PATIENCE)
        elif word == "exit":
            raise SystemExit(3)
        elif word == "cancelled":
            raise asyncio.CancelledError
        return Response([ResponseData("result", word)])


def test_coroutines_run_side_by_side() -> None:
    """While some wait, others are answered; never more than there are seats."""
    wrapper = Coroutines()
    with bench(wrapper, seats=3) as one:
        door = one.door()
        door.begin(call("a", data=b"wait"), call("b", data=b"wait"), call("c", data=b"quick"))
        assert door.answer(3).code == 0
        for stream in (1, 2):
            one.engine.cancel(door.link, stream, "the caller left")
            reply = door.answer(stream)
            assert (reply.code, reply.message) == (CANCELLED, "the caller left")


def test_coroutine_that_waits_for_a_seat_is_dropped() -> None:
    """It never begins."""
    wrapper = Coroutines()
    with bench(wrapper, seats=1) as one:
        door = one.door()
        door.begin(call("a", data=b"wait"), call("b", data=b"quick"), call("c", data=b"quick"))
        one.until(lambda: wrapper.begun)
        one.engine.cancel(door.link, 2, "the caller left")
        assert door.dropped() == 2
        one.engine.cancel(door.link, 1, "the caller left")
        assert door.streams(2) == [1, 3]
        assert wrapper.begun == ["a", "c"]


@pytest.mark.parametrize(
    ("word", "message"), [("exit", "SystemExit: 3;code=-1"), ("cancelled", "CancelledError;code=-1")]
)
def test_coroutine_that_ends_itself_ends_nothing_else(word: str, message: str) -> None:
    """Neither the loop nor the worker, and its caller is answered."""
    with bench(Coroutines(), seats=2) as one:
        door = one.door()
        door.begin(call(data=word.encode()), call(data=b"quick"))
        replies = dict([door.end(), door.end()])
        assert (replies[1].code, replies[1].message) == (FAILED, message)
        assert replies[2].code == 0


def test_stopped_engine_waits_for_its_coroutines() -> None:
    """What was read is answered."""
    with bench(Coroutines(), seats=2) as one:
        door = one.door()
        door.begin(*[call(data=b"quick") for _ in range(4)])
        one.until(lambda: door.link.newest == 4)
        one.engine.stop()
        assert sorted(door.streams(4)) == [1, 2, 3, 4]
