"""The adaptor between ASGI and calls: raw, without a framework, since layers cost more than the work they wrap."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from athena_serving.crew.admission import Budget
from athena_serving.errors import AthenaError, CallCancelled, InternalError, MethodMissing, OutputInvalid, Unavailable
from athena_serving.gateway import answers, faults, lobby
from athena_serving.gateway.access import Access
from athena_serving.gateway.answers import Collected, Stream
from athena_serving.gateway.exchange import Exchange, Message, Receive, Scope
from athena_serving.gateway.intake import Intake, NotJson
from athena_serving.gateway.lobby import Lobby
from athena_serving.gateway.meters import STAGES, stages
from athena_serving.gateway.probes import Probes
from athena_serving.gateway.services import Generation, Service, Services
from athena_serving.gateway.talk import Outcome, Push, Talk
from athena_serving.gateway.websocket import Connection
from athena_serving.settings import Limits, Server
from athena_serving.wire import envelope
from athena_serving.wire.messages import Call, Reply
from athena_serving.wire.session import StopReason
from athena_serving.wire.sid import Sids

log = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json; charset=utf-8")
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
        self.lobby = Lobby(services, access, sids, limits=limits, server=server)
        self._services = services
        self._probes = probes
        self._timeout = limits.call_timeout
        self._body_limit = limits.body
        self._intake = Intake(limits.body, budget)
        self._connections: set[Connection] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        service = None
        if scope["type"] == "websocket" or not _is_ours(scope):
            service = self._services.find(scope["path"], scope["query_string"], scope["headers"])
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send, service)
            return
        if service is None:
            await self._probes.answer(scope, send, self._services)
            return
        sid = self.lobby.next_sid(service)
        await self._serve(Exchange(scope, receive, service, sid, started=_clock(), timeout=self._timeout), send)

    async def drained(self, seconds: float) -> bool:
        """Let nothing new in and wait until nothing is in progress, then cancel what still is; True if nothing was."""
        for connection in tuple(self._connections):
            connection.retire()
        return await self.lobby.drained(seconds)

    # ── WebSockets ────────────────────────────────────────────────────────────────────────────────

    async def _connect(self, scope: Scope, receive: Receive, send: Send, service: Service | None) -> None:
        """Accept a connection to a service that is there; refuse others before the handshake."""
        await receive()  # websocket.connect
        if service is None:
            await _reject(send, 404, self._probes.not_found(self._services))
            return
        try:
            self.lobby.admit()
            if service.category is None:
                lobby.ready(service)
        except Unavailable as error:
            await _reject(send, error.http, envelope.encode_error(error, self.lobby.next_sid(service)))
            return
        scope.setdefault("method", "GET")
        await send({"type": "websocket.accept"})
        connection = Connection(self.lobby, scope, receive, send, service)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    # ── one request ───────────────────────────────────────────────────────────────────────────────

    async def _serve(self, exchange: Exchange, send: Send) -> None:
        self.lobby.enter(exchange)
        try:
            try:
                self.lobby.admit()
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
            self.lobby.leave(exchange)

    async def _call(self, exchange: Exchange, send: Send) -> None:
        self._intake.check_type(exchange.headers.get(b"content-type"))
        service, route_key = exchange.service, ""
        form = answers.form(exchange.headers.get(b"accept"))
        if service.category is None:
            _check_room(lobby.ready(service), form)
        body = await self._intake.read(exchange)
        exchange.read_at = _clock()
        if service.category is not None:
            service, route_key = self.lobby.choose(service, envelope.parse(body), exchange)
        generation = lobby.ready(service)
        if route_key or exchange.category is not None:
            _check_room(generation, form)
        asked = envelope.decode(body, generation.schema)
        if route_key:
            asked.headers.update(routekey=route_key, route_param=route_key)
        call = self.lobby.call(exchange, generation, asked)
        exchange.decoded_at = _clock()
        if form is not None:
            await self._stream(exchange, generation, call, form, send)
        elif generation.has_once:
            await self._once(exchange, generation, call, send)
        else:
            await self._collect(exchange, generation, call, send)

    async def _once(self, exchange: Exchange, generation: Generation, call: Call, send: Send) -> None:
        """One call, one body."""

        async def answer(reply: Reply) -> None:
            exchange.user_us, exchange.answered_at = reply.user_us, _clock()
            if reply.code:
                raise faults.from_reply(reply)
            body = envelope.encode(exchange.sid, reply, call.expects, generation.schema, headers=call.headers)
            await self._respond(exchange, 200, body, send)

        await generation.crew.serve(call, answer)

    async def _collect(self, exchange: Exchange, generation: Generation, call: Call, send: Send) -> None:
        """A session of one step, its answer in one body."""
        if not generation.schema.takes_once:
            raise MethodMissing(
                f"service {generation.schema.service} holds sessions only: call it by WebSocket, or with "
                "Accept: text/event-stream"
            )
        collected = Collected(call.expects, self._body_limit)
        outcome = await self._talk(exchange, generation, call, collected.push)
        if outcome.error is not None:
            raise outcome.error
        body = envelope.encode(exchange.sid, collected.reply(), call.expects, generation.schema, headers=call.headers)
        await self._respond(exchange, 200, body, send)

    async def _stream(
        self, exchange: Exchange, generation: Generation, call: Call, form: type[Stream], send: Send
    ) -> None:
        """Steps as they come; a wrapper that only answers calls has one."""
        steps = envelope.Steps(exchange.sid, generation.schema)
        steps.begin(call.expects, call.headers)
        plain = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        stream = form(steps, exchange, send, [(b"content-type", form.kind), *self._marks(exchange), *plain])
        breath = asyncio.get_running_loop().create_task(stream.breathe(generation.timing.keep_alive))
        error: AthenaError | None = None
        try:
            if generation.has_stream:
                error = (await self._talk(exchange, generation, call, stream.push)).error
            else:
                await generation.crew.serve(call, _failing(exchange, stream.push))
        except AthenaError as failed:
            error = failed
        except asyncio.CancelledError:
            if exchange.reason is None or not stream.has_begun:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are in one
            error = faults.from_reason(exchange.reason, self._timeout)
        finally:
            breath.cancel()
        if error is not None and not stream.has_begun:
            raise error
        if error is not None:
            exchange.code = error.code
            if isinstance(error, CallCancelled):
                return
            await stream.fail(error)
        await stream.end()

    async def _talk(self, exchange: Exchange, generation: Generation, call: Call, push: Push) -> Outcome:
        """A session of one step."""
        exchange.begin_session()
        talk = Talk(exchange, generation, push)
        self.lobby.open_talk(talk)
        outcome = Outcome(StopReason.FAULT, None)
        try:
            talk.begin(call, last=True, is_fed=False)
            outcome = await talk.run(call)
        finally:
            self.lobby.close_talk(talk, outcome)
        if outcome.reason is StopReason.CLIENT_LEFT:
            raise CallCancelled("the caller left")
        return outcome

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
        headers = [_JSON, (b"content-length", b"%d" % len(body)), *self._marks(exchange)]
        if extra:
            headers += extra
        if b"x-athena-timing" in exchange.headers and exchange.answered_at:
            headers.append((b"server-timing", _timing(exchange)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    def _marks(exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Headers by which a request is found again."""
        marks = [(b"x-request-id", (exchange.given_id or exchange.sid).encode())]
        if exchange.traceparent:
            marks.append((b"traceparent", exchange.traceparent.encode()))
        return marks


