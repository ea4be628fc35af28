"""The engine with doors that speak frames: calls are answered, dropped, interrupted or refused, each exactly once."""

import asyncio
import contextlib
import os
import select
import threading
import time

import pytest

from athena_serving.kit.memory import Pool
from athena_serving.sdk import DataListCls, Response, ResponseData
from athena_serving.sdk.context import Context
from athena_serving.wire import frames
from athena_serving.wire.frames import Kind, Load
from athena_serving.wire.messages import Piece, Reply
from athena_serving.worker.link import BIG
from tests.wire.calls import call
from tests.worker.fakes import PATIENCE, FakeDoor, Gated, Once, bench

CANCELLED, FULL, LATE, FAILED = 10101, 10110, 10102, 10909

echo = Once(lambda _, req: Response([ResponseData("result", req.list[0].data if req.list else b"x")]))


# ── a call and its answer ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seats", [1, 3])
def test_calls_are_answered(seats: int) -> None:
    """Each on its stream, with the time that user code took."""
    with bench(echo, seats=seats) as one:
        door = one.door()
        for stream in range(1, 20):
            door.begin(call(data=b"%d" % stream), first=stream)
            reply = door.answer(stream)
            assert (reply.code, [(p.key, bytes(p.data)) for p in reply.pieces]) == (0, [("result", b"%d" % stream)])
        assert one.counter("athena_busy_seconds_total") > 0.0


@pytest.mark.parametrize("seats", [1, 2])
def test_slot_is_set_before_user_code_and_cleared_after(seats: int) -> None:
    """What the page says of a worker that dies in user code is that the call was seen."""
    seen: list[bool] = []

    def look(params: dict[str, str], reqData: DataListCls) -> Response:
        seen.append(one.page.has_seen(2, 7))
        return Response([ResponseData("result", b"x")])

    with bench(Once(look), seats=seats) as one:
        door = one.door()
        door.begin(call(), first=7, slot=2)
        door.answer(7)
        one.until(lambda: not one.page.running())
        assert seen == [True]


def test_slot_is_set_until_the_answer_is_written() -> None:
    """A worker that dies while it writes leaves an answer that nobody can read: the call was seen all the same."""
    large = Once(lambda *_: Response([ResponseData(str(number), bytes(BIG - 1)) for number in range(15)]))
    with bench(large) as one:
        door = one.door()
        door.begin(call())
        assert select.select([door.data], [], [], PATIENCE)[0]  # more than the socket holds: the worker waits for us
        assert one.page.has_seen(0, 1)
        assert len(door.answer(1).pieces) == 15
        one.until(lambda: not one.page.running())


def test_slot_of_the_next_call_is_not_cleared_by_the_last() -> None:
    """A door reuses a slot once it has the answer; with several seats that may be before the slot is cleared."""
    wrapper = Gated()
    with bench(wrapper, seats=2) as one:
        door = one.door()
        for stream in range(1, 50):
            door.begin(call(str(stream)), first=stream, slot=0)
            wrapper.next()
            one.until(lambda stream=stream: one.page.has_seen(0, stream))  # type: ignore[misc]  # bound, not guessed
            wrapper.let()
            door.answer(stream)


def test_seats_run_side_by_side() -> None:
    """As many calls as there are seats, and no more."""
    wrapper = Gated()
    with bench(wrapper, seats=2) as one:
        door = one.door()
        door.begin(call("a"), call("b"), call("c"))
        assert {wrapper.next(), wrapper.next()} == {"a", "b"}
        assert wrapper.begun.empty()
        wrapper.let(3)
        assert wrapper.next() == "c"
        assert sorted(_streams(door, 3)) == [1, 2, 3]


def test_one_seat_is_one_thread() -> None:
    """The one that reads the links: a wrapper needs no locks, and may use libraries that know one thread only."""
    threads: list[int] = []

    def note(params: dict[str, str], reqData: DataListCls) -> Response:
        threads.append(threading.get_ident())
        return Response([ResponseData("result", b"x")])

    with bench(Once(note)) as one:
        door = one.door()
        for stream in range(1, 6):
            door.begin(call(), first=stream)
            door.answer(stream)
        assert set(threads) == {one._thread.ident}


