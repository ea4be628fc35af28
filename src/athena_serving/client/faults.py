"""What a call can end with instead of a result: one tree, by whose fault it was.

    CallError
    ├── BadRequest            the request is wrong: mend it, do not repeat it
    │   └── ServiceNotFound   no service of this name; `services` are those that are there
    ├── Busy                  nothing is wrong but the moment
    ├── WrapperFailed         the service's own code failed: its author must look
    ├── TimedOut              no answer in time; the service may have run
    ├── ServerFailed          a bug of the server's, or what answered does not speak the protocol
    └── NotReachable          nobody is there; nothing was sent
        └── ConnectionLost    it broke under the call; the service may have run

Whether to try again is a property of the error, `retry_after`, not of the caller's mood.
"""

from athena_serving import errors
from athena_serving.errors import Problem


class CallError(Exception):
    """Root of the tree. `str(error)` has the message, code, HTTP status and sid."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        status: int = 0,
        sid: str = "",
        problems: tuple[Problem, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        """Code of the protocol (docs/errors.md); 0 where the answer had none, or there was none."""
        self.status = status
        """HTTP status; 0 where there was no answer."""
        self.sid = sid
        """Names the call in the server's log; empty where it had no time to say."""
        self.problems = problems
        """Each wrong place of the request."""
        self.retry_after = retry_after
        """Seconds after which the very same call may succeed; None: do not repeat it."""

    def __str__(self) -> str:
        marks = (f"code {self.code}" * bool(self.code), f"HTTP {self.status}" * bool(self.status))
        said = ", ".join(filter(None, (*marks, f"sid {self.sid}" * bool(self.sid))))
        return f"{self.message} ({said})" if said else self.message


class BadRequest(CallError):
    """The request is wrong, or not allowed: against the schema, an app id or a signature that is refused."""


class ServiceNotFound(BadRequest):
    """No service of this name at this server."""

    services: tuple[str, ...] = ()
    """Names of those that are there, where the server told."""


class Busy(CallError):
    """Every seat and the queue are taken, no worker is ready, or the server is stopping (HTTP 429 and 503)."""


class WrapperFailed(CallError):
    """The service's own code failed, or answered with an error code."""


class TimedOut(CallError):
    """No answer within the call's time, ours or the server's."""


class ServerFailed(CallError):
    """A bug of the server's, or an answer that is none of this protocol."""


class NotReachable(CallError):
    """No connection could be made, so that nothing was sent."""


class ConnectionLost(NotReachable):
    """The connection broke after the request was begun. Never repeated: the service may have run."""


def kind_of(code: int, status: int) -> type[CallError]:
    """The class of a refusal. The code says more than the status, which a service may change (docs/errors.md)."""
    known = errors.BY_CODE.get(code)
    if known in (errors.DeadlineExceeded, errors.RequestTimeout):
        return TimedOut
    # 10404 with a status of the server's: a category that leads nowhere.
    if known is None or (known is errors.ServiceNotFound and status >= 500):
        return _by_status(status, has_code=known is None and code != 0)
    if issubclass(known, errors.CapacityError):
        return Busy
    if issubclass(known, errors.CallerError):
        return BadRequest
    return WrapperFailed if issubclass(known, errors.WrapperError) else ServerFailed


def _by_status(status: int, *, has_code: bool) -> type[CallError]:
    if status in (429, 503):
        return Busy
    if has_code:  # one that no class has is the service's own
        return WrapperFailed
    if status == 404:
        return ServiceNotFound
    if status in (408, 504):
        return TimedOut
    return BadRequest if 400 <= status < 500 else ServerFailed
