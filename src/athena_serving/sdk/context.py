"""The call that user code is answering: who, for how long, and whether anyone still waits.

The engine runs user code inside `with context:`; user code asks `current()`.
"""

import logging
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar, Token

_running: ContextVar["Context"] = ContextVar("athena_call")
_logger = logging.getLogger("wrapper")


class CallLog(logging.LoggerAdapter[logging.Logger]):
    """The logger "wrapper", with the call's sid in every record's `fields`."""

    def process(self, msg: object, kwargs: MutableMapping[str, object]) -> tuple[object, MutableMapping[str, object]]:
        """Add the call's fields to those given with this record; the standard adapter would drop the latter."""
        given = kwargs.get("extra")
        extra = dict(given) if isinstance(given, Mapping) else {}
        kwargs["extra"] = {**extra, "fields": {**(self.extra or {}), **extra.get("fields", {})}}
        return msg, kwargs


class Context:
    """One call as user code sees it."""

    def __init__(self, sid: str, *, app: str, service: str, expires: float) -> None:
        self.sid = sid
        """Names the call in every log and in the answer."""
        self.app = app
        """Application id of the caller."""
        self.service = service
        self.expires = expires
        """When the caller stops waiting, on this process's monotonic clock."""
        self._cancelled = False
        self._listeners: list[Callable[[], object]] = []
        self._token: Token[Context] | None = None

    @property
    def log(self) -> CallLog:
        """`current().log.info("...")`: the line carries the sid."""
        return CallLog(_logger, {"sid": self.sid})

    def remaining(self) -> float:
        """Seconds until the caller stops waiting; 0 once it has."""
        return max(0.0, self.expires - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Has the call been cancelled, or its time run out? Long loops ask now and then, and stop early."""
        return self._cancelled or time.monotonic() >= self.expires

    def on_cancel(self, listener: Callable[[], object]) -> None:
        """Have `listener()` called when the call is cancelled, on a thread of the server's; at once if it was already.

        For what does not ask `cancelled`: a job on a card, a request to another server. It must not wait.
        """
        self._listeners.append(listener)
        if self._cancelled:
            listener()

    def cancel(self) -> None:
        """Nobody waits any more. For the engine; safe from any thread."""
        self._cancelled = True
        for listener in self._listeners:
            try:
                listener()
            except Exception:  # user code, on a thread that others need
                _logger.exception("a listener of on_cancel raised", extra={"fields": {"sid": self.sid}})

    def __enter__(self) -> "Context":  # noqa: PYI034  # typing costs 5 ms of every start
        """Make this the current call of the thread or task."""
        self._token = _running.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Back to what was current before."""
        if self._token is not None:
            _running.reset(self._token)
            self._token = None


def running() -> Context | None:
    """The call that this thread or task is answering, if there is one."""
    return _running.get(None)


def current() -> Context:
    """The call that this thread or task is answering.

    Raises LookupError outside a call, and in threads that user code started: take it along as a variable there.
    """
    context = running()
    if context is None:
        raise LookupError(
            "no call is running here: current() works inside wrapperOnceExec, on the thread or task that was called; "
            "pass its value to threads of your own"
        )
    return context
