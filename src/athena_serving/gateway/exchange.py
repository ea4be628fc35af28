"""One request and its answer, and what may end it early: the caller leaves, its time is up, or we shut down.

A call is one coroutine. To end it early is to cancel that coroutine with a reason; everything under it unwinds in
order, to the worker. Most calls end young; only those older than 20 ms get a timer and someone who watches whether
the caller is still there, which costs a task.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Reason(Enum):
    """Why a call ended early."""

    CLIENT_LEFT = "the caller left"
    DEADLINE = "its time is up"
    SHUTDOWN = "the service is shutting down"


class Exchange:
    """One request in progress. `Aging` (kit/aging.py) tells when it grows old."""

    __slots__ = (
        "_is_old",
        "_is_read",
        "_receive",
        "_task",
        "_timer",
        "_watcher",
        "expires",
        "is_over",
        "reason",
        "started",
    )

    def __init__(self, receive: Receive, *, started: float, timeout: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an exchange lives in a task")
        self._task = task
        self._receive = receive
        self._is_old = False
        self._is_read = False
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.started = started
        self.expires = started + timeout
        self.is_over = False
        self.reason: Reason | None = None

    def grow_old(self) -> None:
        """From now on the deadline has a timer and, once the body is read, someone watches for the caller's leaving."""
        self._is_old = True
        self._timer = asyncio.get_running_loop().call_at(self.expires, self.cancel, Reason.DEADLINE)
        self._watch()

    def body_is_read(self) -> None:
        """From now on all that `receive` can say is that the caller left."""
        self._is_read = True
        if self._is_old:
            self._watch()

    def cancel(self, reason: Reason) -> None:
        """End the call early."""
        if self.reason is None and not self.is_over:
            self.reason = reason
            self._task.cancel(reason.value)

    def end(self) -> None:
        """The call is over."""
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _watch(self) -> None:
        if self._is_read and self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._wait_for_leave(), name="watch for leaving")

    async def _wait_for_leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.cancel(Reason.CLIENT_LEFT)
