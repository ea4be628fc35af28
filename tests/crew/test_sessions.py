"""The session table: whatever happens in whatever order, every session ends exactly once, slots are never shared."""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from athena_serving.crew.member import Member
from athena_serving.crew.sessions import Ending, Sessions
from athena_serving.wire import frames
from athena_serving.wire.messages import Reply, Status
from tests.crew.fakes import FakeLink, end, frame_of, page, settled
from tests.wire.calls import call

FIRST, WINDOW = 8, 4


def test_closing_twice_is_refused() -> None:
    """The slot may be another's by then."""
    table = Sessions(first_slot=0, window=1)
    session = table.open(call())
    table.close(session)
    with pytest.raises(RuntimeError, match="stream 1 ended twice"):
        table.close(session)


def test_table_has_room_for_its_window() -> None:
    """And for no more; what is closed makes room."""
    table = Sessions(first_slot=FIRST, window=2)
    first, second = table.open(call()), table.open(call())
    room = [table.has_room]
    table.close(first)
    room.append(table.has_room)
    assert room == [False, True]
    assert {first.slot, second.slot} == {FIRST, FIRST + 1}
    assert table.open_ones() == [second]


async def test_steps_come_before_the_end() -> None:
    """What was pushed is taken out in order, then how the session ended; each wakes who waits."""
    session = Sessions(first_slot=0, window=1).open(call())
    changed = session.changed()
    session.push(Reply(status=Status.BEGIN))
    session.push(Reply(status=Status.CONTINUE))
    assert changed.done()
    changed = session.changed()
    session.finish(Ending.DIED)
    assert changed.done()
    assert [reply.status for reply in session.replies] == [0, 1]
    assert session.ending is Ending.DIED


@dataclass
class Sent:
    """What the machine knows of one call."""

    stream: int
    slot: int
    task: "asyncio.Task[Ending | None]"
    heard: list[Reply] = field(default_factory=list)
    is_abandoned: bool = False
    outcome: Ending | None = None
    """How it must have ended, where without an answer."""


