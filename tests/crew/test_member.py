"""A worker as a door sees it: how far ahead to send, and what happens when something goes wrong."""

import asyncio

import pytest

from athena_serving.crew.member import Member
from athena_serving.crew.sessions import Ending
from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Kind
from athena_serving.wire.messages import Piece, Reply
from tests.crew.fakes import FakeLink, end, frame_of, no_taker, page, settled
from tests.wire.calls import call


def member(*, seats: int = 1, window: int = 8) -> tuple[Member, FakeLink]:
    """A member with a link that remembers."""
    one = Member("w", page(), seats=seats, window=window, first_slot=0, on_change=lambda _: None)
    link = FakeLink()
    one._link = link
    return one, link


async def answered(one: Member, link: FakeLink, user_us: int) -> None:
    """One call, answered after so much user code."""
    one.reserve()
    serving = asyncio.get_running_loop().create_task(one.serve(call(), no_taker))
    await settled()
    one.on_frame(end(link.begun[-1][0], Reply(user_us=user_us)))
    assert await serving is None


async def test_quick_calls_are_sent_ahead() -> None:
    """As many as the window holds."""
    one, link = member()
    assert one.limit == 1
    await answered(one, link, 100)
    assert one.limit == 8


async def test_slow_calls_are_not_sent_ahead() -> None:
    """None stands behind a slow one while another worker may be free."""
    one, link = member(seats=2)
    for _ in range(3):
        await answered(one, link, 500_000)
    assert one.limit == 2


async def test_more_seats_than_window_are_no_more_than_the_window() -> None:
    """Every call needs a slot of its own, also the first ones."""
    one, _ = member(seats=10, window=4)
    assert one.limit == 4


async def test_call_that_cannot_be_sent_gives_its_seat_back() -> None:
    """The worker is told to forget it; when it says so the slot is free."""
    one, link = member()
    link.error = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    one.reserve()
    with pytest.raises(UnicodeEncodeError):
        await one.serve(call(), no_taker)
    one.on_frame(frame_of(frames.dropped(link.cancelled[0][0])))
    assert one.load == 0


async def test_answer_without_a_taker_is_cancelled() -> None:
    """Where the way back is broken, the worker need not go on."""
    one, link = member()

    async def broken(_: Reply) -> None:
        raise ConnectionResetError

    one.reserve()
    serving = asyncio.get_running_loop().create_task(one.serve(call(), broken))
    await settled()
    stream, _ = link.begun[0]
    one.on_frame(frame_of(b"".join(frames.step(stream, Reply(status=0), frames.Load()))))
    with pytest.raises(ConnectionResetError):
        await serving
    assert link.cancelled == [(stream, "its answer has no taker")]


async def test_worker_that_died_between_promise_and_call() -> None:
    """The call was not seen and may go elsewhere; the promise is taken back."""
    one, link = member()
    one.reserve()
    one.on_lost(is_broken=False)
    assert await one.serve(call(), no_taker) is Ending.DROPPED
    assert (one.load, one.is_gone, link.begun) == (0, True, [])


@pytest.mark.parametrize("kind", [Kind.BEGIN, Kind.HELLO, Kind.CANCEL, Kind.DRAIN])
async def test_frame_that_no_worker_sends_is_bad(kind: Kind) -> None:
    """The link is not to be trusted any further."""
    one, _ = member()
    with pytest.raises(BadFrame, match=f"kind {int(kind)} from a worker"):
        one.on_frame(frame_of(b"".join(frames.frame(kind, 1, b""))))


async def test_late_answer_gives_its_block_back() -> None:
    """Also when its caller left long ago: a block that is never read is lost to the worker."""
    one, link = member()
    taken: list[int] = []

    def take_block(number: int, size: int) -> bytes:
        taken.append(number)
        return bytes(size)

    link.take_block = take_block  # type: ignore[method-assign]
    reply = Reply([Piece("picture", data=b"12345")])
    one.on_frame(frame_of(b"".join(frames.step(99, reply, frames.Load(), blocks=[3]))))
    assert taken == [3]
