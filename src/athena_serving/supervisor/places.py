"""A worker's place: keeps one worker alive in it, says how it is, and lets it go in order.

    STARTING ──Ready──► READY ──retire──► RETIRING ──► LEFT
        ▲  │               │
        │  └──died──┐ ┌────┘ died, stuck, gone
        │           ▼ ▼
        └──────── WAITING ──too often──► GIVEN_UP

A worker with a call that does not answer pings is busy, which is no fault: user code may hold the interpreter. Past
the call's deadline plus `stall_timeout` it is stuck, and is killed. One without a call that does not answer is gone.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import mmap
import os
import signal
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, Protocol

from athena_serving.errors import UsageError
from athena_serving.kit import memory
from athena_serving.kit.backoff import Backoff
from athena_serving.settings import Hosted
from athena_serving.supervisor.child import Child, End
from athena_serving.wire import control, page
from athena_serving.wire.control import Attach, Batching, Failed, Loaded, Ping, Pong, Ready, Stop, WorkerSetup
from athena_serving.wire.page import Page, Running

log = logging.getLogger("supervisor")

DUMP_TIME: Final = 0.5
"""Seconds that a stuck worker has to write its stacks before it is killed."""
LAST_WORD: Final = 0.5
"""Seconds between a door's word that a worker's link has ended and the worker's own end, if it is dying."""
_lives: Final = itertools.count(1)
"""Numbers the lives of all workers: a new generation's have the names of the old one's, and both are there at once."""


class State(Enum):
    """How a place is."""

    STARTING = "starting"  # a process loads the wrapper
    READY = "ready"  # calls can be sent
    WAITING = "waiting"  # the last one died; the next start is near
    GIVEN_UP = "given up"  # too many died in a row; a reload begins anew
    RETIRING = "retiring"  # no new calls; it finishes those it has
    LEFT = "left"  # over


class Verdict(Enum):
    """Why we ended a worker, or why it ended."""

    EXIT = "exit"  # it ended by itself
    SIGNAL = "signal"  # something killed it
    OOM = "oom"  # the kernel, for lack of memory
    LOAD = "load"  # its file cannot be loaded
    INIT = "init"  # wrapperInit failed
    SLOW_START = "slow start"  # not ready within start_timeout
    STUCK = "stuck"  # a call past its deadline and stall_timeout
    GONE = "gone"  # idle, and no answer to pings
    CUT_OFF = "cut off"  # alive, but a door lost its link to it


class House(Protocol):
    """Whom a place tells what happens."""

    def environment(self, hosted: Hosted, index: int) -> dict[str, str]:
        """The environment of worker `index`."""

    def on_loaded(self, place: "Place", loaded: Loaded) -> None:
        """The wrapper is known."""

    def on_ready(self, place: "Place") -> None:
        """Calls can be sent."""

    def on_dead(self, place: "Place", verdict: Verdict) -> None:
        """The worker is dead; its page is still there."""

    def on_change(self) -> None:
        """Something of what `/healthz` says is another."""


