"""One request and its answer: what is known of it, and what may end it early.

A call is one coroutine. To end it early (the caller leaves, its time is up, we shut down) is to cancel that coroutine
with a reason; everything under it unwinds in order, to the worker. Most calls end young; only those older than 20 ms
get a timer and someone who watches whether the caller is still there, which costs a task.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from enum import Enum
from typing import Any, Final

from athena_serving.gateway import services
from athena_serving.gateway.access import Entry
from athena_serving.gateway.meters import stages
from athena_serving.gateway.services import Service
from athena_serving.wire.messages import Sid

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Version, trace, parent, flags (W3C Trace Context 3.2.2); no version ff, no id of zeroes."""


class Reason(Enum):
    """Why a call ended early."""

    CLIENT_LEFT = "the caller left"
    DEADLINE = "its time is up"
    SHUTDOWN = "the service is shutting down"


class Exchange:
    """One request in progress. `Aging` (kit/aging.py) tells when it grows old."""

    # What most calls never change stands on the class: setting an attribute costs, and a call passes here every time.
    reason: Reason | None = None
    is_over = False
    held = 0
    """Bytes of the budget that it holds."""
    app = ""
    code = 0
    status = 0
    bytes_in = 0
    bytes_out = 0
    read_at = 0.0
    """When the body was read."""
    decoded_at = 0.0
    """When it was checked and decoded."""
    answered_at = 0.0
    """When user code's answer came; 0 if none did."""
    user_us = 0
    category: Service | None = None
    """The category that led the call to its service."""
    is_session = False
    """Has it clocks of its own (talk.py)?"""
    _is_old = False
    _is_read = False
    _timer: asyncio.TimerHandle | None = None
    _watcher: asyncio.Task[None] | None = None

    _task: "asyncio.Task[object]"

    def __init__(
        self, scope: Scope, receive: Receive, service: Service, sid: Sid, *, started: float, timeout: float
    ) -> None:
        self.enlist()
        self.scope = scope
        self.receive = receive
        self.service = service
        self.sid = sid
        self.started = started
        self.expires = started + timeout
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.given_id = _decent(self.headers.get(b"x-request-id"))
        """The caller's own id for the request, if it is a decent one."""
        self.traceparent = _traced(self.headers.get(b"traceparent"))

    def grow_old(self) -> None:
        """From now on the deadline has a timer and, once the body is read, someone watches for the caller's leaving."""
        self._is_old = True
        if not self.is_session:
            self._timer = asyncio.get_running_loop().call_at(self.expires, self.cancel, Reason.DEADLINE)
        self._watch()

    def begin_session(self) -> None:
        """A session has clocks of its own: the deadline of calls does not count."""
        self.is_session = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def enlist(self) -> None:
        """The current task is the one to cancel."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an exchange lives in a task")
        self._task = task

    def body_is_read(self) -> None:
        """From now on all that `receive` can say is that the caller left."""
        self._is_read = True
        if self._is_old:
            self._watch()

    def move(self, service: Service) -> None:
        """A category's call has been found to be this service's, which counts it from now on."""
        self.service.meter.moved(service.meter)
        self.category, self.service = self.service, service

    @property
    def code_map(self) -> Mapping[int, int]:
        """HTTP statuses of codes, as the service that was called has them."""
        return services.code_map(self.category or self.service)

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

    def entry(self, now: float) -> Entry:
        """The request as the access log tells of it."""
        return Entry(
            sid=self.sid,
            service=self.service.name,
            app=self.app,
            method=self.scope["method"],
            path=self.scope["path"],
            status=self.status,
            code=self.code,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            seconds=now - self.started,
            stages=stages(self, now)[:-1] if self.answered_at else (),
            trace_id=self.traceparent[3:35],
            request_id=self.given_id,
        )

    def _watch(self) -> None:
        if self._is_read and self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._wait_for_leave(), name="watch for leaving")

    async def _wait_for_leave(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.cancel(Reason.CLIENT_LEFT)


def _decent(given: bytes | None) -> str:
    """A caller's id that can stand in a header and in a log, else nothing."""
    if not given or len(given) > 128 or not given.isascii():
        return ""
    text = given.decode()
    return text if text.isprintable() else ""


def _traced(value: bytes | None) -> str:
    """A W3C traceparent as it came; nothing if it is malformed, as the standard says."""
    return value.decode() if value is not None and _TRACEPARENT.fullmatch(value) else ""