def _check_room(generation: Generation, form: type[Stream] | None) -> None:
    """Could the request be served now? Asked before its body is read. Raises `QueueFull`, `Unavailable`."""
    if generation.has_stream and (form is not None or not generation.has_once):
        generation.crew.check_seat()
    else:
        generation.crew.check()


def _failing(exchange: Exchange, push: Push) -> Push:
    """A call's reply is pushed, or raised if it is a failure."""

    async def answer(reply: Reply) -> None:
        exchange.user_us, exchange.answered_at = reply.user_us, _clock()
        if reply.code:
            raise faults.from_reply(reply)
        await push(reply)

    return answer


async def _reject(send: Send, status: int, body: bytes) -> None:
    """Answer a handshake in HTTP."""
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _is_ours(scope: Scope) -> bool:
    """Is it the page or the monitoring, whatever a path's last part names and whatever route a schema has?"""
    if scope["method"] not in ("GET", "HEAD"):  # as most calls are
        return False
    path: str = scope["path"]
    return path.startswith("/monitor/") or (path == "/" and b"serviceId=" not in scope["query_string"])


def _timing(exchange: Exchange) -> bytes:
    """Where the time went, in milliseconds, for who asks by `X-Athena-Timing` (W3C Server Timing)."""
    seconds = zip(STAGES, stages(exchange, _clock()), strict=True)
    return ", ".join(f"{stage};dur={value * 1000:.3f}" for stage, value in seconds).encode()
