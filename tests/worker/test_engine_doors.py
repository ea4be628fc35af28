"""The engine where doors die, come anew, break the rules, or carry what is big."""

import contextlib
import os
import threading
import time

import pytest

from athena_serving.kit.memory import Pool
from athena_serving.sdk import DataListCls, Response, ResponseData
from athena_serving.wire import frames
from athena_serving.wire.frames import Kind, Load
from athena_serving.wire.messages import Piece, Reply
from athena_serving.worker.link import BIG
from tests.wire.calls import call
from tests.worker.fakes import PATIENCE, Gated, Once, bench, echo

FULL, FAILED = 10110, 10909

# ── a door goes ───────────────────────────────────────────────────────────────────────────────────


def test_call_of_a_dead_door_is_interrupted() -> None:
    """With several seats the main thread notices at once."""
    wrapper = Gated()
    with bench(wrapper, seats=2, doors=2) as one:
        dying, other = one.door(0), one.door(1)
        dying.begin(call("a"), call("b"), call("never"))
        wrapper.next()
        wrapper.next()
        dying.close()
        one.until(lambda: not one.engine._tasks)
        other.begin(call("c"), slot=4)
        assert wrapper.next() == "c"
        wrapper.let()
        assert other.answer(1).code == 0


def test_waiting_calls_of_a_dead_door_are_not_run() -> None:
    """With one seat it is the orders thread that notices; the main thread is in user code."""
    wrapper = Gated()
    with bench(wrapper, doors=2) as one:
        dying, other = one.door(0), one.door(1)
        dying.begin(call("a"), call("never"))
        wrapper.next()
        dying.begin(call("unread"), first=3, slot=2)
        dying.close()
        one.engine.forsake(dying.link)
        other.begin(call("b"), slot=4)
        assert wrapper.next() == "b"
        wrapper.let()
        other.answer(1)


def test_door_that_is_started_anew_is_not_confused_with_the_one_before() -> None:
    """The same index, the same stream, while the old call still runs: two calls, one answer for the new door."""
    stubborn = Stubborn()
    with bench(Once(stubborn), seats=2) as one:
        old = one.door(0)
        old.begin(call("old"))
        assert stubborn.begun.wait(PATIENCE)
        old.close()
        one.until(lambda: old.link.is_closed)
        new = one.door(0)
        new.begin(call("new"))
        assert new.answer(1).code == 0
        stubborn.go.set()
        one.until(lambda: not one.engine._tasks)


