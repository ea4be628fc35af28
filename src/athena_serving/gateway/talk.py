"""One session at the door: its place in the table of wire/session.py, its feed to the worker, its clocks.

A talk is one coroutine, `run`. To end it early is to cancel that coroutine with a reason; everything under it unwinds
in order, to the worker. How it ended is told to the caller by whoever runs it: the WebSocket or the HTTP answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from athena_serving.errors import AthenaError, CapacityError, InternalError, OutputInvalid, WorkerDied, WrapperError
from athena_serving.gateway import faults
from athena_serving.gateway.exchange import Exchange, Reason
from athena_serving.gateway.feed import Feed
from athena_serving.gateway.services import Generation, Timing
from athena_serving.wire import session
from athena_serving.wire.messages import Call, Reply, Step
from athena_serving.wire.session import Action, Event, StopReason

Push = Callable[[Reply], Awaitable[None]]
"""Sends a step of the answer, and those in its `more`, to the caller. Raises OutputInvalid for what no schema has."""

_REASONS = {Reason.CLIENT_LEFT: StopReason.CLIENT_LEFT, Reason.SHUTDOWN: StopReason.SHUTDOWN}


class Outcome(NamedTuple):
    """How a talk ended."""

    reason: StopReason
    error: AthenaError | None
    """What the caller is to be told; None where all is well."""


class Talk:
    """One session. `step` and `stop` are for its caller's side, `run` for the coroutine that it is."""

    def __init__(self, exchange: Exchange, generation: Generation, push: Push) -> None:
        self.exchange = exchange
        self.machine = session.Session()
        self.started = exchange.started
        self.steps_in = 1
        self.steps_out = 0
        self._generation = generation
        self._push = push
        self._feed = Feed()
        self._reason: StopReason | None = None
        self._task: asyncio.Task[object] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._moved = time.monotonic()
        """When a step or a result last came."""
        self._is_pushing = False
        self._is_behind = False
        """Does a step wait for the wrapper?"""

    @property
    def timing(self) -> Timing:
        """How long it may take."""
        return self._generation.timing

    @property
    def feed(self) -> Feed:
        """Its way to the worker."""
        return self._feed

    def line(self, now: float) -> dict[str, object]:
        """The session as its operator sees it."""
        exchange = self.exchange
        return {
            "sid": exchange.sid,
            "service": exchange.service.name,
            "app": exchange.app,
            "state": self.machine.state.name.lower(),
            "seconds": round(now - self.started, 1),
            "quiet_seconds": round(now - self._moved, 1),
            "steps_in": self.steps_in,
            "steps_out": self.steps_out,
        }

    def begin(self, call: Call, *, last: bool, is_fed: bool = True) -> None:
        """The first step has come, which `call` has; from here on there may be others. `last`: it is the only one."""
        call.is_session, call.last = True, last
        call.expires = self.exchange.expires = self.started + self.timing.session
        call.feed = self._feed if is_fed else None
        self.machine.on(Event.LAST_STEP if last else Event.STEP)

    async def run(self, call: Call) -> Outcome:
        """The session that has begun, to its end."""
        self._task = asyncio.current_task()
        if self._reason is not None:  # it was stopped before it could start
            self.machine.on(Event.STOP, self._reason)
            return Outcome(self._reason, session.error_of(self._reason))
        self._watch()
        try:
            await self._generation.crew.serve(call, self._on_reply)
        except AthenaError as error:
            return self._failed(error)
        except asyncio.CancelledError:
            reason = self._reason or _REASONS.get(self.exchange.reason or Reason.DEADLINE)
            if reason is None:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are in one
            self.machine.on(Event.STOP, reason)
            return Outcome(reason, session.error_of(reason, limit=self.timing.stall))
        finally:
            self._let_go(call)
        return Outcome(StopReason.FINISHED, None)

    async def step(self, step: Step) -> bool:
        """The caller sent a step; waits while the worker is behind. False if there is no session any more."""
        actions = self.machine.on(Event.LAST_STEP if step.last else Event.STEP)
        self._moved = time.monotonic()
        self.steps_in += 1
        if Action.FEED not in actions:
            return Action.REFUSE not in actions
        self._is_behind = not self._feed.has_room
        if step.last or self._is_behind:
            self._watch()  # from here on it is the wrapper's turn
        await self._feed.put(step)
        self._moved = time.monotonic()
        if self._is_behind:
            self._is_behind = False
            self._watch()
        return True

    def stop(self, reason: StopReason) -> None:
        """End it early."""
        if self._reason is None and not self.machine.is_over:
            self._reason = reason
            if self._task is not None:
                self._task.cancel(reason.value)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    async def _on_reply(self, reply: Reply) -> None:
        """Steps have come: this one, and what came with it. A failure among them is the last."""
        self._moved = time.monotonic()
        last = reply.more[-1] if reply.more else reply
        failure = last if last.code else None
        if failure is reply:
            raise faults.from_reply(failure)
        if failure is not None:
            reply.more.pop()
        is_last = failure is None and last.is_last
        if Action.PUSH not in self.machine.on(Event.LAST_RESULT if is_last else Event.RESULT):
            return
        self.steps_out += (1 if reply.pieces else 0) + len(reply.more)
        self._is_pushing = True
        try:
            await self._push(reply)
        finally:
            self._is_pushing = False
            self._moved = time.monotonic()
        if failure is not None:
            raise faults.from_reply(failure)

    def _failed(self, error: AthenaError) -> Outcome:
        match error:
            case WorkerDied():
                reason = StopReason.WORKER_DIED
            case CapacityError():
                reason = StopReason.REFUSED
            case WrapperError() | OutputInvalid():
                reason = StopReason.WRAPPER_FAILED
            case InternalError():
                reason = StopReason.FAULT
            case _:
                reason = StopReason.WRAPPER_FAILED
        self.machine.on(Event.STOP, reason)
        self.machine.reason = reason  # also where its last result was what could not be sent
        return Outcome(reason, error)

    def _let_go(self, call: Call) -> None:
        """It is over: keep nothing alive that its caller's connection does not need."""
        self._feed.close()
        call.feed = None
        self._stop_watching()
        self._task, self._push = None, _nobody

    def _watch(self) -> None:
        """Look at the clocks when the first of them could be over, and again."""
        self._stop_watching()
        if self.machine.is_over:
            return
        now = time.monotonic()
        due, reason = self._next_due()
        if due <= now and not self._is_pushing:
            self.stop(reason)
            return
        pause = max(due - now, _SOON) if not self._is_pushing else max(due - now, _LATER)
        self._alarm = asyncio.get_running_loop().call_later(pause, self._watch)

    def _stop_watching(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _next_due(self) -> tuple[float, StopReason]:
        timing = self.timing
        if self.machine.waits_for_wrapper or self._is_behind:
            turn, reason = self._moved + timing.stall, StopReason.STALLED
        else:
            turn, reason = self._moved + timing.idle, StopReason.IDLE
        whole = self.started + timing.session
        return (whole, StopReason.TOO_LONG) if whole <= turn else (turn, reason)


async def _nobody(_: Reply) -> None:
    """Who takes results when it is over."""


_SOON = 0.01
"""Seconds, at least, between two looks."""
_LATER = 0.5
"""The same while the caller takes its answer slowly: it has a clock of its own, the engine's."""
