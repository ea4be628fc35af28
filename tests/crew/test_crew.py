"""Dispatch: least load, fair, bounded; a call that a worker died under is repeated only if user code never saw it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.crew.crew import Crew
from athena_serving.crew.member import Member
from athena_serving.crew.sessions import Ending
from athena_serving.errors import AthenaError, QueueFull, Unavailable, WorkerDied
from tests.crew.fakes import FakeMember, no_taker, settled
from tests.wire.calls import call


class House:
    """A crew, its members, and what it was told to do with them."""

    def __init__(self, *seats: int, queue: int = 10) -> None:
        self.left: list[str] = []
        self.dropped = 0
        self.crew = Crew("ocr", queue=queue, on_left=self._on_left, on_dropped=self._on_dropped)
        self.members = [FakeMember(f"w{i}", self.crew.on_change, seats=count) for i, count in enumerate(seats)]
        for member in self.members:
            self.crew.add(member)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def _on_left(self, member: Member) -> None:
        self.left.append(member.name)

    def _on_dropped(self) -> None:
        self.dropped += 1

    async def begin(self, *sids: str) -> None:
        """Calls come, one after the other."""
        for sid in sids:
            self.tasks[sid] = asyncio.get_running_loop().create_task(self.crew.serve(call(sid), no_taker))
            await settled()

    def where(self) -> list[list[str]]:
        """The sids that each member has."""
        return [list(member.calls) for member in self.members]

    async def error(self, sid: str) -> AthenaError:
        """How a call failed."""
        with pytest.raises(AthenaError) as caught:
            async with asyncio.timeout(10):
                await self.tasks[sid]
        return caught.value


async def test_call_goes_to_the_worker_with_the_least_to_do() -> None:
    """Not in turn: one that is quick gets more."""
    house = House(3, 3)
    await house.begin("a", "b", "c", "d")
    assert house.where() == [["a", "c"], ["b", "d"]]
    await house.members[1].end("b")
    await house.members[1].end("d")
    await house.begin("e", "f")
    assert house.where() == [["a", "c"], ["e", "f"]]


async def test_waiting_calls_are_served_in_order() -> None:
    """Whichever worker is free first takes whoever came first."""
    house = House(1, 1)
    await house.begin("a", "b", "c", "d", "e")
    await house.members[1].end("b")
    await house.members[0].end("a")
    assert house.where() == [["d"], ["c"]]
    await house.members[0].end("d")
    assert house.where() == [["e"], ["c"]]


async def test_newcomer_does_not_overtake() -> None:
    """A seat that is promised to one who waits is not given to one who has just come."""
    house = House(1)
    await house.begin("first", "waits")
    house.members[0].calls["first"].set_result(None)
    await house.begin("newcomer")
    assert house.where() == [["waits"]]


async def test_queue_is_bounded() -> None:
    """Seats and queue full: refused at once, with a reason and a time to come back."""
    house = House(1, queue=2)
    await house.begin("a", "b", "c", "d")
    refused = await house.error("d")
    assert isinstance(refused, QueueFull)
    assert house.crew.admission.inside == 3
    await house.members[0].end("a")
    await house.begin("e")
    assert not house.tasks["e"].done()


async def test_waiting_caller_who_leaves_makes_room() -> None:
    """It is counted as dropped and never reaches a worker."""
    house = House(1, queue=1)
    await house.begin("a", "b")
    house.tasks["b"].cancel()
    await settled()
    await house.begin("c")
    await house.members[0].end("a")
    assert (house.where(), house.dropped, house.crew.admission.inside) == ([["c"]], 1, 1)


async def test_caller_who_leaves_when_served_returns_its_seat() -> None:
    """Cancelled in the very moment it was promised a worker, it passes the promise on."""
    house = House(1)
    await house.begin("a", "b", "c")
    house.members[0].calls["a"].set_result(None)  # in the loop's next turn `b` is promised the seat ...
    asyncio.get_running_loop().call_soon(house.tasks["b"].cancel)  # ... and, before it runs, cancelled
    await settled()
    assert house.tasks["b"].cancelled()
    assert (house.where(), house.members[0].load) == ([["c"]], 1)


async def test_no_worker_is_said_with_the_reason() -> None:
    """Nobody waits for a worker that is not there."""
    house = House()
    house.crew.unavailable = "w0 starting"
    await house.begin("a")
    refused = await house.error("a")
    assert isinstance(refused, Unavailable)
    assert "service ocr cannot be called: w0 starting" in str(refused)


async def test_call_that_was_not_seen_goes_to_another_worker() -> None:
    """Once; the dead worker leaves the crew."""
    house = House(1, 1)
    await house.begin("a")
    await house.members[0].die(Ending.DROPPED)
    assert (house.where(), house.left) == ([[], ["a"]], ["w0"])
    await house.members[1].end("a")
    await house.tasks["a"]


async def test_call_that_two_workers_died_under_is_not_given_to_a_third() -> None:
    """It may be what killed them."""
    house = House(1, 1, 1)
    await house.begin("a")
    for member in house.members[:2]:
        await member.die(Ending.DROPPED)
    assert isinstance(await house.error("a"), Unavailable)
    assert house.where()[2] == []


async def test_call_that_was_seen_is_never_repeated() -> None:
    """Its caller is told 10109, and may try again itself."""
    house = House(1, 1)
    await house.begin("a")
    await house.members[0].die(Ending.DIED)
    died = await house.error("a")
    assert isinstance(died, WorkerDied)
    assert (died.code, died.http, died.retry) == (10109, 503, True)
    assert house.where()[1] == []


async def test_last_worker_takes_the_queue_with_it() -> None:
    """Who waits is told at once that nobody will come."""
    house = House(1)
    await house.begin("a", "b")
    await house.members[0].die(Ending.DIED)
    assert isinstance(await house.error("b"), Unavailable)
    assert house.crew.admission.inside == 0


async def test_new_worker_takes_what_waits() -> None:
    """As much as it may have."""
    house = House(1)
    await house.begin("a", "b", "c", "d")
    fresh = FakeMember("fresh", house.crew.on_change, seats=2)
    house.crew.add(fresh)
    await settled()
    assert list(fresh.calls) == ["b", "c"]


async def test_retiring_worker_gets_no_more_calls() -> None:
    """It leaves with its last one; the others serve on."""
    house = House(1, 1)
    await house.begin("a", "b", "c")
    house.crew.retire(house.members[0])
    await house.members[0].end("a")
    assert house.left == ["w0"]
    assert house.where() == [[], ["b"]]
    await house.members[1].end("b")
    assert house.where() == [[], ["c"]]


async def test_idle_worker_retires_at_once() -> None:
    """And only once, whatever is said afterwards."""
    house = House(1, 1)
    house.crew.retire(house.members[0])
    house.crew.on_change(house.members[0])
    assert house.left == ["w0"]
    assert house.crew.admission.seats == 1


async def test_generation_leaves_when_all_is_served() -> None:
    """Those that waited when every worker retired are served by them; nobody new comes in."""
    house = House(1, 1)
    await house.begin("a", "b", "c", "d")
    for member in house.members:
        house.crew.retire(member)
    await house.begin("late")
    assert isinstance(await house.error("late"), Unavailable)
    await house.members[0].end("a")
    await house.members[1].end("b")
    assert (house.where(), house.left) == ([["c"], ["d"]], [])
    await house.members[0].end("c")
    assert house.left == ["w0"]
    await house.members[1].end("d")
    assert house.left == ["w0", "w1"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.lists(
        st.tuples(st.sampled_from(["begin", "end", "leave", "die", "retire", "add"]), st.integers(0, 99)), max_size=40
    ),
)
def test_every_call_ends_and_every_seat_comes_back(seats: list[int], steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: bounds hold, no seat is lost, no idle worker stands beside a queue."""
    asyncio.run(_play(seats, steps))