class Stubborn:
    """A wrapper's method that lets nothing interrupt its call `old`."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, _params: dict[str, str], _req: DataListCls, sid: str) -> Response:
        """Wait for `go`, come what may."""
        while sid == "old" and not self.go.is_set():
            with contextlib.suppress(BaseException):  # what no wrapper should do, and some do
                self.begun.set()
                self.go.wait(0.005)
        return Response([ResponseData("result", b"x")])


# ── a door that breaks the rules ──────────────────────────────────────────────────────────────────


def _bad_frames() -> dict[str, bytes]:
    def joined(kind: Kind, stream: int = 1, slot: int = 0) -> bytes:
        return b"".join(frames.frame(kind, stream, b"", slot=slot))

    good = call()
    return {
        "rubbish": b"\xff" * 64,
        "an answer": b"".join(frames.step(1, Reply(), Load())),
        "a cancellation on the data link": frames.cancel(1, "reason"),
        "a head that is none": joined(Kind.BEGIN),
        "a stream twice": b"".join([*frames.begin(1, 0, good, now=0.0), *frames.begin(1, 1, good, now=0.0)]),
        "a slot of another door": b"".join(frames.begin(1, 4, good, now=0.0)),
        "a slot beyond the page": b"".join(frames.begin(1, 65535, good, now=0.0)),
        "a block without its descriptor": frames.signal(Kind.SHARE, 0),
        "a block that is not there": b"".join(
            frames.begin(1, 0, call(data=b"data"), now=0.0, blocks=[3]),
        ),
    }


@pytest.mark.parametrize("case", _bad_frames())
def test_bad_frame_closes_the_link(case: str) -> None:
    """That one door is not listened to any further; the others are served."""
    with bench(echo, doors=2) as one:
        bad, good = one.door(0), one.door(1)
        bad.send(_bad_frames()[case])
        while bad.read() is not None:
            pass
        good.begin(call(data=b"x"), slot=4)
        assert good.answer(1).code == 0


def test_descriptor_that_is_no_memory_closes_the_link() -> None:
    """A door passes a pipe for a block."""
    end, other = os.pipe()
    with bench(echo) as one:
        door = one.door()
        door.send(frames.signal(Kind.SHARE, 0), fds=(end,))
        assert door.read() is None
    os.close(end)
    os.close(other)


def test_calls_beyond_the_window_are_refused() -> None:
    """A worker owns its seats: what a door counts is only a hint."""
    wrapper = Gated()
    with bench(wrapper, window=2) as one:
        door = one.door()
        door.send(*[part for n in (1, 2, 3) for part in frames.begin(n, n % 2, call(str(n)), now=time.monotonic())])
        wrapper.next()
        reply = door.answer(3)
        assert (reply.code, reply.message) == (FULL, "the worker has 2 calls already")
        wrapper.let(2)
        assert door.streams(2) == [1, 2]


# ── big data ──────────────────────────────────────────────────────────────────────────────────────


def test_big_data_go_by_shared_memory_both_ways() -> None:
    """A few blocks, used again and again; each is free once it was read."""
    pool = Pool()
    with bench(echo) as one:
        door = one.door()
        for stream in range(1, 30):
            data = os.urandom(BIG)
            door.begin_shared(stream, call(data=data), pool)
            assert bytes(door.answer(stream).pieces[0].data) == data
        assert door.shares == [0]
        assert [block.is_free for block in pool._blocks if block is not None] == [True]
    pool.close()


def test_answer_of_many_outputs_is_whole() -> None:
    """More than the kernel takes buffers in one call."""
    many = Once(lambda *_: Response([ResponseData(str(number), b"x") for number in range(2000)]))
    with bench(many) as one:
        door = one.door()
        door.begin(call())
        assert [piece.key for piece in door.answer(1).pieces] == [str(number) for number in range(2000)]


def test_answer_that_no_frame_can_carry_fails_alone() -> None:
    """The caller learns the limit; the link, the blocks and the calls after it are as before."""
    size = BIG * 2

    def answer(params: dict[str, str], reqData: DataListCls) -> Response:
        return Response([ResponseData(str(number), bytes(size)) for number in range(int(reqData.list[0].data))])

    with bench(Once(answer)) as one:
        door = one.door()
        for stream in range(1, 6):
            door.begin(call(data=b"20"), first=2 * stream)
            reply = door.answer(2 * stream)
            assert (reply.code, "the limit is 1048576" in reply.message) == (FAILED, True)
            door.begin(call(data=b"8"), first=2 * stream + 1)
            assert len(door.answer(2 * stream + 1).pieces) == 8
        assert sorted(door.shares) == list(range(8))


def test_door_that_is_gone_wants_no_answer() -> None:
    """The write fails, the link is over, the worker serves on."""
    wrapper = Gated()
    with bench(wrapper, doors=2) as one:
        dying, other = one.door(0), one.door(1)
        dying.begin(call("a"))
        wrapper.next()
        dying.close()
        wrapper.let()
        other.begin(call("b"), slot=4)
        wrapper.next()
        wrapper.let()
        other.answer(1)
        assert dying.link.is_closed


def test_without_shared_memory_data_go_by_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower, and the log says so."""
    monkeypatch.delattr(os, "memfd_create")
    with bench(echo) as one:
        door = one.door()
        asked = call()
        asked.pieces = [Piece("data", data=b"x" * BIG)]
        door.begin(asked)
        assert bytes(door.answer(1).pieces[0].data) == b"x" * BIG
        assert (door.shares, door.link._has_warned) == ([], True)
