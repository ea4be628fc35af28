"""The adaptor between ASGI and calls: raw, without a framework, since layers cost more than the work they wrap."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from athena_serving.crew.admission import Budget
from athena_serving.errors import AthenaError, CallCancelled, InternalError, Unavailable
from athena_serving.gateway import faults
from athena_serving.gateway.access import Access
from athena_serving.gateway.exchange import Exchange, Message, Reason, Receive, Scope
from athena_serving.gateway.intake import Intake, NotJson
from athena_serving.gateway.probes import Probes
from athena_serving.gateway.services import Generation, Services
from athena_serving.kit.aging import Aging
from athena_serving.settings import Limits
from athena_serving.wire import envelope
from athena_serving.wire.messages import Call, Reply
from athena_serving.wire.sid import Sids

log = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json; charset=utf-8")
YOUNG: Final = 0.02
"""Seconds that a call may take before its deadline gets a timer and its caller is watched."""

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
        self._timeout = limits.call_timeout
        self._intake = Intake(limits.body, budget)
        self._exchanges: Aging[Exchange] = Aging(YOUNG)
        self._emptied = asyncio.Event()
        self.refuses: str = ""
        """Why no call is let in any more; empty while they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "no service here speaks WebSocket yet"})
            return
        service = self._services.find(scope["path"], scope["query_string"])
        if service is None:
            await self._probes.answer(scope, send, self._services.names())
            return
        sid = self._sids.next(time.time())
        await self._serve(Exchange(scope, receive, service, sid, started=_clock(), timeout=self._timeout), send)

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
        for exchange in self._exchanges:
            exchange.cancel(Reason.SHUTDOWN)
        await self._empty()
        return False

    async def _empty(self) -> None:
        while self._exchanges:
            self._emptied.clear()
            await self._emptied.wait()

    # ── one call ──────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, exchange: Exchange, send: Send) -> None:
        service, generation = exchange.service, exchange.service.current
        self._exchanges.add(exchange)
        service.meter.entered()
        try:
            try:
                if self.refuses or generation is None:
                    raise Unavailable(self.refuses or f"service {service.name} cannot be called: {service.why_not}")
                await self._call(exchange, generation, send)
            except AthenaError as error:
                await self._refuse(exchange, error, send)
            except asyncio.CancelledError:
                if exchange.reason is None:
                    raise
                asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are in one
                await self._refuse(exchange, faults.from_reason(exchange.reason, self._timeout), send)
            except Exception:  # our own bug: the caller gets the sid, the log the traceback
                log.exception("a call failed by our own fault", extra={"fields": {"sid": exchange.sid}})
                await self._refuse(exchange, InternalError(f"internal error; sid {exchange.sid}"), send)
        finally:
            self._intake.release(exchange)
            exchange.end()
            self._exchanges.remove(exchange)
            if not self._exchanges:
                self._emptied.set()
            self._account(exchange)

    async def _call(self, exchange: Exchange, generation: Generation, send: Send) -> None:
        schema, crew, sid = generation.schema, generation.crew, exchange.sid
        self._intake.check_type(exchange.headers.get(b"content-type"))
        crew.check()
        body = await self._intake.read(exchange)
        exchange.read_at = _clock()
        asked = envelope.decode(body, schema)
        asked.params["sid"] = sid
        exchange.app = asked.app
        call = Call(
            sid=sid,
            service=schema.service,
            app=asked.app,
            expires=exchange.expires,
            headers=asked.headers,
            params=asked.params,
            pieces=asked.pieces,
            expects=asked.expects,
            traceparent=exchange.traceparent,
        )
        exchange.decoded_at = _clock()

        async def answer(reply: Reply) -> None:
            exchange.user_us, exchange.answered_at = reply.user_us, _clock()
            if reply.code:
                raise faults.from_reply(reply)
            await self._respond(exchange, 200, envelope.encode(sid, reply, asked.expects, schema), send)

        await crew.serve(call, answer)

    async def _refuse(self, exchange: Exchange, error: AthenaError, send: Send) -> None:
        generation = exchange.service.current
        exchange.code = error.code
        status = faults.http_status(error, generation.schema if generation is not None else None)
        if isinstance(error, CallCancelled):
            exchange.status = status
            return
        extra = [(b"retry-after", b"%d" % error.retry_after)] if error.retry else []
        if isinstance(error, NotJson):
            body = b'{"message":"%b"}' % error.message.encode()
        else:
            body = envelope.encode_error(error, exchange.sid)
        await self._respond(exchange, status, body, send, extra)

    async def _respond(
        self, exchange: Exchange, status: int, body: bytes, send: Send, extra: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        exchange.status = status
        exchange.bytes_out = len(body)
        name = exchange.given_id or exchange.sid
        headers = [_JSON, (b"content-length", b"%d" % len(body)), (b"x-request-id", name.encode())]
        if extra:
            headers += extra
        if exchange.traceparent:
            headers.append((b"traceparent", exchange.traceparent.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _account(self, exchange: Exchange) -> None:
        now = _clock()
        exchange.service.meter.ended(exchange, now)
        if self._access.is_on:
            self._access.write(exchange.entry(now))
