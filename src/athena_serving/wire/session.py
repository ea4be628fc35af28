"""A session as its caller sees it: a table of states, without I/O.

    FRESH ──step──► OPEN ──last step──► HEARD ──last result──► OVER
      │               └── result: pushed ──┘                     ▲
      └──last step──► HEARD      any stop: told, cancelled ──────┘

OPEN: the caller may send. HEARD: it has sent its last step, and results come. OVER: it has been told how the session
ended, once; a worker that was still at it has been told to stop, once. A session begins at most once, and what begins
ends in exactly one of two ways: the worker's last step, or one CANCEL to the worker. That is why `wrapperDestroy` runs
exactly once: the worker calls it at either (worker/streams.py).

ASF's gateway has the states Begin, Continue and End (http-api.md 7.3); it left the end of a session to its caller.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from athena_serving.errors import (
    AthenaError,
    CallCancelled,
    DeadlineExceeded,
    RequestTimeout,
    SessionCancelled,
    Unavailable,
    WorkerDied,
)


class _Word(Enum):
    """A word of the table, hashed as what it is: an enum hashes its name, in Python."""

    __hash__ = object.__hash__


class State(_Word):
    """Where a session stands."""

    FRESH = auto()
    """Nothing has come."""
    OPEN = auto()
    """It is with a worker, and the caller may send."""
    HEARD = auto()
    """The caller has sent its last step."""
    OVER = auto()
    """It has ended, and the caller has been told."""


class Event(_Word):
    """What can happen to a session."""

    STEP = auto()
    """The caller sent a step."""
    LAST_STEP = auto()
    """The caller sent its last step."""
    RESULT = auto()
    """The worker sent a step of the answer."""
    LAST_RESULT = auto()
    """The worker sent the last step of the answer, or an error: it is done with the session."""
    STOP = auto()
    """Anything else that ends it: a `StopReason`."""


class Action(Enum):
    """What is to be done about it."""

    BEGIN = auto()
    """Give the session to a worker, with this step."""
    FEED = auto()
    """Hand the step on to the worker."""
    PUSH = auto()
    """Send the result to the caller."""
    CANCEL = auto()
    """Tell the worker that nobody waits any more."""
    TELL = auto()
    """Tell the caller how it ended, if it is there."""
    REFUSE = auto()
    """Tell the caller that there is no session any more."""


class StopReason(Enum):
    """Why a session ended."""

    FINISHED = "finished"
    """The wrapper sent its last result."""
    WRAPPER_FAILED = "wrapper failed"
    """One of the wrapper's methods failed, or what it answered is not in the schema."""
    BAD_FRAME = "bad frame"
    """The caller sent what is no step of this service."""
    REFUSED = "refused"
    """No seat was free, or no worker was there."""
    CLIENT_LEFT = "client left"
    """The connection is gone, or its peer is silent."""
    IDLE = "idle"
    """Neither a step nor a result within `stream.idle_timeout`, while it was the caller's turn."""
    TOO_LONG = "too long"
    """Older than `stream.session_timeout`."""
    STALLED = "stalled"
    """The wrapper neither took a step nor sent a result within `stream.stall_timeout`."""
    CANCELLED = "cancelled"
    """`athena cancel`."""
    SHUTDOWN = "shutdown"
    """The service stops, and `server.drain_timeout` is over."""
    WORKER_DIED = "worker died"
    """The worker ended under it."""
    FAULT = "internal error"
    """Our own bug."""


class Move(NamedTuple):
    """What follows from an event in a state."""

    actions: tuple[Action, ...]
    state: State