def test_doors_do_not_hear_each_others_answers() -> None:
    """The same stream on two links is two calls."""
    with bench(echo, doors=2) as one:
        first, second = one.door(0), one.door(1)
        first.begin(call(data=b"first"))
        second.begin(call(data=b"second"), slot=4)
        assert [bytes(door.answer(1).pieces[0].data) for door in (first, second)] == [b"first", b"second"]


def test_call_whose_time_is_up_is_not_run() -> None:
    """It waited for a seat for longer than its caller."""
    wrapper = Gated()
    with bench(wrapper) as one:
        door = one.door()
        door.begin(call("a"), call("late", expires=time.monotonic() - 1.0))
        wrapper.next()
        wrapper.let()
        door.answer(1)
        reply = door.answer(2)
        assert (reply.code, reply.message) == (LATE, "its time was up before a seat was free")
        assert wrapper.begun.empty()


def test_stopped_engine_finishes_what_it_has() -> None:
    """What was read is answered."""
    wrapper = Gated()
    with bench(wrapper, seats=2) as one:
        door = one.door()
        door.begin(call("a"), call("b"), call("c"))
        wrapper.next()
        one.engine.stop()
        wrapper.let(3)
        assert sorted(_streams(door, 3)) == [1, 2, 3]


# ── cancelling ────────────────────────────────────────────────────────────────────────────────────


def test_call_that_was_not_read_is_dropped_at_once() -> None:
    """It lies in the socket while user code runs: the door need not wait until somebody finds it."""
    wrapper = Gated()
    with bench(wrapper) as one:
        door = one.door()
        door.begin(call("runs"))
        wrapper.next()
        door.begin(call("unread"), call("after"), first=2, slot=1)
        one.engine.cancel(door.link, 2, "the caller left")
        assert door.dropped() == 2
        wrapper.let(2)
        assert wrapper.next() == "after"
        assert _streams(door, 2) == [1, 3]
        assert one.counter("athena_dropped_calls_total") == 1.0
        assert not door.link.revoked


@pytest.mark.parametrize("seats", [1, 2])
def test_call_that_waits_is_dropped_at_once(seats: int) -> None:
    """User code never sees it; it has no answer but DROPPED."""
    wrapper = Gated()
    with bench(wrapper, seats=seats) as one:
        door = one.door()
        door.begin(*[call(str(number)) for number in range(seats)], call("waits"), call("after"))
        for _ in range(seats):
            wrapper.next()
        assert door.link.newest == seats + 2
        one.engine.cancel(door.link, seats + 1, "the caller left")
        assert door.dropped() == seats + 1
        wrapper.let(seats + 1)
        assert wrapper.next() == "after"
        assert sorted(_streams(door, seats + 1)) == [*range(1, seats + 1), seats + 2]


@pytest.mark.parametrize("seats", [1, 2])
def test_dropped_call_makes_room_in_the_window(seats: int) -> None:
    """The door sends another in its place at once, which is no call too many."""
    wrapper = Gated()
    with bench(wrapper, seats=seats, window=seats + 1) as one:
        door = one.door()
        door.begin(*[call(str(number)) for number in range(seats)], call("dropped"))
        for _ in range(seats):
            wrapper.next()
        last = seats + 1
        for _ in range(5):
            one.engine.cancel(door.link, last, "the caller left")
            assert door.dropped() == last
            last += 1
            door.begin(call("again"), first=last, slot=seats)
        wrapper.let(seats + 1)
        assert wrapper.next() == "again"
        replies = [frames.read_step(_frame(door))[0] for _ in range(seats + 1)]
        assert [reply.code for reply in replies] == [0] * (seats + 1)


@pytest.mark.parametrize("seats", [1, 2])
def test_running_call_is_interrupted(seats: int) -> None:
    """Its answer says why; the seat serves on, and the time it took in vain is counted."""
    wrapper = Gated()
    with bench(wrapper, seats=seats) as one:
        door = one.door()
        door.begin(call("a"))
        wrapper.next()
        one.engine.cancel(door.link, 1, "the caller left")
        reply = door.answer(1)
        assert (reply.code, reply.message) == (CANCELLED, "the caller left")
        door.begin(call("b", data=b"b"), first=2)
        wrapper.next()
        wrapper.let()
        assert door.answer(2).code == 0
        assert one.counter("athena_wasted_seconds_total") > 0.0
        assert one.counter("athena_dropped_calls_total") == 0.0


