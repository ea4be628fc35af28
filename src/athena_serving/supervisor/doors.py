"""The doors: keeps each alive, and tells it, anew after a restart, of every generation and worker."""

import asyncio
import contextlib
import itertools
import logging
import mmap
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from athena_serving.errors import SettingsError, UsageError
from athena_serving.kit import memory
from athena_serving.kit.backoff import Backoff
from athena_serving.settings import Serve
from athena_serving.supervisor.child import Child
from athena_serving.supervisor.places import Place, State
from athena_serving.wire import control, page
from athena_serving.wire.control import (
    Answer,
    Ask,
    DoorSetup,
    Drained,
    End,
    Ended,
    Failed,
    Join,
    List,
    Listed,
    Pong,
    Retire,
    Retired,
    Retreat,
    Serving,
    Stop,
)
from athena_serving.wire.page import Page

log = logging.getLogger("supervisor")

ASK_TIMEOUT = 2.0
"""Seconds that a door may take to answer."""
COUNT = 1
"""Doors that are built; nothing may assume that there is only one."""


class Door:
    """One door's place."""

    def __init__(
        self,
        index: int,
        settings: Serve,
        listeners: Sequence[socket.socket],
        *,
        log_form: str,
        on_serving: Callable[["Door"], None],
        on_ask: Callable[[], bytes],
        on_dead: Callable[["Door"], None],
        on_failed: Callable[[UsageError], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.index = index
        self.page: Page | None = None
        self.is_serving = False
        self.reason = "starting"
        """Why it does not serve."""
        self._settings = settings
        self._listeners = listeners
        self._log_form = log_form
        self._on_serving = on_serving
        self._on_ask = on_ask
        self._on_dead = on_dead
        self._on_failed = on_failed
        self._on_lost = on_lost
        self._child: Child | None = None
        self._leaving = asyncio.Event()
        self._retired: dict[str, asyncio.Event] = {}
        self._drained = asyncio.Event()
        self._asked: dict[int, asyncio.Future[bytes | bool]] = {}
        self._numbers = itertools.count(1)
        self._backoff = Backoff(0.1, 5.0, 1_000_000, 10.0)

    @property
    def pid(self) -> int:
        """Of the process; 0 if there is none."""
        return self._child.pid if self._child is not None and not self._child.has_ended else 0

    async def keep(self) -> None:
        """Keep a door here until told to leave."""
        failures = 0
        while not self._leaving.is_set():
            descriptor = memory.anonymous("page", page.SIZE)
            self.page = Page(memoryview(mmap.mmap(descriptor, page.SIZE)))
            self.page.format(0)
            child = self._child = Child(f"door-{self.index}", "athena_serving.gateway")
            child.start(self._on_message, environ=dict(os.environ), directory=Path.cwd())
            server = self._settings.server
            setup = DoorSetup(
                index=self.index,
                limits=msgspec.json.encode(self._settings.limits),
                server=msgspec.json.encode(server),
                log=self._log_form,
                pid=os.getpid(),
                address=self._listeners[0].getsockname()[0],
                port=self._listeners[0].getsockname()[1],
            )
            child.send(control.encode(setup), [descriptor, *(one.fileno() for one in self._listeners)])
            os.close(descriptor)
            end = await child.ended()
            self.is_serving, self.reason = False, end.reason
            for event in [*self._retired.values(), self._drained]:
                event.set()
            self._on_dead(self)
            self.page = None
            if self._leaving.is_set():
                break
            log.error("%s died: %s", child.name, end.reason)
            failures = self._backoff.count(failures, end.lived)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), self._backoff.delay(failures))

    def send(self, order: control.ToDoor, fds: Sequence[int] = ()) -> None:
        """Tell it something."""
        if self._child is not None and self.is_serving:
            self._child.send(control.encode(order), fds)

    def join(self, place: Place, service: str, generation: int, *, batch: int) -> None:
        """Link it with a ready worker, whose seats are shared by `batch` once-calls."""
        if not self.is_serving or place.state is not State.READY:
            return
        data, data_theirs = socket.socketpair()
        side, side_theirs = socket.socketpair()
        workers = place.hosted.workers
        with data, data_theirs, side, side_theirs:
            for one in (data, data_theirs):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    one.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
            place.attach(self.index, (data_theirs.fileno(), side_theirs.fileno()))
            order = Join(
                place.key,
                service,
                generation,
                seats=workers.seats,
                window=place.hosted.reach,
                ahead=workers.window,
                batch=batch,
            )
            self.send(order, [data.fileno(), side.fileno(), place.page_descriptor])

    async def sessions(self) -> bytes:
        """The sessions that go on, as a JSON array."""
        answer = await self._ask(List)
        return answer if isinstance(answer, bytes) else b"[]"

    async def end(self, sid: str) -> bool:
        """End a session; False if it has none of this sid."""
        return bool(await self._ask(partial(End, sid=sid)))

    async def retire(self, key: str) -> None:
        """Wait until it has no call at a worker, and gets none."""
        if not self.is_serving:
            return
        event = self._retired[key] = asyncio.Event()
        self.send(Retire(key))
        await event.wait()
        self._retired.pop(key, None)

    async def drain(self, seconds: float) -> None:
        """Wait until it has no call and no connection; what is left after `seconds` it cancels."""
        if not self.is_serving:
            return
        self._drained.clear()
        self.send(Retreat("drain", seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + 5.0):
                await self._drained.wait()

    def let_die(self) -> None:
        """From now on a death is not mended: the sockets are about to be closed."""
        self._leaving.set()

    async def leave(self, seconds: float) -> None:
        """Ask it to end, and end it after `seconds`."""
        self._leaving.set()
        child = self._child
        if child is None or child.has_ended:
            return
        child.send(control.encode(Stop()))
        try:
            async with asyncio.timeout(seconds):
                await child.ended()
        except TimeoutError:
            child.kill()
            await child.ended()

    def kill(self) -> None:
        """End it at once."""
        self._leaving.set()
        if self._child is not None:
            self._child.kill()

    async def _ask(self, order: Callable[[int], List | End]) -> bytes | bool:
        if not self.is_serving:
            return False
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self.send(order(number))
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                answer: bytes | bool = await asked
                return answer
        except TimeoutError:
            return False
        finally:
            del self._asked[number]

    def _answered(self, number: int, answer: bytes | bool) -> None:
        asked = self._asked.get(number)
        if asked is not None and not asked.done():
            asked.set_result(answer)

    def _on_message(self, message: bytes, _: list[int]) -> None:
        match control.read_from_door(message):
            case Serving():
                self.is_serving, self.reason = True, "serving"
                self._on_serving(self)
            case Retired(key):
                event = self._retired.get(key)
                if event is not None:
                    event.set()
                else:
                    self._on_lost(key)
            case Ask(number):
                self.send(Answer(number, self._on_ask()))
            case Listed(number, sessions):
                self._answered(number, sessions)
            case Ended(number, found):
                self._answered(number, found)
            case Drained():
                self._drained.set()
            case Failed() as failed:
                self._on_failed(SettingsError(failed.message, where=failed.where, help=failed.help))
            case Pong():
                pass
