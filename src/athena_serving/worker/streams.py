"""A session's way through a worker: steps of its caller in, steps of its answer out, both bounded, and its end.

    door ──push──► steps ──take──► user code ──emit──► door        STEPS each way, then CREDIT
                     interrupt: nobody waits any more

User code runs between `resume` and `pause`, and nowhere else is it interrupted: by an exception in its thread, if it
runs, or by `CallInterrupted` from whatever it waits for here. So it learns of the end within one step, and what ends
the session (`wrapperDestroy`, a generator's `close`) runs undisturbed, on the same thread.

`emit` may be called from any thread: that is what `callback` does. The last step closes the stream for all of them.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from athena_serving.wire.frames import STEPS
from athena_serving.wire.messages import Reply, Step
from athena_serving.worker.interrupts import CallInterrupted, let_come, raise_in

Pump = Callable[[float | None], None]
"""Reads what has come on the doors' links, waiting at most so many seconds for it; the main thread's."""
Wakes = dict[asyncio.AbstractEventLoop, list[asyncio.Event]]
"""Coroutines that are to be woken, by their loop."""


class Stream:
    """One session. `send` writes a step to the door, `grant` lets the door send more, `wake` ends the main's wait."""

    def __init__(
        self,
        first: Step,
        *,
        send: Callable[[Reply], None],
        grant: Callable[[int], None],
        wake: Callable[[], None],
        on_wait: Callable[[float], None] = lambda _: None,
        pump: Pump | None = None,
        reader: int = 0,
    ) -> None:
        """`pump` where the thread that reads the links, `reader`, is also the one that runs user code."""
        self._steps: deque[Step] = deque([first])
        self._is_heard = False
        """Has the caller's last step been taken?"""
        self._send = send
        self._grant = grant
        self._wake = wake
        self._on_wait = on_wait
        self._pump = pump
        self._reader = reader
        self._credit = STEPS
        self._taken = -1  # the first step came with the call, for no credit
        self._lock = threading.Lock()
        """Held to look at or change what stands here; for a moment only."""
        self._changed = threading.Condition(self._lock)
        self._order = threading.Lock()
        """Held to send a step, so that the last one is the last; whoever holds it may wait for credit."""
        self._driver = 0
        self._thread = 0
        """The thread that is in user code, and may be interrupted; 0 if none is."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self.is_stopped = False
        """Nobody waits any more."""
        self.is_closed = False
        """Nobody takes a step of the answer any more: it had its last, or it was stopped."""

    # ── from the links, on any thread ─────────────────────────────────────────────────────────────

    def push(self, step: Step) -> None:
        """The caller sent a step. Whoever waits for it hears of it by `tell`, since many come at once."""
        with self._lock:
            self._steps.append(step)

    def tell(self, later: Wakes) -> None:
        """Wake whoever waits for what was pushed: threads now, coroutines by `wake(later)`."""
        if self._loop is not None and self._event is not None:
            later.setdefault(self._loop, []).append(self._event)
        else:
            self._poke()

    def allow(self, steps: int) -> None:
        """The door takes so many steps more."""
        with self._lock:
            self._credit += steps
        self._poke()

    def interrupt(self) -> None:
        """Nobody waits any more: user code is told, once."""
        with self._lock:
            if self.is_stopped:
                return
            self.is_stopped = self.is_closed = True
            if self._thread:
                raise_in(self._thread)
        self._poke()
        self._wake()

    # ── around user code, on the thread that drives it ────────────────────────────────────────────

    def resume(self) -> None:
        """User code is about to run on this thread. Raises `CallInterrupted` if nobody waits any more."""
        with self._lock:
            if self.is_stopped:
                raise CallInterrupted
            self._driver = self._thread = _get_ident()

    def pause(self) -> None:
        """User code has come back. An interruption that was on its way comes here, at the latest."""
        with self._lock:
            was, self._thread = self._thread, 0
            if self.is_stopped and was:
                let_come()

    # ── in ────────────────────────────────────────────────────────────────────────────────────────

    def take(self) -> Step | None:
        """The caller's next step, awaited; None after its last, and where the answer has had its last meanwhile.

        Raises `CallInterrupted`.
        """
        self.wait(lambda: bool(self._steps) or self._is_heard or self.is_closed)
        if self.is_stopped:
            raise CallInterrupted
        return self._next()

    def take_for_user(self) -> Step | None:
        """`take`, called by user code: it waits here, uninterrupted, and goes on afterwards."""
        if _get_ident() != self._driver:
            return self.take()  # a thread of user code's own
        self.pause()
        try:
            return self.take()
        finally:
            self.resume()

    async def take_async(self) -> Step | None:
        """`take` for coroutines."""
        await self._until(lambda: bool(self._steps) or self._is_heard or self.is_closed)
        return self._next()

    def wait(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until it is so, or nobody waits any more, or `timeout` seconds are over; is it so?"""
        if self._pump is not None and _get_ident() == self._reader:
            until = None if timeout is None else time.monotonic() + timeout
            while not (ready() or self.is_stopped):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._pump(left)
            return ready()
        with self._changed:
            self._changed.wait_for(lambda: ready() or self.is_stopped, timeout)
            return ready()

    # ── out ───────────────────────────────────────────────────────────────────────────────────────

    def emit(self, reply: Reply) -> bool:
        """Send a step of the answer, as soon as the door takes one; False if nobody takes it any more.

        Raises `CallInterrupted` where user code is called for it, on the thread that drives the session.
        """
        if self._thread != _get_ident():
            return self._emit(reply)
        self.pause()
        try:
            return self._emit(reply)
        finally:
            self.resume()

    async def emit_async(self, reply: Reply) -> bool:
        """`emit` for coroutines."""
        if not reply.is_last and not self._credit:
            began = time.monotonic()
            await self._until(lambda: self._credit > 0 or self.is_closed)
            self._on_wait(time.monotonic() - began)
        with self._lock:
            if not self._may_send(is_last=reply.is_last):
                return False
        self._send(reply)
        return True

    def live_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Coroutines of this loop will wait here."""
        self._loop, self._event = loop, asyncio.Event()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _emit(self, reply: Reply) -> bool:
        with self._order:
            is_last = reply.is_last
            if not self._credit and not is_last:
                self._wait_for_credit()
            with self._lock:
                if not self._may_send(is_last=is_last):
                    return False
            self._send(reply)
        if is_last:
            self._poke()
            self._wake()
        return True

    def _next(self) -> Step | None:
        with self._lock:
            if not self._steps:
                return None
            step = self._steps.popleft()
            self._is_heard = step.last
            self._taken += 1
            granted = self._taken if self._taken >= _GRANT else 0
            self._taken -= granted
        if granted and not step.last:
            self._grant(granted)
        return step

    def _may_send(self, *, is_last: bool) -> bool:
        """Take what a step needs: a credit, or the end."""
        if self.is_closed:
            return False
        if is_last:
            self.is_closed = True
        else:
            self._credit -= 1
        return True

    def _wait_for_credit(self) -> None:
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._credit > 0 or self.is_closed)
        self._on_wait(time.monotonic() - began)

    def _poke(self) -> None:
        """Something has changed: whoever waits looks again."""
        with self._changed:
            self._changed.notify_all()
        if self._loop is not None and self._event is not None:
            self._loop.call_soon_threadsafe(self._event.set)

    async def _until(self, ready: Callable[[], bool]) -> None:
        event = self._event
        if event is None:
            raise RuntimeError("the stream lives on no loop")
        while not ready():
            event.clear()
            if not ready():  # it may have come between the two
                await event.wait()


def wake(later: Wakes) -> None:
    """Wake coroutines, those of a loop by one call."""
    for loop, events in later.items():
        loop.call_soon_threadsafe(_set_all, events)


def _set_all(events: list[asyncio.Event]) -> None:
    for event in events:
        event.set()


_get_ident = threading.get_ident
_GRANT: Final = STEPS // 2
"""Steps taken after which the door is told, so that it never waits for a worker that is not behind."""
