"""Composition root of the HTTP door: links to the supervisor and to the workers, the engine, the application."""

import asyncio
import gc
import itertools
import logging
import os
import signal
import socket
import time
from typing import Final, cast

import msgspec
import uvloop
from uvicorn._types import ASGI3Application

from athena_serving.crew.admission import Budget
from athena_serving.crew.crew import Crew
from athena_serving.crew.member import Member
from athena_serving.errors import UsageError
from athena_serving.gateway.access import Access
from athena_serving.gateway.asgi import Application
from athena_serving.gateway.engine import Engine
from athena_serving.gateway.meters import Meter
from athena_serving.gateway.probes import Probes
from athena_serving.gateway.services import Generation, Service, Services
from athena_serving.kit import logs, memory, processes
from athena_serving.kit.channel import AsyncChannel, Channel
from athena_serving.settings import Limits, Server, Stream
from athena_serving.wire import category, control, schema
from athena_serving.wire.control import (
    Answer,
    Ask,
    Divide,
    DoorSetup,
    Drained,
    End,
    Ended,
    Failed,
    Groups,
    Health,
    Install,
    Join,
    List,
    Listed,
    Ping,
    Pong,
    Retire,
    Retired,
    Retreat,
    Serving,
    Stop,
    TakeOver,
)
from athena_serving.wire.page import Page
from athena_serving.wire.sid import Sids

log = logging.getLogger("door")

