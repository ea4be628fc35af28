"""What a process of callers is told, and what it tells."""

import msgspec

from benchmarks.exchanges import Stream

HOST = "127.0.0.1"
PATIENCE = 10
"""Seconds until a single answer counts as lost; a hundred times the slowest p99 seen."""


class Load(msgspec.Struct, frozen=True):
    """What was counted, as `post.lua` and the callers print it."""

    requests: int
    """Requests, or what the case counts instead: chunks, frames."""
    duration_us: int
    p50_us: int
    p99_us: int
    refused: int
    """Answers with a status of 400 or more."""
    broken: int
    """Connections that failed while connecting, reading or writing; streams that were not whole."""
    late: int
    """Answers that took longer than `PATIENCE`."""
    lag_us: int = 0
    """Of paced frames: how late the caller itself sent them, 99th percentile."""
    caller_cores: float = 0.0
    """Cores that the caller kept busy; at 1 it is the limit, not the server."""
    beside: "Load | None" = None
    """The once-calls that went on beside."""

    @property
    def errors(self) -> int:
        """Everything that was not a right answer in time."""
        return self.refused + self.broken + self.late + (self.beside.errors if self.beside else 0)


class Request(msgspec.Struct, frozen=True):
    """A POST."""

    path: str
    body: bytes
    accept: str

    def written(self, port: int) -> bytes:
        """As bytes on a connection that is kept."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
            f"Accept: {self.accept}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


class Order(msgspec.Struct, frozen=True):
    """What to call, how often at once, for how long."""

    drive: str
    """The value of a `cases.Drive`."""
    port: int
    request: Request
    """Over WebSocket its body is the first frame."""
    stream: Stream
    connections: int
    seconds: float
    pace: float
    """Seconds between two frames of a paced session."""
    beside: Request | None = None
