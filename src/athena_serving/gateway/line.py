"""One session's line on a WebSocket: its sid, its numbers, and the talk or the call that is going on.

A wrapper that holds sessions gets one talk a line. One that only answers calls gets a call a frame, all with the line's
sid: that is how ASF serves it (http-api.md 7.9).
"""

import asyncio
import logging
import time
from typing import Protocol

from athena_serving.errors import AthenaError, InternalError, Unavailable
from athena_serving.gateway import faults
from athena_serving.gateway.exchange import Exchange, Scope
from athena_serving.gateway.lobby import Lobby, ready
from athena_serving.gateway.services import Generation, Service
from athena_serving.gateway.talk import Outcome, Talk
from athena_serving.wire import envelope
from athena_serving.wire.envelope import Given, Members, Steps
from athena_serving.wire.messages import Call, Reply, Status, Step
from athena_serving.wire.schema import Schema
from athena_serving.wire.session import StopReason

log = logging.getLogger(__name__)

SWITCHED = 101
"""HTTP status of what happens on a WebSocket, in metrics and log."""


class Wire(Protocol):
    """What a line needs of its connection."""

    async def write(self, *frames: bytes) -> None:
        """Send frames."""

    async def conclude(self, line: "Line", outcome: Outcome) -> None:
        """A session or a call ended."""