FRAME_MARGIN: Final = 1 << 20
"""Bytes that a frame's head may take beyond the body limit."""
ASK_TIMEOUT: Final = 2.0
"""Seconds that the supervisor may take to sum up the metrics."""
_MALLOC: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def main(descriptor: int) -> None:
    """Be a door whose channel to the supervisor is this descriptor."""
    for name in _MALLOC:
        os.environ.pop(name, None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.die_with_parent(signal.SIGTERM)  # not SIGKILL: the workers' groups must be ended first
    link = socket.socket(fileno=descriptor)
    channel = Channel(link)
    first = channel.receive()
    if first is None:
        return
    setup = control.read_to_door(first[0])
    if not isinstance(setup, DoorSetup):
        raise TypeError(f"the first order is {type(setup).__name__}")
    logs.setup("json" if setup.log == "json" else "human", stream=logs.Unwaiting(2))
    try:
        door = Door(setup, link, first[1])
    except UsageError as error:  # HTTP/2 without its package: no restart will help
        link.setblocking(True)
        channel.send(control.encode(Failed("load", error.message, error.where, error.help)))
        os._exit(error.exit_code)
    uvloop.run(door.run())
    os._exit(0)


class Door:
    """What a door has and whom it obeys."""

    def __init__(self, setup: DoorSetup, link: socket.socket, fds: list[int]) -> None:
        self._setup = setup
        self._limits = msgspec.json.decode(setup.limits, type=Limits)
        self._server = msgspec.json.decode(setup.server, type=Server)
        self._page = Page(memoryview(memory.mapped(fds[0])))
        self._sockets = [socket.socket(fileno=fd) for fd in fds[1:]]
        self._channel = AsyncChannel(link)
        self._services = Services()
        self._members: dict[str, tuple[Member, Crew]] = {}
        self._groups: list[int] = []
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._stopped = asyncio.Event()
        self._informed = asyncio.Event()
        self._retreat: asyncio.Task[None] | None = None
        self._probes = Probes(self._ask_metrics, body_limit=self._limits.body)
        self._access = Access(form=setup.log, is_on=self._server.access_log)
        sids = Sids(pid=setup.pid, ip=setup.address, port=setup.port)
        self._app = Application(
            self._services,
            self._probes,
            self._access,
            sids,
            limits=self._limits,
            server=self._server,
            budget=Budget(self._limits.inflight_bytes),
        )
        # Our types for ASGI are mappings, as its specification has them; uvicorn's are its own TypedDicts.
        self._engine = Engine(
            cast("ASGI3Application", self._app),
            sockets=self._sockets,
            limits=self._limits,
            http2=self._server.http2,
            ws_ping=self._limits.ping_interval,
        )

    async def run(self) -> None:
        """Serve until told to stop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._on_sigterm)
        self._channel.start(self._on_message, self._orphaned)
        self._access.start()
        self._say(Serving())
        # Callers wait in the sockets' backlog until we know what there is: none is told 404 about a service that lives.
        await self._informed.wait()
        await self._engine.start()
        gc.collect()
        gc.freeze()  # what is loaded stays: the collector need not walk it again and again
        gc.set_threshold(10_000, 20, 50)  # a call leaves no circles behind: looking after every 700 objects is waste
        await self._stopped.wait()
        await self._engine.close()
        for member, _ in list(self._members.values()):
            member.close()
        self._access.close()

    # ── the supervisor is gone ────────────────────────────────────────────────────────────────────

    def _on_sigterm(self) -> None:
        if os.getppid() != self._setup.pid:
            self._orphaned()
        # else a stray signal: the supervisor decides when we stop

    def _orphaned(self) -> None:
        """Nobody owns us and the workers any more: end their groups, what they started and detached too, and go."""
        if self._stopped.is_set():
            return
        for group in self._groups:
            processes.kill_group(group)
        processes.kill_marked(control.SPAWN, f"{self._setup.pid}.")
        os._exit(1)

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    def _say(self, report: control.FromDoor) -> None:
        self._channel.send(control.encode(report))

    def _on_message(self, message: bytes, fds: list[int]) -> None:
        match control.read_to_door(message):
            case Install() as order:
                self._install(order)
            case Divide(document):
                self._divide(document)
            case Join() as order:
                self._join(order, fds)
            case TakeOver(name, generation):
                self._take_over(name, generation)
            case Retire(worker):
                self._retire(worker)
            case Groups(groups):
                self._groups = groups
            case Health(ready, document, services, complete):
                self._probes.is_complete = complete
                self._hear(document, services, is_ready=ready)
            case Retreat(step, seconds):
                self._retreat = asyncio.get_running_loop().create_task(
                    self._go_back(step, seconds), name=f"retreat: {step}"
                )
            case Answer(number, body):
                asked = self._asked.get(number)
                if asked is not None and not asked.done():
                    asked.set_result(body)
            case List(number):
                self._say(Listed(number, self._list()))
            case End(number, sid):
                self._say(Ended(number, self._app.lobby.cancel(sid)))
            case Ping(number):
                self._say(Pong(number))
            case Stop():
                self._stopped.set()
            case DoorSetup():
                log.error("a second setup")

    def _install(self, order: Install) -> None:
        document = msgspec.json.decode(order.document)
        compiled = schema.compile(document, body_limit=self._limits.body, faces=order.faces)
        service = self._services.get(order.service)
        if service is None:
            service = Service(order.service, Meter(self._page, order.service))
            self._services.add(service)
        crew = Crew(order.service, queue=order.queue, on_left=self._on_left, on_dropped=service.meter.dropped)
        service.generations[order.generation] = Generation(
            order.generation,
            compiled,
            crew,
            tuple(order.passed_headers),
            stream=msgspec.json.decode(order.stream, type=Stream),
        )

    def _divide(self, document: bytes) -> None:
        one = category.parse(msgspec.json.decode(document))
        self._services.add(Service(one.service, Meter(self._page, one.service), one))

    def _join(self, order: Join, fds: list[int]) -> None:
        service = self._services.get(order.service)
        if service is None or order.generation not in service.generations:
            raise RuntimeError(f"worker {order.worker} of a generation that was not installed")
        crew = service.generations[order.generation].crew
        page = Page(memoryview(memory.mapped(fds[2])))
        os.close(fds[2])
        member = Member(
            order.worker,
            page,
            seats=order.seats,
            window=order.window,
            ahead=order.ahead,
            batch=order.batch,
            first_slot=self._setup.index * order.window,
            on_change=crew.on_change,
        )
        data, side = socket.socket(fileno=fds[0]), socket.socket(fileno=fds[1])
        member.connect(data, side, max_frame=self._limits.body + FRAME_MARGIN)
        self._members[order.worker] = (member, crew)
        crew.add(member)

    def _take_over(self, name: str, number: int) -> None:
        service = self._services.get(name)
        if service is None:
            return
        current = service.current = service.generations[number]
        service.sub = current.schema.sub
        self._services.route(service, current.schema.routes, current.schema.hosts)
        self._forget_generations()

    def _retire(self, worker: str) -> None:
        found = self._members.get(worker)
        if found is None:
            self._say(Retired(worker))
        else:
            found[1].retire(found[0])

    def _on_left(self, member: Member) -> None:
        """A worker has died, or has nothing left to do and retires."""
        if self._members.pop(member.name, None) is None:
            return
        member.close()
        self._say(Retired(member.name))
        self._forget_generations()

    def _forget_generations(self) -> None:
        for name in self._services.names():
            service = self._services.get(name)
            if service is None or service.current is None:
                continue
            newest = service.current.number
            for number in [n for n, g in service.generations.items() if n < newest and not g.crew.members]:
                del service.generations[number]

    def _hear(self, document: bytes, services: dict[str, str], *, is_ready: bool) -> None:
        self._informed.set()
        self._probes.health = document
        self._probes.is_ready = is_ready
        for name, reason in services.items():
            service = self._services.get(name)
            if service is not None and reason:
                service.why_not = reason
                for generation in service.generations.values():
                    generation.crew.unavailable = reason

    async def _go_back(self, step: str, seconds: float) -> None:
        """One step of the way out (docs/lifecycle.md)."""
        if step == "lame-duck":
            self._engine.retire()
        elif step == "refuse":
            self._engine.retire()
            self._app.lobby.refuses = "the service is shutting down"
            self._engine.stop_listening()
        elif step == "drain":
            clean = await self._app.drained(seconds)
            clean = await self._engine.drain(1.0) and clean
            self._say(Drained(clean))

    def _list(self) -> bytes:
        """The sessions that go on, for the operator."""
        now = time.monotonic()
        return msgspec.json.encode([talk.line(now) for talk in self._app.lobby.talks()])

    async def _ask_metrics(self) -> bytes | None:
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self._say(Ask(number))
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                body: bytes = await asked
                return body
        except TimeoutError:
            return None
        finally:
            del self._asked[number]
