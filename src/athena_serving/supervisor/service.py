"""Composition root of `athena serve`: bind, start the doors and the workers, watch, and stop in order."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from athena_serving.errors import UsageError
from athena_serving.kit import logs, processes
from athena_serving.settings import Hosted, Serve
from athena_serving.supervisor import categories, doors, health, metrics, reloading, sockets
from athena_serving.supervisor.admin import Admin, Answer, Route
from athena_serving.supervisor.doors import Door
from athena_serving.supervisor.fleets import Fleet
from athena_serving.supervisor.metrics import Totals
from athena_serving.supervisor.places import Place, State, Verdict
from athena_serving.wire import control, meta
from athena_serving.wire.control import Divide, Groups, Health, Loaded, Retreat

log = logging.getLogger("supervisor")


def run(settings: Serve) -> int:
    """Serve until stopped; the exit code. Raises `UsageError` for a wrapper that cannot be loaded, `PortBusy`."""
    form = settings.server.log_form(is_terminal=sys.stderr.isatty())
    logs.setup(form, stream=logs.Unwaiting(2))
    return asyncio.run(Supervisor(settings, form).run())


class Supervisor:
    """Owns every child, the sockets and the counters."""

    def __init__(self, settings: Serve, log_form: str) -> None:
        self._settings = settings
        self._log_form = log_form
        self._state = "starting"
        self._totals = Totals()
        self._categories = categories.read(settings.categories)
        for name in self._categories:
            _refuse_reserved(name, "a category")
        self._fleets = [Fleet(hosted, self, self._make_place, claim=self._claim) for hosted in settings.services]
        self._doors: list[Door] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._fault: UsageError | None = None
        self._last_health = b""
        self._health_is_due = False
        self._url = self._admin_url = ""

    async def run(self) -> int:
        """Bind, start, wait, stop in order."""
        server = self._settings.server
        processes.adopt_orphans()
        listener = sockets.listen(server.host, server.port, setting="server.port", flag="--port")
        is_chosen = self._settings.origins.get("server.admin_port", "default") != "default"
        admin_listener = sockets.listen_admin(server.admin_host, server.admin_port, is_chosen=is_chosen)
        self._admin_url = sockets.url_of(admin_listener)
        admin = Admin(admin_listener, self._routes(), self._end_session)
        self._url = sockets.url_of(listener)
        self._watch_signals()
        self._doors = [
            Door(
                i,
                self._settings,
                [listener],
                log_form=self._log_form,
                on_serving=self._on_door_serving,
                on_ask=self.metrics,
                on_dead=self._on_door_dead,
                on_failed=self._fail,
                on_lost=self._on_link_lost,
            )
            for i in range(doors.COUNT)
        ]
        await admin.start()
        if (warning := self._settings.public_warning()) is not None:
            log.warning("%s", warning)
        for door in self._doors:
            self._own(f"door {door.index}", door.keep())
        for fleet in self._fleets:
            fleet.start()
            if server.reload:
                others = [other.hosted for other in self._fleets if other is not fleet]
                watching = reloading.watch(fleet.hosted, others, partial(self._on_edit, fleet), stop=self._stop)
                self._own(f"watch over {fleet.hosted.directory}", watching)
        log.info("starting", extra={"fields": {"url": self._url, "admin": self._admin_url, "pid": os.getpid()}})
        await self._stop.wait()
        for door in self._doors:
            door.let_die()
        listener.close()
        await self._shut_down()
        admin.close()
        if self._fault is not None:
            raise self._fault
        return 0

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────

    async def _shut_down(self) -> None:
        """The way out, in order; a second signal skips to the end (docs/lifecycle.md).

        1. readiness fails  2. lame duck: serve everything, say that connections will close  3. refuse new calls
        4. drain up to drain_timeout, then cancel the rest  5. end the workers: wrapperFini  6. end the doors
        """
        orderly = asyncio.ensure_future(self._retreat())
        forced = asyncio.ensure_future(self._force.wait())
        await asyncio.wait([orderly, forced], return_when=asyncio.FIRST_COMPLETED)
        if not orderly.done():
            log.warning("forced: ending everything at once")
            orderly.cancel()
            for door in self._doors:
                door.kill()
            for place in self._places():
                place.kill()
        forced.cancel()
        await asyncio.gather(orderly, forced, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._kill_leftovers()
        log.info("stopped")

    async def _retreat(self) -> None:
        server = self._settings.server
        self._become("stopping")
        if self._fault is None:
            self.tell(Retreat("lame-duck", server.lame_duck))
            await asyncio.sleep(server.lame_duck)
            self.tell(Retreat("refuse", 0.0))
            await asyncio.gather(*(door.drain(server.drain_timeout) for door in self._doors))
        await asyncio.gather(*(fleet.leave() for fleet in self._fleets))
        await asyncio.gather(*(door.leave(5.0) for door in self._doors))

    def _kill_leftovers(self) -> None:
        """What user code started and detached, and nobody else will end."""
        for pid in processes.children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _fail(self, error: UsageError) -> None:
        if self._fault is None and not self._stop.is_set():
            self._fault = error
            self._stop.set()

    # ── signals ───────────────────────────────────────────────────────────────────────────────────

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._reap_strangers)

    def _on_stop_signal(self, number: int) -> None:
        if self._stop.is_set():
            self._force.set()
            return
        log.info("stopping", extra={"fields": {"signal": signal.Signals(number).name}})
        self._stop.set()

    def _on_reload_signal(self) -> None:
        if self._stop.is_set():
            return
        log.info("rolling restart")
        for fleet in self._fleets:
            self._own(f"rolling restart of {fleet.name}", fleet.roll())

    def _on_edit(self, fleet: Fleet, files: frozenset[Path]) -> None:
        if not self._stop.is_set():
            log.info(
                "%s: edited, reloading", fleet.name, extra={"fields": {"files": ", ".join(sorted(map(str, files)))}}
            )
            self._own(f"reload of {fleet.name}", fleet.roll(files))

    def _reap_strangers(self) -> None:
        """Children that we adopted and that have died; our own are reaped by who watches them."""
        own = {place.pid for place in self._places()} | {door.pid for door in self._doors}
        for pid in processes.children():
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _own(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed by our own fault", task.get_name(), exc_info=error)
            self._fail(error if isinstance(error, UsageError) else UsageError(f"{task.get_name()} failed: {error!r}"))

    # ── the switchboard: what fleets need of the doors ────────────────────────────────────────────

    def tell(self, order: control.ToDoor) -> None:
        """Tell every door."""
        for door in self._doors:
            door.send(order)

    def join(self, place: Place, service: str, generation: int, *, batch: int) -> None:
        """Link every door with a worker."""
        self.tell(self._groups())
        for door in self._doors:
            door.join(place, service, generation, batch=batch)

    async def retire(self, place: Place) -> None:
        """Wait until no door has a call at a worker."""
        longest = max(self._settings.limits.call_timeout, place.hosted.stream.session_timeout)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest + place.hosted.workers.stall_timeout):
                await asyncio.gather(*(door.retire(place.key) for door in self._doors))

    def start(self, name: str, place: Place) -> None:
        """Keep a worker."""
        self._own(f"worker {name}", place.keep())

    def on_first_ready(self, fleet: Fleet) -> None:
        """A service can be called."""
        log.info("service %s is ready", fleet.name, extra={"fields": {"url": f"{self._url}/{fleet.name}"}})
        if self._state == "starting" and all(one.current is not None for one in self._fleets):
            self._become("serving")

    def _make_place(self, hosted: Hosted, name: str, index: int) -> Place:
        return Place(
            hosted,
            self,
            name=name,
            index=index,
            doors=doors.COUNT,
            body_limit=self._settings.limits.body,
            log_form=self._log_form,
        )

    def _claim(self, fleet: Fleet, name: str) -> None:
        where = str(fleet.hosted.path)
        _refuse_reserved(name, where)
        others = {other.name: str(other.hosted.path) for other in self._fleets if other is not fleet and other.is_named}
        others |= dict.fromkeys(self._categories, "a category")
        if name in others:
            raise UsageError(
                f"two services are called {name!r}",
                where=f"{others[name]} and {where}",
                help="give one another serviceId, or [service] name",
            )

    # ── what places tell ──────────────────────────────────────────────────────────────────────────

    def environment(self, hosted: Hosted, index: int) -> dict[str, str]:
        """The environment of worker `index`."""
        workers = hosted.workers
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // workers.count)))
        if workers.devices:
            environ["CUDA_VISIBLE_DEVICES"] = workers.devices[index % len(workers.devices)]
        environ.update(workers.env)
        environ["ATHENA_WORKER"] = str(index)
        return environ

    def on_loaded(self, place: Place, loaded: Loaded) -> None:
        """A wrapper is known."""
        try:
            self._fleet_of(place).on_loaded(place, loaded)
        except UsageError as error:
            place.refuse(error)

    def on_ready(self, place: Place) -> None:
        """A worker can be called."""
        self._fleet_of(place).on_ready(place)
        self.on_change()

    def on_dead(self, place: Place, verdict: Verdict) -> None:
        """A worker is dead: keep its counters, count its restart."""
        if place.page is not None:
            self._totals.fold(place.page)
        fleet = self._fleet_of(place)
        if verdict is Verdict.LOAD and (error := fleet.load_error()) is not None:
            self._fail(error)
        if place.state is not State.RETIRING:
            self._totals.add(f'athena_worker_restarts_total{{service="{fleet.name}",reason="{verdict.value}"}}')

    def on_change(self) -> None:
        """Health is another; tell the doors, once for all changes of this turn."""
        if not self._health_is_due:
            self._health_is_due = True
            asyncio.get_running_loop().call_soon(self._tell_health)

    def _places(self) -> list[Place]:
        return [place for fleet in self._fleets for place in fleet.places()]

    def _fleet_of(self, place: Place) -> Fleet:
        return next(fleet for fleet in self._fleets if fleet.hosted is place.hosted)

    def _on_door_serving(self, door: Door) -> None:
        door.send(self._groups())
        for document in self._categories.values():
            door.send(Divide(document))
        for fleet in self._fleets:
            fleet.resend(door.send, door.join)
        self._last_health = b""
        self.on_change()

    def _on_link_lost(self, key: str) -> None:
        """A door has no link to a worker any more, though nobody asked it to retire the worker."""
        for place in self._places():
            if place.key == key:
                place.cut_off()

    def _on_door_dead(self, door: Door) -> None:
        if door.page is not None:
            self._totals.fold(door.page)
        self.on_change()

    def _groups(self) -> Groups:
        return Groups([place.pid for place in self._places() if place.pid])

    # ── health and metrics ────────────────────────────────────────────────────────────────────────

    def _become(self, state: str) -> None:
        self._state = state
        self._tell_health()

    def _report(self) -> health.Report:
        return health.report(self._fleets, self._doors, state=self._state, now=time.monotonic())

    def _tell_health(self) -> None:
        self._health_is_due = False
        report = self._report()
        document = msgspec.json.encode(report)
        if document != self._last_health:
            self._last_health = document
            reasons = {name: one.reason for name, one in report.services.items()}
            self.tell(Health(report.ready, document, reasons, complete=self._state != "starting"))

    def metrics(self) -> bytes:
        """Everything that was counted, as Prometheus reads it."""
        pages = [place.page for place in self._places()] + [door.page for door in self._doors]
        values = self._totals.sum([page for page in pages if page is not None], self._gauges())
        for fleet in self._fleets:
            labels = f'{{service="{fleet.name}"}}'
            waiting = values.get(f"athena_calls_in_flight{labels}", 0.0) - values[f"athena_calls_running{labels}"]
            values[f"athena_queue_depth{labels}"] = max(0.0, waiting)
        return metrics.render(values)

    def _gauges(self) -> dict[str, float]:
        gauges: dict[str, float] = {}
        for fleet in self._fleets:
            places = list(fleet.places())
            for state in State:
                if state is not State.LEFT:
                    name = f'athena_workers{{service="{fleet.name}",state="{state.value}"}}'
                    gauges[name] = sum(place.state is state for place in places)
            ready = fleet.current.ready() if fleet.current is not None else []
            gauges[f'athena_seats{{service="{fleet.name}"}}'] = sum(place.hosted.workers.seats for place in ready)
            running = [(place.hosted.workers.seats, len(place.running())) for place in places]
            gauges[f'athena_seats_used{{service="{fleet.name}"}}'] = sum(min(pair) for pair in running)
            gauges[f'athena_calls_running{{service="{fleet.name}"}}'] = sum(len(place.running()) for place in places)
        return gauges

    # ── the admin port ────────────────────────────────────────────────────────────────────────────

    def _routes(self) -> dict[str, Route]:
        def health_json(*, probe: bool) -> Answer:
            report = self._report()
            return 503 if probe and not report.ready else 200, msgspec.json.encode(report), "application/json"

        return {
            "/livez": lambda: (200, b'{"alive":true}', "application/json"),
            "/readyz": lambda: health_json(probe=True),
            "/healthz": lambda: health_json(probe=False),
            "/metrics": lambda: (200, self.metrics(), metrics.CONTENT_TYPE),
            "/sessions": self._list_sessions,
        }

    async def _list_sessions(self) -> Answer:
        lists = await asyncio.gather(*(door.sessions() for door in self._doors))
        sessions = [one for part in lists for one in msgspec.json.decode(part)]
        return 200, msgspec.json.encode({"sessions": sessions}), "application/json"

    async def _end_session(self, sid: str) -> Answer:
        found = any(await asyncio.gather(*(door.end(sid) for door in self._doors)))
        if found:
            log.info("session ended by its operator", extra={"fields": {"sid": sid}})
        return (200 if found else 404), msgspec.json.encode({"cancelled": found}), "application/json"


def _refuse_reserved(name: str, where: str) -> None:
    if name in meta.RESERVED:
        raise UsageError(
            f"a service cannot be called {name!r}: that path is the server's own",
            where=where,
            help='serviceId = "ocr"',
        )
