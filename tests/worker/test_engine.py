"""The engine with doors that speak frames: calls are answered, dropped or interrupted, each exactly once."""

import select
import threading
import time

import pytest

from athena_serving.sdk import DataListCls, Response, ResponseData
from athena_serving.sdk.context import Context
from athena_serving.wire import frames
from athena_serving.worker.link import BIG
from tests.wire.calls import call
from tests.worker.fakes import PATIENCE, FakeDoor, Gated, Once, bench, echo

CANCELLED, LATE = 10101, 10102

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
        assert sorted(door.streams(3)) == [1, 2, 3]


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
        assert sorted(door.streams(3)) == [1, 2, 3]


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
        assert door.streams(2) == [1, 3]
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
        assert sorted(door.streams(seats + 1)) == [*range(1, seats + 1), seats + 2]


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
        replies = [door.end()[1] for _ in range(seats + 1)]
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