class Place:
    """One worker's place in a generation."""

    def __init__(
        self, hosted: Hosted, house: House, *, name: str, index: int, doors: int, body_limit: int, log_form: str
    ) -> None:
        self.hosted = hosted
        self.name = name
        self.index = index
        self.state = State.STARTING
        self.reason = "starting"
        """Why it is in its state, in words."""
        self.failure: Failed | None = None
        """What the last worker said that could not serve."""
        self.last_lines: list[str] = []
        """What the last dead worker wrote last."""
        self._death = ""
        """How the last worker ended, in words; empty before one did."""
        self.restarts = 0
        self.page: Page | None = None
        self.page_descriptor = -1
        self.is_busy = False
        self.is_trial = False
        """Belongs to a generation that may not take over: who tries it tells of its death."""
        self._house = house
        self._doors = doors
        self._body_limit = body_limit
        self._log_form = log_form
        self._child: Child | None = None
        self._life = 0
        self._verdict: Verdict | None = None
        self._pong = 0.0
        self.ready_since = 0.0
        """When the present worker became ready, on the monotonic clock; 0 if it is not."""
        self._leaving = asyncio.Event()
        self._settled = asyncio.Event()
        self._map: mmap.mmap | None = None
        workers = hosted.workers
        self._backoff = Backoff(
            workers.restart_delay, workers.restart_delay_max, workers.restart_limit, workers.steady_after
        )

    # ── what others may ask ───────────────────────────────────────────────────────────────────────

    @property
    def key(self) -> str:
        """Names this life of the worker, for the doors."""
        return f"{self.name}.{self._life}"

    @property
    def pid(self) -> int:
        """Of the process; 0 if there is none."""
        return self._child.pid if self._child is not None and not self._child.has_ended else 0

    def running(self) -> list[Running]:
        """Calls that user code has."""
        return self.page.running() if self.page is not None else []

    def recent_lines(self) -> list[str]:
        """What the worker and the one before it wrote last."""
        if self._child is not None and self._child.output is not None and not self._child.has_ended:
            return [*self.last_lines, *self._child.output.last_lines()]
        return self.last_lines

    async def settled(self) -> None:
        """Wait until the first worker is ready, or the first one failed."""
        await self._settled.wait()

    def attach(self, door: int, descriptors: tuple[int, int]) -> None:
        """Hand the worker its ends of the links to a door."""
        if self._child is not None:
            self._child.send(control.encode(Attach(door)), descriptors)

    def rename(self, name: str) -> None:
        """The wrapper's own name is known."""
        self.name = name
        if self._child is not None and self._child.output is not None:
            self._child.output.name = name

    # ── keeping ───────────────────────────────────────────────────────────────────────────────────

    async def keep(self) -> None:
        """Keep a worker here until told to leave."""
        failures = 0
        while not self._leaving.is_set():
            lived = await self._live()
            if self._leaving.is_set():
                break
            failures = self._backoff.count(failures, lived)
            delay = self._backoff.delay(failures)
            if delay is None:
                self._become(State.GIVEN_UP, f"gave up after {failures} deaths in a row; the last one: {self.reason}")
                log.error("%s: %s", self.name, self.reason)
                await self._leaving.wait()
                break
            self._become(State.WAITING, f"{self.reason}; next start in {delay:.1f} s" if delay else self.reason)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), delay)
            self.restarts += 1
        self._become(State.LEFT, "left")
        self._settled.set()

    async def leave(self, retire: Callable[["Place"], Awaitable[None]]) -> None:
        """Finish what is here, run `wrapperFini`, end. `retire` returns when no door has a call here.

        Asked again, it waits for the same end.
        """
        is_first, was_ready = not self._leaving.is_set(), self.state is State.READY
        self._leaving.set()
        child = self._child
        if child is None or child.has_ended:
            return
        if not is_first:
            await child.ended()
            return
        self._become(State.RETIRING, "finishing its calls")
        if was_ready:
            await retire(self)
        child.send(control.encode(Stop()))
        try:
            async with asyncio.timeout(self.hosted.workers.stop_timeout):
                await child.ended()
        except TimeoutError:
            log.warning(
                "%s did not end within %g s of wrapperFini; killed", self.name, self.hosted.workers.stop_timeout
            )
            child.kill()
            await child.ended()

    def kill(self) -> None:
        """End the process at once; nothing is started in its place."""
        self._leaving.set()
        if self._child is not None:
            self._child.kill()

    async def _live(self) -> float:
        """One life, from start to end: how many seconds it was ready."""
        self._begin()
        child = self._child
        if child is None:
            raise RuntimeError("no child")
        self._become(State.STARTING, f"the last one died: {self._death}" if self._death else "starting")
        pulse = asyncio.create_task(self._pulse(child), name=f"pulse of {self.name}")
        late = asyncio.get_running_loop().call_later(self.hosted.workers.start_timeout, self._too_slow)
        try:
            end = await child.ended()
        finally:
            pulse.cancel()
            late.cancel()
        verdict = self._verdict or _verdict(end, self.failure)
        self.reason = self._death = self._say(verdict, end)
        self.last_lines = child.output.last_lines() if child.output is not None else []
        if not self._leaving.is_set() and not self.is_trial:
            log.error(
                "%s died: %s", self.name, self.reason, extra={"fields": {"pid": child.pid, "verdict": verdict.value}}
            )
        self._house.on_dead(self, verdict)
        self._close_page()
        self._settled.set()
        return time.monotonic() - self.ready_since if self.ready_since else 0.0

    def _begin(self) -> None:
        hosted, workers = self.hosted, self.hosted.workers
        slots = hosted.reach * self._doors
        self.page_descriptor = memory.anonymous("page", page.SIZE)
        self._map = mmap.mmap(self.page_descriptor, page.SIZE)
        self.page = Page(memoryview(self._map))
        self.page.format(slots)
        self._verdict, self.failure, self.ready_since, self.is_busy = None, None, 0.0, False
        self._life = next(_lives)
        child = self._child = Child(self.name, "athena_serving.worker")
        child.start(
            self._on_message,
            environ=self._house.environment(hosted, self.index),
            directory=hosted.directory,
            log_lines=workers.log_lines,
        )
        self._pong = time.monotonic()
        setup = WorkerSetup(
            name=self.name,
            path=str(hosted.path),
            service=hosted.service.name,
            version=hosted.service.version,
            config=dict(hosted.wrapper),
            seats=workers.seats,
            window=hosted.reach,
            doors=self._doors,
            body_limit=self._body_limit,
            warmup=workers.warmup,
            log=self._log_form,
            batching=Batching(**dataclasses.asdict(hosted.batch)),
            idempotent=hosted.service.idempotent,
            resources=str(hosted.directory / hosted.service.resources) if hosted.service.resources else "",
            resources_max=hosted.service.resources_max,
        )
        child.send(control.encode(setup), [self.page_descriptor])

    def _on_message(self, message: bytes, _: list[int]) -> None:
        match control.read_from_worker(message):
            case Loaded() as loaded:
                self._house.on_loaded(self, loaded)
            case Ready(seconds):
                if self._leaving.is_set() or self.failure is not None:
                    return
                self.ready_since = time.monotonic()
                self._become(State.READY, "ready")
                log.info("%s is ready", self.name, extra={"fields": {"seconds": round(seconds, 3), "pid": self.pid}})
                self._settled.set()
                self._house.on_ready(self)
            case Failed() as failed:
                self.failure = failed
            case Pong():
                self._pong = time.monotonic()

    def _say(self, verdict: Verdict, end: End) -> str:
        """Why a worker is dead, in words."""
        workers = self.hosted.workers
        match verdict:
            case Verdict.LOAD | Verdict.INIT if self.failure is not None:
                where = f" ({self.failure.where})" if self.failure.where else ""
                remedy = f"; help: {self.failure.help}" if self.failure.help else ""
                return f"{self.failure.message}{where}{remedy}"
            case Verdict.SLOW_START:
                return f"not ready within {workers.start_timeout:g} s (setting workers.start_timeout)"
            case Verdict.STUCK:
                return (
                    f"stuck: a call ran {workers.stall_timeout:g} s past its deadline (setting workers.stall_timeout)"
                )
            case Verdict.GONE:
                return f"gone: idle, and no answer for {workers.ping_timeout:g} s (setting workers.ping_timeout)"
            case Verdict.CUT_OFF:
                return "cut off: a door lost its link to the worker; the log says why"
        return end.reason

    def _become(self, state: State, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._house.on_change()

    def _close_page(self) -> None:
        if self.page_descriptor >= 0:
            os.close(self.page_descriptor)
            self.page_descriptor = -1
            self.page = None
            self._map = None  # unmapped when nobody looks at it any more

    # ── watching ──────────────────────────────────────────────────────────────────────────────────

    async def _pulse(self, child: Child) -> None:
        """Ping, and judge by the page and the answers."""
        workers = self.hosted.workers
        number = 0
        while True:
            asleep = time.monotonic()
            await asyncio.sleep(workers.ping_interval)
            if time.monotonic() - asleep > workers.ping_interval + workers.ping_timeout / 2:
                self._pong = time.monotonic()  # we were stopped, by Ctrl-Z or a starved machine: the silence is ours
            number += 1
            child.send(control.encode(Ping(number)))
            now = time.monotonic()
            running = self.running()
            is_silent = now - self._pong > workers.ping_timeout
            if any(call.expires + workers.stall_timeout < now for call in running):
                self._verdict = Verdict.STUCK
                child.signal(signal.SIGQUIT)  # its stacks go to the log, even if user code holds the interpreter
                await asyncio.sleep(DUMP_TIME)
                child.kill()
                return
            if is_silent and not running and self.state in (State.READY, State.RETIRING):
                self._verdict = Verdict.GONE
                child.kill()
                return
            if (is_silent and bool(running)) != self.is_busy:
                self.is_busy = not self.is_busy
                self._house.on_change()

    def refuse(self, error: UsageError) -> None:
        """Its wrapper loads, but cannot be served: end it as if it had said so itself."""
        self.failure = Failed("load", error.message, error.where, error.help)
        if self._child is not None:
            self._child.kill()

    def cut_off(self) -> None:
        """A door has lost its link to the worker, mostly since that died. One that lives nobody can call: end it."""
        if self._child is not None:
            asyncio.get_running_loop().call_later(LAST_WORD, self._end_cut_off, self._child)

    def _end_cut_off(self, child: Child) -> None:
        if child is self._child and not child.has_ended and not self._leaving.is_set():
            self._verdict = Verdict.CUT_OFF
            child.kill()

    def _too_slow(self) -> None:
        if self.state is State.STARTING and self._child is not None:
            self._verdict = Verdict.SLOW_START
            self._child.kill()


def _verdict(end: End, failure: Failed | None) -> Verdict:
    if failure is not None:
        return Verdict.LOAD if failure.stage == "load" else Verdict.INIT
    if end.was_oom:
        return Verdict.OOM
    return Verdict.EXIT if os.waitstatus_to_exitcode(end.status) >= 0 else Verdict.SIGNAL
