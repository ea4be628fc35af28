"""The engine: takes calls from the doors' links, gives them to user code seat by seat, writes the answers.

The main thread reads the data links. With one seat it also runs every call itself, so that user code knows one thread
only and an answer needs no hop; with more, each seat is a thread; a wrapper whose methods are coroutines has one loop
thread for all its seats. A door sends at most `window` calls ahead, so what waits here is bounded; beyond that a call
is refused.

A session has its seat from its first step to its end (worker/streams.py); while it waits on the main thread, that reads
the links on (`_pump`). Calls that user code answers together wait to be gathered by the seat that is free first
(worker/batches.py).
"""

import asyncio
import contextlib
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from athena_serving.errors import CallCancelled, CapacityError, DeadlineExceeded
from athena_serving.sdk.context import Context
from athena_serving.wire import frames
from athena_serving.wire.control import Batching
from athena_serving.wire.frames import BadFrame, Frame, Kind, Load
from athena_serving.wire.messages import Reply, Step
from athena_serving.wire.page import Page
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.batches import BatchMeter, Gathering
from athena_serving.worker.gate import Gate
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.link import DoorLink
from athena_serving.worker.seats import FedSeat, MainSeat, Seats
from athena_serving.worker.streams import Pump, Stream, Wakes, wake
from athena_serving.worker.tasks import Task

log = logging.getLogger(__name__)

CANCELLED: Final = CallCancelled.code
_BEGIN: Final = int(Kind.BEGIN)
_STEPS: Final = frozenset({int(Kind.PIECE), int(Kind.END)})


def _leave_alone() -> None:
    """What interrupts an item of a batch: nothing, for the others' sake; its context says that it is cancelled."""


