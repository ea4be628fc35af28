"""The engine: takes calls from the doors' links, gives them to user code seat by seat, writes the answers.

The main thread reads the data links. With one seat it also runs every call itself, so that user code knows one thread
only and an answer needs no hop; with more, each seat is a thread; a wrapper whose methods are coroutines has one loop
thread for all its seats. A door sends at most `window` calls ahead, so what waits here is bounded; beyond that a call
is refused.
"""

import asyncio
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from athena_serving.errors import CallCancelled, CapacityError, DeadlineExceeded
from athena_serving.sdk.context import Context
from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Frame, Kind, Load
from athena_serving.wire.messages import Reply
from athena_serving.wire.page import Page
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.link import DoorLink
from athena_serving.worker.seats import Seats
from athena_serving.worker.tasks import CallInterrupted, Task

log = logging.getLogger(__name__)

CANCELLED: Final = CallCancelled.code


class Engine:
    """Runs calls. `run` is the main thread's; `attach`, `cancel` and `stop` may be called from the orders thread."""

    def __init__(self, adapter: Adapter, page: Page, *, service: str, seats: int, window: int, doors: int) -> None:
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
        self._stopping = False
        self._is_fork = False
        os.register_at_fork(after_in_child=self._forked)  # costs nothing; asking for the pid is a system call a call
        self._seats = Seats.of(self.execute, self.execute_async, seats=seats, is_async=adapter.is_async)
        self._running = 0
        labels = f'{{service="{service}"}}'
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
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        self._seats.start()
        while not self._stopping:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake.fileno():
                    self._wake.recv(4096)
                    self._admit(poll)
                else:
                    self._take(poll, descriptor)
            self._seats.work()
        self._seats.finish()

    def _admit(self, poll: "select.poll") -> None:
        while self._new:
            link = self._new.popleft()
            self._links[link.data.fileno()] = link
            poll.register(link.data, select.POLLIN)

    def _take(self, poll: "select.poll", descriptor: int) -> None:
        link = self._links[descriptor]
        try:
            arrived = link.receive()
            if arrived is not None:
                for frame in arrived:
                    self._begin(link, frame)
                return
        except BadFrame as error:
            log.error("door %d sent a bad frame: %s", link.door, error)  # noqa: TRY400  # not our bug
        poll.unregister(descriptor)
        del self._links[descriptor]
        self.forsake(link)
        link.close()

    def _begin(self, link: DoorLink, frame: Frame) -> None:
        if frame.kind != Kind.BEGIN:
            raise BadFrame(f"kind {frame.kind} where a call must begin")
        if frame.stream <= link.newest:
            raise BadFrame(f"stream {frame.stream} after stream {link.newest}")
        if frame.slot // self._window != link.door:
            raise BadFrame(f"slot {frame.slot}, which is not one of door {link.door}")
        now = time.monotonic()
        call = frames.read_begin(frame, now=now, read_block=link.take_block)
        for piece in call.pieces:
            piece.data = bytes(piece.data)
        context = Context(call.sid, app=call.app, service=call.service, expires=call.expires)
        task = Task(link, frame.stream, frame.slot, call, context)
        with link.guard:
            link.newest = frame.stream
            if frame.stream in link.revoked or link.is_closed:
                link.revoked.discard(frame.stream)
                return
            has_room = len(self._tasks) < self._limit
            if has_room:
                self._tasks[link, frame.stream] = task
        if has_room:
            self._seats.submit(task)
            return
        reply = Reply(code=CapacityError.code, message=f"the worker has {self._limit} calls already")
        link.send(frame.stream, reply, self._load())

    # ── one call ──────────────────────────────────────────────────────────────────────────────────

    def execute(self, task: Task) -> None:
        """Run a call on this thread and write its answer."""
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

    async def execute_async(self, task: Task) -> None:
        """Run a call whose wrapper is a coroutine."""
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        running = loop.create_task(self._adapter.once_async(task.call, task.context))

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
        now = time.monotonic()
        reply.user_us = int((now - started) * 1e6)
        self._page.values[self._busy] += now - started
        if task.cancelled_at:
            self._page.values[self._wasted] += now - task.cancelled_at
        self._running -= 1
        self._answer(task, reply)
        self._page.clear_slot(task.slot, task.stream)

    def _answer(self, task: Task, reply: Reply) -> None:
        self._tasks.pop((task.link, task.stream), None)
        task.link.send(task.stream, reply, self._load())

    def _load(self) -> Load:
        return Load(self._running, max(0, len(self._tasks) - self._running))