class Line:
    """A session on a connection, by its `cid` if that is shared."""

    def __init__(self, lobby: Lobby, scope: Scope, service: Service, wire: Wire, *, cid: str | None) -> None:
        self._lobby = lobby
        self._scope = scope
        self._service = service
        self._wire = wire
        self._cid = cid
        self.sid = lobby.next_sid(service)
        self._generation: Generation | None = None
        self.steps = self._fresh_steps()
        self.task: asyncio.Task[None] | None = None
        self.was_idle = False
        """Did its session end since nothing came?"""
        self._talk: Talk | None = None
        self._is_over = False
        """Has its session ended?"""
        self._is_ending = False
        """Has what went on ended, and is only being told?"""

    @property
    def is_busy(self) -> bool:
        """Is something going on?"""
        return self.task is not None and not self.task.done() and not self._is_ending

    def talks_by(self, schema: Schema) -> bool:
        """Does a session go on here that is read by this schema?"""
        return self._talk is not None and self._generation is not None and self._generation.schema is schema

    async def take(self, members: Members, body: bytes, *, is_shared: bool) -> bool:
        """A frame has come: `members` are those of `body`. False if its session is over.

        Raises AthenaError for what is no step.
        """
        if self._is_over:
            return False
        if self._talk is not None and self._generation is not None:
            schema = self._generation.schema
            given = envelope.read_frame(members, schema, is_first=False)
            envelope.remember_frame(body, schema, is_shared=is_shared)
            return await self.go_on(given)
        if self.task is not None:
            await asyncio.wait([self.task])  # the call of the frame before
        await self._begin(members)
        return True

    def stop(self, reason: StopReason) -> None:
        """End what is going on."""
        if self._talk is not None:
            self._talk.stop(reason)
        elif self.is_busy and self.task is not None:
            self.task.cancel(reason.value)

    def count_refused(self, error: AthenaError) -> None:
        """A frame was no step of this service, and no session came of it: it is counted as a call that failed."""
        if self._talk is None and not self._is_over:
            exchange = self._exchange()
            self._lobby.enter(exchange)
            exchange.code, exchange.status = error.code, SWITCHED
            self._lobby.leave(exchange)

    # ── frames ────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, members: Members) -> None:
        exchange = self._exchange()
        service, route_key = self._lobby.choose(self._service, members, exchange)
        generation = self._generation = ready(service)
        self.steps = self._fresh_steps()
        given = envelope.read_frame(members, generation.schema, is_first=True)
        if route_key:
            given.request.headers.update(routekey=route_key, route_param=route_key)
        call = self._lobby.call(exchange, generation, given.request)
        self.steps.begin(given.request.expects, given.request.headers)
        exchange.bytes_in = sum(len(piece.data) for piece in call.pieces)
        if generation.has_stream:
            self._talk = talk = Talk(exchange, generation, self._push)
            talk.begin(call, last=_is_last(talk, given))
            work = self._run_talk(exchange, talk, call)
        else:
            work = self._run_call(exchange, generation, call)
        self._is_ending = False
        self.task = self._lobby.own(work)

    async def go_on(self, given: Given) -> bool:
        """A later step has come. False if the session is over."""
        talk = self._talk
        if talk is None or talk.machine.is_over:
            return False
        given.request.params.pop("sid", None)  # the session's own: a wrapper sends by it
        step = Step(given.request.pieces, given.request.params, _is_last(talk, given))
        talk.exchange.bytes_in += sum(len(piece.data) for piece in step.pieces)
        return await talk.step(step)

    # ── what goes on ──────────────────────────────────────────────────────────────────────────────

    async def _run_talk(self, exchange: Exchange, talk: Talk, call: Call) -> None:
        exchange.enlist()
        exchange.begin_session()
        self._lobby.enter(exchange)
        self._lobby.open_talk(talk)
        try:
            self._lobby.admit()
            outcome = await talk.run(call)
        except AthenaError as error:
            outcome = Outcome(StopReason.REFUSED, error)
        except Exception:  # our own bug: the caller gets the sid, the log the traceback
            log.exception("a session failed by our own fault", extra={"fields": {"sid": self.sid}})
            outcome = Outcome(StopReason.FAULT, InternalError(f"internal error; sid {self.sid}"))
        self.was_idle = outcome.reason is StopReason.IDLE
        self._talk, self._is_over = None, True
        self._lobby.close_talk(talk, outcome)
        await self._end(exchange, outcome)

    async def _run_call(self, exchange: Exchange, generation: Generation, call: Call) -> None:
        """A frame of a wrapper that only answers calls."""
        exchange.enlist()

        async def answer(reply: Reply) -> None:
            if reply.code:
                raise faults.from_reply(reply)
            exchange.user_us, exchange.answered_at = reply.user_us, time.monotonic()
            for piece in reply.pieces:
                piece.status = Status.END  # clients wait for it
            frame = self.steps.encode(reply, Status.END)
            exchange.bytes_out += len(frame)
            await self._wire.write(frame)

        outcome = Outcome(StopReason.FINISHED, None)
        self._lobby.enter(exchange)
        try:
            self._lobby.admit()
            await generation.crew.serve(call, answer)
        except AthenaError as error:
            outcome = Outcome(StopReason.WRAPPER_FAILED, error)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are in one
            reason = StopReason.CLIENT_LEFT if exchange.reason is None else StopReason.STALLED
            outcome = Outcome(reason, faults.from_reason(exchange.reason, self._lobby.timeout))
        except Exception:  # our own bug
            log.exception("a call failed by our own fault", extra={"fields": {"sid": self.sid}})
            outcome = Outcome(StopReason.FAULT, InternalError(f"internal error; sid {self.sid}"))
        await self._end(exchange, outcome)

    async def _end(self, exchange: Exchange, outcome: Outcome) -> None:
        exchange.status = SWITCHED
        exchange.code = outcome.error.code if outcome.error is not None else 0
        self._lobby.leave(exchange)
        self._is_ending = True
        await self._wire.conclude(self, outcome)

    async def _push(self, reply: Reply) -> None:
        talk = self._talk
        if talk is None:
            return
        frames: list[bytes] = []
        try:
            frames += map(self._frame, (reply, *reply.more))
        finally:  # what is good of them, where one is not in the schema
            talk.exchange.bytes_out += sum(map(len, frames))
            await self._wire.write(*frames)

    def _frame(self, step: Reply) -> bytes:
        if not step.pieces and step.status < Status.END:
            return self.steps.acknowledge()
        return self.steps.encode(step, min(step.status, Status.END))

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _exchange(self) -> Exchange:
        return Exchange(
            self._scope, _nothing_more, self._service, self.sid, started=time.monotonic(), timeout=self._lobby.timeout
        )

    def _fresh_steps(self) -> Steps:
        generation = self._generation or self._service.current
        if generation is None:
            raise Unavailable(f"service {self._service.name} cannot be called: {self._service.why_not}")
        return Steps(self.sid, generation.schema, cid=self._cid)


def _is_last(talk: Talk, given: Given) -> bool:
    return talk.machine.is_last(given.statuses, given.header)


async def _nothing_more() -> dict[str, object]:
    """What an exchange's request says after its frame: a session's connection watches for the caller's leaving."""
    await asyncio.get_running_loop().create_future()
    raise RuntimeError("unreachable")