class Engine:
    """Runs calls. `run` is the main thread's; `attach`, `cancel` and `stop` may be called from the orders thread."""

    def __init__(
        self,
        adapter: Adapter,
        page: Page,
        *,
        service: str,
        seats: int,
        window: int,
        doors: int,
        batching: Batching = Batching(),  # noqa: B008  # frozen
        idempotent: bool = False,
    ) -> None:
        self._adapter = adapter
        self._page = page
        self._window = window
        self._links: dict[int, DoorLink] = {}
        self._new: deque[DoorLink] = deque()
        self._tasks: dict[tuple[DoorLink, int], Task] = {}
        """By link, not by door: a door that was started anew counts its streams from the beginning."""
        self._limit = window * doors
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._fed: dict[Stream, None] = {}
        """Sessions that have steps, and whose user code has not been told."""
        self._reader = 0
        """The thread that `run` is on."""
        self._stopping = False
        self._is_fork = False
        os.register_at_fork(after_in_child=self._forked)  # costs nothing; asking for the pid is a system call a call
        self._poll = select.poll()
        self._seats = Seats.of(
            self.execute,
            self.execute_async,
            seats=seats,
            is_coroutine=self._coroutine_rule(),
            gathers=adapter.batches is not None,
        )
        reads_itself = isinstance(self._seats, MainSeat)
        self._pump_of_main: Pump | None = self._pump if reads_itself else None
        self._execute_alone = self._execute_once if adapter.resources is None else self._execute_held
        self._once_async = adapter.once_async if adapter.resources is None else adapter.once_held_async
        self._gathering = Gathering(batching, self._pump_of_main) if adapter.batches is not None else None
        if adapter.batches is not None:
            adapter.batches.is_idempotent = idempotent
        self._batch_meter = BatchMeter(page, service, batching.max) if adapter.batches is not None else None
        self._running = 0
        labels = f'{{service="{service}"}}'
        self._credit_waits = page.counter(f'athena_stream_waits_total{{service="{service}",side="caller"}}')
        self._credit_seconds = page.counter(f'athena_stream_wait_seconds_total{{service="{service}",side="caller"}}')
        self._busy = page.counter(f"athena_busy_seconds_total{labels}")
        self._wasted = page.counter(f"athena_wasted_seconds_total{labels}")
        self._dropped = page.counter(f"athena_dropped_calls_total{labels}")

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    def attach(self, link: DoorLink) -> None:
        """A door will send calls."""
        self._new.append(link)
        self._waker.send(b"\0")

    def stop(self) -> None:
        """Return from `run` once the calls that are here are done."""
        self._stopping = True
        self._waker.send(b"\0")

    def cancel(self, link: DoorLink, stream: int, reason: str) -> None:
        """Nobody waits for this call any more: drop it, or interrupt it."""
        key = (link, stream)
        with link.guard:
            task = self._tasks.get(key)
            if task is not None:
                dropped = task.revoke(reason, time.monotonic())
                if dropped:
                    self._tasks.pop(key, None)  # the door may send another in its place at once
            elif stream > link.newest:
                link.revoked.add(stream)  # still in the socket; whoever reads it finds it here
                dropped = True
            else:
                return  # answered a moment ago; the answer is on its way
        if dropped:
            self._page.values[self._dropped] += 1
            link.send_side(frames.dropped(stream))
        elif task is not None and task.session is not None:
            # It has only so long to come to its end as a call whose time is up.
            self._page.hasten(task.slot, task.stream, time.monotonic())

    def credit(self, link: DoorLink, stream: int, steps: int) -> None:
        """The door takes so many steps of a session more."""
        task = self._tasks.get((link, stream))
        if task is not None and task.session is not None:
            task.session.allow(steps)

    def forsake(self, link: DoorLink) -> None:
        """A door is gone: nobody waits for its calls."""
        with link.guard:
            link.is_closed = True
            # A copy, since seats take theirs out meanwhile; the newest first, so that no seat that is freed takes one.
            for task in reversed(list(self._tasks.values())):
                if task.link is link and task.revoke("the door is gone", time.monotonic()):
                    self._tasks.pop((link, task.stream), None)

    # ── the main thread ───────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Serve until stopped."""
        self._poll.register(self._wake, select.POLLIN)
        self._seats.start()
        if isinstance(self._seats, FedSeat):
            threading.Thread(target=self._read, name="reader", daemon=True).start()
            self._seats.sit()
        else:
            self._read()

    def _read(self) -> None:
        """Read the links until stopped; with one seat, run what was read as well."""
        self._reader = threading.get_ident()
        while not self._stopping:
            self._pump(None)
            self._seats.work()
        for task in list(self._tasks.values()):  # no call is left, but a session may be
            if task.session is not None:
                self.cancel(task.link, task.stream, "the worker stops")
        self._seats.finish()

    def _pump(self, seconds: float | None) -> None:
        """Read what has come, once something has, or after so many seconds."""
        for descriptor, _ in self._poll.poll(None if seconds is None else max(0.0, seconds) * 1000):
            if descriptor == self._wake.fileno():
                self._wake.recv(4096)
                self._admit()
            elif descriptor in self._links:
                self._take(descriptor)

    def _wake_main(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of reasons to wake up
            self._waker.send(b"\0")

    def _admit(self) -> None:
        while self._new:
            link = self._new.popleft()
            self._links[link.data.fileno()] = link
            self._poll.register(link.data, select.POLLIN)

    def _take(self, descriptor: int) -> None:
        link = self._links[descriptor]
        try:
            arrived = link.receive()
            if arrived is not None:
                for frame in arrived:
                    if frame.kind == _BEGIN:
                        self._begin(link, frame)
                    else:
                        self._feed(link, frame)
                if self._fed:
                    later: Wakes = {}
                    for stream in self._fed:
                        stream.tell(later)
                    wake(later)
                    self._fed.clear()
                return
        except BadFrame as error:
            log.error("door %d sent a bad frame: %s", link.door, error)  # noqa: TRY400  # not our bug
        self._poll.unregister(descriptor)
        del self._links[descriptor]
        self.forsake(link)
        link.close()

    def _feed(self, link: DoorLink, frame: Frame) -> None:
        """A caller's later step; that of a session that is over is nobody's."""
        if frame.kind not in _STEPS:
            raise BadFrame(f"kind {frame.kind} where a call must begin")
        if frame.stream > link.newest:
            raise BadFrame(f"a step of stream {frame.stream}, which has not begun")
        step = frames.read_given(frame, read_block=link.take_block)
        for piece in step.pieces:
            piece.data = bytes(piece.data)
        task = self._tasks.get((link, frame.stream))
        if task is not None and task.session is not None:
            task.session.push(step)
            self._fed[task.session] = None

    def _begin(self, link: DoorLink, frame: Frame) -> None:
        if frame.stream <= link.newest:
            raise BadFrame(f"stream {frame.stream} after stream {link.newest}")
        if frame.slot // self._window != link.door:
            raise BadFrame(f"slot {frame.slot}, which is not one of door {link.door}")
        now = time.monotonic()
        call = frames.read_begin(frame, now=now, read_block=link.take_block)
        for piece in call.pieces:
            piece.data = bytes(piece.data)
        context = Context(call.sid, app=call.app, service=call.service, expires=call.expires)
        task = Task(link, frame.stream, frame.slot, call, context, arrived=now)
        if call.is_session:
            task.session = self._stream(task)
        with link.guard:
            link.newest = frame.stream
            if frame.stream in link.revoked or link.is_closed:
                link.revoked.discard(frame.stream)
                return
            has_room = len(self._tasks) < self._limit
            if has_room:
                self._tasks[link, frame.stream] = task
        if has_room:
            if self._gathering is not None and task.session is None:
                self._gathering.add(task)
            self._seats.submit(task)
            return
        reply = Reply(code=CapacityError.code, message=f"the worker has {self._limit} calls already")
        link.send(frame.stream, reply, self._load())

    # ── one call ──────────────────────────────────────────────────────────────────────────────────

    def execute(self, task: Task) -> None:
        """Run a call on this thread and write its answer: alone, with others, or step by step."""
        if task.session is not None:
            self._execute_session(task, task.session)
        elif self._gathering is not None:
            self._execute_batch(self._gathering.take(task))
        else:
            self._execute_alone(task)

    def _execute_once(self, task: Task) -> None:
        started = time.monotonic()
        try:
            try:
                if not self._open(task, started):
                    return
                reply = self._adapter.once(task.call, task.context)
            finally:
                task.leave()
        except CallInterrupted:
            task.leave()  # it may have come while leaving; a second one cannot
            reply = Reply(code=CANCELLED, message=task.cancelled_because)
        self._close(task, reply, started)

    def _execute_held(self, task: Task) -> None:
        """The same for a service with personal resources: what is loaded for the call is known, whatever ends it."""
        started, gate = time.monotonic(), Gate()
        if self._open(task, started, abort=gate.interrupt):
            reply = self._adapter.once_held(task.call, task.context, gate)
            task.leave()
            self._close(task, reply or Reply(code=CANCELLED, message=task.cancelled_because), started)

    async def execute_async(self, task: Task) -> None:
        """Run a call whose wrapper is a coroutine."""
        if task.session is not None:
            await self._execute_session_async(task, task.session)
            return
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        running = loop.create_task(self._once_async(task.call, task.context))

        def abort() -> None:
            loop.call_soon_threadsafe(running.cancel)

        if not self._open(task, started, abort=abort):
            running.cancel()
            return
        try:
            reply = await running
        except asyncio.CancelledError:
            reply = Reply(code=CANCELLED, message=task.cancelled_because)
        task.leave()
        self._close(task, reply, started)

    def _execute_batch(self, tasks: list[Task]) -> None:
        """Run calls together; each has its own end."""
        batches, started = self._adapter.batches, time.monotonic()
        opened = [task for task in tasks if self._open(task, started, abort=_leave_alone)]
        if not opened or batches is None or self._batch_meter is None:
            return
        self._batch_meter.count(opened, started)
        replies = batches.run(opened)
        if self._is_fork:
            os._exit(0)  # as in `_close`
        for task, reply in zip(opened, replies, strict=True):
            task.leave()
            self._tasks.pop((task.link, task.stream), None)
            counted = self._count(task, reply, started, shared=len(opened))
            task.link.put(
                task.stream, counted, self._load(), then=partial(self._page.clear_slot, task.slot, task.stream)
            )
        for link in {task.link for task in opened}:  # in one write, while the next batch begins
            link.flush_soon()

    def _execute_session(self, task: Task, stream: Stream) -> None:
        """Run a session on this thread. Its steps leave as they are made; this is its end."""
        started = time.monotonic()
        if self._open(task, started, abort=stream.interrupt):
            self._adapter.session(task.call, task.context, stream)
            task.leave()
            self._end_session(task, stream, started)

    async def _execute_session_async(self, task: Task, stream: Stream) -> None:
        started, loop = time.monotonic(), asyncio.get_running_loop()
        stream.live_on(loop)
        running = loop.create_task(self._adapter.session_async(task.call, task.context, stream))

        def abort() -> None:
            stream.interrupt()
            loop.call_soon_threadsafe(running.cancel)

        if not self._open(task, started, abort=abort):
            running.cancel()
            return
        await asyncio.wait([running])
        task.leave()
        self._end_session(task, stream, started)

    def _end_session(self, task: Task, stream: Stream, started: float) -> None:
        """The session's seat is free. One that had no last step has it now: its caller is gone, or was told."""
        if self._is_fork:
            os._exit(0)
        now = time.monotonic()
        self._page.values[self._busy] += now - started
        if task.cancelled_at:
            self._page.values[self._wasted] += now - task.cancelled_at
        self._running -= 1
        had_last = stream.is_closed and not stream.is_stopped
        self._tasks.pop((task.link, task.stream), None)
        if not had_last:
            stream.is_closed = True
            reply = Reply(code=CANCELLED, message=task.cancelled_because or "the session came to no end")
            task.link.send(task.stream, reply, self._load())
        self._page.clear_slot(task.slot, task.stream)

    def _stream(self, task: Task) -> Stream:
        link, number = task.link, task.stream

        def send(reply: Reply) -> None:
            (link.send if reply.is_last else link.send_soon)(number, reply, self._load())

        def waited(seconds: float) -> None:
            self._page.values[self._credit_waits] += 1.0
            self._page.values[self._credit_seconds] += seconds

        return Stream(
            Step(task.call.pieces, {}, task.call.last),
            send=send,
            grant=lambda steps: link.send_side(frames.credit(number, steps)),
            wake=self._wake_main,
            on_wait=waited,
            pump=self._pump_of_main,
            reader=self._reader,
        )

    def _coroutine_rule(self) -> Callable[[Task], bool] | None:
        """Which calls are coroutines; None if none ever is."""
        generators = self._adapter.generators
        once, stream = self._adapter.is_async, generators is not None and generators.is_async
        if not once and not stream:
            return None
        return lambda task: stream if task.session is not None else once

    def _open(self, task: Task, now: float, abort: Callable[[], None] | None = None) -> bool:
        """User code may see the call from now on. False: its time is up, or it was revoked."""
        if task.call.expires <= now and task.revoke("its time is up", now):
            self._page.values[self._dropped] += 1
            self._answer(task, Reply(code=DeadlineExceeded.code, message="its time was up before a seat was free"))
            return False
        self._running += 1
        if task.claim(abort=abort):
            # Not before: the slot of a call that was revoked may be another's by now.
            self._page.set_slot(task.slot, task.stream, now, task.call.expires)
            return True
        self._running -= 1
        return False

    def _forked(self) -> None:
        self._is_fork = True

    def _close(self, task: Task, reply: Reply, started: float) -> None:
        if self._is_fork:
            os._exit(0)  # user code forked and its child came back here: the answer is its parent's to give
        self._answer(task, self._count(task, reply, started))
        self._page.clear_slot(task.slot, task.stream)

    def _count(self, task: Task, reply: Reply, started: float, *, shared: int = 1) -> Reply:
        """Count what a call took; `shared`: calls that the time was spent on together."""
        now = time.monotonic()
        reply.user_us = int((now - started) * 1e6)
        self._page.values[self._busy] += (now - started) / shared
        if task.cancelled_at:
            self._page.values[self._wasted] += (now - task.cancelled_at) / shared
        self._running -= 1
        return reply

    def _answer(self, task: Task, reply: Reply) -> None:
        self._tasks.pop((task.link, task.stream), None)
        task.link.send(task.stream, reply, self._load())

    def _load(self) -> Load:
        return Load(self._running, max(0, len(self._tasks) - self._running))
