"""What every way in shares: which service is meant, what a call is, who is inside, and how all that ends.

HTTP requests (asgi.py) and sessions on WebSockets (websocket.py, line.py) come in through here.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Final

from athena_serving.errors import BadAppId, Problem, TargetMissing, Unavailable
from athena_serving.gateway.access import Access
from athena_serving.gateway.exchange import Exchange, Reason
from athena_serving.gateway.services import Generation, Service, Services
from athena_serving.gateway.talk import Outcome, Talk
from athena_serving.kit.aging import Aging
from athena_serving.settings import Limits, Server
from athena_serving.wire.envelope import Members, Request
from athena_serving.wire.messages import Call, Sid
from athena_serving.wire.session import StopReason
from athena_serving.wire.sid import Sids

YOUNG: Final = 0.02
"""Seconds that a call may take before its deadline gets a timer and its caller is watched."""


class Lobby:
    """One door's."""

    def __init__(self, services: Services, access: Access, sids: Sids, *, limits: Limits, server: Server) -> None:
        self.services = services
        self.timeout = limits.call_timeout
        """Seconds that a call may take."""
        self.refuses = ""
        """Why nothing is let in any more; empty while it is."""
        self._access = access
        self._sids = sids
        self._checks_consumer = server.check_consumer
        self._exchanges: Aging[Exchange] = Aging(YOUNG)
        self._talks: dict[Talk, None] = {}
        self._emptied = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def next_sid(self, service: Service) -> Sid:
        """A new id for a call or a session."""
        return self._sids.next(time.time(), service.sub)

    def own(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Run it as a task that somebody remembers."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ── what is meant ─────────────────────────────────────────────────────────────────────────────

    def choose(self, service: Service, members: Members, exchange: Exchange) -> tuple[Service, str]:
        """The service that a request goes to, a category's choice if it is one, and the route key.

        Raises `RouteNotFound`, `TargetMissing`.
        """
        if service.category is None:
            return service, ""
        choice = service.category.pick(members)
        target = self.services.get(choice.target)
        if target is None or target.category is not None:
            raise TargetMissing(f"sub service not found:{choice.target}")
        exchange.move(target)
        return target, choice.route_key

    def call(self, exchange: Exchange, generation: Generation, asked: Request) -> Call:
        """A checked request as a call. Raises `BadAppId` if its key is another's."""
        exchange.app = asked.app
        if self._checks_consumer:
            _check_consumer(exchange.headers.get(b"x-consumer-username"), asked.app)
        for name in generation.passed_headers:
            if name in asked.headers:
                asked.params.setdefault(name, asked.headers[name])
        asked.params["sid"] = exchange.sid
        return Call(
            sid=exchange.sid,
            service=generation.schema.service,
            app=asked.app,
            expires=exchange.expires,
            headers=asked.headers,
            params=asked.params,
            pieces=asked.pieces,
            expects=asked.expects,
            traceparent=exchange.traceparent,
        )

    # ── who is inside ─────────────────────────────────────────────────────────────────────────────

    def enter(self, exchange: Exchange) -> None:
        """A request has come, or a session's first frame."""
        self._exchanges.add(exchange)
        exchange.service.meter.entered()

    def admit(self) -> None:
        """May it go on? Raises `Unavailable` when nothing is let in any more."""
        if self.refuses:
            raise Unavailable(self.refuses)

    def leave(self, exchange: Exchange) -> None:
        """It has its answer, or nobody waits for one."""
        exchange.end()
        self._exchanges.remove(exchange)
        if not self._exchanges:
            self._emptied.set()
        now = time.monotonic()
        exchange.service.meter.ended(exchange, now)
        if self._access.is_on:
            self._access.write(exchange.entry(now))

    def open_talk(self, talk: Talk) -> None:
        """A session begins."""
        self._talks[talk] = None
        talk.exchange.service.meter.session_opened()

    def close_talk(self, talk: Talk, outcome: Outcome) -> None:
        """It is over."""
        if self._talks.pop(talk, self) is None:
            talk.exchange.service.meter.session_closed(talk, outcome.reason)

    def talks(self) -> Iterator[Talk]:
        """The sessions that go on."""
        return iter(list(self._talks))

    def cancel(self, sid: str) -> bool:
        """End the session of this sid; False if there is none."""
        found = next((talk for talk in self._talks if talk.exchange.sid == sid), None)
        if found is not None:
            found.stop(StopReason.CANCELLED)
        return found is not None

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing is in progress, then cancel what still is; True if that was nothing."""
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


def ready(service: Service) -> Generation:
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