def test_user_code_may_ask_whether_it_is_cancelled() -> None:
    """A loop in C that is not interrupted can look now and then."""
    begun, seen = threading.Event(), threading.Event()

    def loop(params: dict[str, str], reqData: DataListCls, ctx: Context) -> Response:
        try:
            begun.set()
            while not ctx.cancelled:
                # Mostly here: what measures the tests locks itself whenever a function of ours is entered.
                seen.wait(0.005)
        finally:
            if ctx.cancelled:
                seen.set()
        return Response([ResponseData("result", b"x")])

    with bench(Once(loop)) as one:
        door = one.door()
        door.begin(call())
        assert begun.wait(PATIENCE)
        one.engine.cancel(door.link, 1, "the caller left")
        door.answer(1)
        assert seen.is_set()


def test_cancelling_what_is_answered_does_nothing() -> None:
    """The answer is on its way; a DROPPED beside it would be a second end."""
    with bench(echo) as one:
        door = one.door()
        door.begin(call())
        door.answer(1)
        one.engine.cancel(door.link, 1, "the caller left")
        one.engine.cancel(door.link, 9, "the caller left")
        assert door.dropped() == 9


def test_cancelling_in_any_moment_ends_a_call_once() -> None:
    """A storm of calls and cancellations: each stream has one END or one DROPPED, and the slots are free at the end."""
    rounds = 200
    with bench(echo, seats=2, window=8) as one:
        door = one.door()
        ends: list[int] = []
        reading = threading.Thread(target=lambda: ends.extend(_all_ends(door, rounds)))
        reading.start()
        for stream in range(1, rounds + 1):
            door.begin(call(data=b"x"), first=stream, slot=stream % 8)
            one.engine.cancel(door.link, stream, "the caller left")
        reading.join(PATIENCE)
        assert sorted(ends) == list(range(1, rounds + 1))
        one.until(lambda: not one.page.running() and not one.engine._tasks)


def _all_ends(door: FakeDoor, count: int) -> list[int]:
    """Streams that ended, on either link, until there are `count`."""
    found: list[int] = []
    splitter = frames.Splitter(max_frame=1000)
    door.data.setblocking(False)
    door.side.setblocking(False)
    until = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < until:
        for read in (lambda: [door.read()], lambda: splitter.feed(door.side.recv(1 << 16))):
            try:
                found += [frame.stream for frame in read() if frame is not None]
            except BlockingIOError:
                time.sleep(0.001)
    return found


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
        assert _streams(door, 2) == [1, 2]


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


# ── coroutines ────────────────────────────────────────────────────────────────────────────────────


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
        assert _streams(door, 2) == [1, 3]
        assert wrapper.begun == ["a", "c"]


@pytest.mark.parametrize(
    ("word", "message"), [("exit", "SystemExit: 3;code=-1"), ("cancelled", "CancelledError;code=-1")]
)
def test_coroutine_that_ends_itself_ends_nothing_else(word: str, message: str) -> None:
    """Neither the loop nor the worker, and its caller is answered."""
    with bench(Coroutines(), seats=2) as one:
        door = one.door()
        door.begin(call(data=word.encode()), call(data=b"quick"))
        replies = {frame.stream: frames.read_step(frame)[0] for frame in (_frame(door), _frame(door))}
        assert (replies[1].code, replies[1].message) == (FAILED, message)
        assert replies[2].code == 0


def test_stopped_engine_waits_for_its_coroutines() -> None:
    """What was read is answered."""
    with bench(Coroutines(), seats=2) as one:
        door = one.door()
        door.begin(*[call(data=b"quick") for _ in range(4)])
        one.until(lambda: door.link.newest == 4)
        one.engine.stop()
        assert sorted(_streams(door, 4)) == [1, 2, 3, 4]


def _frame(door: FakeDoor) -> frames.Frame:
    frame = door.read()
    assert frame is not None
    return frame


def _streams(door: FakeDoor, count: int) -> list[int]:
    """Streams of the next answers, in order."""
    return [_frame(door).stream for _ in range(count)]
