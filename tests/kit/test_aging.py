"""Only what does not end young is told that it is old, once. The clock is the test's own."""

import asyncio
from collections.abc import Iterator

import pytest

from athena_serving.kit.aging import Aging

AGE = 1.0


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while something can be done, and jumps to the next timer otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        """The test's clock."""
        return self.now

    def _run_once(self) -> None:
        waiting = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if waiting and not self._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, min(waiting))
        super()._run_once()  # type: ignore[misc]


class Thing:
    """Something that begins now."""

    def __init__(self) -> None:
        self.started = asyncio.get_running_loop().time()
        self.grown: list[float] = []

    def grow_old(self) -> None:
        """Remember when."""
        self.grown.append(asyncio.get_running_loop().time())


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop with a clock of its own."""
    one = Loop()
    yield one
    one.close()


def test_what_lives_on_grows_old_once(loop: Loop) -> None:
    """At `age` seconds, at most a quarter late."""

    async def run() -> list[Thing]:
        aging: Aging[Thing] = Aging(AGE)
        things: list[Thing] = []
        for _ in range(5):
            things.append(Thing())
            aging.add(things[-1])
            await asyncio.sleep(0.3)
        await asyncio.sleep(5.0)
        return things

    for thing in loop.run_until_complete(run()):
        (when,) = thing.grown
        assert AGE <= when - thing.started <= AGE * 1.25 + 1e-9


def test_what_ends_young_is_left_alone(loop: Loop) -> None:
    """Also where an older one still lives before it."""

    async def run() -> list[list[float]]:
        aging: Aging[Thing] = Aging(AGE)
        things = [Thing(), Thing(), Thing()]
        for thing in things:
            aging.add(thing)
        await asyncio.sleep(0.5)
        aging.remove(things[0])
        aging.remove(things[2])
        assert len(aging) == 1
        await asyncio.sleep(5.0)
        return [thing.grown for thing in things]

    first, second, third = loop.run_until_complete(run())
    assert (first, len(second), third) == ([], 1, [])


def test_there_is_no_timer_while_nothing_is_young(loop: Loop) -> None:
    """The last one takes the timer with it, and the next one starts it anew."""

    async def run() -> list[Thing]:
        aging: Aging[Thing] = Aging(AGE)
        things: list[Thing] = []
        for _ in range(2):
            things.append(Thing())
            aging.add(things[-1])
            await asyncio.sleep(3.0)
            assert aging._timer is None
        return things

    assert all(len(thing.grown) == 1 for thing in loop.run_until_complete(run()))


def test_closed_it_watches_no_longer(loop: Loop) -> None:
    """Nothing grows old afterwards; closing without anything to watch is fine."""

    async def run() -> Thing:
        aging: Aging[Thing] = Aging(AGE)
        thing = Thing()
        aging.close()
        aging.add(thing)
        aging.close()
        await asyncio.sleep(5.0)
        return thing

    assert loop.run_until_complete(run()).grown == []
