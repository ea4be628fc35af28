"""The adaptor between ASGI and calls: raw, without a framework, since layers cost more than the work they wrap."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from athena_serving.crew.admission import Budget
from athena_serving.errors import AthenaError, BadRequest, CallCancelled, InternalError, Unavailable
from athena_serving.gateway import faults, intake
from athena_serving.gateway.access import Access, Entry
from athena_serving.gateway.exchange import Exchange, Message, Reason, Receive
from athena_serving.gateway.probes import Probes
from athena_serving.gateway.services import Generation, Service, Services
from athena_serving.kit.aging import Aging
from athena_serving.settings import Limits
from athena_serving.wire import envelope
from athena_serving.wire.messages import Call, Reply, Sid
from athena_serving.wire.sid import Sids

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

_JSON: Final = (b"content-type", b"application/json; charset=utf-8")
YOUNG: Final = 0.02
"""Seconds that a call may take before its deadline gets a timer and its caller is watched."""

_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Version, trace, parent, flags (W3C Trace Context 3.2.2); no version ff, no id of zeroes."""

_clock = time.monotonic


class Application:
    """The ASGI application of the door."""

    def __init__(
        self, services: Services, probes: Probes, access: Access, sids: Sids, limits: Limits, budget: Budget
    ) -> None:
        self._services = services
        self._probes = probes
        self._access = access
        self._sids = sids
        self._limits = limits
        self._budget = budget
        self._aging = Aging(YOUNG)
        self._exchanges: set[Exchange] = set()
        self._emptied = asyncio.Event()
        self.refuses: str = ""
        """Why no call is let in any more; empty while they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "no service here speaks WebSocket yet"})
            return
        service = self._services.find(scope["path"], scope["query_string"])
        if service is not None:
            await self._serve(_Request(service, self._sids.next(time.time()), scope), receive, send)
        else:
            await self._probes.answer(scope, send, self._services.names())

    # ── the way out ───────────────────────────────────────────────────────────────────────────────

    async def drained(self, seconds: float) -> bool:
        """Wait until no call is in progress, then cancel what still is; True if that was none."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty()
        except TimeoutError:
            pass
        else:
            return True
        for exchange in list(self._exchanges):
            exchange.cancel(Reason.SHUTDOWN)
        await self._empty()
        return False

    async def _empty(self) -> None:
        while self._exchanges:
            self._emptied.clear()
            await self._emptied.wait()

    # ── one call ──────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, request: "_Request", receive: Receive, send: Send) -> None:
        service, generation = request.service, request.service.current
        timeout = self._limits.call_timeout
        exchange = Exchange(receive, started=_clock(), timeout=timeout)
        self._exchanges.add(exchange)
        self._aging.add(exchange)
        service.meter.entered()
        held = intake.Held(self._budget)
        try:
            try:
                if self.refuses or generation is None:
                    raise Unavailable(self.refuses or f"service {service.name} cannot be called: {service.why_not}")
                await self._call(request, generation, exchange, held, receive, send)
            except AthenaError as error:
                await self._refuse(request, generation, error, send)
            except asyncio.CancelledError:
                if exchange.reason is None:
                    raise
                asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are in one
                await self._refuse(request, generation, faults.from_reason(exchange.reason, timeout), send)
            except Exception:  # our own bug: the caller gets the sid, the log the traceback
                log.exception("a call failed by our own fault", extra={"fields": {"sid": request.sid}})
                await self._refuse(request, generation, InternalError(f"internal error; sid {request.sid}"), send)
        finally:
            held.close()
            exchange.end()
            self._exchanges.discard(exchange)
            if not self._exchanges:
                self._emptied.set()
            self._done(request, exchange)

    async def _call(
        self,
        request: "_Request",
        generation: Generation,
        exchange: Exchange,
        held: intake.Held,
        receive: Receive,
        send: Send,
    ) -> None:
        headers, schema, marks = request.headers, generation.schema, request.marks
        _check_type(headers.get(b"content-type"))
        generation.crew.check()
        length = intake.declared_length(headers.get(b"content-length"))
        body = await intake.read(receive, held, length=length, limit=self._limits.body)
        exchange.body_is_read()
        request.bytes_in = len(body)
        marks.append(_clock())
        asked = envelope.decode(body, schema)
        asked.params["sid"] = request.sid
        request.app = asked.app
        call = Call(
            sid=request.sid,
            service=schema.service,
            app=asked.app,
            expires=exchange.expires,
            headers=asked.headers,
            params=asked.params,
            pieces=asked.pieces,
            expects=asked.expects,
            traceparent=request.traceparent,
        )
        marks.append(_clock())

        async def answer(reply: Reply) -> None:
            request.user_us = reply.user_us
            if reply.code:
                raise faults.from_reply(reply)
            marks.append(_clock())
            await self._respond(request, 200, envelope.encode(request.sid, reply, call.expects, schema), send)

        await generation.crew.serve(call, answer)

    async def _refuse(self, request: "_Request", generation: Generation | None, error: AthenaError, send: Send) -> None:
        request.code = error.code
        status = faults.http_status(error, generation.schema if generation is not None else None)
        if isinstance(error, CallCancelled):
            request.status = status
            return
        extra = [(b"retry-after", b"%d" % error.retry_after)] if error.retry else []
        if isinstance(error, NotJson):
            body = b'{"message":"%b"}' % error.message.encode()
        else:
            body = envelope.encode_error(error, request.sid)
        await self._respond(request, status, body, send, extra)

    async def _respond(
        self, request: "_Request", status: int, body: bytes, send: Send, extra: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        request.status = status
        request.bytes_out = len(body)
        headers = [_JSON, (b"content-length", b"%d" % len(body)), (b"x-request-id", request.id), *(extra or ())]
        if request.traceparent:
            headers.append((b"traceparent", request.traceparent.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _done(self, request: "_Request", exchange: Exchange) -> None:
        now, marks, meter = _clock(), request.marks, request.service.meter
        meter.answered(request.code, request.status, request.bytes_in, request.bytes_out)
        total = now - exchange.started
        if len(marks) == 3:  # read, decoded, answered by user code
            user = request.user_us / 1e6
            read, decoded, answered = marks
            meter.timed(
                (
                    read - exchange.started,
                    decoded - read,
                    max(0.0, answered - decoded - user),
                    user,
                    now - answered,
                    total,
                )
            )
        if self._access.is_on:
            self._access.write(request.entry(total))


class NotJson(BadRequest):
    """The Content-Type is not JSON; ASF answers it without a header object (http-api.md 2.1)."""


def _check_type(value: bytes | None) -> None:
    if value == b"application/json":
        return
    if value is None or value.partition(b";")[0].strip().lower() != b"application/json":
        raise NotJson("content-type must be application/json")


class _Request:
    """What is known of one request, for its answer, the counters and the log."""

    __slots__ = (
        "app", "bytes_in", "bytes_out", "code", "given_id", "headers", "id", "marks", "method", "path", "service",
        "sid", "status", "traceparent", "user_us",
    )  # fmt: skip

    def __init__(self, service: Service, sid: Sid, scope: Scope) -> None:
        self.service = service
        self.sid = sid
        self.headers: Headers = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.app = ""
        self.status = 0
        self.code = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.user_us = 0
        self.marks: list[float] = []
        """When the body was read, when it was decoded, when user code's answer came."""
        given = self.headers.get(b"x-request-id", b"")
        self.given_id = given.decode() if _is_decent(given) else ""
        """The caller's own id for the request, if it is a decent one."""
        self.id = given if self.given_id else sid.encode()
        self.traceparent = _traceparent(self.headers.get(b"traceparent"))

    def entry(self, seconds: float) -> Entry:
        """The request as the access log tells of it."""
        return Entry(
            sid=self.sid,
            service=self.service.name,
            app=self.app,
            method=self.method,
            path=self.path,
            status=self.status,
            code=self.code,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            seconds=seconds,
            user_seconds=self.user_us / 1e6,
            trace_id=self.trace_id,
            request_id=self.given_id,
        )

    @property
    def trace_id(self) -> str:
        """The trace's id, or nothing."""
        return self.traceparent[3:35]


def _is_decent(given: bytes) -> bool:
    """Can a caller's id stand in a header and in a log?"""
    return 0 < len(given) <= 128 and given.isascii() and given.decode().isprintable()


def _traceparent(value: bytes | None) -> str:
    """A W3C traceparent as it came; nothing if it is malformed, as the standard says."""
    return value.decode() if value is not None and _TRACEPARENT.fullmatch(value) else ""
