"""A call inside a worker, and how it ends before its time.

    WAITING ──claim──► RUNNING ──leave──► OVER
       └──revoke──► OVER

Whoever moves a task holds its lock, so exactly one of claim and revoke wins: a call is either seen by user code or
dropped, never both. A running call is interrupted, or, where `claim` was given one, its `abort` is called.
"""

import threading
from collections.abc import Callable
from enum import Enum, auto

from athena_serving.sdk.context import Context
from athena_serving.wire.messages import Call
from athena_serving.worker.interrupts import let_come, raise_in
from athena_serving.worker.link import DoorLink
from athena_serving.worker.streams import Stream


class State(Enum):
    """Where a task stands."""

    WAITING = auto()  # read from the link; user code has not seen it
    RUNNING = auto()  # user code has it
    OVER = auto()  # answered or dropped


class Task:
    """One call from one door."""

    __slots__ = (
        "_abort",
        "_lock",
        "_thread",
        "arrived",
        "call",
        "cancelled_at",
        "cancelled_because",
        "context",
        "link",
        "session",
        "slot",
        "state",
        "stream",
    )

    def __init__(
        self, link: DoorLink, stream: int, slot: int, call: Call, context: Context, *, arrived: float = 0.0
    ) -> None:
        self.link = link
        self.stream = stream
        self.slot = slot
        self.call = call
        self.context = context
        self.arrived = arrived
        """When it was read, on the monotonic clock."""
        self.session: Stream | None = None
        """The steps of a session; None for a once-call."""
        self.state = State.WAITING
        self.cancelled_at = 0.0
        """When the cancellation reached the running call, on the monotonic clock; 0 if it did not."""
        self.cancelled_because = ""
        self._lock = threading.Lock()
        self._thread = 0
        self._abort: Callable[[], None] | None = None

    def claim(self, *, abort: Callable[[], None] | None = None) -> bool:
        """User code is about to see the call, on this thread, or in a coroutine that `abort` cancels.

        False: it was revoked.
        """
        with self._lock:
            if self.state is not State.WAITING:
                return False
            self.state = State.RUNNING
            self._abort = abort
            if abort is None:
                self._thread = threading.get_ident()
            return True

    def revoke(self, reason: str, now: float) -> bool:
        """Nobody waits any more.

        True: user code never saw the call and never will. Else it is interrupted if it can be; its end comes as usual.
        """
        with self._lock:
            if self.state is State.WAITING:
                self.state = State.OVER
                self.call.pieces = []  # it stays in its seat's queue; its data need not
                return True
            if self.state is State.RUNNING and not self.cancelled_at:
                self.cancelled_at = now
                self.cancelled_because = reason
                self.context.cancel()
                if self._abort is not None:
                    self._abort()
                else:
                    raise_in(self._thread)
            return False

    def leave(self) -> None:
        """User code is done with the call. Call again if it was itself interrupted; it cannot be a second time."""
        with self._lock:
            self.state = State.OVER
            if self.cancelled_at:
                let_come()