async def _play(seats: list[int], steps: list[tuple[str, int]]) -> None:
    house = House(*seats, queue=4)
    for number, (step, choice) in enumerate(steps):
        await _step(house, step, number, choice)
        _check(house)
    while running := [(member, sid) for member in house.members for sid in member.calls]:
        member, sid = running[0]
        await member.end(sid)
    await asyncio.wait_for(asyncio.gather(*house.tasks.values(), return_exceptions=True), 10)
    assert house.crew.admission.inside == 0
    assert all(member.load == 0 for member in house.members)
    assert len(set(house.left)) == len(house.left)


async def _step(house: House, step: str, number: int, choice: int) -> None:
    running = [(member, sid) for member in house.members for sid in member.calls]
    living = [member for member in house.members if member in house.crew.members]
    if step == "begin":
        await house.begin(f"call {number}")
    elif step == "end" and running:
        member, sid = running[choice % len(running)]
        await member.end(sid)
    elif step == "leave" and house.tasks:
        [*house.tasks.values()][choice % len(house.tasks)].cancel()
        await settled()
    elif step == "die" and living:
        await living[choice % len(living)].die(Ending.DROPPED)
    elif step == "retire" and living:
        house.crew.retire(living[choice % len(living)])
    elif step == "add":
        house.members.append(FakeMember(f"w{len(house.members)}", house.crew.on_change, seats=2))
        house.crew.add(house.members[-1])
        await settled()


def _check(house: House) -> None:
    crew = house.crew
    assert crew.admission.inside == sum(not task.done() for task in house.tasks.values())
    assert crew.admission.seats == sum(m.seats for m in crew.members if not m.is_retiring)
    assert all(m.load <= m.limit for m in crew.members)
    if crew.queue:
        assert not any(m.load < m.limit for m in crew.members if not m.is_retiring)
        assert crew.members
