"""The adaptor between ASGI and calls: raw, without a framework, since layers cost more than the work they wrap."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from athena_serving.crew.admission import Budget
from athena_serving.errors import (
    AthenaError,
    BadAppId,
    CallCancelled,
    InternalError,
    OutputInvalid,
    Problem,
    TargetMissing,
    Unavailable,
)
from athena_serving.gateway import faults
from athena_serving.gateway.access import Access
from athena_serving.gateway.exchange import Exchange, Message, Reason, Receive, Scope
from athena_serving.gateway.intake import Intake, NotJson
from athena_serving.gateway.meters import STAGES, stages
from athena_serving.gateway.probes import Probes
from athena_serving.gateway.services import Generation, Service, Services
from athena_serving.kit.aging import Aging
from athena_serving.settings import Limits, Server
from athena_serving.wire import envelope
from athena_serving.wire.category import Category
from athena_serving.wire.envelope import Request
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
        self,
        services: Services,
        probes: Probes,
        access: Access,
        sids: Sids,
        *,
        limits: Limits,
        server: Server,
        budget: Budget,
    ) -> None:
        self._services = services
        self._probes = probes
        self._access = access
        self._sids = sids
        self._timeout = limits.call_timeout
        self._checks_consumer = server.check_consumer
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
        service = None
        if not _is_ours(scope):
            service = self._services.find(scope["path"], scope["query_string"], scope["headers"])
        if service is None:
            await self._probes.answer(scope, send, self._services)
            return
        sid = self._sids.next(time.time(), service.sub)
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
        self._exchanges.add(exchange)
        exchange.service.meter.entered()
        try:
            try:
                if self.refuses:
                    raise Unavailable(self.refuses)
                await self._call(exchange, send)
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

    async def _call(self, exchange: Exchange, send: Send) -> None:
        self._intake.check_type(exchange.headers.get(b"content-type"))
        if exchange.service.category is not None:
            await self._lead_on(exchange, exchange.service.category, send)
            return
        generation = _ready(exchange.service)
        generation.crew.check()
        body = await self._intake.read(exchange)
        exchange.read_at = _clock()
        await self._ask(exchange, generation, envelope.decode(body, generation.schema), send)

    async def _lead_on(self, exchange: Exchange, category: Category, send: Send) -> None:
        """A category's call: the body says which service it goes to."""
        body = await self._intake.read(exchange)
        exchange.read_at = _clock()
        choice = category.pick(envelope.parse(body))
        service = self._services.get(choice.target)
        if service is None or service.category is not None:
            raise TargetMissing(f"sub service not found:{choice.target}")
        exchange.move(service)
        generation = _ready(service)
        generation.crew.check()
        asked = envelope.decode(body, generation.schema)
        if choice.route_key:
            asked.headers.update(routekey=choice.route_key, route_param=choice.route_key)
        await self._ask(exchange, generation, asked, send)

    async def _ask(self, exchange: Exchange, generation: Generation, asked: Request, send: Send) -> None:
        schema, sid = generation.schema, exchange.sid
        exchange.app = asked.app
        if self._checks_consumer:
            _check_consumer(exchange.headers.get(b"x-consumer-username"), asked.app)
        for name in generation.passed_headers:
            if name in asked.headers:
                asked.params.setdefault(name, asked.headers[name])
        asked.params["sid"] = sid
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
            body = envelope.encode(sid, reply, asked.expects, schema, headers=asked.headers)
            await self._respond(exchange, 200, body, send)

        await generation.crew.serve(call, answer)

    async def _refuse(self, exchange: Exchange, error: AthenaError, send: Send) -> None:
        exchange.code = error.code
        if isinstance(error, OutputInvalid):  # the wrapper's author must look, and only we have seen it
            log.warning("%s", error.message, extra={"fields": {"service": exchange.service.name, "sid": exchange.sid}})
        status = faults.http_status(error, exchange.code_map)
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
        if b"x-athena-timing" in exchange.headers and exchange.answered_at:
            headers.append((b"server-timing", _timing(exchange)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _account(self, exchange: Exchange) -> None:
        now = _clock()
        exchange.service.meter.ended(exchange, now)
        if self._access.is_on:
            self._access.write(exchange.entry(now))


def _is_ours(scope: Scope) -> bool:
    """Is it the page or the monitoring, whatever a path's last part names and whatever route a schema has?"""
    if scope["method"] not in ("GET", "HEAD"):  # as most calls are
        return False
    path: str = scope["path"]
    return path.startswith("/monitor/") or (path == "/" and b"serviceId=" not in scope["query_string"])


def _ready(service: Service) -> Generation:
    """The generation that a call goes to. Raises `Unavailable` if there is none."""
    if service.current is None:
        raise Unavailable(f"service {service.name} cannot be called: {service.why_not}")
    return service.current


def _check_consumer(consumer: bytes | None, app: str) -> None:
    """What an API gateway in front has found out must be what the request says of itself (http-api.md 8.1).

    Raises `BadAppId`. Without the header there is nothing to compare, as in ASF.
    """
    if consumer and consumer.decode("latin-1") != app:
        problems = (Problem("/header/app_id", "is not that of the key"),)
        raise BadAppId("app_id and api_key does not match", problems=problems)


def _timing(exchange: Exchange) -> bytes:
    """Where the time went, in milliseconds, for who asks by `X-Athena-Timing` (W3C Server Timing)."""
    seconds = zip(STAGES, stages(exchange, _clock()), strict=True)
    return ", ".join(f"{stage};dur={value * 1000:.3f}" for stage, value in seconds).encode()