class Table(RuleBasedStateMachine):
    """A member with a link that remembers; the machine plays callers and worker."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.changes = 0
        self.page = page()
        self.born = time.monotonic_ns()
        self.member = Member(
            "worker", self.page, seats=WINDOW, window=WINDOW, first_slot=FIRST, on_change=self._on_change
        )
        self.link = FakeLink()
        self.member._link = self.link
        self.open: dict[int, Sent] = {}
        self.over: list[Sent] = []

    def _on_change(self, _: Member) -> None:
        self.changes += 1

    def settle(self) -> None:
        """Let every coroutine run as far as it can."""
        self.loop.run_until_complete(settled())

    def teardown(self) -> None:
        """Nothing may be left waiting."""
        self.lose_all(seen=[], is_broken=False)
        self.loop.close()

    def close(self, sent: Sent, outcome: Ending | None) -> None:
        """A call is over for the worker."""
        del self.open[sent.stream]
        sent.outcome = outcome
        self.over.append(sent)
        self.settle()

    # ── what callers do ───────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.member.load < self.member.limit and not self.member.is_gone)
    @rule()
    def begin(self) -> None:
        """A call comes."""
        heard: list[Reply] = []

        async def send(reply: Reply) -> None:
            heard.append(reply)

        self.member.reserve()
        before = len(self.link.begun)
        task = self.loop.create_task(self.member.serve(call(), send))
        self.settle()
        (stream, slot), *others = self.link.begun[before:]
        assert not others
        self.open[stream] = Sent(stream, slot, task, heard)

    @precondition(lambda self: any(not sent.is_abandoned for sent in self.open.values()))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A caller goes: the worker is told, once, and the call unwinds at once."""
        sent = data.draw(st.sampled_from([one for one in self.open.values() if not one.is_abandoned]))
        sent.task.cancel("the caller left")
        self.settle()
        assert sent.task.cancelled()
        assert self.link.cancelled[-1] == (sent.stream, "the caller left")
        sent.is_abandoned = True

    # ── what the worker does ──────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.open)
    @rule(data=st.data(), code=st.sampled_from([0, 10909]), user_us=st.integers(0, 10**6))
    def answer(self, data: st.DataObject, code: int, user_us: int) -> None:
        """A call is answered, perhaps one that nobody waits for."""
        sent = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        changes = self.changes
        self.member.on_frame(end(sent.stream, Reply(code=code, user_us=user_us)))
        self.close(sent, None)
        assert self.changes > changes
        assert [reply.code for reply in sent.heard if reply.is_last] == ([] if sent.is_abandoned else [code])

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One step of an answer that goes on."""
        sent = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        before = len(sent.heard)
        self.member.on_frame(end(sent.stream, Reply(status=Status.CONTINUE)))
        self.settle()
        assert len(sent.heard) == before + (not sent.is_abandoned)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """User code never saw a call."""
        sent = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        self.member.on_frame(frame_of(frames.dropped(sent.stream)))
        self.close(sent, Ending.DROPPED)

    @precondition(lambda self: self.over)
    @rule(data=st.data(), is_end=st.booleans())
    def repeat(self, data: st.DataObject, is_end: bool) -> None:
        """A frame for a stream that is over changes nothing: an END and a DROPPED may cross."""
        sent = data.draw(st.sampled_from(self.over))
        load, heard = self.member.load, len(sent.heard)
        self.member.on_frame(end(sent.stream) if is_end else frame_of(frames.dropped(sent.stream)))
        self.settle()
        assert (self.member.load, len(sent.heard)) == (load, heard)

    @precondition(lambda self: len(self.open) > 1 and not self.member.is_gone)
    @rule(data=st.data(), is_broken=st.booleans())
    def lose(self, data: st.DataObject, is_broken: bool) -> None:
        """The worker dies; its page says which calls user code had."""
        self.lose_all(data.draw(st.lists(st.sampled_from(sorted(self.open)))), is_broken=is_broken)

    def lose_all(self, seen: list[int], *, is_broken: bool) -> None:
        """All that is open ends."""
        for stream in seen:
            self.page.set_slot(self.open[stream].slot, stream, 0.0, 0.0)
        self.member.on_lost(is_broken=is_broken)
        for sent in list(self.open.values()):
            self.close(sent, Ending.DIED if is_broken or sent.stream in seen else Ending.DROPPED)

    # ── what always holds ─────────────────────────────────────────────────────────────────────────

    @invariant()
    def streams_only_grow(self) -> None:
        """One by one, from a number that no door before this one has used."""
        streams = [stream for stream, _ in self.link.begun]
        assert all(later == earlier + 1 for earlier, later in pairwise(streams))
        assert all(stream > self.born for stream in streams)

    @invariant()
    def slots_are_never_shared(self) -> None:
        """And always of the door's own part of the page."""
        slots = [sent.slot for sent in self.open.values()]
        assert len(set(slots)) == len(slots)
        assert all(FIRST <= slot < FIRST + WINDOW for slot in slots)

    @invariant()
    def seats_are_counted(self) -> None:
        """A call takes its seat until the worker lets go of it, whoever still waits."""
        assert self.member.load == len(self.open)
        assert self.member.limit <= WINDOW

    @invariant()
    def every_session_ends_once(self) -> None:
        """What is open waits; what is over has its answer, its ending or its cancellation, and nothing else."""
        for sent in self.open.values():
            assert sent.task.done() == sent.is_abandoned
        for sent in self.over:
            assert sent.task.done()
            if not sent.is_abandoned:
                assert sent.task.result() is sent.outcome

    @invariant()
    def workers_are_told_once(self) -> None:
        """One CANCEL for each call that was abandoned, none for others."""
        told = [stream for stream, _ in self.link.cancelled]
        abandoned = [sent.stream for sent in (*self.over, *self.open.values()) if sent.is_abandoned]
        assert sorted(told) == sorted(abandoned)


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