TABLE: Final[Mapping[tuple[State, Event], Move]] = {
    (State.FRESH, Event.STEP): Move((Action.BEGIN,), State.OPEN),
    (State.FRESH, Event.LAST_STEP): Move((Action.BEGIN,), State.HEARD),
    (State.FRESH, Event.RESULT): Move((), State.FRESH),
    (State.FRESH, Event.LAST_RESULT): Move((), State.FRESH),
    (State.FRESH, Event.STOP): Move((Action.TELL,), State.OVER),
    (State.OPEN, Event.STEP): Move((Action.FEED,), State.OPEN),
    (State.OPEN, Event.LAST_STEP): Move((Action.FEED,), State.HEARD),
    (State.OPEN, Event.RESULT): Move((Action.PUSH,), State.OPEN),
    (State.OPEN, Event.LAST_RESULT): Move((Action.PUSH,), State.OVER),
    (State.OPEN, Event.STOP): Move((Action.CANCEL, Action.TELL), State.OVER),
    # Some callers end twice, with a status and again with an empty frame: ASF's loader takes no notice.
    (State.HEARD, Event.STEP): Move((), State.HEARD),
    (State.HEARD, Event.LAST_STEP): Move((), State.HEARD),
    (State.HEARD, Event.RESULT): Move((Action.PUSH,), State.HEARD),
    (State.HEARD, Event.LAST_RESULT): Move((Action.PUSH,), State.OVER),
    (State.HEARD, Event.STOP): Move((Action.CANCEL, Action.TELL), State.OVER),
    (State.OVER, Event.STEP): Move((Action.REFUSE,), State.OVER),
    (State.OVER, Event.LAST_STEP): Move((Action.REFUSE,), State.OVER),
    (State.OVER, Event.RESULT): Move((), State.OVER),
    (State.OVER, Event.LAST_RESULT): Move((), State.OVER),
    (State.OVER, Event.STOP): Move((), State.OVER),
}
"""Every event in every state."""


class Session:
    """One session's place in the table."""

    def __init__(self) -> None:
        self.state = State.FRESH
        self.reason: StopReason | None = None
        """Why it ended; None while it has not."""
        self._open: dict[str, bool] = {}
        """Payload stream to: may more of it come?"""

    @property
    def is_over(self) -> bool:
        """Has it ended?"""
        return self.state is State.OVER

    @property
    def waits_for_wrapper(self) -> bool:
        """Is it the wrapper's turn?"""
        return self.state is State.HEARD

    def on(self, event: Event, reason: StopReason = StopReason.FINISHED) -> tuple[Action, ...]:
        """What to do about an event; the state is the next from here on. `reason` counts for what ends it."""
        actions, state = TABLE[self.state, event]
        if state is State.OVER and self.state is not State.OVER:
            self.reason = reason
        self.state = state
        return actions

    def is_last(self, statuses: Mapping[str, int], header: int | None) -> bool:
        """Is a frame the caller's last? `statuses` are its payload streams'; `header` that of its header.

        It is when its header says END or ONCE, or when every stream seen so far has said so (wrapper.md 5.5).
        """
        self._open.update({stream: status < _END for stream, status in statuses.items()})
        if header is not None and header >= _END:
            return True
        return bool(self._open) and not any(self._open.values())


_END: Final = 2
"""Status END (http-api.md 2.4); ONCE is above it."""


def error_of(reason: StopReason, *, limit: float = 0.0) -> AthenaError:
    """The error that a stop of ours stands for; `limit` in seconds, where one was passed."""
    match reason:
        case StopReason.TOO_LONG:
            return RequestTimeout("session timeout")
        case StopReason.IDLE:
            return RequestTimeout("time out")
        case StopReason.STALLED:
            return DeadlineExceeded(f"the wrapper has been silent for {limit:g} seconds (setting stream.stall_timeout)")
        case StopReason.SHUTDOWN:
            return Unavailable("the service is shutting down; the session was not finished")
        case StopReason.WORKER_DIED:
            return WorkerDied("the worker died while it had the session")
        case StopReason.CANCELLED:
            return SessionCancelled("the session was cancelled by its operator")
        case _:
            return CallCancelled(f"the session ended: {reason.value}")
