"""The queue: first come first served, and nobody who left is served."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.crew.queue import Queue
from athena_serving.errors import Unavailable


@given(st.lists(st.sampled_from(["join", "serve", "leave first", "leave last"]), max_size=40))
def test_waiters_are_served_in_order(steps: list[str]) -> None:
    """Whatever order they come, leave and are served in."""

    async def run() -> None:
        queue: Queue[int] = Queue()
        waiting: list[asyncio.Future[int]] = []
        for number, step in enumerate(steps):
            if step == "join":
                waiting.append(queue.join())
            elif step == "serve":
                assert queue.serve(number) == bool(waiting)
                if waiting:
                    assert waiting.pop(0).result() == number
            elif waiting:
                waiting.pop(0 if step == "leave first" else -1).cancel()
            assert (len(queue), bool(queue)) == (len(waiting), bool(waiting))
            assert not any(one.done() for one in waiting)
        queue.dismiss(Unavailable("over"))
        assert all(isinstance(one.exception(), Unavailable) for one in waiting)

    asyncio.run(run())


async def test_dismissed_waiters_hear_why() -> None:
    """Those who left before are not told."""
    queue: Queue[int] = Queue()
    left, stays = queue.join(), queue.join()
    left.cancel()
    queue.dismiss(Unavailable("no worker is left"))
    with pytest.raises(Unavailable, match="no worker is left"):
        await stays
    assert not queue


async def test_those_who_left_are_forgotten() -> None:
    """Callers that come and go behind one who waits long do not pile up."""
    queue: Queue[int] = Queue()
    queue.join()
    for _ in range(1000):
        queue.join().cancel()
        await asyncio.sleep(0)
    assert len(queue._waiters) < 10
