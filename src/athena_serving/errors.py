"""One tree of errors: a class says whose fault it was, the code on the wire, the HTTP status and whether to try again.

Codes and their meanings follow the ASF protocol (http-api.md, chapters 3.6 and 4), where one exists for the
situation; where ASF hung, panicked or lied, the nearest code of its table is given.

    AthenaError
    ├── CallerError       the request is wrong: mend it, do not repeat it
    ├── TargetMissing     a schema that leads elsewhere leads nowhere
    ├── WrapperError      user code failed: its author must look
    ├── CapacityError     nothing is wrong but the moment: wait and try again
    ├── CallCancelled     nobody waits for the answer any more
    ├── InternalError     our own bug
    └── UsageError        a command or a settings file is wrong; never on the wire
"""

from typing import NamedTuple


class Problem(NamedTuple):
    """One place in a request that is wrong."""

    pointer: str
    """JSON pointer into the request (RFC 6901), for programs: `/header/app_id`."""
    message: str
    """What is wrong there, in ASF's words: `field is required`."""


class AthenaError(Exception):
    """Root of the tree. `str(error)` is the message for the caller; no traceback ever leaves the process."""

    code = 11502
    http = 500
    retry = False
    """May the same request succeed if it is sent again?"""
    retry_after = 1
    """Seconds for the Retry-After header, where `retry` is true."""

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems


# ── the caller's fault ────────────────────────────────────────────────────────────────────────────


class CallerError(AthenaError):
    """The request is wrong."""

    code, http = 10163, 400


class BadRequest(CallerError):
    """Not JSON, against the schema, or not base64."""


class BadAppId(CallerError):
    """No app id, or not the one that the key belongs to."""

    code = 10313


class Unauthenticated(CallerError):
    """No key, an unknown one, or a signature that it did not make."""

    code, http = 10313, 401


class BodyTooLarge(CallerError):
    """More bytes than `limits.body`."""

    http = 413


class SessionExpired(CallerError):
    """A step of a session that is over."""

    code, http = 10200, 408


class RequestTimeout(CallerError):
    """The caller took too long to send headers or body."""

    code, http = 10114, 408


class ServiceNotFound(CallerError):
    """No service at this path."""

    code, http = 10404, 404


class RouteNotFound(CallerError):
    """A category: none of its rules is true of the request."""

    code = 10404


class TargetMissing(AthenaError):
    """A category: the service that its rule names is not served here."""

    code = 10404


# ── user code's fault ─────────────────────────────────────────────────────────────────────────────


class WrapperError(AthenaError):
    """User code failed."""

    code, http = 10909, 502


class OnceFailed(WrapperError):
    """`wrapperOnceExec` raised, or answered with an error code of its own."""


class MethodMissing(WrapperError):
    """The wrapper has no method for this kind of call."""

    code, http = 10600, 501


class CreateFailed(WrapperError):
    """`wrapperCreate` raised, gave no handle, or answered with an error code."""

    code = 10905


class WriteFailed(WrapperError):
    """`wrapperWrite` raised or answered with an error code."""

    code = 10907


class ReadFailed(WrapperError):
    """`wrapperRead` raised or answered with an error code."""

    code = 10908


class CallbackFailed(WrapperError):
    """User code handed an error code to `callback`."""

    code = 10910


class OutputInvalid(WrapperError):
    """The answer has a key or a type that the schema does not know."""

    code = 10106


class DeadlineExceeded(WrapperError):
    """No answer within the call's time."""

    code, http = 10102, 504


# ── nobody's fault ────────────────────────────────────────────────────────────────────────────────


class CapacityError(AthenaError):
    """Nothing is wrong but the moment."""

    code, http, retry = 10110, 503, True


class QueueFull(CapacityError):
    """Every seat is taken and the queue is full."""

    http = 429


class Unavailable(CapacityError):
    """Draining, or no worker is ready."""


class WorkerDied(CapacityError):
    """The worker died while user code had the call."""

    code = 10109


class CallCancelled(AthenaError):
    """The caller left, or the call was cancelled by us with a reason; there is no one to answer."""

    code, http = 10101, 499


class SessionCancelled(AthenaError):
    """An operator ended the session; its caller is still there."""

    code, http = 10101, 503


class InternalError(AthenaError):
    """Our own bug; the sid in the message finds the traceback in the log."""


# ── never on the wire ─────────────────────────────────────────────────────────────────────────────


class UsageError(AthenaError):
    """A command, a settings file or a wrapper that cannot be loaded. The command line prints it and exits.

    `where` is the file and line, or the setting; `help` is the remedy.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str = "", help: str = "") -> None:  # noqa: A002  # the field's name
        super().__init__(message)
        self.where = where
        self.help = help

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


class SettingsError(UsageError):
    """An unknown key, a wrong type, a misplaced section."""


class PortBusy(UsageError):
    """Another process listens on the port."""


class WrapperNotLoadable(UsageError):
    """The wrapper does not import, has no class, or its `wrapperInit` failed."""

    exit_code = 3


BY_CODE: dict[int, type[AthenaError]] = {
    kind.code: kind
    for kind in (InternalError, CallCancelled, BadRequest, BadAppId, RequestTimeout, ServiceNotFound, OnceFailed)
} | {
    kind.code: kind
    for kind in (
        OutputInvalid,
        DeadlineExceeded,
        Unavailable,
        WorkerDied,
        MethodMissing,
        CreateFailed,
        WriteFailed,
        ReadFailed,
        CallbackFailed,
    )
}
"""The class that a code found in a reply stands for."""
