"""One worker as a door sees it: its link, its page, the sessions that are with it."""

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from athena_serving.crew.link import WorkerLink
from athena_serving.crew.sessions import Ending, Session, Sessions
from athena_serving.wire import frames
from athena_serving.wire.frames import STEPS, BadFrame, Frame, Kind
from athena_serving.wire.messages import Call, Send, Step
from athena_serving.wire.page import Page

Changed = Callable[["Member"], None]

_END: Final = int(Kind.END)
_ANSWERS: Final = frozenset({_END, int(Kind.PIECE)})
_STEPS: Final = int(Kind.STEPS)
WORTH: Final = 10_000
"""Microseconds of user code that may stand ahead of a call at a worker while another worker's seat may be free."""


class Member:
    """A worker of a crew. `on_change` is called whenever it has less to do than before, or is gone."""

    def __init__(
        self,
        name: str,
        page: Page,
        *,
        seats: int,
        window: int,
        first_slot: int,
        on_change: Changed,
        ahead: int | None = None,
        batch: int = 1,
    ) -> None:
        """`ahead`: once-calls that may be sent before their turn, if that is less than the window."""
        self.name = name
        self.seats = seats
        self.batch = batch
        """Once-calls that may share a seat."""
        self.running_sessions = 0
        """Sessions that are with it: each has a seat for itself."""
        self.is_retiring = False
        self.is_gone = False
        self._window = window
        self._ahead = window if ahead is None else max(ahead, seats)
        self._page = page
        # A door that was started anew must not repeat the numbers of the one before it: their calls may still run, and
        # in the same slots.
        self._sessions = Sessions(first_slot=first_slot, window=window, after=time.monotonic_ns())
        self._on_change = on_change
        self._link: WorkerLink | None = None
        self.load = 0
        """Calls that are with it or promised to it."""
        self._user_us = 0.0
        self.limit = self._fitting()
        """Calls that may be with it now; at most the window."""

    def connect(self, data: socket.socket, side: socket.socket, *, max_frame: int) -> None:
        """Take over the sockets and begin."""
        self._link = WorkerLink(data, side, self, max_frame=max_frame)
        self._link.start()

    def reserve(self) -> None:
        """Promise it a call that will be sent or `release`d."""
        self.load += 1

    def release(self) -> None:
        """The promised call is not coming."""
        self.load -= 1
        self._on_change(self)

    async def serve(self, call: Call, send: Send) -> Ending | None:
        """Run a call that was reserved for. None when it was answered through `send`; else how it ended instead.

        Cancelled, it tells the worker so and unwinds at once; the seat stays taken until the worker lets go.
        """
        link = self._link
        if link is None or self.is_gone:
            self.release()
            return Ending.DROPPED
        session = self._sessions.open(call)
        if call.is_session:
            self._seat_session(1)
        try:
            link.begin(session.stream, session.slot, call, at_once=self.load <= self.seats)
            if call.is_session:
                return await self._follow(session, send, link)
            replies = session.replies
            while True:
                if not replies:
                    if session.ending is not None:
                        return session.ending
                    await session.changed()
                    continue
                await send(replies.popleft())
                if session.is_over and not replies and session.ending is None:
                    return None
        except BaseException as error:
            self._abandon(
                session, str(error) if isinstance(error, asyncio.CancelledError) else "its answer has no taker"
            )
            raise
        finally:
            if call.feed is not None:
                call.feed.close()

    async def _follow(self, session: Session, send: Send, link: WorkerLink) -> Ending | None:
        """A session's steps, as they come; what `send` has taken the worker may send anew."""
        replies, taken = session.replies, 0
        if session.call.feed is not None:
            session.call.feed.attach(partial(self._give, session, link), STEPS)
        while True:
            if not replies:
                if session.ending is not None or session.is_over:
                    return session.ending
                await session.changed()
                continue
            reply = replies.popleft()
            if replies:
                reply.more = [*replies]
                replies.clear()
            count = 1 + len(reply.more)
            await send(reply)
            taken += count
            if taken >= STEPS // 2 and not session.is_over:
                link.credit(session.stream, taken)
                taken = 0

    @staticmethod
    def _give(session: Session, link: WorkerLink, step: Step) -> None:
        if not session.is_over:
            link.give(session.stream, step)

    def close(self) -> None:
        """Let go of the worker, for good."""
        if self._link is not None:
            self._link.close()
            self._link = None  # which knows us: no circle keeps the page of a dead worker

    # ── what the link tells ───────────────────────────────────────────────────────────────────────

    def on_frame(self, frame: Frame) -> None:
        """A step of an answer, or that a call was dropped."""
        session = self._sessions.get(frame.stream)
        kind = frame.kind
        if kind in _ANSWERS:
            self._answered(session, frame)
        elif kind == _STEPS:
            several = frames.read_steps(frame)
            if session is not None and not session.is_abandoned:
                session.push(*several)
        elif kind == Kind.CREDIT:
            steps = frames.read_credit(frame)
            if session is not None and session.call.feed is not None:
                session.call.feed.grant(steps)
        elif kind != Kind.DROPPED:
            raise BadFrame(f"kind {kind} from a worker")
        elif session is not None:
            self._end(session, Ending.DROPPED)

    def on_lost(self, *, is_broken: bool) -> None:
        """The worker is gone: end its sessions by what its page says, if that is its last word."""
        self.is_gone = True
        for session in self._sessions.open_ones():
            seen = is_broken or self._page.has_seen(session.slot, session.stream)
            self._end(session, Ending.DIED if seen else Ending.DROPPED)
        self._on_change(self)

    def _answered(self, session: Session | None, frame: Frame) -> None:
        # Read even when nobody waits: a shared block must be given back.
        take = self._link.take_block if self._link is not None else frames.no_blocks
        reply, _ = frames.read_step(frame, read_block=take)
        if session is None:
            return
        is_last = frame.kind == _END
        if is_last:
            self._close(session)
            if not session.call.is_session:
                self._learn(reply.user_us)
        if not session.is_abandoned:
            session.push(reply)
        if is_last:
            self._on_change(self)

    def _close(self, session: Session) -> None:
        self._sessions.close(session)
        self.load -= 1
        if session.call.is_session:
            self._seat_session(-1)

    def _end(self, session: Session, ending: Ending) -> None:
        self._close(session)
        session.finish(ending)
        if not self.is_gone:
            self._on_change(self)

    def _abandon(self, session: Session, reason: str) -> None:
        if session.is_over or self._link is None:
            return
        session.is_abandoned = True
        self._link.cancel(session.stream, reason)

    def _learn(self, user_us: int) -> None:
        """How far ahead to send.

        Quick calls are sent ahead, so that the worker never waits for us; slow ones are not, so that none stands behind
        a slow one while another worker is free.
        """
        mean = self._user_us
        self._user_us = mean + (user_us - mean) * 0.1 if mean else user_us + 1.0
        self.limit = self._fitting()

    def _seat_session(self, change: int) -> None:
        self.running_sessions += change
        self.limit = self._fitting()

    def _fitting(self) -> int:
        """Sessions keep their seats for long: nothing is sent ahead to wait for one. Batches gather at the worker."""
        free = self.seats - self.running_sessions
        if free <= 0:
            return self.running_sessions
        if self.batch > 1:  # one batch runs while the next one gathers
            return min(self._window, self.running_sessions + 2 * free * self.batch)
        ahead = int(WORTH / (self._user_us + 1.0)) * free if self._user_us else 0
        return min(self._window, self.running_sessions + min(free + ahead, self._ahead))
