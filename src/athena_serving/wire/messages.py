"""What a call is, from the door to user code and back.

A call goes through everything as one shape, `Serve`: `await serve(call, send)` pushes replies by `await send(reply)`.
A once-call is a stream of one step each way: its `Call` carries `last = True` and its single `Reply` has status ONCE.
A session has more: `is_session`, and a `feed` where the caller's later steps come from.
"""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import NewType, Protocol

import msgspec

Sid = NewType("Sid", str)
"""Session id: names one call or session in every log and answer (wire/sid.py)."""


class Status(IntEnum):
    """Where a step stands in its stream (http-api.md 2.4)."""

    BEGIN = 0
    CONTINUE = 1
    END = 2
    ONCE = 3


class DataType(IntEnum):
    """What a piece holds; the JSON key of its data is the lower-case name (http-api.md 2.6)."""

    TEXT = 0
    AUDIO = 1
    IMAGE = 2
    VIDEO = 3
    OTHER = 4


DATA_KEYS = ("text", "audio", "image", "video", "other")
"""JSON key of a piece's data, by `DataType`."""


class Piece(msgspec.Struct, gc=False):
    """One named datum of a step: an input stream's bytes, or one output's."""

    key: str
    type: int = 0
    """A `DataType`; a plain int, since a peer may send one that we do not know."""
    status: int = Status.ONCE
    desc: dict[str, str] = {}  # msgspec copies an empty default
    """Attributes: encoding, sample_rate, ...; every value a string."""
    data: bytes | bytearray | memoryview = b""


class Expect(msgspec.Struct, array_like=True, gc=False):
    """One output that the caller wants, with the attributes it wants it in. Travels in frames as it is."""

    key: str
    type: int = 0
    desc: dict[str, str] = {}  # msgspec copies an empty default


class Step(msgspec.Struct, gc=False):
    """What a caller sends of a session after its first step."""

    pieces: list[Piece]
    params: dict[str, str] = {}  # msgspec copies an empty default
    """Parameters that came with it; ASF's callers may send them again with every step."""
    last: bool = False
    """Nothing more will come from the caller."""


class Feed(Protocol):
    """Where the later steps of a session come from, on the door's side."""

    def attach(self, push: Callable[[Step], None], steps: int) -> None:
        """The session is with a worker, which takes `steps` steps before it must ask for more: `push` sends one."""

    def grant(self, steps: int) -> None:
        """The worker takes so many steps more."""

    def close(self) -> None:
        """The session is over: nobody takes steps any more."""


class Call(msgspec.Struct):
    """One request, validated, on its way to user code."""

    sid: Sid
    service: str
    app: str
    expires: float
    """When the caller stops waiting, on this process's monotonic clock; on the wire it travels as time remaining."""
    headers: dict[str, str]
    params: dict[str, str]
    pieces: list[Piece]
    expects: list[Expect]
    last: bool = True
    """Nothing more will come from the caller."""
    traceparent: str = ""
    """W3C trace context, empty if the caller sent none."""
    is_session: bool = False
    """Is it for the wrapper's methods for sessions, whose answer has any number of steps?"""
    feed: Feed | None = None
    """On the door's side: the session's later steps."""

    @property
    def size(self) -> int:
        """Bytes of data that this call carries."""
        return sum(len(piece.data) for piece in self.pieces)


class Reply(msgspec.Struct):
    """One step of the answer. The last one has status END or ONCE, or a code that is not 0."""

    pieces: list[Piece] = []  # msgspec copies an empty default
    status: int = Status.ONCE
    code: int = 0
    """0, or a code of `errors`; then `message` says why."""
    message: str = ""
    user_us: int = 0
    """Microseconds that user code took for this step."""
    more: "list[Reply]" = []  # msgspec copies an empty default
    """On the door's side: steps that follow this one and are here already, to be written together with it."""

    @property
    def is_last(self) -> bool:
        """Does the stream end with this reply?"""
        return self.code != 0 or self.status >= Status.END


Send = Callable[[Reply], Awaitable[None]]
Serve = Callable[[Call, Send], Awaitable[None]]
"""The one shape of everything that a call passes through."""
